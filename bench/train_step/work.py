"""The shapes that bench/train_step measures, and the samples that every program is given."""

import array
import dataclasses
import json
import random

IMAGE = -200  # the one token that stands for a picture's rows
IGNORED = -100
CPU_SHAPES = ("miniature", "wide")  # what a run without --shapes measures
MOST_DRAWN = 1 << 23  # features that are drawn; larger work repeats them


@dataclasses.dataclass(frozen=True)
class Shape:
    layers: int
    hidden: int
    heads: int
    mlp: int
    vocab: int
    image_side: int  # rows are (side / 14)^2
    vision_hidden: int
    text: tuple  # fewest and most text tokens of a sample
    batch: int  # samples in a step
    rank: int
    regions: tuple  # the first is the one with figures to reach

    @property
    def image_tokens(self):
        return (self.image_side // 14) ** 2

    def init_arguments(self):
        """A LLaVA-1.5 of this shape in bf16, as checkpoints are published; its tower is never run."""
        tower = f"--vision-layers 2 --vision-hidden {self.vision_hidden} --vision-heads 4 --vision-mlp 256"
        decoder = f"--layers {self.layers} --hidden {self.hidden} --heads {self.heads} --kv-heads {self.heads}"
        more = f"--mlp {self.mlp} --vocab {self.vocab} --image-size {self.image_side} --dtype bf16 --seed 1"
        return f"--arch llava-1.5-7b {decoder} {tower} {more}".split()


SHAPES = {
    "miniature": Shape(layers=16, hidden=256, heads=4, mlp=704, vocab=2048, image_side=84, vision_hidden=192,
                       text=(12, 60), batch=32, rank=16, regions=("uniform:4", "all", "top:4")),
    "wide": Shape(layers=8, hidden=1024, heads=16, mlp=2816, vocab=32000, image_side=168, vision_hidden=1024,
                       text=(30, 300), batch=4, rank=32, regions=("uniform:2", "all", "top:4")),
    # LLaVA-1.5-7B as the paper tunes it. The peer keeps activations of 4 samples in its best setting, not of 16.
    "llava-7b": Shape(layers=32, hidden=4096, heads=32, mlp=11008, vocab=32064, image_side=336, vision_hidden=1024,
                      text=(64, 640), batch=4, rank=128, regions=("uniform:8", "all")),
    "llava-7b-16k": Shape(layers=32, hidden=4096, heads=32, mlp=11008, vocab=32064, image_side=336, vision_hidden=1024,
                          text=(64, 800), batch=16, rank=128, regions=("uniform:8", "all")),
}


def region_layers(region, depth):
    if region == "all":
        return list(range(depth))
    kind, count = region.split(":")
    count = int(count)
    return {"uniform": [i * depth // count for i in range(count)], "top": list(range(depth - count, depth))}[kind]


def write_work(shape, steps, folder):
    """work.json and its features: samples for `steps` steps, the same for the same shape. A sample is <s>, a picture,
    a question and an answer; the answer, half of the text, is what is learned."""
    draw = random.Random(1)
    samples = []
    for _ in range(steps * shape.batch):
        # The last ids of the vocabulary are the picture's and the padding's.
        text = [draw.randrange(3, shape.vocab - 8) for _ in range(draw.randint(*shape.text) - 1)]
        answer = (len(text) + 1) // 2
        ids = [1, IMAGE, *text]
        samples.append({"ids": ids, "labels": [IGNORED] * (len(ids) - answer) + ids[len(ids) - answer :]})
    count = len(samples) * shape.image_tokens * shape.vision_hidden
    features = array.array("f", (draw.gauss(0, 1) for _ in range(min(count, MOST_DRAWN))))
    features = (features * (count // len(features) + 1))[:count]
    (folder / "features.f32").write_bytes(features.tobytes())
    work = {"image_token": IMAGE, "image_tokens": shape.image_tokens, "vision_hidden": shape.vision_hidden,
            "features": str(folder / "features.f32"), "samples": samples}
    (folder / "work.json").write_text(json.dumps(work))
    return work


def random_batches(work, size):
    """The samples in random order."""
    order = list(range(len(work["samples"])))
    random.Random(2).shuffle(order)
    return [order[i : i + size] for i in range(0, len(order), size)]


def batches_by_length(work, size):
    """The same samples, each batch of similar lengths, the batches in random order."""
    order = sorted(range(len(work["samples"])), key=lambda index: len(work["samples"][index]["ids"]))
    batches = [order[i : i + size] for i in range(0, len(order), size)]
    random.Random(3).shuffle(batches)
    return batches
