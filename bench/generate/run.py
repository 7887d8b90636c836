#!/usr/bin/env python3
"""Measures Striate against transformers and against the machine: prefill of 600 tokens, and decoding.

All programs are loaded at once on the same checkpoint and measured in turn, one command at a time, so that whatever
else the machine does meets all of them alike; ratios are taken within a round, and their medians reported.
"""

import argparse
import array
import json
import math
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from worker import Worker  # noqa: E402

IMAGE = -200
MINIATURE = "--hidden 256 --heads 4 --mlp 704 --vision-layers 2 --vision-hidden 64 --vision-heads 2 --vision-mlp 128".split()
PROMPT_TOKENS = 600
IMAGE_SIZE = 336
IMAGE_TOKENS = (IMAGE_SIZE // 14) ** 2
# Two programs round at different places; in bf16 random weights of the 7B shape still agree better than this.
LEAST_COSINE = 0.99
# A precision of transformers this many times slower than its other one in all kinds of work is not measured further.
HOPELESS = 1.5


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", help="the build folder")
    parser.add_argument("--peer-python", default=ROOT / ".deps/peers/bin/python", help="a Python with transformers")
    parser.add_argument("--checkpoint", type=pathlib.Path, help="default: made by striate init, and kept, beside the build")
    parser.add_argument("--layers", type=int, default=2, help="decoder layers of the 7B shape (32: the whole)")
    parser.add_argument("--device", choices=["cpu", "cuda", "pretend"], default="cpu",
                        help="pretend: the tests' device, which shows that the benchmark runs")
    parser.add_argument("--miniature", action="store_true", help="a model of width 256 in place of the 7B shape")
    parser.add_argument("--alone", action="store_true", help="Striate and the machine only: the whole model fits once")
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto", help="Striate computes in")
    parser.add_argument("--peer-precision", default="bf16,fp32", help="transformers computes in; the faster counts")
    parser.add_argument("--threads", default="1,2", help="numbers of threads, by commas")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=32, help="tokens to decode in a round")
    parser.add_argument("--json", action="store_true", help="JSON lines only")
    args = parser.parse_args()
    args.threads = [int(n) for n in args.threads.split(",")]
    args.alone = args.alone or args.device == "pretend"
    args.peer_precision = [] if args.alone else args.peer_precision.split(",")
    if not set(args.peer_precision) <= {"bf16", "fp32"}:
        parser.error("--peer-precision is bf16, fp32 or both with a comma")
    if args.rounds < 1 or args.steps < 1 or min(args.threads) < 1:
        parser.error("--rounds, --steps and --threads must be at least 1")
    needed = ["bench/machine_rates", "bench/bench_generate"] + ["apps/striate/striate"] * (args.checkpoint is None)
    for program in needed:
        if not (args.build / program).exists():
            parser.error(f"{args.build / program} is missing: 'make bench-generate' builds it, or name --build")
    if not args.alone and not pathlib.Path(args.peer_python).exists():
        parser.error(f"{args.peer_python} is missing: see bench/peers/requirements.txt, or give --alone")
    return args


def checkpoint(args):
    """The checkpoint's folder, written on the first run (bf16, random weights, no tokenizer needed)."""
    if args.checkpoint:
        return args.checkpoint
    folder = args.build / f"bench/{'miniature' if args.miniature else 'llava-1.5-7b'}-{args.layers}-layers"
    if not (folder / "config.json").exists():
        command = [args.build / "apps/striate/striate", "init", "--arch", "llava-1.5-7b", "--layers", args.layers]
        command += ["--dtype", "bf16", "--seed", 1, "--out", folder]
        command += MINIATURE if args.miniature else []
        subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)
    return folder


