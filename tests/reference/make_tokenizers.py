#!/usr/bin/env python3
"""Trains the two small tokenizers of testdata/tokenizers, which stand in for Llama's (whose licences keep them out).

    python make_tokenizers.py [FOLDER]      writes FOLDER/llama2_style and FOLDER/llama3_style

llama2_style is a sentencepiece BPE model with byte fallback and Llama 2's settings, and the tokenizer.json that an
early Llama-2 conversion makes of it (its special tokens are looked for in normalised text). llama3_style is a byte-level
BPE with Llama 3's pattern and 256 special tokens: a file of tiktoken ranks, and the tokenizer.json made of it. The text
is this repository's LICENSE and what is written below. Needs tests/peers/requirements.txt; the result is the same each
time.
"""

import base64
import gzip
import io
import json
import sys
from pathlib import Path

import sentencepiece
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

ROOT = Path(__file__).resolve().parents[2]
PIECES = 1000  # of llama2_style
RANKS = 1024  # of llama3_style

# Two traits of Llama 2's vocabulary are wanted: "USER" is one piece after a special token and two after a space, which
# LLaVA's way of counting relies on, and every run of spaces that begins a piece less one space is a piece.
TEXT = """
A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and
polite answers to the user's questions. What is shown in the picture? ASSISTANT: There is a red cup on the table.
How many people are there? ASSISTANT: There are two people, and one of them is wearing a hat.
/USER/ (USER) [USER] {USER} <USER>
a  b  c   d   e   f   g   h   i   j   k   l   m   n
Hello world! Hello, what colour is it? It's white, I'm sure they'll say we've done it; don't you think he'd agree?
The quick brown fox jumps over the lazy dog. The picture shows a naval officer in uniform.
def f(x: int) -> int:\n  return x ** 2\nfor (auto& e : v) { std::cout << e; }\n#include <vector>
1 2 3 10 11 12 13 100 123 1234 2024 3.14159 50% $19.99
Es ist ein kleines Bild. Die Straße ist naß, das Mädchen trägt einen Hut. Où est le café ? Il a été très étonné.
Привет, мир! На картинке красный дом и две кошки. Γειά σου, κόσμε.
你好，世界！图片里有什么？图片里有一位军官。今天天气很好。
こんにちは、世界。写真には猫がいます。안녕하세요 세계! 오늘은 날씨가 좋습니다.
"""

LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3_NAMED = {0: "begin_of_text", 1: "end_of_text", 6: "start_header_id", 7: "end_header_id", 9: "eot_id"}


def lines():
    written = [line for line in TEXT.splitlines() if line]
    licence = [line.strip() for line in (ROOT / "LICENSE").read_text().splitlines() if line.strip()]
    return written * 12 + licence


def train_sentencepiece():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines()),
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
        character_coverage=0.9995,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def cuts(whole, ids):
    """Every way to cut a token in two tokens, those of the lowest ids first."""
    halves = [(whole[:at], whole[at:]) for at in range(1, len(whole))]
    return sorted((pair for pair in halves if pair[0] in ids and pair[1] in ids), key=lambda p: (ids[p[0]], ids[p[1]]))


def added(token, number, normalized):
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
    return {"id": number, "content": token} | flags | {"normalized": normalized, "special": True}


def bos_template(token, number):
    special = {"SpecialToken": {"id": token, "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [special, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [special, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {token: {"id": token, "ids": [number], "tokens": [token]}},
    }


def llama2_json(model):
    """The tokenizer.json of a sentencepiece model. Its merges are every cut of every piece, in the pieces' order, in
    which sentencepiece prefers them."""
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
    vocab = {pieces.id_to_piece(i): i for i in range(pieces.get_piece_size())}
    given = (pieces.is_byte, pieces.is_control, pieces.is_unknown)
    learned = {piece: i for piece, i in vocab.items() if not any(kind(i) for kind in given)}
    steps = [
        {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ]
    mark = [
        {"type": "Prepend", "prepend": "\u2581"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
    ]
    bpe = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
           "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "vocab": vocab}
    bpe["merges"] = [f"{a} {b}" for piece in learned for a, b in cuts(piece, learned)]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added(token, i, True) for i, token in enumerate(("<unk>", "<s>", "</s>"))],
        "normalizer": {"type": "Sequence", "normalizers": mark},
        "pre_tokenizer": None,
        "post_processor": bos_template("<s>", 1),
        "decoder": {"type": "Sequence", "decoders": steps},
        "model": bpe,
    }


def train_bytes():
    """The tokens of a byte-level BPE in the order they were learned, as byte-level text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3_PATTERN), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=RANKS, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(lines(), trainer)
    vocab = tokenizer.get_vocab()
    return sorted(vocab, key=vocab.get)


def byte_of_character():
    """The byte that each character of byte-level text stands for: a printable one for itself, the others are U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(0x100 + i): b for i, b in enumerate(others)}


def llama3_specials():
    names, reserved = [], 0
    for i in range(256):
        name = LLAMA3_NAMED.get(i, f"reserved_special_token_{reserved}")
        reserved += i not in LLAMA3_NAMED
        names.append(f"<|{name}|>")
    return names


def llama3_json(tokens):
    vocab = {token: i for i, token in enumerate(tokens)}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": LLAMA3_PATTERN}, "behavior": "Isolated", "invert": False}
    bpe = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
           "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": True, "vocab": vocab}
    bpe["merges"] = [f"{a} {b}" for token in tokens for a, b in cuts(token, vocab)]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added(token, len(tokens) + i, False) for i, token in enumerate(llama3_specials())],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level]},
        "post_processor": bos_template("<|begin_of_text|>", len(tokens)),
        "decoder": level,
        "model": bpe,
    }


def ranks(tokens):
    byte = byte_of_character()
    rows = (base64.b64encode(bytes(byte[c] for c in token)).decode() for token in tokens)
    return "".join(f"{row} {i}\n" for i, row in enumerate(rows))


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "testdata" / "tokenizers")
    for name in ("llama2_style", "llama3_style"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    model = train_sentencepiece()
    (folder / "llama2_style" / "tokenizer.model").write_bytes(model)
    text = json.dumps(llama2_json(model), ensure_ascii=False, indent=1)
    (folder / "llama2_style" / "tokenizer.json").write_text(text + "\n", encoding="utf-8")
    config = {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False, "bos_token": "<s>",
              "eos_token": "</s>", "unk_token": "<unk>", "pad_token": None, "sp_model_kwargs": {}}
    (folder / "llama2_style" / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
    tokens = train_bytes()
    (folder / "llama3_style" / "tokenizer.model").write_text(ranks(tokens))
    packed = gzip.compress(json.dumps(llama3_json(tokens), ensure_ascii=False).encode(), mtime=0)
    (folder / "llama3_style" / "tokenizer.json.gz").write_bytes(packed)


if __name__ == "__main__":
    main()
