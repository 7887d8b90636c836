#!/usr/bin/env python3
"""Writes the Parquet files of this folder, with pyarrow 26.0.1 and pandas 3.1.1: rows as data sets have them, and a few
questions of each benchmark in the columns of its Hugging Face data set. Their pictures are texts: "picture 3".

    .deps/peers/bin/python tests/tables/parquet/make_fixtures.py
"""
import pathlib
import struct
import zlib

import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).resolve().parent
PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def picture(number):
    return {"bytes": f"picture {number}".encode(), "path": f"{number}.jpg"}


def write(name, columns, **settings):
    path = HERE / name
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), path, **settings)


def conversations(number):
    return [
        {"from": "human", "value": f"<image>\nWhat is {number}?"},
        {"from": "gpt", "value": f"It is {number}, wörtlich."},
    ]


def rows():
    numbers = range(30)
    columns = {
        "id": pa.array([f"row {i}" for i in numbers]),
        "kind": pa.array(["red", "green", None][i % 3] for i in numbers),
        "number": pa.array([i * 10**12 if i % 5 else None for i in numbers], pa.int64()),
        "share": pa.array([float("nan") if i == 7 else i / 8 for i in numbers]),
        "words": pa.array([[f"w{j}" for j in range(i % 4)] if i % 6 else None for i in numbers]),
        "conversations": pa.array([conversations(i) for i in numbers]),
        "image": pa.array([picture(i) if i % 4 else None for i in numbers], PICTURE),
        "images": pa.array([[picture(100 * i + j) for j in range(i % 3)] for i in numbers], pa.list_(PICTURE)),
        "picture": pa.array([f"picture {9 * i}".encode() if i % 2 else None for i in numbers], pa.binary()),
    }
    write("plain.parquet", columns, compression="none", use_dictionary=False, row_group_size=11)
    write("snappy.parquet", columns, row_group_size=12, data_page_size=200, write_page_index=True)
    write("zstd.parquet", columns, compression="zstd", data_page_version="2.0", data_page_size=100)
    write("checksums.parquet", columns, compression="none", write_page_checksum=True)


