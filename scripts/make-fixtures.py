#!/usr/bin/env python3
"""Makes tests/data/models: tiny models with random weights, as the field's tools save them.

    python -m venv a && a/bin/pip install -r scripts/fixtures-requirements.txt
    python -m venv b && b/bin/pip install -r scripts/fixtures-legacy-requirements.txt
    a/bin/python scripts/make-fixtures.py tests/data/models --legacy b/bin/optimum-cli

Every folder in it holds one model in several forms, and expected*.json: what transformers, in f32,
gives as ln p of each token of several candidates after several prompts, or in a text where some of
them are hidden. Weights are drawn with a fixed seed, wide enough that every part of a layer shows in
the numbers. The parts are in fixtures/: a file for each family, and what they share.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True

import torch
import transformers

from fixtures import causal, masked, seq2seq
from fixtures.common import SEED

MAKERS = [
    causal.llama, causal.llama_tied, causal.gpt2, causal.opt, causal.qwen2, causal.gpt_neox,
    causal.gemma, causal.gemma2, causal.qwen3, causal.phi, causal.gptj, causal.tokenizers, causal.decoders,
    masked.bert, masked.roberta, masked.distilbert, masked.albert, masked.electra,
    masked.deberta_v2, masked.deberta, seq2seq.t5, seq2seq.t5_tied, seq2seq.mt5,
    seq2seq.bart,
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--legacy", type=Path, help="optimum-cli of the older exporter")
    parser.add_argument("--only", help="make one folder")
    arguments = parser.parse_args()
    torch.manual_seed(SEED)
    transformers.logging.set_verbosity_error()
    for make in MAKERS:
        name = make.__name__.replace("_", "-")
        if arguments.only in (None, name):
            out = arguments.out / name
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            make(out, arguments.legacy)


if __name__ == "__main__":
    main()
