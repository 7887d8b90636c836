#!/usr/bin/env python3
"""Measures training steps: Striate against transformers + PEFT on the same work, and against the floor under both.

Every program is loaded at once on the same checkpoint and takes one optimiser step at a time in turn, so that whatever
else the machine does meets all of them alike. Ratios are taken within a round (each program once through all samples),
and their medians reported. docs/performance.md says what is measured and what the figures mean.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

import work as benchmark_work  # noqa: E402
from worker import Worker  # noqa: E402

MODES = ("authors", "best")
RATES = ["--lr", "2e-4", "--projector-lr", "2e-5"]  # the paper's
# The required figures of each shape's first region: at least, at least, at most, at most.
GOALS = {
    "miniature": {"vs_authors": 2.8, "vs_best": 1.5, "floors": 1.6, "memory_vs_best": 0.5},
    "wide": {"vs_authors": 2.6, "vs_best": 1.6, "floors": 1.4, "memory_vs_best": 0.5},
}
# A compute type of the peer this many times slower than its other one is not measured further.
HOPELESS = 1.2
# Two engines that do the same work in fp32 differ in a step's loss by rounding alone: relative.
LARGEST_LOSS_DIFFERENCE = 1e-5


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", help="the build folder")
    parser.add_argument("--peer-python", default=ROOT / ".deps/bench-peers/bin/python", help="a Python with PEFT")
    parser.add_argument("--device", choices=["cpu", "cuda", "pretend"], default="cpu",
                        help="pretend: the tests' device, which shows that the benchmark runs")
    parser.add_argument("--checkpoint", type=pathlib.Path, help="a model of the one shape; default: made by striate init")
    parser.add_argument("--alone", action="store_true", help="Striate and the floor only, without transformers + PEFT")
    parser.add_argument("--shapes", default=",".join(benchmark_work.CPU_SHAPES),
                        help=f"of {', '.join(benchmark_work.SHAPES)}; default: %(default)s")
    parser.add_argument("--regions", help="uniform:4,all,top:4 (with the projector frozen); default: each shape's own")
    parser.add_argument("--compute", choices=["auto", "fp32", "bf16"], default="auto", help="Striate computes in")
    parser.add_argument("--peer-compute", choices=["auto", "fp32", "bf16"], default="auto",
                        help="the peer computes in; auto: whatever is faster")
    parser.add_argument("--policy", default="keep", help="Striate's activations: keep, recompute-mlp, recompute-layer")
    parser.add_argument("--frozen-precision", choices=["bf16", "int8", "fp8", "nf4"], default="bf16",
                        help="of Striate's layers outside the region; the peer keeps them in bf16, so give --alone, too")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4, help="optimiser steps in a round")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall",
                        help="cpu: processor time, which other jobs on the machine disturb less")
    parser.add_argument("--check-steps", type=int, default=50,
                        help="steps over which the losses of both engines must agree in fp32; 0: no check")
    parser.add_argument("--before", type=pathlib.Path, metavar="PROGRAM",
                        help="bench_train_step of an earlier build, which takes its turn: what a change costs or saves")
    parser.add_argument("--json", action="store_true", help="JSON lines in place of a table")
    args = parser.parse_args()
    args.shapes = args.shapes.split(",")
    if not set(args.shapes) <= set(benchmark_work.SHAPES):
        parser.error(f"--shapes knows {', '.join(benchmark_work.SHAPES)}")
    if min(args.threads, args.rounds, args.steps) < 1:
        parser.error("--threads, --rounds and --steps must be at least 1")
    for program in ("bench/bench_train_step", "apps/striate/striate"):
        if not (args.build / program).exists():
            parser.error(f"{args.build / program} is missing: 'make bench-train-step' builds it, or name --build")
    if args.before and not args.before.is_file():
        parser.error(f"--before {args.before} is missing: name bench/bench_train_step of another build folder")
    args.alone = args.alone or args.device == "pretend"
    if args.alone:
        args.check_steps = 0
    elif not pathlib.Path(args.peer_python).exists():
        parser.error(f"{args.peer_python} is missing: 'make bench-train-step' installs it, or name --peer-python")
    return args


def checkpoint(args, name):
    """A model of the shape, written on the first run."""
    if args.checkpoint:
        return args.checkpoint
    folder = args.build / "bench" / f"train-step-{name}"
    if not (folder / "config.json").exists():
        command = [args.build / "apps/striate/striate", "init", "--out", folder]
        command += benchmark_work.SHAPES[name].init_arguments()
        subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)
    return folder


class Case:
    """One shape and region: the workers that measure it, and what each is given."""

    def __init__(self, args, name, region, folder):
        self.args = args
        self.name = name
        self.region = region
        self.shape = benchmark_work.SHAPES[name]
        self.folder = folder
        self.work = benchmark_work.write_work(self.shape, args.steps, folder)
        layers = ",".join(map(str, benchmark_work.region_layers(region, self.shape.layers)))
        self.arguments = ["--model", checkpoint(args, name), "--work", folder / "work.json", "--layers", layers]
        self.arguments += ["--rank", self.shape.rank, *RATES]
        if region.startswith("top"):  # then no backward pass runs below it
            self.arguments.append("--freeze-projector")

    def striate(self, compute, *more):
        program = self.args.build / "bench/bench_train_step"
        arguments = [*self.arguments, "--device", self.args.device, "--compute", compute]
        return Worker("bench_train_step", [program, *arguments, *more])

    def before(self, compute):
        """The earlier build's program. It may not know flags of later ones, so it gets only those that change its work."""
        arguments = [*self.arguments, "--compute", compute, "--policy", self.args.policy]
        if self.args.device != "cpu":
            arguments += ["--device", self.args.device]
        if self.args.frozen_precision != "bf16":
            arguments += ["--frozen-precision", self.args.frozen_precision]
        return Worker("bench_train_step of --before", [self.args.before, *arguments])

    def peer(self, mode, compute, *more):
        script = pathlib.Path(__file__).with_name("peer.py")
        command = [self.args.peer_python, script, *self.arguments, "--mode", mode, "--compute", compute, *more]
        command += ["--device", self.args.device]
        return Worker(f"transformers + PEFT, {mode}, {compute}", command)

    def batches(self, who):
        grouped = who.split()[0] == "best"
        batches = benchmark_work.batches_by_length if grouped else benchmark_work.random_batches
        return batches(self.work, self.shape.batch)


