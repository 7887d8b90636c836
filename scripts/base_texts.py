"""Chooses among rendered texts: base_texts.py OUT FILE[:COUNT][:WORD,WORD...] ... joins the first COUNT samples of each
file, of which only the questions that contain one of the words are kept."""

import json
import os
import sys


def chosen(argument):
    path, count, words = (argument.split(":") + ["", ""])[:3]
    for sample in json.load(open(path))[: int(count) if count else None]:
        turns, first = sample["conversations"], sample["conversations"][0]["value"]
        scene = first[: first.find("\n") + 1] if first.startswith("Scene: ") else ""
        pairs = [(a["value"].removeprefix(scene), b) for a, b in zip(turns[::2], turns[1::2])]
        if words:
            pairs = [(question, answer) for question, answer in pairs if any(word in question for word in words.split(","))]
        if pairs:
            kept = [turn for question, answer in pairs for turn in ({"from": "human", "value": question}, answer)]
            kept[0] = {"from": "human", "value": scene + kept[0]["value"]}
            yield {"id": sample["id"], "conversations": kept}


def main(out, *arguments):
    samples = [sample for argument in arguments for sample in chosen(argument)]
    for number, sample in enumerate(samples):
        sample["id"] = f"{number}-{sample['id']}"
    with open(out + ".part", "w") as file:
        json.dump(samples, file)
    os.replace(out + ".part", out)
    print(f"{out}: {len(samples)} texts")


main(*sys.argv[1:])
