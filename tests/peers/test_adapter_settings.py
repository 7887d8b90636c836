"""Every setting of PEFT's LoraConfig: Striate gives PEFT's logits, or refuses it by name.

The export check holds a merged model to the model that Striate itself computed; here PEFT's own logits are the measure,
of adapters that PEFT made and loaded again, on their own and merged by Striate. Adapters that start from the weights
(PiSSA, OLoRA) are moved away from their start, so that it counts whether the start is taken off.

STRIATE_PROGRAM names the program.
"""

import dataclasses
import json
import shutil
import subprocess

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, LlavaForConditionalGeneration

from test_models import LLAVA, LLAVA_TARGETS, PROGRAM, PROMPTS, TEXT, TOKENIZER, chat, check, llava_inputs, make, opened, striate
from test_models import pictures  # noqa: F401  (a fixture)

pytestmark = pytest.mark.skipif(not PROGRAM, reason="STRIATE_PROGRAM does not name the striate program")

PATTERNS = {
    "rank_pattern": {"layers.0.self_attn.q_proj": 2, r"layers\.\d+\.mlp\.up_proj": 6},
    "alpha_pattern": {r"self_attn\.(v|o)_proj": 3.5, "layers.2.mlp.up_proj": 11},
}
# Settings that Striate computes, with the same words for PEFT.
UNDERSTOOD = {
    "plain": {},
    "rslora": {"use_rslora": True},
    "gaussian": {"init_lora_weights": "gaussian"},
    "orthogonal": {"init_lora_weights": "orthogonal"},
    "pissa": {"init_lora_weights": "pissa"},
    "pissa_rslora": {"init_lora_weights": "pissa", "use_rslora": True},
    "olora": {"init_lora_weights": "olora"},
    "patterns": PATTERNS,
    "patterns_rslora": {**PATTERNS, "use_rslora": True},
    "patterns_pissa": {**PATTERNS, "init_lora_weights": "pissa"},
    "excluded": {"exclude_modules": ["o_proj"]},
}
# Settings whose meaning Striate does not compute: as adapter_config.json has them.
REFUSED = {
    "use_dora": True,
    "lora_bias": True,
    "bias": "lora_only",
    "alora_invocation_tokens": [5, 6],
    "modules_to_save": ["lm_head"],
    "trainable_token_indices": [1, 2],
    "target_parameters": ["mlp.up_proj.weight"],
    "layer_replication": [[0, 2], [1, 3]],
    "use_qalora": True,
    "use_bdlora": {"nblocks": 2},
    "kasa_config": {"beta": 0.0001},
    "monteclora_config": {"num_samples": 8},
    "arrow_config": {"top_k": 2},
    "velora_config": {"num_groups": 4},
    "megatron_config": {"x": 1},
    "ensure_weight_tying": True,
    "fan_in_fan_out": True,
}
# Settings with values of their own kind, which UNDERSTOOD and the tests of Striate itself cover, and what is no setting of
# the weights at all: where an adapter comes from, and how training began.
OTHERWISE = {
    "alpha_pattern", "auto_mapping", "base_model_name_or_path", "corda_config", "eva_config", "exclude_modules",
    "inference_mode", "init_lora_weights", "layers_pattern", "layers_to_transform", "loftq_config", "lora_alpha",
    "lora_dropout", "lora_ga_config", "megatron_core", "peft_type", "peft_version", "qalora_group_size", "r",
    "rank_pattern", "revision", "runtime_config", "target_modules", "task_type", "use_rslora",
}


