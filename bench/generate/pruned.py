#!/usr/bin/env python3
"""Measures what pruning buys when a model answers: a model, and the same model without some of its layers.

Both are loaded at once and measured in turn, one command at a time, so that whatever else the machine does meets both
alike. Ratios are taken within a round; their medians are reported beside the shares of layers, of products and of bytes
that the pruned model has left.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from worker import Worker  # noqa: E402

from run import PROMPT_TOKENS, prompts  # noqa: E402

# Layers wide enough for their products, not the head or the time between them, to be nearly all of the work.
SHAPE = "--hidden 1024 --heads 8 --mlp 2752 --vision-layers 2 --vision-hidden 64 --vision-heads 2 --vision-mlp 128".split()
LARGEST_DEVIATION = 0.03


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", help="the build folder")
    parser.add_argument("--layers", type=int, default=32, help="decoder layers of the whole model")
    parser.add_argument("--remove", type=int, default=4, help="layers that the other one is without")
    parser.add_argument("--device", choices=["cpu", "cuda", "pretend"], default="cpu",
                        help="pretend: the tests' device, which shows that the benchmark runs")
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto", help="both compute in")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=32, help="tokens to decode in a round")
    parser.add_argument("--check", action="store_true",
                        help=f"fail if time or memory deviates by more than {LARGEST_DEVIATION:.0%} from the share of layers")
    parser.add_argument("--json", action="store_true", help="JSON lines only")
    args = parser.parse_args()
    if min(args.rounds, args.steps, args.threads) < 1 or not 0 < args.remove < args.layers:
        parser.error("--rounds, --steps and --threads must be at least 1, and some layers must stay")
    for program in ("bench/bench_generate", "apps/striate/striate"):
        if not (args.build / program).exists():
            parser.error(f"{args.build / program} is missing: 'make bench-generate' builds it, or name --build")
    return args


def models(args):
    """The folders of the whole model and of the pruned one, written on the first run (bf16, random weights)."""
    striate = args.build / "apps/striate/striate"
    whole = args.build / f"bench/pruned/whole-{args.layers}"
    pruned = args.build / f"bench/pruned/{args.layers}-without-{args.remove}"
    # Evenly spread and none at either end, as pruning outside a region chooses them.
    gone = ",".join(str((2 * i + 1) * args.layers // (2 * args.remove)) for i in range(args.remove))
    commands = {
        whole: ["init", "--arch", "llava-1.5-7b", "--layers", args.layers, *SHAPE, "--dtype", "bf16", "--seed", 1],
        pruned: ["prune", "--model", whole, "--region", "none", "--layers", gone, "--no-verify"],
    }
    for folder, command in commands.items():
        if not (folder / "config.json").exists():
            subprocess.run([str(part) for part in (striate, *command, "--out", folder)], check=True, stdout=sys.stderr)
    return {"whole": whole, "pruned": pruned}


def measure(workers, args, say):
    """Seconds per token of each kind of work and model, one figure for each round."""
    seconds = {(what, who): [] for what in ("prefill", "decode") for who in workers}
    for number in range(-1, args.rounds):  # the first round warms up
        for what in ("prefill", "decode"):
            for who in list(workers)[:: -1 if number % 2 else 1]:
                command = {"do": what, "prompt": "text", "threads": args.threads}
                reply = workers[who].ask(**command, **({"steps": args.steps} if what == "decode" else {}))
                if number >= 0:
                    seconds[what, who].append(reply["seconds"] / reply["tokens"])
        if number >= 0:
            say(f"round {number + 1} of {args.rounds}")
    return seconds


def weight_bytes(folder):
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def results(seconds, workers, folders, args):
    """One row for each kind of work, and one for the weights."""
    share = (args.layers - args.remove) / args.layers
    greeting = {who: worker.greeting for who, worker in workers.items()}

    def work(who, what):
        of = greeting[who]
        return of["bytes_per_step"] if what == "decode" else of["flops_per_token"] + of["flops_per_logits"] / PROMPT_TOKENS

    common = {"layers": args.layers, "removed": args.remove, "share_of_layers": share,
              "threads": args.threads, "compute": greeting["whole"]["compute"], "device": greeting["whole"]["device"]}
    for what in ("prefill", "decode"):
        whole, pruned = seconds[what, "whole"], seconds[what, "pruned"]
        yield {"what": what, **common,
               "whole_tokens_per_s": 1 / statistics.median(whole), "pruned_tokens_per_s": 1 / statistics.median(pruned),
               "ratio": statistics.median(p / w for w, p in zip(whole, pruned, strict=True)),
               "counted_ratio": work("pruned", what) / work("whole", what)}
    whole, pruned = weight_bytes(folders["whole"]), weight_bytes(folders["pruned"])
    yield {"what": "weights", **common, "whole_bytes": whole, "pruned_bytes": pruned, "ratio": pruned / whole,
           "counted_ratio": pruned / whole}


def print_table(rows):
    first = rows[0]
    print(f"{first['layers'] - first['removed']} of {first['layers']} layers: a share of {first['share_of_layers']:.3f} "
          f"({first['compute']}, {first['threads']} threads)")
    print(f"{'':10} {'whole':>14} {'pruned':>14} {'ratio':>7} {'counted':>8}")
    for row in rows:
        if row["what"] == "weights":
            figures = [f"{row[who + '_bytes'] / 1e6:.1f} MB" for who in ("whole", "pruned")]
        else:
            figures = [f"{row[who + '_tokens_per_s']:.1f} tok/s" for who in ("whole", "pruned")]
        print(f"{row['what']:10} {figures[0]:>14} {figures[1]:>14} {row['ratio']:7.3f} {row['counted_ratio']:8.3f}")


def main():
    args = parse_args()
    folders = models(args)
    say = (lambda *_: None) if args.json else (lambda text: print(text, file=sys.stderr, flush=True))
    workers = {who: Worker(who, [args.build / "bench/bench_generate", "--model", folder, "--device", args.device,
                                 "--precision", args.precision]) for who, folder in folders.items()}
    for worker in workers.values():
        worker.ask(set="text", ids=prompts()["text"])
    rows = list(results(measure(workers, args, say), workers, folders, args))
    for worker in workers.values():
        worker.close()
    if args.json:
        for row in rows:
            print(json.dumps(row), flush=True)
    else:
        print_table(rows)
    far = [row["what"] for row in rows if abs(row["ratio"] / row["share_of_layers"] - 1) > LARGEST_DEVIATION]
    if args.check and far:
        raise SystemExit(f"error: more than {LARGEST_DEVIATION:.0%} from the share of layers: {', '.join(far)}")


if __name__ == "__main__":
    main()