def prompts():
    """600 tokens of text, and a picture with text around it: 600 tokens too."""
    draw = random.Random(1)
    text = [1] + [draw.randrange(1000, 30000) for _ in range(PROMPT_TOKENS - 1)]
    words = PROMPT_TOKENS - IMAGE_TOKENS
    return {"text": text, "picture": text[: words // 2] + [IMAGE] + text[words // 2 : words]}


def write_pixels(file):
    """A picture as the tower sees it, 3 x 336 x 336 floats: waves and noise of about unit variance."""
    draw = random.Random(2)
    values = array.array("f")
    for channel in range(3):
        for y in range(IMAGE_SIZE):
            for x in range(IMAGE_SIZE):
                values.append(math.sin(x / (20 + channel)) + math.cos(y / 31) + draw.uniform(-0.5, 0.5))
    file.write(values.tobytes())
    file.flush()


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def check_agreement(striate, peers, threads):
    """Programs that compute different things cannot be compared."""
    for prompt in prompts():
        ours = striate.ask(do="logits", prompt=prompt, threads=threads)["logits"]
        for name, peer in peers.items():
            likeness = cosine(ours, peer.ask(do="logits", prompt=prompt, threads=threads)["logits"])
            if not likeness >= LEAST_COSINE:
                raise SystemExit(f"error: {prompt}: Striate's logits and transformers' ({name}) have cosine {likeness:.4f}")


class Measurements:
    """Rates by (what, threads, who), one per round."""

    def __init__(self):
        self.rates = {}

    def add(self, what, threads, who, rate):
        self.rates.setdefault((what, threads, who), []).append(rate)

    def median(self, *key):
        return statistics.median(self.rates[key])

    def median_ratio(self, above, below):
        return statistics.median(a / b for a, b in zip(self.rates[above], self.rates[below], strict=True))


# Kinds of work, and the prompt of each.
WHATS = {"prefill": "text", "prefill_picture": "picture", "decode": "text"}


def measure_round(measured, workers, machine, threads, steps, reverse):
    """One turn of everybody; every other round in the opposite order."""
    order = list(workers.items())[:: -1 if reverse else 1]
    for what, prompt in WHATS.items():
        for who, worker in order:
            command = {"do": "decode", "steps": steps} if what == "decode" else {"do": "prefill"}
            reply = worker.ask(**command, prompt=prompt, threads=threads)
            measured.add(what, threads, who, reply["tokens"] / reply["seconds"])
        if what == "prefill_picture" or machine is None:
            continue
        for name in machine.greeting["measurements"]:
            if (name == "read") == (what == "decode"):
                measured.add(name, threads, "machine", machine.ask(measure=name, threads=threads)["rate"])


def contenders(warm, workers, threads):
    """Striate, and those of the peers that may be the fastest at something."""
    peers = [name for name in workers if name != "striate"]

    def near_best(name, what):
        return warm.median(what, threads, name) * HOPELESS >= max(warm.median(what, threads, other) for other in peers)

    return {name: worker for name, worker in workers.items()
            if name == "striate" or any(near_best(name, what) for what in WHATS)}


def results(measured, workers, machine, threads):
    """One row for each kind of work."""
    greeting = workers["striate"].greeting
    memory = {name: worker.ask(do="memory") for name, worker in workers.items()}
    matrix = machine and max((name for name in machine.greeting["measurements"] if name != "read"),
                 key=lambda name: measured.median(name, threads, "machine"))
    per_token = {
        "prefill": greeting["flops_per_token"] + greeting["flops_per_logits"] / PROMPT_TOKENS,
        "decode": greeting["bytes_per_step"],
    }
    for what in WHATS:
        ours = (what, threads, "striate")
        row = {"what": what, "threads": threads, "compute": greeting["compute"], "layers": greeting["layers"],
               "device": greeting["device"], "tokens_per_s": measured.median(*ours)}
        peers = [name for name in workers if name != "striate"]
        if peers:
            best = max(peers, key=lambda name: measured.median(what, threads, name))
            row |= {"peer": f"transformers {best}", "peer_tokens_per_s": measured.median(what, threads, best),
                    "ratio": measured.median_ratio(ours, (what, threads, best)),
                    "peer_peak_memory": memory[best]["peak"]}
        if what in per_token and machine is None:
            row["operations_per_s" if what == "prefill" else "bytes_per_s"] = row["tokens_per_s"] * per_token[what]
        elif what in per_token:
            rate = "read" if what == "decode" else matrix
            row |= {"rate": rate, "machine_rate": measured.median(rate, threads, "machine"),
                    "share_of_rate": measured.median_ratio(ours, (rate, threads, "machine")) * per_token[what]}
        yield row | {"peak_memory": memory["striate"]["peak"], "anonymous_memory": memory["striate"]["anonymous"]}


def print_table(rows):
    print(f"{'':16} {'threads':>7} {'compute':>8} {'tokens/s':>9} {'transformers':>18} {'ratio':>6}  of the machine's rate")
    for row in rows:
        peer = f"{row['peer_tokens_per_s']:.1f} ({row['peer'].split()[-1]})" if "peer" in row else "-"
        ratio = f"{row['ratio']:.2f}" if "ratio" in row else "-"
        share = ""
        if "rate" in row:
            unit = "GB/s" if row["rate"] == "read" else "GFLOP/s"
            share = f"{row['share_of_rate']:4.0%} of {row['machine_rate'] / 1e9:.1f} {unit} ({row['rate']})"
        print(f"{row['what']:16} {row['threads']:7} {row['compute']:>8} {row['tokens_per_s']:9.1f} {peer:>18} {ratio:>6}  {share}")
    last = rows[-1]
    line = f"peak memory: Striate {last['peak_memory'] / 1e9:.2f} GB resident, mapped files included"
    line += f" ({last['anonymous_memory'] / 1e9:.2f} GB its own at the end)"
    if "peer_peak_memory" in last:
        line += f"; {last['peer']} {last['peer_peak_memory'] / 1e9:.2f} GB"
    print(line)


def main():
    args = parse_args()
    folder = checkpoint(args)
    say = (lambda *_: None) if args.json else (lambda text: print(text, file=sys.stderr, flush=True))
    with tempfile.NamedTemporaryFile(suffix=".f32") as pixels:
        write_pixels(pixels)
        workers = {"striate": Worker("bench_generate", [args.build / "bench/bench_generate", "--model", folder, "--precision",
                                      args.precision, "--device", args.device, "--pixels", pixels.name])}
        for precision in args.peer_precision:
            script = pathlib.Path(__file__).with_name("peer.py")
            workers[precision] = Worker(f"transformers {precision}", [args.peer_python, script, "--model", folder, "--precision", precision,
                                         "--device", args.device, "--pixels", pixels.name])
        # The rates of a CPU say nothing of a GPU.
        machine = Worker("machine_rates", [args.build / "bench/machine_rates", "--serve"]) if args.device == "cpu" else None
        for name, worker in workers.items():
            say(f"{name}: {worker.greeting.get('program') or worker.greeting['cpu']}")
            for prompt, ids in prompts().items():
                worker.ask(set=prompt, ids=ids)
        peers = {name: worker for name, worker in workers.items() if name != "striate"}
        check_agreement(workers["striate"], peers, max(args.threads))

        measured = Measurements()
        rows = []
        for threads in args.threads:
            warm = Measurements()
            measure_round(warm, workers, machine, threads, steps=4, reverse=False)
            fast = contenders(warm, workers, threads)
            for number in range(args.rounds):
                measure_round(measured, fast, machine, threads, args.steps, reverse=number % 2 == 1)
                say(f"{threads} threads: round {number + 1} of {args.rounds}")
            for row in results(measured, fast, machine, threads):
                rows.append(row)
                if args.json:
                    print(json.dumps(row), flush=True)
        for worker in [*workers.values(), machine]:
            if worker:
                worker.close()
    if not args.json:
        print_table(rows)


if __name__ == "__main__":
    main()
