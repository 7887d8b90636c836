"""What scripts/real-data.sh does with JSON: prepares its data, compares losses across a kill, scores answers by kind."""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import time

STATEMENT = "true or false? "


def load(folder, name):
    return json.loads((folder / name).read_text())


def turn(human, gpt):
    return [{"from": "human", "value": human}, {"from": "gpt", "value": gpt}]


def without_picture(record):
    turns = [dict(t) for t in record["conversations"]]
    turns[0]["value"] = turns[0]["value"].replace("<image>\n", "")
    return {"id": record["id"], "conversations": turns}


def prepare(data, out):
    """text.json: questions, answers and statements without pictures. captions.json: what people said of a picture and
    is true of it. train.json: NLVR's and BCCD's questions."""
    data, out = pathlib.Path(data), pathlib.Path(out)
    questions = load(data, "nlvr_qa_train.json") + load(data, "bccd_train.json")
    captions = []
    for record in load(data, "nlvr_tf_train.json"):
        human, gpt = record["conversations"][:2]
        if gpt["value"] == "True":
            statement = human["value"].split(STATEMENT)[1]
            captions.append(record | {"conversations": turn("<image>", statement)})
    spoken = [{"id": c["id"], "conversations": turn("Describe it.", c["conversations"][1]["value"])} for c in captions]
    for name, records in {"text.json": [without_picture(q) for q in questions] + spoken, "captions.json": captions,
                          "train.json": questions}.items():
        (out / name).write_text(json.dumps(records))
        print(f"{name}: {len(records)} samples")


def timed(log, *command):
    """Runs the command with its output in the file; its status is ours."""
    start = time.monotonic()
    with open(log, "w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    seconds, memory = time.monotonic() - start, usage.ru_maxrss * 1024 / 1e9
    print(f"   {seconds:.0f} s, {usage.ru_utime + usage.ru_stime:.0f} s of processor time, peak memory {memory:.2f} GB", flush=True)
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        tail = pathlib.Path(log).read_text()[-600:]
        sys.exit(f"   ended with {code}: {tail}" if code > 0 else f"   ended by signal {-code}")


def losses(file):
    steps = (json.loads(line) for line in pathlib.Path(file).read_text().splitlines() if line.endswith("}"))
    return {step["step"]: step["loss"] for step in steps if "loss" in step}


def compare(before, after):
    """Steps that were taken before the kill and again after it must have the same losses, to the last bit."""
    before, after = losses(before), losses(after)
    differing = [step for step, loss in before.items() if after.get(step) != loss]
    print(f"losses before the kill and after resuming: {len(before)} steps, {len(differing)} differ")
    if differing:
        sys.exit(f"error: resuming changed step {differing[0]}")


def kind(question):
    question = question.split("\n")[0]
    question = re.sub(r"\b(black|blue|yellow)\b", "COLOUR", question)
    question = re.sub(r"\b(circle|square|triangle|item|object)(s?)\b", r"SHAPE\2", question)
    return "Where is the white blood cell?" if question.startswith("Please provide the bounding box") else question


def box_overlap(answer, reference):
    """Intersection over union; 0 for what is no box."""
    boxes = [[float(x) for x in re.findall(r"\d+\.\d+", text)] for text in (answer, reference)]
    if any(len(box) != 4 for box in boxes):
        return 0.0
    (a, b, c, d), (e, f, g, h) = boxes
    inter = max(0.0, min(c, g) - max(a, e)) * max(0.0, min(d, h) - max(b, f))
    return inter / max(1e-9, (c - a) * (d - b) + (g - e) * (h - f) - inter)


def score(file):
    kinds = collections.defaultdict(list)
    for line in pathlib.Path(file).read_text().splitlines():
        record = json.loads(line)
        kinds[kind(record["question"])].append((record["answer"], record["reference"]))
    for name, pairs in sorted(kinds.items()):
        exact = sum(answer == reference for answer, reference in pairs) / len(pairs)
        majority = collections.Counter(reference for _, reference in pairs).most_common(1)[0][1] / len(pairs)
        more = ""
        if pairs[0][1].startswith("["):
            more = f"  mean overlap {sum(box_overlap(*pair) for pair in pairs) / len(pairs):.2f}"
        print(f"  {name:52} {len(pairs):5}  exact {exact:.3f}  majority {majority:.3f}{more}")
    every = [pair for pairs in kinds.values() for pair in pairs]
    print(f"  {'all':52} {len(every):5}  exact {sum(a == r for a, r in every) / len(every):.3f}")


if __name__ == "__main__":
    {"prepare": prepare, "timed": timed, "compare": compare, "score": score}[sys.argv[1]](*sys.argv[2:])
