"""`striate tokenize` against the libraries that define the tokenizers: `tokenizers` and transformers' LlamaTokenizer.

Runs the program named by STRIATE_PROGRAM on 20,000 seeded random strings and compares ids and decoded text, string by
string. The tokenizers are those of the test data; Llama's own are skipped where they are absent.
"""

import base64
import gzip
import json
import os
import random
import subprocess
import unicodedata
from pathlib import Path

import pytest

from reference_data import needs_llama, tokenizer_at

COUNT = 20_000
SEED = 20240418

SPECIALS = [
    "<s>", "</s>", "<unk>", "<pad>", "<image>", "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>",
    "<|start_header_id|>", "<|reserved_special_token_250|>", "<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>",
    "<|system|>", "<|placeholder1|>", "<0x0A>", "<|im_start|>", "<|", "|>", "</", "<s", "\u2581", "\u2581</s>",
]
SPACES = [" ", "  ", "\t", "\n", "\r\n", "\r", "\u00a0", "\u3000", "\u2003", "\u2028", "\u0085", "\u180e", "\u200b",
          "\ufeff", "\x0b", "\x0c", "\x1c", "\x1f"]
WORDS = """
the quick brown fox jumps over lazy dog I'm they'll WE'VE don't it's 'tis naïve café Straße ﬁne ǅ İstanbul
ΑΒΓ привет שלום مرحبا नमस्ते สวัสดี 你好世界 こんにちは 안녕하세요
def return x**2 // == != -> std::vector<int> 3.14159 2024-04-18 1234567 ½ Ⅷ ① ٣٤٥
💩 👩🏽‍💻 🏳️‍🌈 🇫🇷 e\u0301 a\u0300\u0323 \u212bngstrom ſ 'S \u017f 'ſ ASSISTANT: USER:
""".split()

PROGRAM = os.environ.get("STRIATE_PROGRAM")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="STRIATE_PROGRAM does not name the program")


def any_character(rng: random.Random) -> str:
    """A code point of any plane, assigned or not; never a surrogate, which is no character."""
    plane = rng.choice([0, 0, 0, 1, 1, 2, 3, rng.randrange(4, 17)])
    while True:
        code = plane * 0x10000 + rng.randrange(0x10000)
        if not 0xD800 <= code < 0xE000:
            return chr(code)


def make_piece(rng: random.Random) -> str:
    kind = rng.randrange(11)
    if kind <= 2:
        return rng.choice(WORDS)
    if kind == 3:
        return rng.choice(SPECIALS)
    if kind == 4:
        return rng.choice(SPACES) * rng.randrange(1, 5)
    if kind == 5:
        return " " * rng.randrange(1, 70)
    if kind == 6:
        return "".join(any_character(rng) for _ in range(rng.randrange(1, 6)))
    if kind == 7:
        return chr(rng.randrange(0x20))  # a lone control character
    if kind == 8:
        mark = chr(rng.choice([rng.randrange(0x300, 0x370), rng.randrange(0x20D0, 0x20F1), 0x0E38, 0x093F, 0x200D]))
        return rng.choice("aeoŁé한") + mark * rng.randrange(1, 4)
    if kind == 9:
        return rng.choice(["a", "=", "!?", "ab1 ", "\n", "哈", "🙂", "-", "0", "<s>"]) * rng.randrange(1, 90)
    return "".join(chr(rng.randrange(0x21, 0x7F)) for _ in range(rng.randrange(1, 12)))


def make_strings() -> list[str]:
    rng = random.Random(SEED)
    strings = []
    for _ in range(COUNT):
        glue = rng.choice(["", "", " "])
        strings.append(glue.join(make_piece(rng) for _ in range(rng.randrange(1, 9))))
    return strings


@pytest.fixture(scope="module")
def strings() -> list[str]:
    made = make_strings()
    seen = set("".join(made))
    assert {ord(c) >> 16 for c in seen} == set(range(17)), "every plane"
    assert any(unicodedata.combining(c) for c in seen)
    return made


