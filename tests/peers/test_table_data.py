"""A data set in Parquet is the same data set as in JSON with a folder of pictures: the same check, the same training,
and a run that stops and goes on."""

import base64
import json
import os
import shutil
import subprocess

import pytest

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

PROGRAM = os.environ.get("STRIATE_PROGRAM")
pytestmark = pytest.mark.skipif(not PROGRAM, reason="striate is not built")

PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def striate(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A small model, pictures with questions as JSON, and the same rows in three Parquet files."""
    folder = tmp_path_factory.mktemp("world")
    striate("init", "--size", "tiny", "--out", folder / "model")
    striate("mini", "render", "--train", 30, "--held-out", 4, "--out", folder / "world")
    samples = json.loads((folder / "world" / "train.json").read_text())
    (folder / "parquet").mkdir()
    for shard in range(3):
        part = samples[shard * 10 : shard * 10 + 10]
        columns = {
            "id": pa.array([str(sample["id"]) for sample in part]),
            "image": pa.array(
                [{"bytes": (folder / "world" / sample["image"]).read_bytes(), "path": None} for sample in part], PICTURE
            ),
            "conversations": pa.array([sample["conversations"] for sample in part]),
        }
        pq.write_table(pa.table(columns), folder / "parquet" / f"train-{shard}.parquet", row_group_size=4)
    (folder / "train.json").write_text(json.dumps(samples[:30]))
    return folder


def sources(world):
    return {
        "json": ["--data", world / "train.json", "--images", world / "world"],
        "parquet": ["--data", world / "parquet"],
    }


def test_the_check_says_the_same(world):
    reports = {}
    for kind, flags in sources(world).items():
        reports[kind] = json.loads(striate("data", "check", "--model", world / "model", "--json", *flags))
        for field in ("data", "file"):
            reports[kind].pop(field, None)
    assert reports["json"] == reports["parquet"]


def losses(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines if '"loss"' in line]


def train(world, out, flags, *more):
    striate("train", "--model", world / "model", "--layers", "all", "--out", out, "--batch", 4, "--seed", 3,
            "--save-every", 2, "--keep", 0, *flags, *more)


def test_training_is_the_same_and_goes_on_where_it_stopped(world, tmp_path):
    flags = sources(world)
    train(world, tmp_path / "json", flags["json"], "--steps", 6)
    train(world, tmp_path / "parquet", flags["parquet"], "--steps", 6)
    whole = losses(tmp_path / "parquet")
    assert losses(tmp_path / "json") == whole
    assert len(whole) == 6
    # What a run has left that was killed after step 2.
    for step in (4, 6):
        shutil.rmtree(tmp_path / "parquet" / "checkpoints" / f"step-{step:06d}")
    train(world, tmp_path / "parquet", flags["parquet"], "--steps", 6, "--resume")
    assert losses(tmp_path / "parquet") == whole


def test_a_run_is_not_resumed_with_other_data(world, tmp_path):
    (tmp_path / "data").mkdir()
    for shard in range(3):
        shutil.copy(world / "parquet" / f"train-{shard}.parquet", tmp_path / "data")
    train(world, tmp_path / "run", ["--data", tmp_path / "data"], "--steps", 2)
    (tmp_path / "data" / "train-2.parquet").unlink()
    done = subprocess.run([PROGRAM, "train", "--model", str(world / "model"), "--layers", "all", "--out",
                           str(tmp_path / "run"), "--batch", "4", "--seed", "3", "--data", str(tmp_path / "data"),
                           "--steps", "4", "--resume"], capture_output=True, text=True)
    assert done.returncode == 2 and "data" in done.stderr


def test_a_damaged_file_ends_in_one_line(world, tmp_path):
    whole = (world / "parquet" / "train-0.parquet").read_bytes()
    (tmp_path / "half.parquet").write_bytes(whole[: len(whole) // 2])
    done = subprocess.run([PROGRAM, "data", "check", "--model", str(world / "model"), "--data",
                           str(tmp_path / "half.parquet")], capture_output=True, text=True)
    assert done.returncode == 2
    assert "half.parquet" in done.stderr and done.stderr.count("\n") == 2 and "\nhint: " in done.stderr


def test_a_benchmark_is_answered_alike_from_every_form(world, tmp_path):
    """MMBench's columns as CSV with files beside it, as VLMEvalKit's TSV and as Parquet."""
    samples = json.loads((world / "train.json").read_text())[:6]
    rows = []
    for number, sample in enumerate(samples):
        question = sample["conversations"][0]["value"].replace("<image>\n", "")
        rows.append({"index": number, "question": question, "hint": None, "A": "yes", "B": "no", "C": "red", "D": "2",
                     "answer": "A", "category": "made", "l2-category": "made"})
    pictures = [(world / "world" / sample["image"]).read_bytes() for sample in samples]
    frames = {kind: pd.DataFrame(rows) for kind in ("csv", "tsv", "parquet")}
    for kind in frames:
        (tmp_path / kind).mkdir()
    frames["csv"]["image_path"] = [f"{number}.png" for number in range(6)]
    for number, picture in enumerate(pictures):
        (tmp_path / "csv" / f"{number}.png").write_bytes(picture)
    frames["csv"].to_csv(tmp_path / "csv" / "MMBench_DEV_EN.csv", index=False)
    frames["tsv"]["image"] = [base64.b64encode(picture).decode() for picture in pictures]
    frames["tsv"].to_csv(tmp_path / "tsv" / "MMBench_DEV_EN.tsv", sep="\t", index=False)
    frames["parquet"]["image"] = [{"bytes": picture, "path": None} for picture in pictures]
    frames["parquet"].to_parquet(tmp_path / "parquet" / "dev-00000-of-00001.parquet")
    texts = {}
    for kind in frames:
        striate("eval", "run", "--model", world / "model", "--benchmark", "mmbench", "--protocol", "llava",
                "--data", tmp_path / kind, "--out", tmp_path / f"answers-{kind}")
        files = list((tmp_path / f"answers-{kind}").rglob("answers.jsonl"))
        answers = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        texts[kind] = {answer["question_id"]: answer["text"] for answer in answers}
    assert len(texts["csv"]) == 6
    assert texts["csv"] == texts["tsv"] == texts["parquet"]