def check_agreement(case, steps, threads):
    """Programs that do different work cannot be compared: the largest relative difference of a step's loss, from the
    same start through the same batches in fp32. Returns it with the losses of the first and last step."""
    start = case.folder / "start.safetensors"
    striate = case.striate("fp32")
    striate.ask(do="export", file=str(start))
    peer = case.peer("best", "fp32", "--initial", start)
    batches = case.batches("striate")
    order = [batches[step % len(batches)] for step in range(steps)]
    losses = [worker.ask(do="train", steps=order, threads=threads)["losses"] for worker in (striate, peer)]
    striate.close()
    peer.close()
    difference = max(abs(ours - theirs) / theirs for ours, theirs in zip(*losses, strict=True))
    if not difference <= LARGEST_LOSS_DIFFERENCE:
        raise SystemExit(f"error: {case.name} {case.region}: losses of Striate and PEFT differ by {difference:.1e}")
    return {"check_steps": steps, "loss_difference": difference, "first_loss": losses[0][0], "last_loss": losses[0][-1]}


def start_workers(case):
    """Striate, the floor in the type it computes in, and the peer in both modes and every type worth measuring."""
    args = case.args
    striate = case.striate(args.compute, "--policy", args.policy, "--frozen-precision", args.frozen_precision)
    compute = striate.greeting["compute"]
    workers = {"striate": striate, "floor": case.striate(compute, "--floor")}
    if args.before:
        workers["before"] = case.before(compute)
    types = [args.peer_compute] if args.peer_compute != "auto" else ["fp32", "bf16"] if compute == "bf16" else ["fp32"]
    for mode in () if args.alone else MODES:
        candidates = {f"{mode} {kind}": case.peer(mode, kind) for kind in types}
        warm = {who: pass_over(case, {who: worker}, 1)[who] for who, worker in candidates.items()}
        for who, worker in candidates.items():
            if warm[who] > HOPELESS * min(warm.values()):
                worker.close()
            else:
                workers[who] = worker
    pass_over(case, {who: workers[who] for who in ("striate", "floor", "before") if who in workers}, 1)
    return workers


def pass_over(case, workers, steps):
    """Seconds of each worker for so many steps, taken one at a time in turn."""
    seconds = dict.fromkeys(workers, 0.0)
    batches = {who: case.batches(who) for who in workers}
    for step in range(steps):
        for who, worker in workers.items():
            reply = worker.ask(do="train", steps=[batches[who][step]], threads=case.args.threads)
            seconds[who] += reply["seconds"][case.args.clock]
    return seconds


def predicted(case, striate, steps):
    """Seconds that `striate plan`'s model of the speed gives for the same steps, from rates it measures now."""
    threads = case.args.threads
    order = case.batches("striate")[:steps]
    seconds = striate.ask(do="predict", steps=order, threads=threads, clock=case.args.clock)["seconds"]
    return seconds * (threads if case.args.clock == "cpu" else 1)


def any_order(case, striate, steps):
    """Seconds of the same steps where gradients may be added up in another order every time."""
    order = case.batches("striate")[:steps]
    replies = [striate.ask(do="train", steps=[batch], threads=case.args.threads, deterministic=False) for batch in order]
    return sum(reply["seconds"][case.args.clock] for reply in replies)


