#!/usr/bin/env python3
"""Measures `striate eval run`: questions per second against one by one, transformers and lm-evaluation-harness; memory.

All programs answer the same questions with the same random model in fp32, in turn, so that whatever else the machine does
meets all of them alike; ratios are taken within a round, and their medians reported. Answers must agree.
"""

import argparse
import csv
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "scripts")]

import drawn_scenes  # noqa: E402
from worker import Worker  # noqa: E402

# The shape of `striate init --size small`, and a wide one: at this width a step reads 0.4 GB of weights.
SHAPES = {"small": [], "wide": ["--layers", 8, "--hidden", 1024, "--heads", 16, "--kv-heads", 16, "--mlp", 2752]}
QUESTIONS_A_PICTURE = 8
PROTOCOL, TOKENS = "lmms-eval", 16
FEW, MOST_GROWTH = 100, 1.2  # questions, and how much more memory many may take: they themselves are kept
SUBJECTS = ["anatomy", "astronomy", "geography", "logic"]
# Greedy answers of two programs part where two tokens are equally likely; more than this points to a difference.
LEAST_EQUAL = 0.97
CLOSE = 1e-3  # log-probabilities
WORDS = ("the a of in which to and is are by heart star force river plant cell moon rock light water energy body number "
         "system left right part large small first second most not each from when if then because following").split()
SYSTEM = ("A chat between a curious user and an artificial intelligence assistant. "
          "The assistant gives helpful, detailed, and polite answers to the user's questions. USER: ")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", help="the build folder")
    parser.add_argument("--peer-python", default=ROOT / ".deps/peers/bin/python", help="a Python with transformers and lm_eval")
    parser.add_argument("--shapes", default="small,wide", help="small, wide or both with a comma")
    parser.add_argument("--kinds", default="pictures,letters,memory", help="what to measure, by commas")
    parser.add_argument("--questions", type=int, default=128, help="questions in a round")
    parser.add_argument("--batches", default="8,16,32", help="batch sizes of the peers; the fastest counts")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--many", type=int, default=10000, help="questions whose peak of memory is compared with that of 100")
    parser.add_argument("--json", action="store_true", help="JSON lines only")
    args = parser.parse_args()
    args.shapes, args.kinds = args.shapes.split(","), args.kinds.split(",")
    args.batches = [int(n) for n in args.batches.split(",")]
    args.program = args.build / "apps/striate/striate"
    if not set(args.shapes) <= set(SHAPES) or not set(args.kinds) <= {"pictures", "letters", "memory"}:
        parser.error("--shapes knows small and wide, --kinds pictures, letters and memory")
    if args.rounds < 1 or args.questions < 8 or min(args.batches) < 1:
        parser.error("--rounds and --batches must be at least 1, --questions at least 8")
    if not args.program.exists():
        parser.error(f"{args.program} is missing: 'make bench-eval' builds it, or name --build")
    if args.kinds != ["memory"] and not pathlib.Path(args.peer_python).exists():
        parser.error(f"{args.peer_python} is missing: scripts/install-peers.sh installs it")
    return args


def run(command):
    """What the program prints as JSON, and its peak of resident bytes."""
    environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True, env=environment)
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"error: {command[0]} {command[1]} ended with {process.returncode}")
    return json.loads(printed), usage.ru_maxrss * 1024


def checkpoint(args, kind, shape):
    """A model with random weights, written on the first run: one that sees, or a language model alone."""
    folder = args.build / f"bench/eval-{kind}-{shape}"
    if not (folder / "config.json").exists():
        small = args.build / "bench/eval-pictures-small"
        if kind == "letters":
            checkpoint(args, "pictures", "small")
        made = ["--size", "small"] if kind == "pictures" else ["--arch", "llama-2-7b", "--tokenizer", small]
        if kind == "letters" and shape == "small":
            made += ["--layers", 8, "--hidden", 256, "--heads", 8, "--kv-heads", 8, "--mlp", 704]
        run([args.program, "init", *made, *SHAPES[shape], "--dtype", "fp32", "--seed", 1, "--json", "--out", folder])
    return folder


