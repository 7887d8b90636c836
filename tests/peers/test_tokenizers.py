"""`striate tokenize` against the libraries that define the tokenizers: `tokenizers` and transformers' LlamaTokenizer.

Runs the program named by STRIATE_PROGRAM on 20,000 seeded random strings and compares ids and decoded text, string by
string. The tokenizers are those of the test data (STRIATE_TESTDATA, else STRIATE_SHARED/testdata).
"""

import gzip
import json
import os
import random
import subprocess
import unicodedata
from pathlib import Path

import pytest

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


def data_folder() -> Path:
    if "STRIATE_TESTDATA" in os.environ:
        return Path(os.environ["STRIATE_TESTDATA"])
    if "STRIATE_SHARED" in os.environ:
        return Path(os.environ["STRIATE_SHARED"]) / "testdata"
    return Path(__file__).resolve().parents[2] / ".." / "shared" / "testdata"


TOKENIZERS = data_folder() / "tokenizers"
pytestmark = [
    pytest.mark.skipif(not TOKENIZERS.is_dir(), reason="no reference data: set STRIATE_TESTDATA or STRIATE_SHARED"),
    pytest.mark.skipif("STRIATE_PROGRAM" not in os.environ, reason="STRIATE_PROGRAM does not name the program"),
]


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


PROGRAM = os.environ.get("STRIATE_PROGRAM")


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


JSON_FILES = ["llama2/tokenizer.json", "llama3/tokenizer.json.gz", "phi3/tokenizer.json", "phi2/tokenizer.json"]


@pytest.mark.parametrize("name", JSON_FILES)
@pytest.mark.parametrize("bos", [False, True])
def test_tokenizer_json_equals_tokenizers(name, bos, strings):
    theirs = peer(TOKENIZERS / name)
    encoded = theirs.encode_batch(strings, add_special_tokens=bos)
    ids = [one.ids for one in encoded]
    texts = theirs.decode_batch(ids, skip_special_tokens=False)
    answers = striate(TOKENIZERS / name, strings, *(["--bos"] if bos else []))
    compare(strings, answers, ids, texts)


def test_llama3_rank_file_equals_its_tokenizer_json(strings):
    theirs = peer(TOKENIZERS / "llama3/tokenizer.json.gz")
    ids = [one.ids for one in theirs.encode_batch(strings, add_special_tokens=False)]
    texts = theirs.decode_batch(ids, skip_special_tokens=False)
    compare(strings, striate(TOKENIZERS / "llama3/tokenizer.model", strings), ids, texts)


def changed(name: str, change) -> dict:
    document = json.loads((TOKENIZERS / name).read_text(encoding="utf-8"))
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
    "metaspace first": ("llama2/tokenizer.json", metaspace("first", False)),
    "metaspace always, split": ("llama2/tokenizer.json", metaspace("always", True)),
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


def slow_llama(legacy: bool):
    """LlamaTokenizer on sentencepiece.

    transformers 4 has it. transformers 5 kept its base, SentencePieceBackend (loading, splitting at special tokens,
    `_tokenize`), and dropped the class: its two own methods, `tokenize` and `convert_tokens_to_string`, are restated
    here from transformers 4.57 (Apache-2.0).
    """
    pytest.importorskip("sentencepiece")
    pytest.importorskip("google.protobuf")
    path = str(TOKENIZERS / "llama2/tokenizer.model")
    llama = pytest.importorskip("transformers.models.llama.tokenization_llama")
    if hasattr(llama.LlamaTokenizer, "get_spm_processor"):
        return llama.LlamaTokenizer(path, legacy=legacy)
    backend = pytest.importorskip("transformers.tokenization_utils_sentencepiece").SentencePieceBackend
    mark = "\u2581"

    class LlamaTokenizer(backend):
        def tokenize(self, text, **kwargs):
            if self.legacy or not text:
                return super().tokenize(text, **kwargs)
            tokens = super().tokenize(mark + text.replace(mark, " "), **kwargs)
            if len(tokens) > 1 and tokens[0] == mark and tokens[1] in self.all_special_tokens:
                tokens = tokens[1:]
            return tokens

        def convert_tokens_to_string(self, tokens):
            tokens = list(tokens)
            if tokens[0].startswith(mark):
                tokens[0] = tokens[0][len(mark) :]
            run, text, previous_special = [], "", False
            for i, token in enumerate(tokens):
                if token in self.all_special_tokens:
                    if not previous_special and i != 0 and self.legacy:
                        text += " "
                    text += self.sp_model.decode(run) + token
                    run, previous_special = [], True
                else:
                    if previous_special and i == 1 and not token.startswith(mark):
                        text += " "
                    run.append(token)
                    previous_special = False
            return text + self.sp_model.decode(run)

    return LlamaTokenizer(
        vocab_file=path, legacy=legacy, unk_token="<unk>", bos_token="<s>", eos_token="</s>", verbose=False
    )


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("bos", [False, True])
def test_sentencepiece_equals_llama_tokenizer(legacy, bos, strings):
    theirs = slow_llama(legacy)
    ids = []
    texts = []
    for text in strings:
        tokens = (["<s>"] if bos else []) + theirs.tokenize(text)
        ids.append(theirs.convert_tokens_to_ids(tokens))
        texts.append(theirs.convert_tokens_to_string(tokens) if tokens else "")
    flags = (["--bos"] if bos else []) + (["--legacy"] if legacy else [])
    answers = striate(TOKENIZERS / "llama2/tokenizer.model", strings, *flags)
    compare(strings, answers, ids, texts)