def benchmarks():
    write("mmbench/dev-00000-of-00001.parquet", {
        "index": [241, 1000241], "question": ["Which?", "Which?"], "hint": ["A hint.", "nan"],
        "A": ["cat", "dog"], "B": ["dog", "None"], "C": ["None", "cat"], "D": ["nan", "nan"], "answer": ["B", "A"],
        "category": ["object", "object"], "L2-category": ["perception", "perception"],
        "image": pa.array([picture(1), picture(1)], PICTURE)})
    write("seed/test-00000-of-00002.parquet", {
        "question_id": ["101", "102"], "question": ["How many?", "What moves?"], "choice_a": ["1", "it"],
        "choice_b": ["2", "he"], "choice_c": ["3", "she"], "choice_d": ["4", "they"], "answer": ["B", "A"],
        "data_type": ["image", "video"], "data_id": ["1", "2"], "question_type_id": [5, 10],
        "image": pa.array([[picture(1)], [picture(2), picture(3)]], pa.list_(PICTURE))})
    write("seed/test-00001-of-00002.parquet", {
        "question_id": ["103"], "question": ["Where?"], "choice_a": ["left"], "choice_b": ["right"],
        "choice_c": ["up"], "choice_d": ["down"], "answer": ["C"], "data_type": ["image"], "data_id": ["3"],
        "question_type_id": [4], "image": pa.array([[picture(4)]], pa.list_(PICTURE))})
    write("scienceqa/test-00000-of-00001.parquet", {
        "image": pa.array([picture(1), None], PICTURE), "question": ["Which is solid?", "Which is a verb?"],
        "choices": [["milk", "a table"], ["run", "blue", "cat"]], "answer": [1, 0], "hint": ["", "Read."],
        "task": ["closed choice"] * 2, "grade": ["grade2", "grade4"], "subject": ["natural science", "language science"]})
    write("pope/test-00000-of-00001.parquet", {
        "id": ["0", "3000"], "question_id": ["1", "1"], "question": ["Is there a car?", "Is there a dog?"],
        "answer": ["yes", "no"], "image_source": ["COCO_val2014_1"] * 2, "image": pa.array([picture(1)] * 2, PICTURE),
        "category": ["adversarial", "popular"]})
    write("mme/test-00000-of-00001.parquet", {
        "question_id": ["code_reasoning/0020.png"] * 2, "image": pa.array([picture(1)] * 2, PICTURE),
        "question": ["Is it Python? Please answer yes or no.", "Is it C? Please answer yes or no."],
        "answer": ["Yes", "No"], "category": ["code_reasoning"] * 2})
    write("textvqa/validation-00000-of-00001.parquet", {
        "image_id": ["003a8ae2ef43b901"], "question_id": [34602], "question": ["What is the brand?"],
        "image": pa.array([picture(1)], PICTURE), "answers": [["dakota"] * 9 + ["clos culombu"]],
        "ocr_tokens": [["DAKOTA"]]})
    write("docvqa/validation-00000-of-00001.parquet", {
        "questionId": ["337"], "question": ["What is the date?"], "question_types": [["handwritten", "form"]],
        "image": pa.array([picture(1)], PICTURE), "answers": [["1/8/93", "1-8-93"]]})
    (HERE / "gqa").mkdir(exist_ok=True)
    write("gqa/testdev_balanced_instructions/testdev-00000-of-00001.parquet", {
        "id": ["201307251"], "imageId": ["n161313"], "question": ["Is it overcast?"], "answer": ["no"],
        "isBalanced": [True], "groups": [{"global": None, "local": "13-weather"}],
        "types": [{"detailed": "weatherVerify", "semantic": "global", "structural": "verify"}],
        "semantic": [[{"operation": "select", "argument": "scene", "dependencies": []}]]})
    write("gqa/testdev_balanced_images/testdev-00000-of-00001.parquet", {
        "id": ["n1", "n161313"], "image": pa.array([picture(1), picture(2)], PICTURE)})
    (HERE / "mmmu").mkdir(exist_ok=True)
    for subject, number in (("Accounting", 1), ("Art", 2)):
        write(f"mmmu/{subject}/validation-00000-of-00001.parquet", {
            "id": [f"validation_{subject}_1"], "question": ["<image 1> What is this?"],
            "options": ["['It\\'s 5', \"$6\", '7']" if number == 1 else "[]"], "answer": ["B" if number == 1 else "3.5"],
            "image_1": pa.array([picture(number)], PICTURE), "image_2": pa.array([None], PICTURE),
            "question_type": ["multiple-choice" if number == 1 else "open"]})
    write("vqav2/validation-00000-of-00001.parquet", {
        "question_type": ["where is"], "multiple_choice_answer": ["net"], "image_id": [262148], "question_id": [262148000],
        "answers": [[{"answer": "net", "answer_confidence": "yes", "answer_id": i} for i in range(10)]],
        "answer_type": ["other"], "question": ["Where is he looking?"], "image": pa.array([picture(1)], PICTURE)})
    write("mmlu/test-00000-of-00001.parquet", {
        "question": ["1 + 1?", "2 + 2?"], "subject": ["algebra", "algebra"], "choices": [["1", "2", "3", "4"]] * 2,
        "answer": [1, 3]})
    write("gsm8k/test-00000-of-00001.parquet", {"question": ["2 eggs and 3?"], "answer": ["2 + 3 = 5\n#### 5"]})


def png(number):
    """A picture of 8 x 6 pixels in one colour."""
    chunk = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    colour = bytes([number * 40 % 256, number * 90 % 256, 60])
    size = struct.pack(">IIBBBBB", 8, 6, 8, 2, 0, 0, 0)
    lines = zlib.compress((b"\0" + colour * 8) * 6, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


def data_set():
    image = lambda i: {"bytes": png(i), "path": None}
    for shard in range(2):
        numbers = range(10 * shard, 10 * shard + 10)
        write(f"data/train-0000{shard}-of-00002.parquet", {
            "id": [f"sample {i}" for i in numbers],
            "image": pa.array([image(i) if i % 5 else None for i in numbers], PICTURE),
            "conversations": pa.array([
                [{"from": "human", "value": ("<image>\n" if i % 5 else "") + f"What is {i}?"},
                 {"from": "gpt", "value": f"It is {i}."}] for i in numbers]),
            "source": ["made"] * 10}, row_group_size=4)
    part = pa.struct([("type", pa.string()), ("text", pa.string())])
    turn = pa.struct([("role", pa.string()), ("content", pa.list_(part))])
    write("messages.parquet", {
        "images": pa.array([[image(1), image(2)], [image(3)]], pa.list_(PICTURE)),
        "messages": pa.array([
            [{"role": "user", "content": [{"type": "image", "text": None}] * count + [{"type": "text", "text": "What?"}]},
             {"role": "assistant", "content": [{"type": "text", "text": "This."}]}] for count in (2, 1)],
            pa.list_(turn))})
    write("sequence.parquet", {
        "conversations": pa.array([{"from": ["human", "gpt"], "value": ["Who?", "I."]}],
                                  pa.struct([("from", pa.list_(pa.string())), ("value", pa.list_(pa.string()))]))})


rows()
benchmarks()
data_set()
