"""`striate eval score` gives 500 random answers of each visual benchmark the scores that the harnesses' own functions give.

lmms-eval's functions are loaded from its published wheel, which is downloaded once into .deps/harnesses and not
installed: its modules that score need little, while the package needs much. What they import beside that is replaced by
nothing. VLMEvalKit's come from a checkout that STRIATE_VLMEVALKIT names, or from PyPI if it is there.

STRIATE_PROGRAM names the program.
"""

import collections
import importlib
import json
import os
import random
import subprocess
import sys
import types
import zipfile
from pathlib import Path
from unittest.mock import MagicMock

import pandas
import pyarrow
import pyarrow.parquet
import pytest

from test_models import PROGRAM, striate

pytestmark = pytest.mark.skipif(not PROGRAM, reason="STRIATE_PROGRAM does not name the striate program")

WHEELS = Path(__file__).resolve().parents[2] / ".deps" / "harnesses"
LMMS_EVAL = "lmms-eval==0.7.3"
COUNT = 500


def wheel(requirement):
    """The wheel's file, downloaded on the first run; skips where the index does not have it."""
    name = requirement.split("==")[0].replace("-", "_")
    found = sorted(WHEELS.glob(f"{name}-*.whl"))
    if not found:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", WHEELS, requirement]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        found = sorted(WHEELS.glob(f"{name}-*.whl"))
        if not found:
            pytest.skip(f"{requirement} could not be downloaded: {done.stderr.strip().splitlines()[-1]}")
    return found[-1]


class Modules:
    """Modules of an unpacked package by name. The beginnings of the packages are not run, and `nothing` stands for some."""

    def __init__(self, folder, packages, nothing):
        self.top = packages[0]
        self.nothing = nothing
        for name in packages:
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].__path__ = [str(folder / name.replace(".", "/"))]
        for name in nothing:
            sys.modules[name] = MagicMock()

    def __call__(self, name):
        return importlib.import_module(f"{self.top}.{name}")

    def forget(self):
        for name in list(sys.modules):
            if name in self.nothing or name.split(".")[0] == self.top:
                del sys.modules[name]


