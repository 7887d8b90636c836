"""Trains mini/tokenizer/tokenizer.model: a sentencepiece BPE model of the miniature world for the base's template.

Like demo/make_mini_tokenizer.py, with three differences that make a question short: the text that begins every
conversation is one piece, a label of two digits in a scene of words is one piece, as an object is, and a digit is one
piece with the space before it. The end of an answer is Llama-3's, as the template of Bunny-Llama-3 has it.

The tokenizer in the repository was made from an earlier rendering of the same world. Made again, it has the same words
with other numbers, which do for a new base but not for the one that is there.

    pip install sentencepiece==0.2.3 && python3 mini/make_tokenizer.py build/release/apps/striate/striate
"""

import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import sentencepiece

PIECES = 960
COLOURS = ["red", "orange", "yellow", "green", "blue", "purple", "white"]
SHAPES = ["circle", "square", "triangle", "cross", "diamond", "ring"]
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
    "detailed, and polite answers to the user's questions."
)
FOLDER = Path(__file__).resolve().parent / "tokenizer"


def lines(program):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "world"
        subprocess.run([program, "mini", "render", "--out", out, "--seed", "1", "--grid", "3", "--max-objects", "4",
                        "--digit-labels", "--train", "0", "--held-out", "0", "--text", "150000", "--questions", "8"],
                       check=True, stdout=subprocess.DEVNULL)
        samples = json.loads((out / "text.json").read_text())
    for sample in samples:
        for turn in sample["conversations"]:
            yield from turn["value"].splitlines()


symbols = ["▁" + SYSTEM.replace(" ", "▁") + "▁USER:", "USER:", "▁ASSISTANT:", "ASSISTANT:", "▁_", "▁Scene:"]
symbols += [f"▁{size}-{c}-{s}" for size in ("large", "small") for c in COLOURS for s in SHAPES]
symbols += [f"▁text-{i:02d}" for i in range(100)]
symbols += [f"▁{i}," for i in range(1, 7)] + [f"▁({letter})" for letter in "ABC"] + [f"▁{i}" for i in range(10)]
symbols += ["\nWhat", "\nWhere", "\nIs", "\nHow", "\nWhich", "\nReverse"]

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
    eos_piece="<|end_of_text|>",
    split_digits=True,
    user_defined_symbols=symbols,
    normalization_rule_name="identity",
    remove_extra_whitespaces=False,
    allow_whitespace_only_pieces=True,
    character_coverage=1.0,
    num_threads=1,
)
(FOLDER / "tokenizer.model").write_bytes(model.getvalue())
