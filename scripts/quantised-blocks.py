#!/usr/bin/env python3
"""Makes tests/data/quantised-blocks.json: blocks of each quantised type of GGUF, and their values by the reference.

    python -m venv a && a/bin/pip install gguf==0.17.1
    a/bin/python scripts/quantised-blocks.py tests/data/quantised-blocks.json

The bytes are drawn with a fixed seed, all but the scales, which are 16-bit floats of a usual size. The values are those of the
package gguf (MIT), as the bits of 32-bit floats in hexadecimal.
"""

import json
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

# Where a block's 16-bit floats stand, in bytes.
SCALES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82],
    "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0],
}
BLOCKS = 2


def main() -> None:
    random = np.random.default_rng(20261130)
    out = {}
    for name, places in SCALES.items():
        kind = GGMLQuantizationType[name]
        _, size = GGML_QUANT_SIZES[kind]
        blocks = random.integers(0, 256, (BLOCKS, size), dtype=np.uint8)
        for place in places:
            scales = random.uniform(0.01, 0.1, BLOCKS).astype(np.float16)
            blocks[:, place : place + 2] = scales.view(np.uint8).reshape(BLOCKS, 2)
        values = dequantize(blocks, kind).astype("<f4").reshape(-1)
        out[name] = {
            "number": int(kind),
            "bytes": blocks.tobytes().hex(),
            "values": values.astype(">f4").tobytes().hex(),
        }
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(out, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
