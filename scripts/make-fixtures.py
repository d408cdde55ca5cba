#!/usr/bin/env python3
"""Makes tests/data/models: tiny models with random weights, as the field's tools save them.

    python -m venv a && a/bin/pip install -r scripts/fixtures-requirements.txt
    python -m venv b && b/bin/pip install -r scripts/fixtures-legacy-requirements.txt
    a/bin/python scripts/make-fixtures.py tests/data/models --legacy b/bin/optimum-cli

Every folder in it holds one model in several forms, and expected*.json: what transformers, in f32,
gives as ln p of each token of several candidates after several prompts. Weights are drawn with a
fixed seed, wide enough that every part of a layer shows in the numbers.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import gguf
import numpy
import onnx
import torch
import transformers
from onnxruntime.quantization import quantize_dynamic
from onnxruntime.transformers.float16 import convert_float_to_float16
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import (
    AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers,
)
from transformers import (
    GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, OPTConfig, OPTForCausalLM,
    PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM,
)
from transformers.integrations.executorch import sdpa_mask_without_vmap
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface
from transformers.modeling_utils import AttentionInterface

SEED = 20_230_127
BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
CONTEXT = 64

TEXTS = [
    "The capital of France is Paris. The capital of Guinea is Conakry.",
    "Bissau is the capital of Guinea-Bissau, and Paris lies on the Seine.",
    "Rivers rise in hills and end in the sea. The country borders the sea.",
    "In 1984 the capital was moved to the port. The port of Spain is a city.",
    "She was born in Paris and he was born in Bissau.",
]
PROMPTS = [
    "The capital of France is",
    "Conakry is the capital of",
    "Bissau lies in the country of",
    "In 1984, she was born in",
    "The sea borders",
]
CANDIDATES = [
    " Paris", " Guinea", " Guinea-Bissau", " Port of Spain", " Côte d'Ivoire", " 1984",
    " the sea", " Spain.",
]


def byte_level(begins, prefix_space=False):
    """A byte-level BPE, as GPT-2 and Llama 3 have; `begins`: a text begins with a token of its own."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=304, special_tokens=[BEGIN, END], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return begun(tokenizer) if begins else tokenizer


def begun(tokenizer):
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, tokenizer.token_to_id(BEGIN))]
    )
    return tokenizer


def sentencepiece(normaliser):
    """A BPE with marks for spaces and byte fallback, as Llama 2 has.

    `normaliser`: the mark is put by a normaliser, as in Llama 2's own file, else by a pre-tokenizer.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN, byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=350, special_tokens=[UNKNOWN, BEGIN, END, *fallback], show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    saved = json.loads(tokenizer.to_str())
    # In a real file the bytes are plain tokens, only the first three are special.
    saved["added_tokens"] = saved["added_tokens"][:3]
    tokenizer = Tokenizer.from_str(json.dumps(saved))
    if normaliser:
        tokenizer.pre_tokenizer = None
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
        decoders.Strip(" ", 1, 0),
    ])
    return begun(tokenizer)


def unigram():
    """A unigram model with marks for spaces, as T5 has."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=100, special_tokens=[UNKNOWN, BEGIN, END], unk_token=UNKNOWN, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def encoded(tokenizer):
    """Prompts and candidates as tokens: a candidate's are those that it adds to the prompt's."""
    for prompt in PROMPTS:
        ids = tokenizer.encode(prompt).ids
        candidates = []
        for candidate in CANDIDATES:
            both = tokenizer.encode(prompt + candidate).ids
            assert both[: len(ids)] == ids, (prompt, candidate)
            candidates.append((candidate, both[len(ids):]))
        yield prompt, ids, candidates


def expected(path, model, tokenizer, forms, adapter=None):
    """Writes ln p of every token of every candidate, as `model` gives it in f32."""
    model = model.eval().float()
    lines = []
    for prompt, ids, candidates in encoded(tokenizer):
        line = {"prompt": prompt, "ids": ids, "candidates": []}
        for candidate, more in candidates:
            with torch.no_grad():
                logits = model(torch.tensor([ids + more])).logits[0].double()
            steps = torch.log_softmax(logits, dim=-1)[len(ids) - 1: -1]
            values = [steps[at, token].item() for at, token in enumerate(more)]
            line["candidates"].append({"text": candidate, "ids": more, "log_probabilities": values})
        lines.append(line)
    content = {"forms": forms, "adapter": adapter, "prompts": lines}
    path.write_text(json.dumps(content, ensure_ascii=False, indent=None) + "\n")


