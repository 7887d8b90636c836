"""Trains demo/mini_tokenizer.model: the sentencepiece BPE model of the miniature world, of the Llama kind.

The text is what `striate mini render` writes, so that every word of its questions and answers is one piece, and one word
of a scene's map ("small-red-cross") is one, too: a language model then sees one token per cell, as it sees one row per
cell of a picture. Ids as in Llama: <unk> 0, <s> 1, </s> 2, then 256 bytes for whatever has no piece of its own.

    pip install sentencepiece==0.2.3 && python3 demo/make_mini_tokenizer.py build/release/apps/striate/striate
"""

import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import sentencepiece

PIECES = 704
COLOURS = ["red", "orange", "yellow", "green", "blue", "purple", "white"]
SHAPES = ["circle", "square", "triangle", "cross", "diamond", "ring"]
SIZES = ["small", "large"]
FOLDER = Path(__file__).resolve().parent

# What the conversation template puts around every conversation (src/striate/text/conversation.cpp).
TEMPLATE = """A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful,
detailed, and polite answers to the user's questions. USER: ASSISTANT:"""


def lines(program):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "world"
        subprocess.run([program, "mini", "render", "--out", out, "--train", "0", "--held-out", "0", "--text", "20000",
                        "--seed", "0"], check=True, stdout=subprocess.DEVNULL)
        samples = json.loads((out / "text.json").read_text())
    for sample in samples:
        for turn in sample["conversations"]:
            yield from turn["value"].splitlines()
    for _ in range(2000):
        yield from TEMPLATE.splitlines()


model = io.BytesIO()  # a file's name would become part of the model
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=lines(sys.argv[1]),
    model_writer=model,
    model_type="bpe",
    vocab_size=PIECES,
    byte_fallback=True,
    unk_id=0,
    bos_id=1,
    eos_id=2,
    pad_id=-1,
    split_digits=True,
    user_defined_symbols=["▁_"] + [f"▁{size}-{c}-{s}" for size in SIZES for c in COLOURS for s in SHAPES],
    normalization_rule_name="identity",
    remove_extra_whitespaces=False,
    allow_whitespace_only_pieces=True,
    character_coverage=1.0,
    num_threads=1,
)
(FOLDER / "mini_tokenizer.model").write_bytes(model.getvalue())