@pytest.fixture(scope="module")
def lmms_eval(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lmms_eval")
    zipfile.ZipFile(wheel(LMMS_EVAL)).extractall(folder)
    tasks = ["pope", "mme", "vqav2", "textvqa", "scienceqa", "seedbench", "mmmu", "refcoco", "mmbench", "_task_utils"]
    packages = ["lmms_eval", "lmms_eval.api", "lmms_eval.tasks", *[f"lmms_eval.tasks.{task}" for task in tasks]]
    modules = Modules(folder, packages, ["loguru", "lmms_eval.verifiers", "lmms_eval.verifiers.openai",
                                         "lmms_eval.tasks._task_utils.file_utils"])
    yield modules
    modules.forget()


@pytest.fixture(scope="module")
def vlmevalkit(tmp_path_factory):
    folder = os.environ.get("STRIATE_VLMEVALKIT")
    if not folder:
        folder = tmp_path_factory.mktemp("vlmeval")
        zipfile.ZipFile(wheel("vlmeval")).extractall(folder)
    packages = ["vlmeval", "vlmeval.smp", "vlmeval.utils", "vlmeval.dataset", "vlmeval.dataset.utils"]
    modules = Modules(Path(folder), packages, ["sty", "vlmeval.smp.log"])
    vars(sys.modules["vlmeval.smp"]).update(vars(modules("smp.misc")), load=lambda table: table)
    yield modules
    modules.forget()


def score(benchmark, data, answers, folder, protocol="lmms-eval"):
    """Striate's headline and further numbers under the rules of a harness."""
    file = folder / "answers.jsonl"
    file.write_text("".join(json.dumps({"question_id": name, "text": text}) + "\n" for name, text in answers))
    report = json.loads(striate("eval", "score", "--answers", file, "--benchmark", benchmark, "--data", data, "--protocol",
                                protocol, "--draws", "10", "--json"))
    (result,) = report["scores"]
    assert result["scored"] == COUNT
    return result["headline"]["value"], {metric["name"]: metric["value"] for metric in result["metrics"]}


def write_table(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    return file.parent


def mean(values):
    return 100 * sum(values) / len(values)


def same(ours, theirs):
    """Equal, and of answers that are neither all right nor all wrong."""
    assert 5 < theirs < 95
    assert ours == pytest.approx(theirs, abs=1e-9)


# ---- yes or no

YES_NO = ["yes", "no", "Yes", "No", " Yes.", "no.", "YES", "y", "n", "N", "yes, there is", "No, there is not", "not sure", "", "maybe",
          "yes\n", "noyes", "It is yes", "N.", "Ye.s", "ja"]


def yes_no_rows(draw):
    return [{"question_id": str(i), "question": "Is there a dog in the image?", "answer": draw.choice(["yes", "no"]),
             "category": "adversarial"} for i in range(COUNT)]


def yes_no_texts(draw, rows):
    return [draw.choice([row["answer"], row["answer"].capitalize(), draw.choice(YES_NO)]) for row in rows]


def test_pope(lmms_eval, tmp_path):
    utils = lmms_eval("tasks.pope.utils")
    draw = random.Random(1)
    rows = yes_no_rows(draw)
    texts = yes_no_texts(draw, rows)
    results = [utils.pope_process_results(row, [text])["pope_accuracy"] for row, text in zip(rows, texts, strict=True)]
    data = write_table(tmp_path / "test-00000-of-00001.parquet", rows)
    value, more = score("pope", data, [(f"adversarial/{i}", text) for i, text in enumerate(texts)], tmp_path)
    same(value, 100 * utils.pope_aggregate_f1_score(results))
    for name in ["accuracy", "precision", "recall", "yes_ratio"]:
        same(more[name.replace("_", " ")], 100 * getattr(utils, f"pope_aggregate_{name}")(results))


def test_pope_of_vlmevalkit(vlmevalkit, tmp_path):
    rules = vlmevalkit("dataset.utils.yorn")
    draw = random.Random(21)
    rows = yes_no_rows(draw)
    for row in rows:  # as in POPE.tsv, a row may belong to several splits
        row["category"] = draw.choice(["adversarial", "adversarial,popular", "adversarial,popular,random"])
    texts = yes_no_texts(draw, rows)
    read = [rules.YOrN_Extraction(text) for text in texts]
    table = pandas.DataFrame({"category": [row["category"] for row in rows], "answer": [row["answer"].capitalize() for row in rows],
                              "extracted": read})
    table["score"] = table["answer"] == table["extracted"]
    theirs = rules.POPE_rating(table).set_index("split")
    data = write_table(tmp_path / "test-00000-of-00001.parquet", rows)
    value, more = score("pope", data, [(f"adversarial/{i}", text) for i, text in enumerate(texts)], tmp_path, "vlmevalkit")
    same(value, theirs.loc["Overall"]["Overall"])
    for split, before in [("Overall", ""), ("adversarial", "adversarial "), ("popular", "popular "), ("random", "random ")]:
        for name, column in [("accuracy", "acc"), ("precision", "precision"), ("recall", "recall"), ("F1", "Overall")]:
            same(more[before + name], theirs.loc[split][column])


def test_mme(lmms_eval, tmp_path):
    utils = lmms_eval("tasks.mme.utils")
    draw = random.Random(2)
    rows = []
    for i in range(COUNT // 2):
        task = draw.choice(["existence", "count", "OCR", "celebrity", "text_translation", "code_reasoning"])
        for answer in ["Yes", "No"]:
            rows.append({"question_id": f"{task}/{i:04}.png", "question": f"Is it {answer} {i}? Please answer yes or no.",
                         "answer": answer, "category": task})
    texts = [draw.choice([row["answer"], row["answer"].lower() + ".", draw.choice(YES_NO)]) for row in rows]
    results = collections.defaultdict(list)
    for row, text in zip(rows, texts, strict=True):
        for area, result in utils.mme_process_results(row, [text]).items():
            results[area].append(result)
    data = write_table(tmp_path / "test-00000-of-00001.parquet", rows)
    ids = [f"{row['question_id']}#{i % 2 + 1}" for i, row in enumerate(rows)]
    value, more = score("mme", data, list(zip(ids, texts, strict=True)), tmp_path)
    areas = {area: utils.mme_aggregate_results(found) for area, found in results.items()}
    named = {"total": value} | more
    assert 100 < areas["mme_perception_score"] < 700 and 50 < areas["mme_cognition_score"] < 390
    assert {round(area, 6) for area in areas.values()} <= {round(number, 6) for number in named.values()}


# ---- words

WORDS = ["cat", "two dogs", "The Cat", "a red bus", "10", "ten", "3.5", "it's", "Yes", "no", "Coca-Cola", "12:30", "U.S.", "don't know",
         "$5", "left", "blue and white", "1,000", "isn't", "an apple"]


def spoilt(draw, text):
    """The text as it is, or changed a little, or another one."""
    changes = [text, text, text.upper(), text + ".", f" {text} ", f"the {text}", text.replace("'", ""), text[:-1], f"{text}\n",
               draw.choice(WORDS), "", f"{text}, {text}", text.replace(" ", "  ")]
    return draw.choice(changes)


def gqa_rows(draw):
    return [{"id": str(i), "imageId": f"n{i}", "question": "What is it?", "answer": draw.choice(WORDS),
             "types": {"structural": "query", "semantic": "obj", "detailed": "what"}} for i in range(COUNT)]


def gqa(draw, of, tmp_path, protocol):
    """Striate's score, and the mean of the other's."""
    rows = gqa_rows(draw)
    texts = [spoilt(draw, row["answer"]) for row in rows]
    data = write_table(tmp_path / "testdev_balanced_instructions" / "testdev-00000-of-00001.parquet", rows)
    value, _ = score("gqa", data.parent, [(str(i), text) for i, text in enumerate(texts)], tmp_path, protocol)
    return value, mean([of(row["answer"], text) for row, text in zip(rows, texts, strict=True)])


def test_gqa(lmms_eval, tmp_path):
    metrics = lmms_eval("api.metrics")

    def of(answer, text):
        return metrics.exact_match_hf_evaluate(predictions=[text], references=[answer], ignore_case=True,
                                               ignore_punctuation=True)["exact_match"]

    same(*gqa(random.Random(3), of, tmp_path, "lmms-eval"))


def test_gqa_of_vlmevalkit(vlmevalkit, tmp_path):
    rules = vlmevalkit("dataset.utils.vqa_eval")

    def of(answer, text):
        (found,) = rules.hit_calculate([rules.process_line({"answer": answer, "prediction": text}, "accuracy")], "GQA")
        return found

    same(*gqa(random.Random(23), of, tmp_path, "vlmevalkit"))


def annotators(draw):
    """Ten answers to a question, of which some agree."""
    few = [spoilt(draw, draw.choice(WORDS)) or "x" for _ in range(draw.randint(1, 5))]
    return [draw.choice(few) for _ in range(10)]


def test_vqav2(lmms_eval, tmp_path):
    utils = lmms_eval("tasks.vqav2.utils")
    draw = random.Random(4)
    rows = []
    for i in range(COUNT):
        answers = [{"answer": text, "answer_confidence": "yes", "answer_id": k + 1} for k, text in enumerate(annotators(draw))]
        rows.append({"question_id": i, "image_id": i, "question": "What is it?", "answer_type": "other", "answers": answers,
                     "multiple_choice_answer": answers[0]["answer"], "question_type": "what"})
    texts = [spoilt(draw, draw.choice(row["answers"])["answer"]) for row in rows]
    data = write_table(tmp_path / "validation-00000-of-00001.parquet", rows)
    value, _ = score("vqav2", data, [(str(i), text) for i, text in enumerate(texts)], tmp_path)
    theirs = [utils.vqav2_process_results(row, [text])["exact_match"] for row, text in zip(rows, texts, strict=True)]
    same(value, mean(theirs))


def textvqa(draw, of, tmp_path, protocol):
    rows = [{"question_id": i, "image_id": f"p{i}", "question": "what is written?", "answers": annotators(draw)} for i in range(COUNT)]
    texts = [spoilt(draw, draw.choice(row["answers"])) for row in rows]
    data = write_table(tmp_path / "validation-00000-of-00001.parquet", rows)
    value, _ = score("textvqa", data, [(str(i), text) for i, text in enumerate(texts)], tmp_path, protocol)
    return value, mean([of(row, text) for row, text in zip(rows, texts, strict=True)])


def test_textvqa(lmms_eval, tmp_path):
    utils = lmms_eval("tasks.textvqa.utils")
    same(*textvqa(random.Random(5), lambda row, text: utils.textvqa_process_results(row, [text])["exact_match"], tmp_path, "lmms-eval"))


def test_textvqa_of_vlmevalkit(vlmevalkit, tmp_path):
    rules = vlmevalkit("dataset.utils.vqa_eval")

    def of(row, text):
        (found,) = rules.hit_calculate([rules.process_line({"answer": str(row["answers"]), "prediction": text})], "TextVQA_VAL")
        return found

    same(*textvqa(random.Random(25), of, tmp_path, "vlmevalkit"))


def docvqa(draw, of, tmp_path, protocol):
    rows = [{"questionId": str(i), "question": "Who?", "question_types": ["form"], "answers": draw.sample(WORDS, draw.randint(1, 3))}
            for i in range(COUNT)]
    texts = [spoilt(draw, draw.choice(row["answers"])) for row in rows]
    data = write_table(tmp_path / "DocVQA" / "validation-00000-of-00001.parquet", rows)
    value, _ = score("docvqa", data.parent, [(str(i), text) for i, text in enumerate(texts)], tmp_path, protocol)
    return value, mean([of(row["answers"], text) for row, text in zip(rows, texts, strict=True)])


def test_docvqa(lmms_eval, tmp_path):
    metrics = lmms_eval("api.metrics")
    same(*docvqa(random.Random(6), lambda answers, text: metrics.anls(answers, [text])["anls"], tmp_path, "lmms-eval"))


def test_docvqa_of_vlmevalkit(vlmevalkit, tmp_path):
    rules = vlmevalkit("dataset.utils.vqa_eval")

    def of(answers, text):
        (found,) = rules.hit_calculate([rules.process_line({"answer": str(answers), "prediction": text}, "anls")], "DocVQA_VAL")
        return found

    same(*docvqa(random.Random(26), of, tmp_path, "vlmevalkit"))


# ---- letters

def lettered(draw, letter, option):
    """An answer to a multiple-choice question in one of many forms."""
    forms = ["{l}", "{l}.", "({l})", "{l}. {o}", " {l} ", "{s}", "{s}. {o}", "The answer is {l}.", "Answer: {l}", "{o}", "I think {o} it is",
             "", "A or {l}?", "option {l} of the four options that are given", "{o} is what I see in this large picture", "None", "{l}{l}",
             "{l}: {o}", "It is not {l}), but I cannot tell"]
    return draw.choice(forms[:4] + forms).format(l=letter, s=letter.lower(), o=option)


OPTIONS = ["a red car", "two people", "Snow", "the left one", "iron", "a dog", "5 m", "green tea", "north", "nothing of these"]


def choices(draw, most=4):
    return draw.sample(OPTIONS, draw.randint(2, most))


def test_scienceqa(lmms_eval, tmp_path):
    utils = lmms_eval("tasks.scienceqa.utils")
    draw = random.Random(7)
    rows = []
    for i in range(COUNT):
        options = choices(draw)
        rows.append({"image": {"bytes": b"not looked at", "path": f"{i}.png"}, "question": f"Which {i}?", "choices": options,
                     "answer": draw.randrange(len(options)), "hint": "", "subject": "natural science", "grade": "grade5"})
    texts = [lettered(draw, "ABCD"[at := draw.choice([row["answer"], 0])], row["choices"][at]) for row in rows]
    data = write_table(tmp_path / "ScienceQA-IMG" / "test-00000-of-00001.parquet", rows)
    value, _ = score("scienceqa", data.parent, [(str(i), text) for i, text in enumerate(texts)], tmp_path)
    same(value, mean([utils.sqa_process_results(row, [text])["exact_match"] for row, text in zip(rows, texts, strict=True)]))


def test_seed(lmms_eval, tmp_path):
    utils = lmms_eval("tasks.seedbench.utils")
    draw = random.Random(8)
    rows = []
    for i in range(COUNT):
        options = draw.sample(OPTIONS, 4)
        rows.append({"question_id": str(i), "question": "What?", "answer": draw.choice("ABCD"), "data_type": "image",
                     "question_type_id": 1} | {f"choice_{letter}": text for letter, text in zip("abcd", options, strict=True)})
    texts = [lettered(draw, letter := draw.choice([row["answer"], "B"]), row[f"choice_{letter.lower()}"]) for row in rows]
    results = [utils.seed_process_result(row, [text])["seed_all"] for row, text in zip(rows, texts, strict=True)]
    data = write_table(tmp_path / "test-00000-of-00001.parquet", rows)
    value, _ = score("seed", data, [(str(i), text) for i, text in enumerate(texts)], tmp_path)
    same(value, 100 * utils.seed_aggregation_result(results))


def test_mmmu(lmms_eval, tmp_path, monkeypatch):
    utils, shared = lmms_eval("tasks.mmmu.utils"), lmms_eval("tasks._task_utils.mmmu_mcq_utils")
    draw = random.Random(9)
    rows, texts = [], []
    for i in range(COUNT):
        is_open = i % 4 == 3
        options = [] if is_open else choices(draw)
        answer = draw.choice(WORDS) if is_open else draw.choice("ABCD"[: len(options)])
        rows.append({"id": f"validation_{draw.choice(['Art', 'Math', 'Music'])}_{i}", "question": "What?", "options": str(options),
                     "answer": answer, "question_type": "open" if is_open else "multiple-choice"})
        at = draw.randrange(max(1, len(options)))
        texts.append(f"so the answer is {spoilt(draw, answer)}" if is_open else lettered(draw, "ABCD"[at], options[at]))

    def of(row, text):
        """The score; where a letter is drawn, the mean of all draws."""
        drawn = []
        monkeypatch.setattr(shared.random, "choice", lambda letters: drawn.append(letters) or letters[0])
        result = utils.mmmu_process_results(row, [text])["mmmu_acc"]
        return 1 / len(drawn[0]) if drawn else utils.mmmu_aggregate_results([result])

    theirs = [of(row, text) for row, text in zip(rows, texts, strict=True)]
    monkeypatch.undo()
    data = write_table(tmp_path / "validation-00000-of-00001.parquet", rows)
    value, _ = score("mmmu", data, [(row["id"], text) for row, text in zip(rows, texts, strict=True)], tmp_path)
    same(value, mean(theirs))


def mmbench_rows(draw):
    rows, texts = [], []
    for i in range(COUNT):
        options = draw.sample(OPTIONS, 4)
        rows.append({"index": i, "question": "What?", "hint": "nan", "answer": draw.choice("ABCD"), "category": "color", "source": "s",
                     "L2-category": "perception", "split": "dev"} | dict(zip("ABCD", options, strict=True)))
        letter = draw.choice([rows[-1]["answer"], "C"])
        texts.append(lettered(draw, letter, rows[-1][letter]))
    return rows, texts


def test_mmbench(lmms_eval, tmp_path):
    evaluator = lmms_eval("tasks.mmbench.mmbench_evals").MMBench_Evaluator()
    rows, texts = mmbench_rows(random.Random(10))
    results = [row | {"prediction": text.strip(), "E": "nan"} for row, text in zip(rows, texts, strict=True)]
    theirs, _, _ = evaluator.eval_result(results, eval_method="static")
    data = write_table(tmp_path / "dev-00000-of-00001.parquet", rows)
    value, _ = score("mmbench", data, [(str(i), text) for i, text in enumerate(texts)], tmp_path)
    same(value, 100 * theirs)


def test_mmbench_of_vlmevalkit(vlmevalkit, tmp_path):
    rules = vlmevalkit("utils.matching_util")
    rows, texts = mmbench_rows(random.Random(30))
    theirs = [rules.can_infer(text, {letter: row[letter] for letter in "ABCD"}) == row["answer"]
              for row, text in zip(rows, texts, strict=True)]
    data = write_table(tmp_path / "dev-00000-of-00001.parquet", rows)
    value, _ = score("mmbench", data, [(str(i), text) for i, text in enumerate(texts)], tmp_path, "vlmevalkit")
    same(value, mean(theirs))


# ---- boxes

def test_refcoco(lmms_eval, tmp_path):
    utils = lmms_eval("tasks.refcoco.utils_rec")
    draw = random.Random(11)
    rows, texts = [], []
    for i in range(COUNT):
        left, top = draw.uniform(0, 0.6), draw.uniform(0, 0.6)
        box = [left, top, left + draw.uniform(0.1, 0.4), top + draw.uniform(0.1, 0.4)]
        rows.append({"question_id": str(i), "sent": "the left one", "image": f"{i}.jpg", "width": 640, "height": 480, "answer": "it",
                     "bbox": [box[0] * 640, box[1] * 480, box[2] * 640, box[3] * 480]})
        guess = [round(edge + draw.gauss(0, 0.03), draw.choice([2, 3])) for edge in box]
        forms = [str(guess), f"It is at {guess}.", str(guess)[1:-1], f"[{guess[0]}]", str(guess).replace(" ", ""), "", str(guess + guess)]
        texts.append(draw.choice(forms[:2] * 4 + forms))
    results = []
    for row, text in zip(rows, texts, strict=True):
        shares = [edge / size for edge, size in zip(row["bbox"], [640, 480, 640, 480], strict=True)]
        results += utils.refcoco_bbox_rec_process_result(row | {"bbox": shares}, [text]).values()
    results = results[:: len(utils.COCO_REC_METRICS)]
    (tmp_path / "refcoco_val.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    value, _ = score("refcoco", tmp_path, [(str(i), text) for i, text in enumerate(texts)], tmp_path)
    same(value, 100 * utils.refcoco_bbox_rec_acc05(results))
