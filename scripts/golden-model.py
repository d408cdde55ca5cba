#!/usr/bin/env python3
"""What transformers gives, in f32, for a GGUF file's dequantised weights: 200 candidates' ln p.

    python -m venv a && a/bin/pip install -r scripts/fixtures-requirements.txt
    a/bin/python scripts/golden-model.py MODEL.gguf FOLDER
    KGBUILD_TEST_MODEL=FOLDER cargo test --release --test models -- --ignored named

FOLDER gets a link to the file and expected.json, as the folders of tests/data/models have it.
"""

import json
import os
import sys

sys.dont_write_bytecode = True
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from transformers import AutoModelForCausalLM

from fixtures.reference import named, tokenizer

PROMPTS = [
    "The capital of France is", "The capital of Guinea-Bissau is", "Mount Kenya lies in the country of",
    "The official language of Brazil is", "The currency of Japan is", "Albert Einstein was born in",
    "The company Nokia was founded in", "The chemical element with the symbol Fe is",
    "In 1984, the novelist George Orwell described", "Q: Which river flows through Cairo?\nA:",
]
CANDIDATES = [
    " Paris", " Bissau", " Kenya", " Portuguese", " the yen", " Ulm", " Finland", " iron", " a city",
    " the Nile", " Côte d'Ivoire", " Port of Spain", " 1984", " New York City", " São Tomé and Príncipe",
    " Guinea-Bissau", " 東京", " the United States of America", " nothing.", " Wolfgang Amadeus Mozart",
]


def main():
    source, folder = named(__doc__)
    where = {"pretrained_model_name_or_path": source.parent, "gguf_file": source.name}
    tokens = tokenizer(source)
    model = AutoModelForCausalLM.from_pretrained(
        **where, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    lines = []
    for prompt in PROMPTS:
        ids = tokens(prompt)
        line = {"prompt": prompt, "ids": ids, "candidates": []}
        for candidate in CANDIDATES:
            both = tokens(prompt + candidate)
            assert both[: len(ids)] == ids, (prompt, candidate)
            more = both[len(ids):]
            with torch.no_grad():
                logits = model(torch.tensor([both]), use_cache=False).logits[0].double()
            steps = torch.log_softmax(logits, dim=-1)[len(ids) - 1: -1]
            values = [steps[at, token].item() for at, token in enumerate(more)]
            line["candidates"].append({"text": candidate, "ids": more, "log_probabilities": values})
        best = max(line["candidates"], key=lambda one: sum(one["log_probabilities"]))
        print(f"{prompt!r}: {best['text']!r} {sum(best['log_probabilities']):.3f}", flush=True)
        lines.append(line)
    # Twice as much as this is let pass: two ways to add up a thousand products, layer after layer.
    approximate = {"model.gguf": 5e-4}
    content = {
        "forms": ["model.gguf"], "adapter": None, "approximate": approximate, "prompts": lines,
    }
    (folder / "expected.json").write_text(json.dumps(content, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
