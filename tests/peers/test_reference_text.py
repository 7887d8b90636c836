"""The small tokenizers and their cases (tests/reference) are what the generators beside them make of the pinned
libraries, and the labels follow the rules that LLaVA's and Bunny's own labels follow (conversations.json)."""

import json

import pytest

from reference_data import REFERENCE, needs_llama, testdata, tokenizer_at

pytest.importorskip("sentencepiece")
pytest.importorskip("google.protobuf")
pytest.importorskip("transformers")
make_text_cases = pytest.importorskip("make_text_cases")
make_tokenizers = pytest.importorskip("make_tokenizers")
from conversations import Variant, expected  # noqa: E402

HELD = REFERENCE / "testdata"


def held(name):
    return json.loads((HELD / name).read_text(encoding="utf-8"))


def test_the_small_tokenizers_are_trained_alike_again(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["make_tokenizers.py", str(tmp_path)])
    make_tokenizers.main()
    made = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert len(made) == 5
    for name in made:
        assert (tmp_path / name).read_bytes() == (HELD / "tokenizers" / name).read_bytes(), name


def test_their_ids_are_what_the_libraries_give():
    assert make_text_cases.tokenizer_cases()[0] == held("style_tokenizer_cases.json")


def test_their_conversations_are_what_the_projects_rules_give():
    assert make_text_cases.conversation_cases(make_text_cases.variants()) == held("style_conversations.json")


def check_against_the_projects(templates):
    """The rules restated in conversations.py give what the projects' own code gave, sample by sample."""
    checked = 0
    for case in json.loads(testdata("conversations.json").read_text(encoding="utf-8"))["cases"]:
        for name in templates.keys() & case["expected"].keys():
            want, got = case["expected"][name], expected(case["sample"], templates[name])
            for field in ("error", "prompt", "input_ids", "label_spans"):
                assert got.get(field) == want.get(field), (case["sample"]["id"], name, field)
            assert ("warning" in got) == ("warning" in want), (case["sample"]["id"], name)
            checked += 1
    assert checked > 0


def test_the_rules_give_bunnys_labels_with_phi3():
    check_against_the_projects(make_text_cases.phi3_variants())


@pytest.mark.parametrize("name", [needs_llama("llama2/tokenizer.model")])
@pytest.mark.parametrize("legacy", [False, True])
def test_the_rules_give_llavas_labels_with_llama2(name, legacy):
    slow = make_text_cases.slow_llama(tokenizer_at(name), legacy)
    llama2 = {"ids": lambda text: make_text_cases.slow_ids(slow, text), "bos": 1, "pad": 0, "legacy": legacy}
    template = Variant(answer_ends="</s>", **llama2)
    check_against_the_projects({"llava_v1_legacy": template} if legacy else
                               {"llava_v1": template, "llava_plain": Variant(**llama2)})


@pytest.mark.parametrize("name", [needs_llama("llama3/tokenizer.json.gz")])
def test_the_rules_give_bunnys_labels_with_llama3(name):
    level = make_text_cases.opened(tokenizer_at(name))
    llama3 = {"ids": lambda text: level.encode(text).ids, "bos": 128000, "pad": 128001}
    check_against_the_projects({"bunny_llama3": Variant(answer_ends="<|end_of_text|>", **llama3),
                                "bunny_plain_llama3": Variant(**llama3)})