def write_pictures(folder, count):
    """Questions about drawings in GQA's files, several about each."""
    draw = random.Random(3)
    questions, asked = {}, []
    (folder / "images").mkdir(parents=True)
    while len(asked) < count:
        scene = drawn_scenes.scene(draw)
        name = f"n{len(asked)}"
        (folder / "images" / f"{name}.jpg").write_bytes(drawn_scenes.png(scene))
        texts = {}
        while len(texts) < min(QUESTIONS_A_PICTURE, count - len(asked)):
            texts.update(filter(None, [drawn_scenes.question(scene, draw)]))
        for text, answer in texts.items():
            questions[str(len(asked))] = {"question": text, "imageId": name, "answer": answer, "isBalanced": True, "semantic": [],
                                          "types": {"structural": "query", "semantic": "obj", "detailed": "count"}}
            asked.append({"question_id": str(len(asked)), "image": f"{name}.jpg", "text": text + drawn_scenes.SHORT})
    (folder / "testdev_balanced_questions.json").write_text(json.dumps(questions))
    (folder / "bunny_gqa_all.jsonl").write_text("".join(json.dumps(line) + "\n" for line in asked))
    return [{"prompt": f"{SYSTEM}<image>\n{line['text']} ASSISTANT:", "picture": str(folder / "images" / line["image"])}
            for line in asked]


def exam_row(draw):
    def words(least, most):
        return " ".join(draw.choice(WORDS) for _ in range(draw.randint(least, most)))

    return [words(12, 40).capitalize() + "?", *[words(2, 6) for _ in range(4)], draw.choice("ABCD")]


def exam_text(row):
    return "\n".join([row[0], *[f"{letter}. {option}" for letter, option in zip("ABCD", row[1:5], strict=True)], "Answer:"])


