"""Comparisons of two things: base_pairs.py OUT COUNT FILE... asks about the scenes of rendered texts (scripts/make-base.sh).

`striate mini render` asks `compare` about a scene only if the scene allows both answers, which scenes of two objects seldom
do. A decoder learns to compare in such scenes first. Each of the six pairs of comparison and answer is equally frequent."""

import json
import random
import sys

COMPARISONS = {"color": "the same color as", "shape": "the same shape as", "size": "larger than"}


def objects(scene):
    for cell in scene.removeprefix("Scene: ").split():
        if cell != "_" and not cell.startswith("text-"):
            yield dict(zip(("size", "color", "shape"), cell.split("-")))


def question(things, compared, draws):
    """A question and its answer, or None where fewer than two objects have a name of their own."""
    named_by = {"color": "shape", "shape": "color"}.get(compared) or draws.choice(("color", "shape"))
    named = [thing for thing in things if sum(other[named_by] == thing[named_by] for other in things) == 1]
    if len(named) < 2:
        return None
    a, b = draws.sample(named, 2)
    first, second = (thing["shape"] if named_by == "shape" else f"{thing['color']} object" for thing in (a, b))
    yes = (a["size"], b["size"]) == ("large", "small") if compared == "size" else a[compared] == b[compared]
    return f"Is the {first} {COMPARISONS[compared]} the {second}?", "yes" if yes else "no"


def main(out, count, *files):
    draws = random.Random(1)
    asked = {}
    for file in files:
        for sample in json.load(open(file)):
            scene, newline, _ = sample["conversations"][0]["value"].partition("\n")
            if not newline or not scene.startswith("Scene: "):
                continue
            things = list(objects(scene))
            for compared in COMPARISONS:
                pair = question(things, compared, draws) if len(things) > 1 else None
                if pair:
                    asked.setdefault((compared, pair[1]), []).append((scene, *pair))
    each = min(int(count) // len(asked), *map(len, asked.values()))
    chosen = [one for of_a_kind in asked.values() for one in draws.sample(of_a_kind, each)]
    draws.shuffle(chosen)
    samples = [{"id": f"pair-{number}", "conversations": [{"from": "human", "value": f"{scene}\n{text}"},
                                                         {"from": "gpt", "value": answer}]}
               for number, (scene, text, answer) in enumerate(chosen)]
    with open(out, "w") as file:
        json.dump(samples, file)
    print(f"{out}: {len(samples)} texts")


main(*sys.argv[1:])
