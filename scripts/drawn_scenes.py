"""Drawings in NLVR's manner, and the same scenes as text: what scripts/real-data.sh gives to a vision tower and to a
decoder before they meet. The scenes are random ones; no picture of the data is read.

    python drawn_scenes.py pictures COUNT OUT    OUT/drawn/*.png and OUT/drawn.json: each with its raster in digits
    python drawn_scenes.py texts COUNT OUT       OUT/texts.json: rasters in letters with questions, no pictures

A scene is three boxes of 100x100 with objects (colour, shape, size, x, y), scattered or stacked to a tower. Its raster
names what has its middle in each of 8x8 cells of 50x12.5 pixels, which are a tower's patches of a stretched picture.
"""

import collections
import json
import pathlib
import random
import struct
import sys
import zlib

COLOURS = "black", "blue", "yellow"
SHAPES = "circle", "square", "triangle"
PALETTE = bytes.fromhex("d3d3d3 808080 000000 0099ff ffff00")  # box, gap, and the colours
KINDS = ".abcdefghi"  # in texts; in captions the digits 0 to 9
SHORT = "\nAnswer the question using a single word or phrase."
QUESTIONS_A_TEXT = 7  # and a tally


def spans(shape, size):
    """First and last column of each row of a shape."""
    if shape == "square":
        return [(0, size)] * size
    if shape == "triangle":
        return [(round((size - row - 1) / 2), round((size + row + 1) / 2)) for row in range(size)]
    widths = [((size / 2) ** 2 - (row + 0.5 - size / 2) ** 2) ** 0.5 for row in range(size)]
    return [(round(size / 2 - w), round(size / 2 + w)) for w in widths]


def stacked(rnd, colours):
    return [(rnd.choice(colours), 1, 20, 40, 100 - 21 * (i + 1)) for i in range(rnd.randint(1, 4))]


def scattered(rnd, colours):
    box = []
    for _ in range(rnd.randint(1, 8)):
        for _ in range(20):
            size = rnd.choice((10, 20, 30))
            x, y = rnd.randint(0, 100 - size), rnd.randint(0, 100 - size)
            x, y = (100 - size if rnd.random() < 0.1 else x), (100 - size if rnd.random() < 0.25 else y)
            if all(x + size <= a or a + s <= x or y + size <= b or b + s <= y for _, _, s, a, b in box):
                box.append((rnd.choice(colours), rnd.randrange(3), size, x, y))
                break
    return box


def cell(box, thing):
    _, _, size, x, y = thing
    return int((y + size / 2) // 12.5) * 8 + int((150 * box + x + size / 2) // 50)


def scene(rnd):
    """Three boxes, a quarter of the scenes without one of the colours; of objects that share a cell the first stays."""
    fill = rnd.choice((stacked, scattered))
    colours = rnd.sample(range(3), 2 if rnd.random() < 0.25 else 3)
    boxes = [fill(rnd, colours) for _ in range(3)]
    return [list({cell(i, thing): thing for thing in reversed(box)}.values()) for i, box in enumerate(boxes)]


def raster(boxes):
    """The kind, 1 to 9, of what is in each cell; 0: nothing."""
    cells = [0] * 64
    for i, box in enumerate(boxes):
        for thing in box:
            cells[cell(i, thing)] = 3 * thing[0] + thing[1] + 1
    return cells


def png(boxes):
    row = b"\0" * 100 + (b"\1" * 50 + b"\0" * 100) * 2
    rows = [bytearray(row) for _ in range(100)]
    for i, box in enumerate(boxes):
        for colour, shape, size, x, y in box:
            for down, (first, end) in enumerate(spans(SHAPES[shape], size)):
                left = 150 * i + x
                rows[y + down][left + first : left + end] = bytes([colour + 2]) * (end - first)

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 400, 100, 8, 3, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 1)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*part) for part in [(b"IHDR", header), (b"PLTE", PALETTE), (b"IDAT", pixels), (b"IEND", b"")])


def question(boxes, rnd):
    """One of the data's six kinds of questions, counts more often, and the answer; None where colours tie, and for most
    colours that are there, so that a third of those asked about are not."""
    things = [thing for box in boxes for thing in box]
    colours = collections.Counter(thing[0] for thing in things)
    colour, shape = rnd.randrange(3), rnd.randrange(3)
    of_shape = [thing for thing in things if thing[1] == shape]
    yes_no = ("No", "Yes")
    kind = rnd.choice((0, 1, 1, 1, 2, 3, 4, 4, 5, 5, 5, 5))
    if kind == 0:
        first, *others = colours.most_common(2)
        tie = others and others[0][1] == first[1]
        return None if tie else ("Which colour is most common?", COLOURS[first[0]].capitalize())
    if kind == 1:
        there = colours[colour] > 0
        dropped = there and rnd.random() < 0.85
        return None if dropped else (f"Are there any {COLOURS[colour]} objects?", yes_no[there])
    if kind == 2:
        there = any(thing[0] == colour for thing in of_shape)
        return f"Is there a {COLOURS[colour]} {SHAPES[shape]}?", yes_no[there]
    if kind == 3:
        return "How many objects are in the box with the most objects?", str(max(map(len, boxes)))
    if kind == 4:
        return f"How many {SHAPES[shape]}s are there in total?", str(len(of_shape))
    return f"How many {COLOURS[colour]} objects are there in total?", str(colours[colour])


def tally(boxes):
    """Every colour and shape with its count: many counts in few words."""
    things = [thing for box in boxes for thing in box]
    counts = [(name, sum(thing[part] == i for thing in things))
              for part, names in enumerate((COLOURS, SHAPES)) for i, name in enumerate(names)]
    return "How many of each?", " ".join(f"{name} {count}" for name, count in counts)


def turns(prompts_and_answers):
    return [{"from": who, "value": text} for pair in prompts_and_answers for who, text in zip(("human", "gpt"), pair)]


def text(boxes, rnd):
    """The raster in letters and different questions, the first with the data's wish for short answers; then a tally."""
    asked = {}
    while len(asked) < QUESTIONS_A_TEXT:
        asked.update(filter(None, [question(boxes, rnd)]))
    told = "Picture: " + " ".join(KINDS[kind] for kind in raster(boxes)) + "\n"
    (first, answer), *others = asked.items()
    return turns([(told + first + SHORT, answer), *others, tally(boxes)])


def pictures(count, out):
    rnd, records = random.Random(1), []
    (out / "drawn").mkdir(parents=True)
    for i in range(count):
        boxes, name = scene(rnd), f"drawn/{i:05}.png"
        (out / name).write_bytes(png(boxes))
        caption = "".join(map(str, raster(boxes)))
        records.append({"id": f"drawn-{i}", "image": name, "conversations": turns([("<image>", caption)])})
    (out / "drawn.json").write_text(json.dumps(records))


def texts(count, out):
    rnd = random.Random(2)
    records = [{"id": f"told-{i}", "conversations": text(scene(rnd), rnd)} for i in range(count)]
    (out / "texts.json").write_text(json.dumps(records))


if __name__ == "__main__":
    {"pictures": pictures, "texts": texts}[sys.argv[1]](int(sys.argv[2]), pathlib.Path(sys.argv[3]))