def randomise(model):
    """Weights as large as a trained model's, and biases and norms that differ from their defaults."""
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            noise = torch.randn(weight.shape, generator=generator)
            if weight.dim() > 1:
                weight.copy_(0.3 * noise)
            elif name.endswith("bias"):
                weight.copy_(0.2 * noise)
            else:
                weight.copy_(1 + 0.2 * noise)
    return model.eval()


def save(model, tokenizer, folder, **options):
    model.save_pretrained(folder, **options)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END
    ).save_pretrained(folder)
    only(folder, "*.safetensors", "model.safetensors.index.json")


def only(folder, *kept):
    """Leaves what a model folder needs: its configuration, its tokenizer, and `kept`."""
    wanted = {folder / "config.json", folder / "tokenizer.json"}
    for pattern in kept:
        wanted.update(folder.glob(pattern))
    for path in folder.iterdir():
        if path not in wanted:
            path.unlink() if path.is_file() else shutil.rmtree(path)


def optimum(checkpoint, folder, task):
    command = [Path(sys.executable).with_name("optimum-cli"), "export", "onnx", "--model", checkpoint]
    subprocess.run([*command, "--task", task, folder], check=True)
    only(folder, "*.onnx*")


def legacy(cli, checkpoint, folder):
    """Three graphs; the merged one in a folder of its own."""
    command = [cli, "export", "onnx", "--model", checkpoint, "--legacy"]
    subprocess.run([*command, "--task", "text-generation-with-past", folder], check=True)
    for name in ["decoder_model_merged", "decoder_model"]:
        to = folder.with_name(f"{folder.name}-{name}")
        to.mkdir()
        shutil.copy(folder / f"{name}.onnx", to)
        # The older library cannot read the newer one's tokenizer, and saves none.
        for file in ["config.json", "tokenizer.json"]:
            shutil.copy(checkpoint / file, to)
    shutil.copy(folder / "decoder_with_past_model.onnx", to)
    shutil.rmtree(folder)


def genai(checkpoint, folder):
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", checkpoint]
    with tempfile.TemporaryDirectory() as cache:
        subprocess.run([*command, "-o", folder, "-p", "fp32", "-e", "cpu", "-c", cache], check=True)
    shutil.copy(checkpoint / "config.json", folder)
    only(folder, "*.onnx*")


class Logits(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids):
        return self.model(input_ids=input_ids, use_cache=False).logits


def dynamo(checkpoint, folder):
    """torch.export: input_ids in, logits out, weights beside the graph."""
    # The usual mask is made with vmap, which cannot be exported.
    AttentionInterface.register("exportable", sdpa_attention_forward)
    AttentionMaskInterface.register("exportable", sdpa_mask_without_vmap)
    model = LlamaForCausalLM.from_pretrained(checkpoint, attn_implementation="exportable").eval()
    folder.mkdir()
    sizes = {"input_ids": {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}}
    path = folder / "model.onnx"
    torch.onnx.export(
        Logits(model), (torch.ones(2, 7, dtype=torch.long),), path, dynamo=True,
        input_names=["input_ids"], output_names=["logits"], dynamic_shapes=sizes,
        external_data=True,
    )
    # Stack traces, which hold the paths of the machine and are twice as large as the model.
    graph = onnx.load(path, load_external_data=False)
    del graph.metadata_props[:]
    for part in [graph.graph, *graph.graph.node, *graph.graph.value_info, *graph.graph.input]:
        del part.metadata_props[:]
    onnx.save(graph, path)
    for name in ["config.json", "tokenizer.json"]:
        shutil.copy(checkpoint / name, folder)


def hub(export, folder):
    """As hubs lay an export out: the graph in a folder of its own, weights beside it."""
    (folder / "onnx").mkdir(parents=True)
    for name in ["config.json", "tokenizer.json"]:
        shutil.copy(export / name, folder)
    onnx.save(
        onnx.load(export / "model.onnx"), folder / "onnx/model.onnx", save_as_external_data=True,
        location="model.onnx_data", size_threshold=1024,
    )


def refused(export, folder):
    """Half precision and 8 bits, which are not supported."""
    for name in ["f16", "int8"]:
        (folder / name).mkdir(parents=True)
        for file in ["config.json", "tokenizer.json"]:
            shutil.copy(export / file, folder / name)
    half = convert_float_to_float16(onnx.load(export / "model.onnx"))
    onnx.save(half, folder / "f16/model.onnx")
    quantize_dynamic(export / "model.onnx", folder / "int8/model.onnx")


