"""The gates of scripts/gate-base.sh: gate_base.py STRIATE MODEL WORLD OUT."""

import json
import pathlib
import shutil
import subprocess
import sys

LEAST_ACCURACY = 90.0  # percent, of each kind that is a gate
LEAST_DISTANCE = 0.02  # angular, of each layer
SCENE_KINDS = ("color", "exist", "position", "relation", "compare")
TEXT_TASKS = ("facts", "sum", "string", "logic")
PRUNED_QUESTIONS = {"mini-words": 2000, "mini-text": 1000}  # asked of a model without one of its layers


class Gates:
    def __init__(self):
        self.failed = 0

    def check(self, holds, what):
        self.failed += not holds
        print(f"{'holds    ' if holds else 'FAILS    '} {what}", flush=True)


class Program:
    def __init__(self, striate, out):
        self.striate, self.out = striate, out

    def __call__(self, *arguments):
        result = subprocess.run([self.striate, *map(str, arguments)], capture_output=True, text=True)
        if result.returncode != 0:
            sys.exit(f"{result.stderr}error: striate {arguments[0]} ended with {result.returncode}")
        return result.stdout

    def accuracy(self, name, model, benchmark, data, limit=0):
        """Percent by kind, and the mean over the kinds."""
        shutil.rmtree(self.out / name, ignore_errors=True)
        printed = self("eval", "run", "--model", model, "--benchmark", benchmark, "--data", data, "--limit", limit, "--draws", 0,
                       "--precision", "fp32", "--out", self.out / name, "--json")
        score = json.loads(printed)["benchmarks"][0]["scores"][0]
        return {kind["value"]: kind["score"] for kind in score["kinds"]["kind"]}, score["headline"]["value"]


def accuracies(gates, title, kinds, measured):
    for kind in kinds:
        gates.check(measured[kind] >= LEAST_ACCURACY, f"{title}: {kind:9} {measured[kind]:6.2f}% (at least {LEAST_ACCURACY:.0f}%)")
    for kind in sorted(set(measured) - set(kinds)):
        print(f"          {title}: {kind:9} {measured[kind]:6.2f}%")


def distances(gates, program, model, world):
    scores = json.loads(program("score", "--model", model, "--data", world / "text_test.json", "--metrics", "angular", "--samples",
                                300, "--precision", "fp32", "--out", program.out / "scores.json", "--overwrite", "--json"))
    means = scores["angular"]["1"]["mean"]
    lowest = min(range(len(means)), key=means.__getitem__)
    gates.check(means[lowest] >= LEAST_DISTANCE,
                f"angular distance: the lowest is {means[lowest]:.4f}, of layer {lowest} (at least {LEAST_DISTANCE})")
    return len(means)


def removals(gates, program, model, world, layers):
    def answered(name, of):
        """Percent, the mean over the kinds of both benchmarks."""
        kinds = {}
        for benchmark, limit in PRUNED_QUESTIONS.items():
            kinds |= program.accuracy(name, of, benchmark, world, limit)[0]
        return sum(kinds.values()) / len(kinds)

    whole, costs = answered("whole", model), {}
    for layer in range(layers):
        pruned = program.out / "pruned"
        shutil.rmtree(pruned, ignore_errors=True)
        program("prune", "--model", model, "--region", "none", "--layers", layer, "--no-verify", "--out", pruned)
        costs[layer] = whole - answered("without-a-layer", pruned)
    print("          scenes in words and text tasks: lost without one layer, in points: " +
          " ".join(f"{layer}:{cost:.1f}" for layer, cost in costs.items()))
    free = [layer for layer, cost in costs.items() if cost <= 0]
    gates.check(not free, "removing any single layer costs text accuracy" + (f"; not layers {free}" if free else ""))


def main(striate, model, world, out):
    world, out = pathlib.Path(world), pathlib.Path(out)
    gates, program = Gates(), Program(striate, out)
    accuracies(gates, "scenes in words", SCENE_KINDS, program.accuracy("words", model, "mini-words", world)[0])
    accuracies(gates, "text tasks", TEXT_TASKS, program.accuracy("text", model, "mini-text", world)[0])
    removals(gates, program, model, world, distances(gates, program, model, world))
    print("all gates hold" if gates.failed == 0 else f"{gates.failed} gates do not hold")
    sys.exit(gates.failed > 0)


main(*sys.argv[1:])
