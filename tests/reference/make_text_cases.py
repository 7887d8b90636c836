#!/usr/bin/env python3
"""Makes the cases of the two small tokenizers: what sentencepiece, transformers and tokenizers give for them.

    python make_text_cases.py [FOLDER]      writes style_tokenizer_cases.json and style_conversations.json there

The strings are those of tokenizer_cases.json, the samples those of conversations.json. Where tiktoken is installed,
its ids of the rank file are held to those of tokenizers. Needs tests/peers/requirements.txt.
"""

import base64
import gzip
import json
import sys
from pathlib import Path

import sentencepiece
from tokenizers import Tokenizer

from conversations import Variant, expected
from make_tokenizers import LLAMA3_PATTERN, llama3_specials
from slow_llama import slow_llama

DATA = Path(__file__).resolve().parent / "testdata"
TOKENIZERS = DATA / "tokenizers"


def read(name):
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def opened(path):
    raw = path.read_bytes()
    return Tokenizer.from_buffer(gzip.decompress(raw) if path.suffix == ".gz" else raw)


def slow_ids(tokenizer, text, bos=True):
    return ([1] if bos else []) + tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text))


def slow_text(tokenizer, text):
    """Decoded, special tokens left out."""
    tokens = [token for token in tokenizer.tokenize(text) if token not in tokenizer.all_special_tokens]
    return tokenizer.convert_tokens_to_string(tokens) if tokens else ""


def without_specials(folder):
    """tokenizers has no switch that leaves special tokens in a text unread: the same file without them."""
    document = json.loads(gzip.decompress((folder / "tokenizer.json.gz").read_bytes()))
    document["added_tokens"], document["post_processor"] = [], None
    return Tokenizer.from_str(json.dumps(document))


def check_with_tiktoken(folder, texts, wanted):
    try:
        import tiktoken
    except ImportError:
        return "not installed"
    rows = (line.split() for line in (folder / "tokenizer.model").read_text().splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in rows}
    specials = {token: len(ranks) + i for i, token in enumerate(llama3_specials())}
    encoding = tiktoken.Encoding(
        "llama3_style", pat_str=LLAMA3_PATTERN, mergeable_ranks=ranks, special_tokens=specials
    )
    for text, ids in zip(texts, wanted, strict=True):
        assert encoding.encode(text, allowed_special="all") == ids, text
    return "the same ids"


def tokenizer_cases(folder=TOKENIZERS):
    llama2, llama3 = folder / "llama2_style", folder / "llama3_style"
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(llama2 / "tokenizer.model"))
    slow, legacy = (slow_llama(llama2 / "tokenizer.model", flag) for flag in (False, True))
    fast, level = opened(llama2 / "tokenizer.json"), opened(llama3 / "tokenizer.json.gz")
    ordinary = without_specials(llama3)
    cases = []
    for case in read("tokenizer_cases.json")["cases"]:
        if "hex" in case:
            raw = bytes.fromhex(case["hex"])
            ids = pieces.encode(raw)
            decoded = {"llama2_style_sp": pieces.decode(ids)}
            cases.append({"name": case["name"], "hex": case["hex"], "llama2_style_sp": ids, "decoded": decoded})
            continue
        text = case["text"]
        made = {
            "llama2_style_sp": pieces.encode(text),
            "llama2_style_hf_slow": slow_ids(slow, text),
            "llama2_style_hf_slow_legacy": slow_ids(legacy, text),
            "llama2_style_hf_fast": fast.encode(text).ids,
            "llama3_style": level.encode(text, add_special_tokens=False).ids,
            "llama3_style_ordinary": ordinary.encode(text).ids,
        }
        decoded = {
            "llama2_style_sp": pieces.decode(made["llama2_style_sp"]),
            "llama2_style_hf_slow": slow_text(slow, text),
            "llama3_style": level.decode(made["llama3_style"], skip_special_tokens=False),
        }
        different = {name: other for name, other in decoded.items() if other != text}
        cases.append({"name": case["name"], "text": text} | made | ({"decoded": different} if different else {}))
    texts = [case for case in cases if "text" in case]
    tiktoken = check_with_tiktoken(llama3, [c["text"] for c in texts], [c["llama3_style"] for c in texts])
    return {"cases": cases}, tiktoken


def variants(folder=TOKENIZERS):
    """The templates of conversations.json with the small tokenizers in Llama's place."""
    slow, legacy = (slow_llama(folder / "llama2_style" / "tokenizer.model", flag) for flag in (False, True))
    level = opened(folder / "llama3_style" / "tokenizer.json.gz")
    bos = level.token_to_id("<|begin_of_text|>")
    ends = "<|end_of_text|>"
    llama3 = {"ids": lambda text: level.encode(text).ids, "bos": bos, "pad": level.token_to_id(ends)}
    return {
        "llava_v1": Variant(lambda text: slow_ids(slow, text), "</s>", bos=1, pad=0, legacy=False),
        "llava_v1_legacy": Variant(lambda text: slow_ids(legacy, text), "</s>", bos=1, pad=0, legacy=True),
        "llava_plain": Variant(lambda text: slow_ids(slow, text), bos=1, pad=0, legacy=False),
        "bunny_llama3": Variant(answer_ends=ends, **llama3),
        "bunny_plain_llama3": Variant(**llama3),
    }


def phi3_variants(folder=TOKENIZERS):
    """Phi-3's own, which conversations.json was made with."""
    text = (folder / "phi3" / "tokenizer.json").read_text(encoding="utf-8")
    document = json.loads(text)
    added = json.loads((folder / "phi3" / "added_tokens_orig.json").read_text(encoding="utf-8"))
    document["added_tokens"] = added["added_tokens"] if isinstance(added, dict) else added
    july, april = Tokenizer.from_str(text), Tokenizer.from_str(json.dumps(document))
    ends = "<|endoftext|>"
    plain = {"add_special_tokens": False}
    return {
        "bunny_phi3": Variant(lambda text: july.encode(text, **plain).ids, ends, pad=32000),
        "bunny_phi3_orig": Variant(lambda text: [1] + april.encode(text, **plain).ids, ends, bos=1, pad=32000),
    }


def conversation_cases(templates):
    """The samples of conversations.json; "llava_v1_legacy" is given where it differs from "llava_v1"."""
    cases = []
    for case in read("conversations.json")["cases"]:
        given = set(case["expected"]) | ({"llava_v1_legacy"} if "llava_v1" in case["expected"] else set())
        made = {name: expected(case["sample"], template) for name, template in templates.items() if name in given}
        if made.get("llava_v1_legacy") == made.get("llava_v1"):
            made.pop("llava_v1_legacy", None)
        cases.append({"sample": case["sample"], "expected": made})
    return {"cases": cases}


def write(path, value):
    rows = ",\n".join(json.dumps(case, ensure_ascii=True) for case in value["cases"])
    path.write_text(f'{{"cases": [\n{rows}\n]}}\n', encoding="utf-8")


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else DATA)
    cases, tiktoken = tokenizer_cases()
    write(folder / "style_tokenizer_cases.json", cases)
    write(folder / "style_conversations.json", conversation_cases(variants()))
    print(f"wrote {folder}; tiktoken: {tiktoken}")


if __name__ == "__main__":
    main()