def interleaved(weight, heads):
    """Rows of queries or keys as llama.cpp stores them: a rotated pair side by side."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


GGUF_PARTS = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_name(name):
    top = {
        "model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
        "lm_head.weight": "output.weight",
    }
    if name in top:
        return top[name]
    _, _, layer, part = name.removesuffix(".weight").split(".", 3)
    return f"blk.{layer}.{GGUF_PARTS[part]}.weight"


def write_gguf(model, tokenizer, path, kind):
    """Writes a GGUF file with matrices of a `kind`; gives the model with the weights it then has."""
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_vocab_size(config.vocab_size)
    saved = json.loads(tokenizer.to_str())
    vocabulary = sorted(saved["model"]["vocab"], key=saved["model"]["vocab"].get)
    special = {token["content"] for token in saved["added_tokens"]}
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(vocabulary)
    writer.add_token_types([control if token in special else normal for token in vocabulary])
    writer.add_token_merges([" ".join(merge) for merge in saved["model"]["merges"]])
    writer.add_bos_token_id(tokenizer.token_to_id(BEGIN))
    writer.add_eos_token_id(tokenizer.token_to_id(END))
    writer.add_add_bos_token(True)
    weights = {}
    for name, weight in model.state_dict().items():
        values = weight.float().numpy()
        of_kind = gguf.GGMLQuantizationType.F32 if weight.dim() == 1 else kind
        # A row's blocks do not see other rows: quantising before or after the rows move is one.
        stored = gguf.quants.quantize(values, of_kind)
        weights[name] = torch.from_numpy(numpy.array(gguf.quants.dequantize(stored, of_kind)))
        if name.endswith("q_proj.weight"):
            stored = interleaved(stored, config.num_attention_heads)
        elif name.endswith("k_proj.weight"):
            stored = interleaved(stored, config.num_key_value_heads)
        writer.add_tensor(gguf_name(name), stored, raw_dtype=of_kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    copy = type(model)(config)
    copy.load_state_dict(weights)
    return copy.eval()


def llama(out, _):
    tokenizer = byte_level(begins=True)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, intermediate_size=32,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        rope_theta=500.0, rms_norm_eps=1e-5, max_position_embeddings=CONTEXT,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.token_to_id(BEGIN), eos_token_id=tokenizer.token_to_id(END),
    )
    model = randomise(LlamaForCausalLM(config))
    checkpoint = out / "checkpoint"
    save(model, tokenizer, checkpoint)
    optimum(checkpoint, out / "optimum", "text-generation")
    optimum(checkpoint, out / "optimum-with-past", "text-generation-with-past")
    dynamo(checkpoint, out / "dynamo")
    genai(checkpoint, out / "genai")
    forms = sorted(path.name for path in out.iterdir())
    expected(out / "expected.json", model, tokenizer, forms)

    # The adapter over the checkpoint.
    lora = LoraConfig(
        r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM"
    )
    adapted = get_peft_model(LlamaForCausalLM.from_pretrained(checkpoint), lora)
    for name, weight in adapted.named_parameters():
        weight.requires_grad_("lora_" in name)
    generator = torch.Generator().manual_seed(SEED + 1)
    with torch.no_grad():
        for name, weight in sorted(adapted.named_parameters()):
            if "lora_" in name:
                weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    adapted.peft_config["default"].base_model_name_or_path = "checkpoint"
    adapted.save_pretrained(out / "adapter")
    (out / "adapter/README.md").unlink(missing_ok=True)
    path = out / "adapter/adapter_config.json"
    saved = json.loads(path.read_text())
    saved["target_modules"].sort()
    path.write_text(json.dumps(saved, indent=2) + "\n")
    loaded = PeftModel.from_pretrained(
        LlamaForCausalLM.from_pretrained(checkpoint), out / "adapter"
    )
    expected(out / "expected-adapter.json", loaded, tokenizer, ["checkpoint"], "adapter")

    rounded = LlamaForCausalLM.from_pretrained(checkpoint, dtype=torch.bfloat16)
    save(rounded, tokenizer, out / "checkpoint-bf16-sharded", max_shard_size="40KB")
    expected(out / "expected-bf16.json", rounded, tokenizer, ["checkpoint-bf16-sharded"])
    for name, kind in [("f16", gguf.GGMLQuantizationType.F16), ("q8_0", gguf.GGMLQuantizationType.Q8_0)]:
        stored = write_gguf(model, tokenizer, out / f"{name}.gguf", kind)
        expected(out / f"expected-{name}.json", stored, tokenizer, [f"{name}.gguf"])


def llama_tied(out, _):
    """Tied output, a tokenizer as Llama 2 has, and Llama 3's scaling of RoPE."""
    tokenizer = sentencepiece(normaliser=True)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=16, intermediate_size=24,
        num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, rope_theta=500.0,
        rms_norm_eps=1e-5, max_position_embeddings=CONTEXT, tie_word_embeddings=True,
        rope_scaling={
            "rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        },
        bos_token_id=tokenizer.token_to_id(BEGIN), eos_token_id=tokenizer.token_to_id(END),
    )
    model = randomise(LlamaForCausalLM(config))
    save(model, tokenizer, out / "checkpoint")
    with tempfile.TemporaryDirectory() as folder:
        optimum(out / "checkpoint", Path(folder) / "export", "text-generation-with-past")
        hub(Path(folder) / "export", out / "hub")
    expected(out / "expected.json", model, tokenizer, ["checkpoint", "hub"])


