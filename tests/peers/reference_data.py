"""Where the comparisons find reference data: tests/reference, and the folders that the environment names instead."""

import os
import sys
from pathlib import Path

import pytest

REFERENCE = Path(__file__).resolve().parents[1] / "reference"
GOLDENS = Path(os.environ.get("STRIATE_GOLDENS", REFERENCE / "goldens"))
sys.path.insert(0, str(REFERENCE))  # the generators that made it


def testdata(name):
    """A file or folder of the test data: STRIATE_TESTDATA's where it has it, else tests/reference's."""
    if "STRIATE_TESTDATA" in os.environ and (Path(os.environ["STRIATE_TESTDATA"]) / name).exists():
        return Path(os.environ["STRIATE_TESTDATA"]) / name
    return REFERENCE / "testdata" / name


testdata.__test__ = False  # its name looks like a test's


def tokenizer_at(name):
    return testdata(f"tokenizers/{name}")


def needs_llama(name, *more):
    """A parameter that is skipped where Llama's own tokenizer is absent, which the repository may not hold."""
    absent = pytest.mark.skipif(
        not tokenizer_at(name).exists(),
        reason=f"not in this repository (its licence): put tokenizers/{name} in a folder that STRIATE_TESTDATA names",
    )
    return pytest.param(name, *more, marks=absent)
