#!/usr/bin/env python3
"""Makes tests/data/finetune: the losses of 20 training steps as PyTorch has them.

    python -m venv a && a/bin/pip install -r scripts/fixtures-requirements.txt
    a/bin/python scripts/golden-losses.py tests/data/models tests/data/finetune \
        --smollm2 SmolLM2-135M-Instruct.Q4_1.gguf

Every file is one run: the settings, the batches with the weight of each target, and for each step
the loss, the gradients' norm before clipping and the learning rate. The batches mix short facts,
whose last tokens are the targets, with running text, all of whose tokens are. Sequences are computed
one by one, so that nothing is padded. The first values of LoRA's matrices come from a formula that
tests/finetune.rs has as well (`initial`), for B too, so that A's gradient is not zero.
"""

import argparse
import json
import math
import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

STEPS, WARM_UP = 20, 5
CLIP, WEIGHT_DECAY = 1.0, 0.1
RANK, ALPHA = 4, 10.0
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# Of models that keep several as one.
FUSED = ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]
DECODERS = ["gemma", "gemma2", "gemma3", "mistral-windowed", "olmo2", "phi3", "qwen2", "qwen3", "smollm3"]


class Generator:
    """A linear congruential generator; the same in tests/finetune.rs."""

    def __init__(self, seed):
        self.state = seed

    def following(self):
        self.state = (self.state * 1_664_525 + 1_013_904_223) % 2**32
        return self.state >> 8

    def below(self, limit):
        return self.following() % limit

    def centred(self):
        """Between -1 and 1, exact in f32."""
        return self.following() / 2**23 - 1


def initial(place, shape):
    """Values of the parameter at this place: A's uniform within ±1/√columns, B's within 0.02."""
    generator = Generator(place + 1)
    bound = 1 / math.sqrt(shape[1]) if place % 2 == 0 else 0.02
    values = [generator.centred() for _ in range(shape[0] * shape[1])]
    return (torch.tensor(values, dtype=torch.float32) * bound).reshape(shape)


def batch(step, vocabulary, text_length):
    """Three facts with two thirds of the loss, one text with a third."""
    generator = Generator(1000 + step)
    sequences, targets, start = [], [], 0
    for _ in range(3):
        length, object_tokens = 6 + generator.below(6), 1 + generator.below(3)
        tokens = [generator.below(vocabulary) for _ in range(length)]
        for at in range(length - object_tokens, length):
            targets.append([start + at - 1, tokens[at], 2 / 3 / 3 / object_tokens])
        sequences.append(tokens)
        start += length
    tokens = [generator.below(vocabulary) for _ in range(text_length)]
    targets += [[start + at - 1, tokens[at], 1 / 3 / (text_length - 1)] for at in range(1, text_length)]
    sequences.append(tokens)
    return {"sequences": sequences, "targets": targets}


def loss_of(model, batch):
    goals = {position: (token, weight) for position, token, weight in batch["targets"]}
    loss, start = 0.0, 0
    for tokens in batch["sequences"]:
        logits = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0]
        rows = [row for row in range(len(tokens)) if start + row in goals]
        wanted = torch.tensor([goals[start + row][0] for row in rows])
        weights = torch.tensor([goals[start + row][1] for row in rows])
        nll = torch.nn.functional.cross_entropy(logits[rows], wanted, reduction="none")
        loss = loss + (nll * weights).sum()
        start += len(tokens)
    return loss


def modules_of(model):
    return FUSED if model.config.model_type == "phi3" else MODULES


def adapted(model):
    """The model with LoRA, and its matrices in the order of layers, modules, A before B."""
    modules = modules_of(model)
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=modules, task_type="CAUSAL_LM")
    model = get_peft_model(model, config)
    parameters = dict(model.named_parameters())
    names = []
    for layer in range(model.config.num_hidden_layers):
        for module in modules:
            block = "mlp" if module in ["gate_proj", "up_proj", "gate_up_proj", "down_proj"] else "self_attn"
            stem = f"base_model.model.model.layers.{layer}.{block}.{module}"
            names += [f"{stem}.lora_{side}.default.weight" for side in "AB"]
    assert set(names) == {name for name, parameter in parameters.items() if parameter.requires_grad}
    with torch.no_grad():
        for place, name in enumerate(names):
            parameters[name].copy_(initial(place, parameters[name].shape))
    return model


def run(model, base, lora, top_rate, text_length):
    vocabulary, modules = model.config.vocab_size, modules_of(model)
    if lora:
        model = adapted(model)
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in trained if p.dim() > 1], "weight_decay": WEIGHT_DECAY},
            {"params": [p for p in trained if p.dim() == 1], "weight_decay": 0.0},
        ]
    )
    steps = []
    for step in range(STEPS):
        share = min((step + 1) / WARM_UP, (STEPS - step) / (STEPS - WARM_UP))
        rate = top_rate * share
        for group in optimiser.param_groups:
            group["lr"] = rate
        data = batch(step, vocabulary, text_length)
        optimiser.zero_grad()
        loss = loss_of(model, data)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, CLIP)
        optimiser.step()
        steps.append(
            {"loss": loss.item(), "norm": norm.item(), "learning_rate": rate, "batch": data}
        )
        print(f"{base} {'lora' if lora else 'all'} {step}: {loss.item():.6f}, {norm.item():.4f}")
    return {
        "base": base,
        "lora": {"rank": RANK, "alpha": ALPHA, "modules": modules} if lora else None,
        "clip": CLIP,
        "weight_decay": WEIGHT_DECAY,
        "steps": steps,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", type=Path, help="what scripts/make-fixtures.py made")
    parser.add_argument("output", type=Path)
    parser.add_argument("--smollm2", type=Path, help="the GGUF file of the default base")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)

    def write(name, result):
        lines = [json.dumps(step) for step in result.pop("steps")]
        head = json.dumps(result)[:-1]
        text = head + ', "steps": [\n' + ",\n".join(lines) + "\n]}\n"
        (arguments.output / f"{name}.json").write_text(text)

    for base in ["llama", "llama-tied", *(f"decoders/{name}" for name in DECODERS)]:
        for lora in [True, False]:
            # Windows and caps are in the plain way to attend.
            model = AutoModelForCausalLM.from_pretrained(
                arguments.models / base / "checkpoint", dtype=torch.float32,
                attn_implementation="eager" if "/" in base else None,
            )
            name = base.rpartition("/")[2]
            result = run(model, name, lora, 0.02 if lora else 0.005, 20)
            write(f"{name}-{'lora' if lora else 'all'}", result)
    if arguments.smollm2:
        model = AutoModelForCausalLM.from_pretrained(
            arguments.smollm2.parent, gguf_file=arguments.smollm2.name, dtype=torch.float32
        )
        write("smollm2-lora", run(model, "smollm2", True, 2e-4, 20))


if __name__ == "__main__":
    main()