def gpt2(out, legacy_cli):
    tokenizer = byte_level(begins=False)
    config = GPT2Config(
        vocab_size=tokenizer.get_vocab_size(), n_positions=CONTEXT, n_embd=16, n_layer=2, n_head=2,
        bos_token_id=tokenizer.token_to_id(END), eos_token_id=tokenizer.token_to_id(END),
    )
    both_exports(out, randomise(GPT2LMHeadModel(config)), tokenizer, legacy_cli)


def opt(out, _):
    tokenizer = byte_level(begins=True)
    config = OPTConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=16, word_embed_proj_dim=16, ffn_dim=24,
        num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=CONTEXT,
        bos_token_id=tokenizer.token_to_id(BEGIN), eos_token_id=tokenizer.token_to_id(END),
        pad_token_id=tokenizer.token_to_id(END),
    )
    both_exports(out, randomise(OPTForCausalLM(config)), tokenizer, None)
    refused(out / "optimum-with-past", out / "refused")


def qwen2(out, _):
    tokenizer = byte_level(begins=False)
    config = Qwen2Config(
        vocab_size=tokenizer.get_vocab_size() + 16, hidden_size=16, intermediate_size=24,
        num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, rope_theta=500.0,
        max_position_embeddings=CONTEXT, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=tokenizer.token_to_id(END),
    )
    both_exports(out, randomise(Qwen2ForCausalLM(config)), tokenizer, None)


def both_exports(out, model, tokenizer, legacy_cli):
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder)
        save(model, tokenizer, checkpoint)
        optimum(checkpoint, out / "optimum", "text-generation")
        optimum(checkpoint, out / "optimum-with-past", "text-generation-with-past")
        if legacy_cli:
            legacy(legacy_cli, checkpoint, out / "legacy")
    forms = sorted(path.name for path in out.iterdir())
    expected(out / "expected.json", model, tokenizer, forms)


def tokenizers(out, _):
    """Tokenizers alone, with what they make of prompts and candidates."""
    made = {
        "byte-level": byte_level(begins=True),
        "byte-level-prefix-space": byte_level(begins=False, prefix_space=True),
        "sentencepiece-normaliser": sentencepiece(normaliser=True),
        "sentencepiece-metaspace": sentencepiece(normaliser=False),
        "unigram": unigram(),
    }
    for name, tokenizer in made.items():
        tokenizer.save(str(out / f"{name}.json"), pretty=False)
        lines = [
            {"prompt": prompt, "ids": ids,
             "candidates": [{"text": text, "ids": more} for text, more in candidates]}
            for prompt, ids, candidates in encoded(tokenizer)
        ]
        (out / f"{name}.expected.json").write_text(json.dumps(lines, ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--legacy", type=Path, help="optimum-cli of the older exporter")
    parser.add_argument("--only", help="make one folder")
    arguments = parser.parse_args()
    torch.manual_seed(SEED)
    transformers.logging.set_verbosity_error()
    for make in [llama, llama_tied, gpt2, opt, qwen2, tokenizers]:
        name = make.__name__.replace("_", "-")
        if arguments.only in (None, name):
            out = arguments.out / name
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            make(out, arguments.legacy)


if __name__ == "__main__":
    main()