def moved(model, folder, seed=7):
    """Every matrix of the adapter moved from where it started, and the adapter saved."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data + 0.1 * torch.randn(parameter.shape, generator=generator)
    model.save_pretrained(folder)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("settings") / "base"
    return make(folder, "--arch", "llava-1.5-7b", "--tokenizer", TOKENIZER, *LLAVA["grouped"].split())


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_what_is_understood_gives_pefts_logits(name, base, pictures, tmp_path):  # noqa: F811
    adapter = tmp_path / "adapter"
    config = LoraConfig(r=4, lora_alpha=9, target_modules=LLAVA_TARGETS, **UNDERSTOOD[name])
    moved(get_peft_model(opened(LlavaForConditionalGeneration, base), config), adapter)
    model = PeftModel.from_pretrained(opened(LlavaForConditionalGeneration, base), adapter).eval()
    text = PROMPTS["one_picture"][0]
    plain = chat(base, text, pictures[:1], tmp_path)[1]
    answer, row, steps = chat(base, text, pictures[:1], tmp_path, "--adapter", adapter)
    assert (row - plain).abs().max() > 0.05, "the adapter changes too little to test anything"
    inputs = llava_inputs(base, model, answer["prompt_ids"], pictures[:1])
    check(model, inputs, answer, row, steps)
    for form in ["hf", "peft"]:
        striate("export", "--format", form, "--model", base, "--adapter", adapter, "--out", tmp_path / form)
    check(opened(LlavaForConditionalGeneration, tmp_path / "hf"), inputs, answer, row, steps)
    again = PeftModel.from_pretrained(opened(LlavaForConditionalGeneration, base), tmp_path / "peft").eval()
    check(again, inputs, answer, row, steps)


@pytest.mark.parametrize("start", ["pissa", "olora"])
def test_weights_kept_in_bf16_lose_their_start_as_pefts_do(start, tmp_path):
    folder = make(tmp_path / "base", *TEXT["llama_tied_bf16"].split(), "--tokenizer", TOKENIZER)
    adapter = tmp_path / "adapter"
    config = LoraConfig(r=4, lora_alpha=4, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM", init_lora_weights=start)
    moved(get_peft_model(opened(AutoModelForCausalLM, folder), config), adapter)
    model = PeftModel.from_pretrained(opened(AutoModelForCausalLM, folder), adapter).eval()
    answer, row, steps = chat(folder, "Once upon a time", [], tmp_path, "--adapter", adapter)
    check(model, {"input_ids": torch.tensor([answer["prompt_ids"]])}, answer, row, steps)


def refusal(base, adapter):
    command = [PROGRAM, "chat", "--model", base, "--adapter", adapter, "--prompt", "x", "--raw", "--max-tokens", "1"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def plain_adapter(base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("settings") / "adapter"
    config = LoraConfig(r=4, lora_alpha=9, target_modules=LLAVA_TARGETS)
    moved(get_peft_model(opened(LlavaForConditionalGeneration, base), config), folder)
    return folder


def with_settings(plain, folder, **changes):
    shutil.copytree(plain, folder)
    file = folder / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    return folder


@pytest.mark.parametrize("key", REFUSED)
def test_what_is_not_understood_is_refused_by_name(key, base, plain_adapter, tmp_path):
    assert f'"{key}"' in refusal(base, with_settings(plain_adapter, tmp_path / "adapter", **{key: REFUSED[key]}))


@pytest.mark.parametrize("start", ["pissa_niter_4", "corda", "lora_ga", "loftq"])
def test_starts_that_cannot_be_computed_again_are_refused_by_name(start, base, plain_adapter, tmp_path):
    error = refusal(base, with_settings(plain_adapter, tmp_path / "adapter", init_lora_weights=start))
    assert "init_lora_weights" in error and start in error


@pytest.mark.parametrize("start", ["eva", "mica"])
def test_starts_that_leave_the_weights_alone_give_pefts_logits(start, base, plain_adapter, pictures, tmp_path):  # noqa: F811
    adapter = with_settings(plain_adapter, tmp_path / "adapter", init_lora_weights=start)
    model = PeftModel.from_pretrained(opened(LlavaForConditionalGeneration, base), adapter).eval()
    answer, row, steps = chat(base, PROMPTS["one_picture"][0], pictures[:1], tmp_path, "--adapter", adapter)
    check(model, llava_inputs(base, model, answer["prompt_ids"], pictures[:1]), answer, row, steps)


def test_every_setting_of_peft_is_accounted_for():
    fields = {field.name for field in dataclasses.fields(LoraConfig)}
    assert fields - OTHERWISE == set(REFUSED), "a new PEFT has settings that these tests do not know"
