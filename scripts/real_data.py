"""What scripts/real-data.sh does beside training: prepares its data and models, compares losses across a kill, scores
answers by kind."""

import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time


def prepare(data, out):
    """train.json: NLVR's and BCCD's questions."""
    data = pathlib.Path(data)
    records = [r for name in ("nlvr_qa_train.json", "bccd_train.json") for r in json.loads((data / name).read_text())]
    (pathlib.Path(out) / "train.json").write_text(json.dumps(records))
    print(f"train.json: {len(records)} samples")


def stretch(model):
    """Pictures fill the tower's square, stretched, in place of being padded: a long picture leaves no row empty."""
    file = pathlib.Path(model) / "preprocessor_config.json"
    settings = json.loads(file.read_text())
    side = settings.pop("crop_size")
    file.write_text(json.dumps(settings | {"size": side, "do_center_crop": False, "do_pad": False}, indent=2))


def tensors(model):
    """Descriptions by name, and the bytes they point into."""
    content = (pathlib.Path(model) / "model.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), bytearray(content[8 + length :])


def join(reader, seer, out):
    """A model with the decoder and projector of one and the vision tower of another, whose towers have one shape."""
    (names, data), (other_names, other) = tensors(reader), tensors(seer)
    tower = [name for name in names if "vision_tower." in name]
    for name in tower:
        (begin, end), (first, last) = names[name]["data_offsets"], other_names[name]["data_offsets"]
        if names[name] | {"data_offsets": 0} != other_names[name] | {"data_offsets": 0}:
            sys.exit(f"error: {name} differs in shape or type")
        data[begin:end] = other[first:last]
    shutil.copytree(reader, out, ignore=shutil.ignore_patterns("checkpoints", "metrics.jsonl", "run.json"))
    header = json.dumps(names).encode()
    header += b" " * (-len(header) % 8)
    (pathlib.Path(out) / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data)
    print(f"{out}: {len(tower)} tensors of the tower are those of {seer}, the others those of {reader}")


def timed(log, *command):
    """Runs the command with its output in the file; its status is ours."""
    start = time.monotonic()
    with open(log, "w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    seconds, memory = time.monotonic() - start, usage.ru_maxrss * 1024 / 1e9
    print(f"   {seconds:.0f} s, {usage.ru_utime + usage.ru_stime:.0f} s of processor time, peak memory {memory:.2f} GB", flush=True)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        print(f"   ended by signal {-code}", file=sys.stderr)
        sys.exit(128 - code)  # as a shell tells it
    if code > 0:
        sys.exit(f"   ended with {code}: {pathlib.Path(log).read_text()[-600:]}")


def losses(file):
    steps = (json.loads(line) for line in pathlib.Path(file).read_text().splitlines() if line.endswith("}"))
    return {step["step"]: step["loss"] for step in steps if "loss" in step}


def compare(before, run):
    """A run that was killed went on from a checkpoint, and steps that it took twice have the same losses, to the last bit."""
    record = json.loads((pathlib.Path(run) / "run.json").read_text())
    begun, steps = record["resumed_from_step"], record["steps"]
    before, after = losses(before), losses(pathlib.Path(run) / "metrics.jsonl")
    twice = [step for step in before if step > begun]
    if begun == 0 or not twice or max(before) >= steps:
        sys.exit(f"error: nothing was resumed: {len(before)} of {steps} steps were taken before the kill, and the run went on "
                 f"after step {begun}")
    if sorted(after) != list(range(1, steps + 1)):
        sys.exit(f"error: the resumed run has {len(after)} of {steps} steps")
    differing = [step for step, loss in before.items() if after[step] != loss]
    print(f"killed after step {max(before)}, resumed after step {begun}: of {len(twice)} steps taken twice, "
          f"{len(differing)} differ")
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
        references = {reference for _, reference in pairs}
        if references == {"Yes", "No"}:
            recalls = [[a == r for a, r in pairs if r == word] for word in ("Yes", "No")]
            more = "  of yes {:.3f}, of no {:.3f}".format(*(sum(hits) / len(hits) for hits in recalls))
        if pairs[0][1].startswith("["):
            more = f"  mean overlap {sum(box_overlap(*pair) for pair in pairs) / len(pairs):.2f}"
        print(f"  {name:52} {len(pairs):5}  exact {exact:.3f}  majority {majority:.3f}{more}")
    every = [pair for pairs in kinds.values() for pair in pairs]
    print(f"  {'all':52} {len(every):5}  exact {sum(a == r for a, r in every) / len(every):.3f}")


if __name__ == "__main__":
    commands = {f.__name__: f for f in (prepare, stretch, join, timed, compare, score)}
    commands[sys.argv[1]](*sys.argv[2:])
