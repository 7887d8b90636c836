#!/usr/bin/env python3
"""Measures what scoring layers costs: time beside the plain forward pass, and memory against the number of samples.

Fails (exit 1) when the scores without image attention run below 0.90 of the plain forward pass's speed, or when the peak
memory of many samples is more than a tenth above that of few.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEAST_SHARE = 0.90
MOST_GROWTH = 1.10
TOKENIZER = ROOT / "demo/tokenizer.model"
# Shapes by name: arguments of striate init, then of bench_score.
SMALL_TOWER = ["--vision-layers", 2, "--vision-hidden", 64, "--vision-heads", 2, "--vision-mlp", 128]
SHAPES = {
    "miniature": (["--layers", 16, "--hidden", 256, "--heads", 8, "--mlp", 688, "--image-size", 112, *SMALL_TOWER],
                  ["--samples", 16, "--text-tokens", 96]),
    "wide": (["--layers", 4, "--hidden", 1024, "--heads", 16, "--mlp", 2752, "--image-size", 336, *SMALL_TOWER],
             ["--samples", 2, "--text-tokens", 96]),
    "llava-7b": ([], ["--samples", 16, "--text-tokens", 96]),
}
TINY = ["--layers", 4, "--hidden", 64, "--heads", 4, "--mlp", 128, "--image-size", 56, *SMALL_TOWER]
PICTURES = 40
SIDE = 40


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", help="the build folder")
    parser.add_argument("--device", choices=["cpu", "cuda", "pretend"], default="cpu",
                        help="pretend: the tests' device, which shows that the benchmark runs")
    parser.add_argument("--shapes", default="miniature,wide", help=f"of {', '.join(SHAPES)}; default: %(default)s")
    parser.add_argument("--checkpoint", type=pathlib.Path, help="a model of the one shape; default: made by striate init")
    parser.add_argument("--speed-only", action="store_true", help="no memory, which is the program's on the CPU")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", default="fp32,bf16", help="what to compute in, by commas: auto, fp32, bf16")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--few", type=int, default=100, help="samples of the first run whose memory is measured")
    parser.add_argument("--many", type=int, default=10000, help="samples of the second")
    parser.add_argument("--json", action="store_true", help="JSON lines only")
    args = parser.parse_args()
    args.shapes = args.shapes.split(",")
    if not set(args.shapes) <= set(SHAPES):
        parser.error(f"--shapes knows {', '.join(SHAPES)}")
    if args.rounds < 1 or args.threads < 1 or not 1 <= args.few < args.many:
        parser.error("--rounds and --threads must be at least 1, and --few fewer than --many")
    for program in ["apps/striate/striate", "bench/bench_score"]:
        if not (args.build / program).exists():
            parser.error(f"{args.build / program} is missing: 'make bench-score' builds it, or name --build")
    return args


def run(command, **options):
    return subprocess.run([str(part) for part in command], check=True, text=True, **options)


def checkpoint(args, name, shape):
    """Random weights, written on the first run and kept beside the build."""
    if args.checkpoint:
        return args.checkpoint
    folder = args.build / f"bench/score-{name}"
    if not (folder / "config.json").exists():
        run([args.build / "apps/striate/striate", "init", "--arch", "llava-1.5-7b", *shape, "--tokenizer", TOKENIZER,
             "--dtype", "bf16", "--seed", 1, "--out", folder], stdout=sys.stderr)
    return folder


def speed(args, name, precision):
    shape, stream = SHAPES[name]
    command = [args.build / "bench/bench_score", "--model", checkpoint(args, name, shape), "--precision", precision,
               "--device", args.device, "--threads", args.threads, "--rounds", args.rounds, *stream]
    environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
    row = json.loads(run(command, stdout=subprocess.PIPE, env=environment).stdout)
    return {"what": "speed", "shape": name, **row}


def picture(number):
    """A BMP file of noise."""
    pixels = bytes((i * 31 + number * 97 + i // 61) % 251 for i in range(SIDE * SIDE * 3))
    little = lambda value, size: value.to_bytes(size, "little")
    head = b"BM" + little(54 + len(pixels), 4) + little(0, 4) + little(54, 4) + little(40, 4)
    return head + little(SIDE, 4) * 2 + little(1, 2) + little(24, 2) + bytes(24) + pixels


def write_data(folder, samples):
    (folder / "pictures").mkdir()
    for number in range(PICTURES):
        (folder / "pictures" / f"{number}.bmp").write_bytes(picture(number))
    with open(folder / "data.jsonl", "w") as file:
        for i in range(samples):
            turns = [{"from": "human", "value": f"<image>\nWhat is number {i}?"},
                     {"from": "gpt", "value": f"It is {'very ' * (i % 20)}{i * i}."}]
            file.write(json.dumps({"id": str(i), "image": f"{i % PICTURES}.bmp", "conversations": turns}) + "\n")


def peak_memory(command):
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"error: {' '.join(str(part) for part in command)} failed")
    return usage.ru_maxrss * 1024


def memory(args, precision):
    model = checkpoint(args, "tiny", TINY)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_data(folder, args.many)
        peaks = {}
        for samples in (args.few, args.many):
            peaks[samples] = peak_memory(
                [args.build / "apps/striate/striate", "score", "--model", model, "--data", folder / "data.jsonl",
                 "--images", folder / "pictures", "--samples", samples, "--out", folder / "scores.json", "--threads",
                 args.threads, "--precision", precision, "--tokens-per-stream", 2048])
    return {"what": "memory", "precision": precision, "few": args.few, "many": args.many, "few_bytes": peaks[args.few],
            "many_bytes": peaks[args.many], "growth": peaks[args.many] / peaks[args.few]}


def print_table(rows):
    print(f"{'shape':10} {'layers':>6} {'hidden':>6} {'compute':>7} {'tokens':>6} {'forward tokens/s':>16} "
          f"{'scores (cpu)':>15} {'with image attention':>21}")
    for row in rows:
        if row["what"] == "speed":
            scores = f"{row['scores_share']:.3f} ({row['scores_share_cpu']:.3f})"
            attention = f"{row['with_image_attention_share']:.3f} ({row['with_image_attention_share_cpu']:.3f})"
            print(f"{row['shape']:10} {row['layers']:6} {row['hidden']:6} {row['compute']:>7} {row['tokens']:6} "
                  f"{row['forward_tokens_per_s']:16.0f} {scores:>15} {attention:>21}")
    print("scores, with image attention: speed as a share of the plain forward pass, median of the ratios of all rounds; "
          "in brackets by the processor time of all threads")
    for row in rows:
        if row["what"] == "memory":
            print(f"peak memory, {row['precision']}: {row['few']} samples {row['few_bytes'] / 1e6:.1f} MB, {row['many']} samples "
                  f"{row['many_bytes'] / 1e6:.1f} MB ({row['growth']:.3f})")


def main():
    args = parse_args()
    rows = []
    for name in args.shapes:
        for precision in args.precision.split(","):
            if not args.json:
                print(f"{name}, {precision}", file=sys.stderr, flush=True)
            rows.append(speed(args, name, precision))
            if args.json:
                print(json.dumps(rows[-1]), flush=True)
    for precision in () if args.speed_only else args.precision.split(","):
        if not args.json:
            print(f"memory, {precision}", file=sys.stderr, flush=True)
        rows.append(memory(args, precision))
        if args.json:
            print(json.dumps(rows[-1]), flush=True)
    if not args.json:
        print_table(rows)
    cpu = args.device == "cpu"  # the least share is a CPU's
    slow = [row for row in rows if cpu and row["what"] == "speed" and row["scores_share"] < LEAST_SHARE]
    grown = [row for row in rows if row["what"] == "memory" and row["growth"] > MOST_GROWTH]
    for row in slow:
        print(f"below {LEAST_SHARE}: {row['shape']} {row['compute']} {row['scores_share']:.3f}", file=sys.stderr)
    for row in grown:
        print(f"memory grew to {row['growth']:.3f} times", file=sys.stderr)
    return 1 if slow or grown else 0


if __name__ == "__main__":
    sys.exit(main())