def striate(tokenizer: Path, strings: list[str], *flags: str) -> list[dict]:
    lines = "".join(json.dumps({"text": text}) + "\n" for text in strings)
    done = subprocess.run(
        [PROGRAM, "tokenize", "--tokenizer", str(tokenizer), *flags], input=lines.encode(), capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    answers = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert len(answers) == len(strings)
    return answers


def compare(strings, answers, expected_ids, expected_texts):
    differing = 0
    first = None
    for text, answer, ids, decoded in zip(strings, answers, expected_ids, expected_texts, strict=True):
        if answer["ids"] != list(ids) or answer["text"] != decoded:
            differing += 1
            first = first or (text, ids, answer["ids"], decoded, answer["text"])
    if differing:
        text, ids, got_ids, decoded, got_text = first
        pytest.fail(
            f"{differing} of {len(strings)} strings differ; the first is {text!r}\n"
            f"  wanted {ids}\n  got    {got_ids}\n  wanted {decoded!r}\n  got    {got_text!r}"
        )


def peer(path: Path):
    tokenizers = pytest.importorskip("tokenizers")
    opened = gzip.open(path) if path.suffix == ".gz" else open(path, "rb")
    with opened as file:
        return tokenizers.Tokenizer.from_buffer(file.read())


JSON_FILES = [
    "llama2_style/tokenizer.json",
    "llama3_style/tokenizer.json.gz",
    "phi3/tokenizer.json",
    "phi2/tokenizer.json",
    needs_llama("llama2/tokenizer.json"),
    needs_llama("llama3/tokenizer.json.gz"),
]


@pytest.mark.parametrize("name", JSON_FILES)
@pytest.mark.parametrize("bos", [False, True])
def test_tokenizer_json_equals_tokenizers(name, bos, strings):
    theirs = peer(tokenizer_at(name))
    encoded = theirs.encode_batch(strings, add_special_tokens=bos)
    ids = [one.ids for one in encoded]
    texts = theirs.decode_batch(ids, skip_special_tokens=False)
    answers = striate(tokenizer_at(name), strings, *(["--bos"] if bos else []))
    compare(strings, answers, ids, texts)


LLAMA3_RANKS = 128_000  # a rank file of Llama 3's has as many; its special tokens follow


def full_ranks(path: Path, folder: Path) -> Path:
    """A rank file filled up with tokens that begin with 0xFF, which no text contains."""
    rows = path.read_text().splitlines()
    filler = (base64.b64encode(b"\xff" + i.to_bytes(3, "big")).decode() for i in range(len(rows), LLAMA3_RANKS))
    rows += [f"{token} {i}" for i, token in enumerate(filler, len(rows))]
    full = folder / "tokenizer.model"
    full.write_text("\n".join(rows) + "\n")
    return full


@pytest.mark.parametrize("name", ["llama3_style", needs_llama("llama3")])
def test_llama3_rank_file_equals_its_tokenizer_json(name, strings, tmp_path):
    theirs = peer(tokenizer_at(f"{name}/tokenizer.json.gz"))
    ids = [one.ids for one in theirs.encode_batch(strings, add_special_tokens=False)]
    texts = theirs.decode_batch(ids, skip_special_tokens=False)
    ranks = tokenizer_at(f"{name}/tokenizer.model")
    first_special = len(ranks.read_text().splitlines())
    ids = [[i if i < first_special else i - first_special + LLAMA3_RANKS for i in row] for row in ids]
    compare(strings, striate(full_ranks(ranks, tmp_path), strings), ids, texts)


def changed(name: str, change) -> dict:
    document = json.loads(tokenizer_at(name).read_text(encoding="utf-8"))
    change(document)
    return document


def metaspace(scheme: str, split: bool):
    def change(document):
        document["normalizer"] = None
        stage = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": split}
        document["pre_tokenizer"] = dict(stage)
        document["decoder"] = dict(stage)

    return change


def split_by(behavior: str, invert: bool):
    def change(document):
        pattern = {"Regex": r"\p{N}|\s|['-]"}
        stage = {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}
        level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": False}
        document["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [stage, level]}

    return change


def strict_tokens(document):
    """Added tokens with every flag, and no byte fallback: unknown characters become <unk>."""
    document["model"]["byte_fallback"] = False
    for token in document["added_tokens"]:
        flags = {"<s>": {"single_word": True}, "</s>": {"lstrip": True, "rstrip": False}, "<|user|>": {"lstrip": True},
                 "<|end|>": {"single_word": True, "rstrip": True}, "<|system|>": {"normalized": True}}
        token.update(flags.get(token["content"], {}))


def separate_unknowns(document):
    strict_tokens(document)
    document["model"]["fuse_unk"] = False


VARIANTS = {
    "metaspace first": ("llama2_style/tokenizer.json", metaspace("first", False)),
    "metaspace always, split": ("llama2_style/tokenizer.json", metaspace("always", True)),
    "metaspace never": ("phi3/tokenizer.json", metaspace("never", True)),
    "added-token flags": ("phi3/tokenizer.json", strict_tokens),
    "unknowns apart": ("phi3/tokenizer.json", separate_unknowns),
    **{
        f"split {behavior}{' inverted' if invert else ''}": ("phi2/tokenizer.json", split_by(behavior, invert))
        for behavior in ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
        for invert in [False, True]
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_other_settings_of_the_same_stages_equal_tokenizers(variant, strings, tmp_path):
    name, change = VARIANTS[variant]
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(changed(name, change)), encoding="utf-8")
    some = strings[:4000]
    theirs = peer(path)
    ids = [one.ids for one in theirs.encode_batch(some, add_special_tokens=False)]
    texts = theirs.decode_batch(ids, skip_special_tokens=False)
    compare(some, striate(path, some), ids, texts)


@pytest.mark.parametrize("name", ["llama2_style", needs_llama("llama2")])
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("bos", [False, True])
def test_sentencepiece_equals_llama_tokenizer(name, legacy, bos, strings):
    path = tokenizer_at(f"{name}/tokenizer.model")
    compare_with_llama_tokenizer(path, path, legacy, bos, True, strings)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("bos", [False, True])
def test_sentencepiece_without_add_prefix_space_equals_llama_tokenizer(legacy, bos, strings, tmp_path):
    path = tokenizer_at("llama2_style/tokenizer.model")
    (tmp_path / "tokenizer.model").symlink_to(path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"add_prefix_space": False}))
    compare_with_llama_tokenizer(tmp_path, path, legacy, bos, False, strings[:4000])


def compare_with_llama_tokenizer(ours, path, legacy, bos, add_prefix_space, strings):
    """`ours` is what striate opens: the sentencepiece model at `path`, or a folder with it and settings."""
    slow_llama = pytest.importorskip("slow_llama").slow_llama
    theirs = slow_llama(path, legacy, add_prefix_space)
    ids = []
    texts = []
    for text in strings:
        tokens = (["<s>"] if bos else []) + theirs.tokenize(text)
        ids.append(theirs.convert_tokens_to_ids(tokens))
        texts.append(theirs.convert_tokens_to_string(tokens) if tokens else "")
    flags = (["--bos"] if bos else []) + (["--legacy"] if legacy else [])
    compare(strings, striate(ours, strings, *flags), ids, texts)