def measure(case, say):
    """One row of the table."""
    args = case.args
    row = {"shape": case.name, "region": case.region, "threads": args.threads, "clock": args.clock}
    agreement = check_agreement(case, args.check_steps, args.threads) if args.check_steps else {}
    if agreement:
        say(f"{case.name} {case.region}: {args.check_steps} losses agree within {agreement['loss_difference']:.1e}")
    workers = start_workers(case)
    rounds = []
    for number in range(args.rounds):
        order = list(workers.items())[:: -1 if number % 2 else 1]
        rounds.append(pass_over(case, dict(order), args.steps))
        if args.device == "cpu":
            rounds[-1]["predicted"] = predicted(case, workers["striate"], args.steps)
        else:
            rounds[-1]["any order"] = any_order(case, workers["striate"], args.steps)
        say(f"{case.name} {case.region}: round {number + 1} of {args.rounds}")
    memory = {who: worker.ask(do="memory")["peak"] for who, worker in workers.items()}
    greeting = workers["striate"].greeting
    for worker in workers.values():
        worker.close()

    median = {who: statistics.median(seconds[who] for seconds in rounds) for who in rounds[0]}
    ratio = lambda above, below: statistics.median(seconds[above] / seconds[below] for seconds in rounds)  # noqa: E731
    tokens = sum(len(s["ids"]) - 1 + case.shape.image_tokens for s in case.work["samples"])
    row |= {"compute": greeting["compute"], "device": greeting["device"], "floors": ratio("striate", "floor"),
            "tokens_per_s": tokens / median["striate"], "step_seconds": median["striate"] / args.steps,
            "floor_step_seconds": median["floor"] / args.steps, "peak_memory": memory["striate"],
            "policy": args.policy, "frozen_precision": args.frozen_precision, "trained": greeting["trained"],
            "cpu": greeting["cpu"], "rounds": args.rounds}
    if "predicted" in median:
        row |= {"predicted_step_seconds": median["predicted"] / args.steps, "predicted": ratio("predicted", "striate")}
    if "before" in median:
        row["before"] = ratio("striate", "before")
    if "any order" in median:  # what a step takes more for the same bits every time
        row["deterministic"] = ratio("striate", "any order")
    for mode in () if args.alone else MODES:
        peer = min((who for who in workers if who.startswith(mode)), key=median.get)
        row |= {f"vs_{mode}": ratio(peer, "striate"), f"{mode}_floors": ratio(peer, "floor"),
                f"{mode}_compute": peer.split()[1], f"{mode}_peak_memory": memory[peer],
                f"memory_vs_{mode}": memory["striate"] / memory[peer]}
    return row | agreement


def print_table(rows):
    print(f"{'':22} {'against (a)':>12} {'against (b)':>12} {'floors':>10} {'memory':>12} {'step':>8} {'tokens/s':>9} "
          f"{'predicted':>9}  losses")
    for row in rows:
        first = row["region"] == benchmark_work.SHAPES[row["shape"]].regions[0]
        goals = GOALS.get(row["shape"], {}) if first else {}
        cells = []
        for key in ("vs_authors", "vs_best", "floors", "memory_vs_best"):
            sign = "<=" if key in ("floors", "memory_vs_best") else ">="
            goal = f" ({sign}{goals[key]})" if goals else ""
            cells.append(f"{row[key]:.2f}{goal}" if key in row else "-")
        agree = f"within {row['loss_difference']:.0e}" if "loss_difference" in row else "not checked"
        guess = f"{row['predicted']:.2f}" if "predicted" in row else "-"
        name = f"{row['shape']} {row['region']}"
        print(f"{name:22} {cells[0]:>12} {cells[1]:>12} {cells[2]:>10} {cells[3]:>12} {row['step_seconds']:7.3f}s "
              f"{row['tokens_per_s']:9.0f} {guess:>9}  {agree}")
    first = rows[0]
    peers = "" if "vs_best" not in first else f", PEFT in {first['authors_compute']} (a) and {first['best_compute']} (b)"
    for row in rows:
        if "before" in row:
            print(f"{row['shape']} {row['region']}: a step takes {row['before']:.3f} times the time of the earlier build's")
        if "deterministic" in row:
            print(f"{row['shape']} {row['region']}: a step with --deterministic on takes {row['deterministic']:.3f} times "
                  f"the time of one with off")
    print(f"{first['threads']} threads, {first['device']}; Striate computes in {first['compute']}{peers}; medians of "
          f"{first['rounds']} rounds, {first['clock']} time")


def main():
    args = parse_args()
    say = (lambda *_: None) if args.json else (lambda text: print(text, file=sys.stderr, flush=True))
    rows = []
    for name in args.shapes:
        regions = args.regions.split(",") if args.regions else benchmark_work.SHAPES[name].regions
        for region in regions:
            with tempfile.TemporaryDirectory() as folder:
                rows.append(measure(Case(args, name, region, pathlib.Path(folder)), say))
            if args.json:
                print(json.dumps(rows[-1]), flush=True)
    if not args.json:
        print_table(rows)


if __name__ == "__main__":
    main()
