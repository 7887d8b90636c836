"""The goldens are what transformers computes: tests/parity/make_goldens.py makes their numbers again.

Every expected tensor of every golden (STRIATE_GOLDENS, else tests/reference/goldens) is computed by the pinned
transformers and held to the tolerance that golden.json states. Goldens made by the generator, of 8 layers and of 3,
then pass parity_test (STRIATE_PARITY_TEST) as the committed ones do.
"""

import os
import subprocess
import sys

import pytest

from reference_data import GOLDENS, REFERENCE

sys.path.insert(0, str(REFERENCE.parent / "parity"))
torch = pytest.importorskip("torch")
make_goldens = pytest.importorskip("make_goldens")

CASES = sorted(path.parent for path in GOLDENS.glob("*/golden.json"))


def excess(info, got, want):
    """By how much the worst element is outside the tolerance; at most 0 where all is well."""
    got, want = got.double(), want.double()
    assert got.shape == want.shape
    if info.get("exact"):
        return (got - want).abs().max().item()
    return ((got - want).abs() - info["atol"] - info["rtol"] * want.abs()).max().item()


def test_there_are_goldens():
    assert CASES, f"no golden in {GOLDENS}"


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_every_number_is_what_transformers_computes(folder):
    case = make_goldens.Case(folder)
    numbers, expected = case.numbers(), case.expected()
    assert set(numbers) == set(expected)
    if "attention_mask_expanded" in expected:  # logits of padding mean nothing
        expected["logits"] *= expected["attention_mask_expanded"].unsqueeze(-1)
    outside = {name: excess(case.info[name], numbers[name], want) for name, want in expected.items()}
    assert {name: by for name, by in outside.items() if not by <= 0} == {}


@pytest.mark.skipif("STRIATE_PARITY_TEST" not in os.environ, reason="STRIATE_PARITY_TEST does not name parity_test")
@pytest.mark.parametrize("layers", [3, 8])
def test_goldens_of_another_depth_pass_parity(tmp_path, layers):
    for folder in CASES:
        make_goldens.make(make_goldens.Case(folder), tmp_path / folder.name, layers=layers, seed=layers)
    command = [os.environ["STRIATE_PARITY_TEST"], "--gtest_brief=1"]
    environment = os.environ | {"STRIATE_GOLDENS": str(tmp_path), "OMP_WAIT_POLICY": "passive"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert "SKIPPED" not in run.stdout, run.stdout
