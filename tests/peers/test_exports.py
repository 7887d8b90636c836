"""What `striate export`, `striate revert` and pruned exports write is opened by transformers and PEFT: same logits, same
greedy answers.

Merged and pruned models of every family transformers has a class for (llava-hf, Llama, Phi-3); Bunny's language model,
whose class lives in its own repository, is opened as the Llama or Phi-3 that it is. PEFT opens an exported adapter on
its base, and one carried over onto a pruned base.

STRIATE_PROGRAM names the program.
"""

import json
import os
import warnings
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlavaForConditionalGeneration, Phi3Config

from test_models import (LLAVA, LLAVA_TARGETS, PROGRAM, PROMPTS, TEXT, TOKENIZER, adapt, chat, check, llava_inputs, make,
                         opened, striate)
from test_models import pictures  # noqa: F401  (a fixture)

pytestmark = pytest.mark.skipif(not PROGRAM, reason="STRIATE_PROGRAM does not name the striate program")


def export(*arguments):
    report = json.loads(striate("export", *arguments, "--json"))
    assert report["check"]["relative"] <= 1e-5
    return report


def llava_with_adapter(tmp_path, name="grouped"):
    """A llava-hf model and an adapter of PEFT's for it."""
    base = make(tmp_path / "base", "--arch", "llava-1.5-7b", "--tokenizer", TOKENIZER, *LLAVA[name].split())
    config = peft.LoraConfig(r=4, lora_alpha=9, target_modules=LLAVA_TARGETS)
    adapt(opened(LlavaForConditionalGeneration, base), config, tmp_path / "adapter")
    return base, tmp_path / "adapter"


def test_transformers_opens_a_merged_llava(pictures, tmp_path):  # noqa: F811
    base, adapter = llava_with_adapter(tmp_path)
    export("--model", base, "--adapter", adapter, "--out", tmp_path / "merged", "--max-shard-size", "500kB")
    text = PROMPTS["one_picture"][0]
    answer, row, steps = chat(base, text, pictures[:1], tmp_path, "--adapter", adapter)
    model = opened(LlavaForConditionalGeneration, tmp_path / "merged")
    check(model, llava_inputs(tmp_path / "merged", model, answer["prompt_ids"], pictures[:1]), answer, row, steps)