def write_letters(folder, count):
    """Questions in MMLU's files, each shown after five solved ones of its subject."""
    draw = random.Random(4)
    questions = []
    for number, subject in enumerate(SUBJECTS):
        rows = {"dev": [exam_row(draw) for _ in range(5)]}
        rows["test"] = [exam_row(draw) for _ in range(count // len(SUBJECTS) + (number < count % len(SUBJECTS)))]
        for split, table in rows.items():
            (folder / split).mkdir(parents=True, exist_ok=True)
            with open(folder / split / f"{subject}_{split}.csv", "w", newline="") as file:
                csv.writer(file).writerows(table)
        shown = f"The following are multiple choice questions (with answers) about {subject}.\n\n"
        shown += "".join(f"{exam_text(row)} {row[5]}\n\n" for row in rows["dev"])
        questions += [{"prompt": shown + exam_text(row), "choices": [f" {letter}" for letter in "ABCD"]} for row in rows["test"]]
    return questions


class Striate:
    """A run of the program each time, into a new folder."""

    def __init__(self, args, kind, model, data, folder):
        name, protocol = {"pictures": ("gqa", PROTOCOL), "letters": ("mmlu", "lm-eval-5shot")}[kind]
        self.name, self.out = name, folder / "out"
        self.command = [args.program, "eval", "run", "--model", model, "--benchmark", name, "--protocol", protocol, "--data", data,
                        "--out", self.out, "--precision", "fp32", "--threads", args.threads, "--draws", 1, "--json"]

    def answer(self, at_once=64):
        shutil.rmtree(self.out, ignore_errors=True)
        report, peak = run([*self.command, "--answers-at-once", at_once])
        outcome = report["benchmarks"][0]
        return outcome["seconds"], peak

    def answers(self, kind):
        lines = [json.loads(line) for line in (self.out / self.name / "answers.jsonl").read_text().splitlines()]
        if kind == "pictures":
            lines.sort(key=lambda line: int(line["question_id"]))
            return [line["text"] for line in lines]
        lines.sort(key=lambda line: (line["question_id"].split("/")[0], int(line["question_id"].split("/")[1])))
        return [line["choices"] for line in lines]


def letters(text):
    """The text without what stands for bytes that are not UTF-8: random models write them, and decoders differ in that."""
    return "".join(letter for letter in text if letter > " " and letter != "\ufffd")


def check_agreement(kind, ours, theirs):
    """Programs that compute different things cannot be compared."""
    if kind == "pictures":
        equal = sum(letters(a) == letters(b) for a, b in zip(ours, theirs, strict=True)) / len(ours)
        if equal < LEAST_EQUAL:
            raise SystemExit(f"error: Striate and transformers give the same answer to {equal:.0%} of the questions only")
    else:
        apart = max(abs(x - y) for a, b in zip(ours, theirs, strict=True) for x, y in zip(a, b, strict=True))
        if not apart <= CLOSE:
            raise SystemExit(f"error: Striate's log-probabilities and the harness's are up to {apart:.2g} apart")


def measure(args, kind, shape, say):
    """Questions per second of everybody, one row."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        write = {"pictures": write_pictures, "letters": write_letters}[kind]
        questions = write(folder / "data", args.questions)
        file = folder / "questions.jsonl"
        file.write_text("".join(json.dumps(question) + "\n" for question in questions))
        model = checkpoint(args, kind, shape)
        striate = Striate(args, kind, model, folder / "data", folder)
        script = pathlib.Path(__file__).with_name("peer.py")
        peer = Worker("the peer", [args.peer_python, script, kind, "--model", model, "--questions", file, "--tokens", TOKENS])

        striate.answer()
        ours = striate.answers(kind)
        warm = {}
        for batch in args.batches:
            reply = peer.ask(do="answer", batch=batch, threads=args.threads)
            check_agreement(kind, ours, reply["answers"])
            warm[batch] = reply["seconds"]
        best = min(warm, key=warm.get)
        say(f"{kind}, {shape}: the peer is fastest in batches of {best}")
        runs = {"striate": lambda: striate.answer()[0], "alone": lambda: striate.answer(at_once=1)[0],
                "peer": lambda: peer.ask(do="answer", batch=best, threads=args.threads)["seconds"]}
        seconds = {name: [] for name in runs}
        for number in range(args.rounds):
            for name in list(runs)[:: -1 if number % 2 else 1]:
                seconds[name].append(runs[name]())
            say(f"{kind}, {shape}: round {number + 1} of {args.rounds}: "
                + ", ".join(f"{name} {args.questions / taken[-1]:.1f}/s" for name, taken in seconds.items()))
        peak = peer.ask(do="memory")["peak"]
        peer.close()
    row = {"kind": kind, "shape": shape, "threads": args.threads, "questions": args.questions, "peer": peer.greeting["program"],
           "peer_batch": best, "peer_peak_memory": peak}
    for name, taken in seconds.items():
        row[f"{name}_per_s"] = statistics.median(args.questions / one for one in taken)
    for name in ["alone", "peer"]:
        row[f"ratio_{name}"] = statistics.median(b / a for a, b in zip(seconds["striate"], seconds[name], strict=True))
    return row


def measure_memory(args, say):
    """The peak of a run over few questions and over many. Few fill all the places for answers, and what is kept of them."""
    row = {"kind": "memory", "shape": "small"}
    for count in [FEW, args.many]:
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary)
            write_pictures(folder / "data", count)
            striate = Striate(args, "pictures", checkpoint(args, "pictures", "small"), folder / "data", folder)
            seconds, peak = striate.answer(at_once=16)
        row[str(count)] = peak
        say(f"memory: {count} questions, {count / seconds:.1f}/s, {peak / 1e6:.0f} MB at most")
    return row


def print_table(rows):
    print(f"{'':10} {'model':6} {'Striate':>9} {'one by one':>11} {'ratio':>6} {'the peer':>9} {'ratio':>6}   (questions per second)")
    for row in rows:
        if row["kind"] == "memory":
            peaks = ", ".join(f"{value / 1e6:.0f} MB of {count} questions" for count, value in row.items() if count.isdigit())
            print(f"{'memory':10} {row['shape']:6} at most {peaks}")
            continue
        print(f"{row['kind']:10} {row['shape']:6} {row['striate_per_s']:9.1f} {row['alone_per_s']:11.1f} {row['ratio_alone']:6.2f} "
              f"{row['peer_per_s']:9.1f} {row['ratio_peer']:6.2f}   {row['peer']}, batches of {row['peer_batch']}")


def main():
    args = parse_args()
    say = (lambda *_: None) if args.json else (lambda text: print(text, file=sys.stderr, flush=True))
    rows = [measure(args, kind, shape, say) for kind in args.kinds if kind != "memory" for shape in args.shapes]
    if "memory" in args.kinds:
        rows.append(measure_memory(args, say))
    if args.json:
        for row in rows:
            print(json.dumps(row))
    else:
        print_table(rows)
    for row in rows:
        if row["kind"] == "memory" and row[str(args.many)] > MOST_GROWTH * row[str(FEW)]:
            raise SystemExit(f"error: {args.many} questions take more memory than {FEW}")


if __name__ == "__main__":
    main()
