"""Trains demo/tokenizer.model: a small sentencepiece BPE model of the Llama kind, from this repository's own text.

The text is the Markdown pages and the headers under src/ (Apache-2.0, like everything here), so that the demo needs no
tokenizer whose licence binds whoever uses it. Ids as in Llama: <unk> 0, <s> 1, </s> 2, then 256 bytes for whatever has
no piece of its own.

    pip install sentencepiece==0.2.3 && python3 demo/make_tokenizer.py
"""

import io
from pathlib import Path

import sentencepiece

PIECES = 1500
ROOT = Path(__file__).resolve().parent.parent

# The words of a conversation, which the pages hold too rarely.
CONVERSATION = """A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful,
detailed, and polite answers to the user's questions. USER: What is in this picture? ASSISTANT: There is a cup of coffee
with a spoon on a wooden table. USER: Which colour is it? ASSISTANT: It is white, and the table is brown.
"""


def lines():
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("src/**/*.h")]):
        yield from path.read_text(encoding="utf-8").splitlines()
    for _ in range(20):
        yield from CONVERSATION.splitlines()


model = io.BytesIO()  # a file's name would become part of the model
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=(line.removeprefix("//").strip() for line in lines() if line.strip()),
    model_writer=model,
    model_type="bpe",
    vocab_size=PIECES,
    byte_fallback=True,
    unk_id=0,
    bos_id=1,
    eos_id=2,
    pad_id=-1,
    split_digits=True,
    normalization_rule_name="identity",
    remove_extra_whitespaces=False,
    allow_whitespace_only_pieces=True,
    character_coverage=0.9999,
    num_threads=1,
)
(ROOT / "demo" / "tokenizer.model").write_bytes(model.getvalue())