@pytest.mark.parametrize("name, targets", [("llama_grouped", ["q_proj", "k_proj", "gate_proj"]),
                                           ("phi3", ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"])])
def test_transformers_opens_a_merged_text_model(name, targets, tmp_path):
    base = make(tmp_path / name, *TEXT[name].split(), "--tokenizer", TOKENIZER)
    config = peft.LoraConfig(r=3, lora_alpha=6, target_modules=targets, task_type="CAUSAL_LM")
    adapt(opened(AutoModelForCausalLM, base), config, tmp_path / "adapter")
    export("--model", base, "--adapter", tmp_path / "adapter", "--out", tmp_path / "merged")
    answer, row, steps = chat(base, "Once upon a time", [], tmp_path, "--adapter", tmp_path / "adapter")
    check(opened(AutoModelForCausalLM, tmp_path / "merged"), {"input_ids": torch.tensor([answer["prompt_ids"]])}, answer,
          row, steps)


def decoder_alone(folder, out, kind):
    """Bunny's language model as the Llama or Phi-3 it is: same tensors, same settings, another model_type."""
    config = json.loads((folder / "config.json").read_text())
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= {name: value for name, value in load_file(file).items()
                    if not name.startswith(("model.vision_tower", "model.mm_projector"))}
    out.mkdir()
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    cls = {"llama": LlamaConfig, "phi3": Phi3Config}[kind]
    known = {key: value for key, value in config.items() if not key.startswith("mm_") and key not in ("architectures", "model_type")}
    cls(**known).save_pretrained(out)
    return opened(AutoModelForCausalLM, out)


@pytest.mark.parametrize("arch, kind", [("bunny-llama3-8b", "llama"), ("bunny-phi3-mini", "phi3")])
def test_bunnys_language_model_opens_as_what_it_is(arch, kind, tmp_path):
    shape = ("--layers 3 --hidden 96 --heads 6 --kv-heads 6 --mlp 200 --vision-layers 2 --vision-hidden 48 --vision-heads 3 "
             "--vision-mlp 64 --image-size 56 --dtype fp32")
    base = make(tmp_path / "base", "--arch", arch, *shape.split(), "--tokenizer", TOKENIZER)
    targets = ["qkv_proj", "down_proj"] if kind == "phi3" else ["q_proj", "v_proj", "down_proj"]
    config = peft.LoraConfig(r=3, lora_alpha=6, target_modules=targets, task_type="CAUSAL_LM")
    adapt(decoder_alone(base, tmp_path / "alone", kind), config, tmp_path / "adapter")
    export("--model", base, "--adapter", tmp_path / "adapter", "--out", tmp_path / "merged")
    answer, row, steps = chat(base, "Once upon a time", [], tmp_path, "--adapter", tmp_path / "adapter")
    model = decoder_alone(tmp_path / "merged", tmp_path / "merged_alone", kind)
    check(model, {"input_ids": torch.tensor([answer["prompt_ids"]])}, answer, row, steps)


def on_base(kind, base, adapter):
    """The adapter on its base as any PEFT user opens it; PEFT warns of keys it misses, which is an error here."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", FutureWarning)
        return peft.PeftModel.from_pretrained(opened(kind, base), adapter).eval()


def test_peft_opens_an_exported_adapter(pictures, tmp_path):  # noqa: F811
    base, adapter = llava_with_adapter(tmp_path)
    out = tmp_path / "peft"
    export("--model", base, "--adapter", adapter, "--format", "peft", "--out", out)
    written = json.loads((out / "adapter_config.json").read_text())
    assert Path(written["base_model_name_or_path"]) == base and written["r"] == 4 and written["lora_alpha"] == 9
    text = PROMPTS["one_picture"][0]
    answer, row, steps = chat(base, text, pictures[:1], tmp_path, "--adapter", adapter)
    model = on_base(LlavaForConditionalGeneration, base, out)
    check(model, llava_inputs(base, model, answer["prompt_ids"], pictures[:1]), answer, row, steps)


def test_peft_opens_what_a_reversion_left_of_an_adapter(pictures, tmp_path):  # noqa: F811
    base, adapter = llava_with_adapter(tmp_path)
    out = tmp_path / "reverted"
    striate("revert", "--model", base, "--adapter", adapter, "--layers", "0", "--out", out)
    text = PROMPTS["one_picture"][0]
    answer, row, steps = chat(base, text, pictures[:1], tmp_path, "--adapter", out)
    model = on_base(LlavaForConditionalGeneration, base, out)
    assert not [name for name, _ in model.named_parameters() if "layers.0." in name and "lora_" in name]
    check(model, llava_inputs(base, model, answer["prompt_ids"], pictures[:1]), answer, row, steps)


def prune(base, out, *more):
    """Layer 1 goes; the others are numbered anew."""
    striate("prune", "--model", base, "--region", "none", "--layers", "1", "--out", out, *more)
    origin = json.loads((out / "striate.json").read_text())["layers"]
    assert origin["removed"] == [1] and origin["original"] == [0, *range(2, origin["of"])]


def without_layer(model, decoder, layer=1):
    """transformers' own model of the base with a layer taken out: what a pruned export must equal."""
    del decoder.layers[layer]
    for index, kept in enumerate(decoder.layers):
        kept.self_attn.layer_idx = index
    decoder.config.num_hidden_layers -= 1
    return model


def test_transformers_opens_a_pruned_llava(pictures, tmp_path):  # noqa: F811
    base = make(tmp_path / "base", "--arch", "llava-1.5-7b", "--tokenizer", TOKENIZER, *LLAVA["grouped"].split())
    out = tmp_path / "pruned"
    prune(base, out)
    answer, row, steps = chat(out, PROMPTS["one_picture"][0], pictures[:1], tmp_path)
    whole = opened(LlavaForConditionalGeneration, base)
    for model in (opened(LlavaForConditionalGeneration, out), without_layer(whole, whole.model.language_model)):
        check(model, llava_inputs(base, model, answer["prompt_ids"], pictures[:1]), answer, row, steps)


@pytest.mark.parametrize("name", ["llama_grouped", "phi3"])
def test_transformers_opens_a_pruned_text_model(name, tmp_path):
    base = make(tmp_path / name, *TEXT[name].split(), "--tokenizer", TOKENIZER)
    out = tmp_path / "pruned"
    prune(base, out)
    answer, row, steps = chat(out, "Once upon a time", [], tmp_path)
    whole = opened(AutoModelForCausalLM, base)
    for model in (opened(AutoModelForCausalLM, out), without_layer(whole, whole.model)):
        check(model, {"input_ids": torch.tensor([answer["prompt_ids"]])}, answer, row, steps)


def test_peft_opens_an_adapter_carried_over_onto_a_pruned_base(pictures, tmp_path):  # noqa: F811
    base, adapter = llava_with_adapter(tmp_path)
    out = tmp_path / "pruned"
    prune(base, out, "--adapter", adapter, "--keep-adapter")
    text = PROMPTS["one_picture"][0]
    answer, row, steps = chat(out, text, pictures[:1], tmp_path, "--adapter", out / "adapter")
    _, plain, _ = chat(out, text, pictures[:1], tmp_path)
    assert (row - plain).abs().max() > 0.05, "the adapter changes too little to test anything"
    model = on_base(LlavaForConditionalGeneration, out, out / "adapter")
    assert {name.split("layers.")[1].split(".")[0] for name, _ in model.named_parameters() if "lora_A" in name} == {"0", "1"}
    check(model, llava_inputs(out, model, answer["prompt_ids"], pictures[:1]), answer, row, steps)
