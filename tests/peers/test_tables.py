"""Files of rows, written by pandas and pyarrow, come back equal: Parquet in the ways its writers choose, and TSV in
pandas' dialect with pictures inside."""

import base64
import json
import os
import random
import subprocess

import pytest

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

PROBE = os.environ.get("STRIATE_ROWS_PROBE")
pytestmark = pytest.mark.skipif(not PROBE, reason="rows_probe is not built")

PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def read(path):
    """The rows as Striate reads them, and the bytes of the pictures they name."""
    done = subprocess.run([PROBE, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    pictures = {line["picture"]: base64.b64decode(line["base64"]) for line in lines if "picture" in line}
    return [line for line in lines if "picture" not in line], pictures


def picture(number, size=3000):
    return random.Random(number).randbytes(size + number % 100)


def with_bytes(value, pictures):
    """The value with the bytes of pictures in place of their names."""
    if isinstance(value, list):
        return [with_bytes(item, pictures) for item in value]
    return pictures.get(value, value) if isinstance(value, str) else value


def expected(value):
    """A value of pyarrow's as the rows should have it."""
    if isinstance(value, dict) and set(value) == {"bytes", "path"}:
        return value["bytes"]
    if isinstance(value, list):
        return [item for item in map(expected, value) if item is not None]
    return value


def nested_table(rows):
    numbers = range(rows)
    turns = [
        [{"from": "human", "value": f"<image>\nWhat is {i}?"}, {"from": "gpt", "value": "ünïcode " * (i % 7)}]
        for i in numbers
    ]
    return pa.table(
        {
            "id": pa.array([f"row {i}" for i in numbers]),
            "few": pa.array(["red", "green", None][i % 3] for i in numbers),
            "number": pa.array([i * 10**12 if i % 5 else None for i in numbers], pa.int64()),
            "share": pa.array([i / 7 for i in numbers], pa.float64()),
            "flag": pa.array([i % 2 == 0 for i in numbers]),
            "words": pa.array([[f"w{j}" for j in range(i % 4)] if i % 6 else None for i in numbers]),
            "conversations": pa.array(turns),
            "image": pa.array([{"bytes": picture(i), "path": f"{i}.png"} if i % 4 else None for i in numbers], PICTURE),
            "images": pa.array(
                [[{"bytes": picture(1000 * i + j), "path": None} for j in range(i % 3)] for i in numbers],
                pa.list_(PICTURE),
            ),
            "picture_bytes": pa.array([picture(7 * i) if i % 2 else None for i in numbers], pa.binary()),
        }
    )


WRITERS = {
    "plain": dict(compression="none", use_dictionary=False),
    "dictionary": dict(compression="none", use_dictionary=True),
    "Snappy": dict(compression="snappy"),
    "zstd": dict(compression="zstd"),
    "gzip": dict(compression="gzip"),
    "brotli": dict(compression="brotli"),
    "row groups of 7": dict(row_group_size=7),
    "small pages": dict(data_page_size=2000, write_page_index=True, compression="none"),
    "version 2 pages": dict(data_page_version="2.0", data_page_size=2000),
    "no statistics": dict(write_statistics=False),
    "no schema of Arrow's": dict(store_schema=False),
    "checksums": dict(write_page_checksum=True),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_parquet_comes_back_equal(tmp_path, writer):
    table = nested_table(100)
    pq.write_table(table, tmp_path / "rows.parquet", **WRITERS[writer])
    rows, pictures = read(tmp_path / "rows.parquet")
    found = [{name: with_bytes(value, pictures) for name, value in row.items()} for row in rows]
    want = [{name: expected(value) for name, value in row.items()} for row in table.to_pylist()]
    for row in want:
        row["images"] = row["images"] or []
    assert found == want


def test_parquet_as_pandas_writes_it(tmp_path):
    frame = pd.DataFrame(
        {
            "question": ["a", "b\nc", None],
            "kind": pd.Categorical(["x", "y", "x"]),
            "answer": [1, 2, 3],
            "when": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"]),
        }
    )
    frame.to_parquet(tmp_path / "pandas.parquet")
    rows, _ = read(tmp_path / "pandas.parquet")
    assert [row["question"] for row in rows] == ["a", "b\nc", None]
    assert [row["kind"] for row in rows] == ["x", "y", "x"]
    assert [row["answer"] for row in rows] == [1, 2, 3]
    assert all(row["when"].startswith("2026-01-0") for row in rows)


def test_pictures_that_are_files_are_named_by_their_paths(tmp_path):
    table = pa.table({"image": pa.array([{"bytes": None, "path": "a/1.jpg"}, None], PICTURE)})
    pq.write_table(table, tmp_path / "paths.parquet")
    rows, pictures = read(tmp_path / "paths.parquet")
    assert rows == [{"image": "a/1.jpg"}, {"image": None}]
    assert pictures == {}


def test_large_pictures_in_one_row_group(tmp_path):
    table = pa.table({"image": pa.array([picture(i, 400_000) for i in range(40)], pa.binary())})
    pq.write_table(table, tmp_path / "large.parquet", compression="none", use_dictionary=False)
    rows, pictures = read(tmp_path / "large.parquet")
    assert [pictures[row["image"]] for row in rows] == [picture(i, 400_000) for i in range(40)]


def test_tsv_in_the_dialect_of_pandas_comes_back_equal(tmp_path):
    frame = pd.DataFrame(
        {
            "index": [1, 2, 1000001, 4, 5],
            "question": ["plain", 'with "quotes"', "two\nlines", "a\ttab", "\r\n in a cell"],
            "A": ["None", "NA", "x", "", "n/a"],
            "hint": [None, "  spaces ", "'", '"', '""'],
            "answer": ["['it\\'s', \"b\"]", "[]", "x", "['a', 'b']", "['ü']"],
            "image": [base64.b64encode(picture(i)).decode() for i in range(5)],
        }
    )
    frame.loc[2, "image"] = "1"
    frame.loc[0, "image"] = base64.b64encode(picture(9)).decode()
    frame.to_csv(tmp_path / "kit.tsv", sep="\t", index=False)
    back = pd.read_csv(tmp_path / "kit.tsv", sep="\t", keep_default_na=False, dtype=str)
    rows, pictures = read(tmp_path / "kit.tsv")
    for row, want in zip(rows, back.to_dict("records"), strict=True):
        for column in ("index", "question", "A", "hint", "answer"):
            assert (row[column] or "") == want[column]
    assert [pictures[row["image"]] for row in rows] == [picture(i) for i in (9, 1, 9, 3, 4)]
    assert rows[2]["image"] == rows[0]["image"]


def test_tsv_with_lists_of_pictures(tmp_path):
    cells = [str([base64.b64encode(picture(i)).decode() for i in range(n)]) for n in (1, 2, 3)]
    pd.DataFrame({"index": [1, 2, 3], "image": cells}).to_csv(tmp_path / "lists.tsv", sep="\t", index=False)
    rows, pictures = read(tmp_path / "lists.tsv")
    assert [[pictures[name] for name in row["image"]] for row in rows] == [
        [picture(i) for i in range(n)] for n in (1, 2, 3)
    ]


def test_damaged_parquet_ends_in_one_line_and_a_hint(tmp_path):
    pq.write_table(nested_table(40), tmp_path / "whole.parquet", data_page_size=2000)
    whole = (tmp_path / "whole.parquet").read_bytes()
    damage = random.Random(1)
    for number in range(60):
        broken = bytearray(whole)
        if number % 3 == 0:
            broken = broken[: damage.randrange(len(whole))]
        else:
            first = len(broken) - 3000 if number % 2 else 0  # the description of the columns is at the end
            for _ in range(damage.choice([1, 2, 30])):
                broken[damage.randrange(first, len(broken))] ^= 1 << damage.randrange(8)
        (tmp_path / "broken.parquet").write_bytes(broken)
        done = subprocess.run([PROBE, str(tmp_path / "broken.parquet")], capture_output=True, text=True)
        assert done.returncode in (0, 2), (number, done.returncode, done.stderr)
        if done.returncode == 2:
            assert done.stderr.count("\n") == 2 and "\nhint: " in done.stderr
