"""An adapter that `striate train` wrote is opened by PEFT, and both give the same answers.

STRIATE_PROGRAM names the program, STRIATE_ANSWERS_PROBE the probe.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from reference_data import tokenizer_at

PROGRAM = os.environ.get("STRIATE_PROGRAM")
PROBE = os.environ.get("STRIATE_ANSWERS_PROBE")
TOKENIZER = tokenizer_at("llama2_style/tokenizer.model")
pytestmark = [
    pytest.mark.skipif(not PROGRAM, reason="STRIATE_PROGRAM does not name the striate program"),
    pytest.mark.skipif(not PROBE, reason="STRIATE_ANSWERS_PROBE does not name answers_probe"),
]

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 60, 230)}


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A small model, and pictures of one colour with questions."""
    folder = tmp_path_factory.mktemp("adapters")
    rng = np.random.default_rng(3)
    records = []
    for index in range(24):
        name = list(COLOURS)[index % 3]
        picture = np.clip(rng.normal(COLOURS[name], 20, (40, 56, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{index}.png")
        turns = [{"from": "human", "value": "<image>\nWhich colour?"}, {"from": "gpt", "value": name}]
        records.append({"id": str(index), "image": f"{index}.png", "conversations": turns})
    (folder / "data.json").write_text(json.dumps(records))
    shape = "--layers 4 --hidden 64 --heads 4 --kv-heads 2 --mlp 96 --vision-layers 2 --vision-hidden 48 --vision-heads 3"
    shape += " --vision-mlp 64 --image-size 56 --dtype fp32 --seed 5"
    run(PROGRAM, "init", "--arch", "llava-1.5-7b", *shape.split(), "--tokenizer", TOKENIZER, "--out", folder / "base")
    return folder


@pytest.mark.parametrize("more", [[], ["--lora-targets", "q_proj,v_proj"]], ids=["every_linear", "two_linears"])
def test_peft_gives_the_same_answers(world, tmp_path, more):
    out = tmp_path / "tuned"
    arguments = f"--layers uniform:2 --lora-r 8 --lora-alpha 32 --steps 12 --batch 8 --lr 1e-2 --projector-lr 1e-2".split()
    run(PROGRAM, "train", "--model", world / "base", "--data", world / "data.json", "--images", world, *arguments, *more,
        "--precision", "fp32", "--out", out)
    adapter = load_file(out / "adapter_model.safetensors")
    assert all(np.abs(value).max() > 0 for name, value in adapter.items()), "an adapter matrix was never trained"
    answers = tmp_path / "answers.jsonl"
    answers.write_text(run(PROBE, "--model", world / "base", "--adapter", out, "--data", world / "data.json", "--images",
                           world, "--precision", "fp32", "--max-tokens", "4"))
    said = {json.loads(line)["answer"] for line in answers.read_text().splitlines()}
    print(run(sys.executable, Path(__file__).with_name("adapter_answers.py"), "--model", world / "base", "--adapter", out,
              "--answers", answers, "--data", world / "data.json", "--images", world))
    assert len(said) > 1, "one answer to every picture compares nothing"
