"""500 generated pictures come out as Pillow and the Hugging Face processors (their Pillow path) make them.

The pictures cover what Pillow can save: every mode of the five formats, odd sizes down to one pixel, EXIF turns,
progressive and subsampled JPEGs, transparent and animated files; and what it can only read: interlaced PNGs of every
depth, BMPs of run lengths and masks. `image_probe` (tests/image/probe), named by
STRIATE_IMAGE_PROBE, decodes and fits them; see docs/images.md for what must be the same bit for bit.
"""

import os
import random
import struct
import subprocess
import zlib
from collections import Counter

import numpy as np
import pytest
from PIL import Image

try:
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil as CLIPImageProcessor
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil as SiglipImageProcessor
except ImportError:  # before transformers 5 the plain name is the Pillow path
    from transformers import CLIPImageProcessor, SiglipImageProcessor

PICTURES = 500
SEED = 20240229
PIPELINES = ["clip336_pad", "clip336_nopad", "siglip384_pad", "siglip384_nopad"]
SIDES = [1, 2, 3, 5, 7, 8, 13, 16, 17, 31, 33, 64, 99, 150, 223, 336, 337, 384, 400, 511]
MAX_ASPECT = 40  # Hugging Face's path builds the whole resized strip before it crops

PROBE = os.environ.get("STRIATE_IMAGE_PROBE")
pytestmark = [
    pytest.mark.skipif(not PROBE, reason="STRIATE_IMAGE_PROBE does not name the image_probe program"),
    pytest.mark.filterwarnings("ignore:Palette images with Transparency"),
]


# ---------------------------------------------------------------------------------------------- making the pictures


def size_of(rng):
    while True:
        width, height = rng.choice(SIDES), rng.choice(SIDES)
        if max(width, height) <= MAX_ASPECT * min(width, height):
            return width, height


def content(rng, width, height, channels):
    """Waves, an edge and some noise: smooth parts, sharp parts and every level."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = []
    for _ in range(channels):
        wave = np.sin(x * rng.uniform(0.01, 0.6) + y * rng.uniform(0.01, 0.6) + rng.uniform(0, 6))
        plane = 128 + rng.uniform(40, 140) * wave
        if rng.random() < 0.5:
            plane[:, int(width * rng.random()) :] += rng.choice([-150, 150])
        noise = np.random.default_rng(rng.getrandbits(32)).normal(0, rng.choice([0, 3, 25]), plane.shape)
        planes.append(plane + noise)
    return np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8)


def picture(rng, mode, width, height):
    if mode == "I;16":
        low = content(rng, width, height, 1)[..., 0].astype(np.uint16)
        return Image.fromarray(low * rng.choice([1, 3, 257]))
    if mode in ("1", "L", "P"):
        grey = Image.fromarray(content(rng, width, height, 1)[..., 0])
        if mode == "1":
            return grey.convert("1")
        if mode == "L":
            return grey
        rgb = Image.fromarray(content(rng, width, height, 3))
        return rgb.quantize(rng.choice([2, 3, 4, 15, 16, 17, 100, 256]), method=Image.Quantize.MEDIANCUT)
    channels = {"LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    return Image.frombytes(mode, (width, height), content(rng, width, height, channels).tobytes())


def exif_turn(rng):
    exif = Image.Exif()
    exif[0x0112] = rng.randint(1, 8)
    return exif.tobytes()


def jpeg(rng, image, path):
    options = {"quality": rng.choice([5, 40, 75, 90, 95, 100]), "progressive": rng.random() < 0.4}
    if image.mode == "RGB":
        options["keep_rgb"] = rng.random() < 0.15  # no YCbCr inside, and so nothing to subsample
        options["subsampling"] = 0 if options["keep_rgb"] else rng.choice([0, 1, 2])
    if rng.random() < 0.2:
        options["restart_marker_blocks"] = rng.randint(1, 9)
    if rng.random() < 0.5:
        options["exif"] = exif_turn(rng)
    image.save(path, "JPEG", **options)


def png(rng, image, path):
    options = {"compress_level": rng.choice([0, 1, 6, 9])}
    if rng.random() < 0.4:
        if image.mode == "P":
            colours = len(image.getcolors())
            alphas = bytes(rng.randrange(256) for _ in range(colours))
            options["transparency"] = rng.choice([rng.randrange(colours), alphas])
        elif image.mode in ("1", "L", "I;16"):
            options["transparency"] = rng.choice([0, 255])
        elif image.mode == "RGB":
            options["transparency"] = image.getpixel((0, 0))
    if rng.random() < 0.3:
        options["exif"] = exif_turn(rng)
    image.save(path, "PNG", **options)


def webp(rng, image, path):
    options = {"lossless": rng.random() < 0.4, "quality": rng.choice([10, 60, 80, 100]), "method": rng.choice([0, 4])}
    options["exact"] = rng.random() < 0.5
    if rng.random() < 0.3:
        options["exif"] = exif_turn(rng)
    if rng.random() < 0.15:
        second = Image.fromarray(content(rng, image.width, image.height, 3))
        image.save(path, "WEBP", save_all=True, append_images=[second], duration=100, **options)
    else:
        image.save(path, "WEBP", **options)


def gif(rng, image, path):
    options = {"interlace": rng.choice([0, 1]), "optimize": rng.random() < 0.3}
    if rng.random() < 0.4:
        options["transparency"] = rng.choice([0, 1, 255])
    if rng.random() < 0.3:
        second = Image.fromarray(content(rng, image.width, image.height, 3)).quantize(16)
        options.update(save_all=True, append_images=[second], duration=100, disposal=rng.choice([0, 1, 2, 3]))
    image.save(path, "GIF", **options)
    if rng.random() < 0.4:
        enlarge_screen(rng, path)


def enlarge_screen(rng, path):
    """Gives the file a larger logical screen, and the first frame a place on it."""
    data = bytearray(path.read_bytes())
    frame = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    while data[frame] != ord(","):  # an extension: its blocks end with an empty one
        frame += 2
        while data[frame]:
            frame += 1 + data[frame]
        frame += 1
    for axis in (0, 2):
        more = rng.randint(0, 9)
        side = int.from_bytes(data[6 + axis : 8 + axis], "little") + more
        data[6 + axis : 8 + axis] = side.to_bytes(2, "little")
        data[frame + 1 + axis : frame + 3 + axis] = rng.randint(0, more).to_bytes(2, "little")
    path.write_bytes(data)


def bmp(rng, image, path):
    image.save(path, "BMP")
    if image.mode == "RGB" and rng.random() < 0.3:
        turn_upside_down(path)


def turn_upside_down(path):
    """Negates the height: the rows then run from the top."""
    data = bytearray(path.read_bytes())
    height = int.from_bytes(data[22:26], "little")
    data[22:26] = (2**32 - height).to_bytes(4, "little")
    path.write_bytes(data)


# Files that Pillow reads but does not write: made here byte by byte.

ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
PNG_KINDS = [(d, 0, 1) for d in (1, 2, 4, 8, 16)] + [(d, 3, 1) for d in (1, 2, 4, 8)]
PNG_KINDS += [(d, t, c) for d in (8, 16) for t, c in ((2, 3), (4, 2), (6, 4))]


def packed_row(samples, depth):
    if depth == 16:
        return samples.astype(">u2").tobytes()
    if depth == 8:
        return samples.astype(np.uint8).tobytes()
    bits = np.unpackbits(samples.astype(np.uint8).reshape(-1, 1), axis=1)[:, 8 - depth :]
    return np.packbits(bits.reshape(-1)).tobytes()


def raw_png(rng, image, path):
    """Any depth and colour type, interlaced or not, every row left unfiltered or filtered by its left neighbour."""
    depth, colour_type, channels = rng.choice(PNG_KINDS)
    interlaced = rng.random() < 0.7
    samples = content(rng, image.width, image.height, channels).astype(np.uint16)
    samples = samples * rng.choice([1, 257]) if depth == 16 else samples >> (8 - depth)
    rows = b""
    for x, y, step_x, step_y in ADAM7 if interlaced else [(0, 0, 1, 1)]:
        part = samples[y::step_y, x::step_x]
        if part.size == 0:
            continue
        stride = max(1, depth * channels // 8)
        for row in part:
            raw = packed_row(row.reshape(-1), depth)
            if rng.random() < 0.5:
                left = bytes(stride) + raw[:-stride]
                rows += b"\1" + bytes((a - b) & 255 for a, b in zip(raw, left))
            else:
                rows += b"\0" + raw

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", image.width, image.height, depth, colour_type, 0, 0, int(interlaced))
    palette = rng.randbytes(3 * rng.choice([2, 1 << depth])) if colour_type == 3 else b""
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    if palette:
        data += chunk(b"PLTE", palette)
        if rng.random() < 0.3:
            data += chunk(b"tRNS", rng.randbytes(2))
    path.write_bytes(data + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def run_lengths(row, bits):
    """A row of indices as runs and literals."""
    out = b""
    at = 0
    while at < len(row):
        run = 1
        while at + run < len(row) and run < 255 and row[at + run] == row[at]:
            run += 1
        left = len(row) - at
        if run == 1 and left >= 3:
            count = min(left, 100)
            count -= count % 2 if bits == 4 else 0  # Pillow before 13 loses the last of an odd number
            literal = bytes(row[at : at + count])
            if bits == 4:
                literal = bytes(a << 4 | b for a, b in zip(literal[::2], literal[1::2]))
            out += bytes([0, count]) + literal + bytes(len(literal) % 2)
            at += count
        else:
            out += bytes([run, row[at] * 17 if bits == 4 else row[at]])
            at += run
    return out


def raw_bmp(rng, image, path):
    """Run lengths of 4 and 8 bits, plain 4 bits, 16 and 32 bits with and without masks, OS/2 headers."""
    kind = rng.choice(["rle8", "rle4", "bits4", "os2", "555", "565", "masks32", "plain32"])
    width, height = image.size
    bits = {"rle8": 8, "rle4": 4, "bits4": 4, "os2": 8, "555": 16, "565": 16}.get(kind, 32)
    compression = {"rle8": 1, "rle4": 2, "565": 3, "masks32": 3}.get(kind, 0)
    masks = {"565": (0xF800, 0x7E0, 0x1F), "masks32": (0xFF0000, 0xFF00, 0xFF)}.get(kind, ())
    extra = struct.pack(f"<{len(masks)}I", *masks)
    if bits <= 8:
        entry = 3 if kind == "os2" else 4
        extra = rng.randbytes(entry << bits)
        indices = content(rng, width, height, 1)[..., 0] >> (8 - bits)
    if kind.startswith("rle"):
        pixels = b"".join(run_lengths([int(v) for v in row], bits) + b"\0\0" for row in indices) + b"\0\1"
    elif bits <= 8:
        rows = [packed_row(row, bits) for row in indices]
        pixels = b"".join(row + bytes(-len(row) % 4) for row in rows)
    else:
        row = width * bits // 8
        pixels = b"".join(rng.randbytes(row) + bytes(-row % 4) for _ in range(height))
    if kind == "os2":
        header = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    offset = 14 + len(header) + len(extra)
    path.write_bytes(b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset) + header + extra + pixels)


FORMATS = {
    "jpg": (jpeg, ["RGB", "RGB", "RGB", "L", "CMYK"]),
    "png": (png, ["1", "L", "LA", "P", "P", "RGB", "RGBA", "I;16", "raw", "raw"]),
    "webp": (webp, ["RGB", "RGB", "RGBA", "L"]),
    "gif": (gif, ["1", "L", "P", "P", "RGB", "RGBA"]),
    "bmp": (bmp, ["1", "L", "P", "RGB", "RGBA", "raw", "raw"]),
}
RAW = {"png": raw_png, "bmp": raw_bmp}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    rng = random.Random(SEED)
    made = []
    kinds = [(extension, mode) for extension, (_, modes) in FORMATS.items() for mode in modes]
    for index in range(PICTURES):
        extension, mode = kinds[index % len(kinds)]
        image = picture(rng, "L" if mode == "raw" else mode, *size_of(rng))
        path = folder / f"{index:03d}_{mode.replace(';', '')}_{image.width}x{image.height}.{extension}"
        write = RAW[extension] if mode == "raw" else FORMATS[extension][0]
        write(rng, image, path)
        made.append(path)
    return made


# ------------------------------------------------------------------------------------------------------ the two sides


class Probe:
    """The C++ side, one process for all pictures."""

    def __init__(self):
        self.process = subprocess.Popen([PROBE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self, count, dtype):
        size = count * np.dtype(dtype).itemsize
        data = self.process.stdout.read(size)
        assert len(data) == size, "image_probe ended early"
        return np.frombuffer(data, dtype)

    def ask(self, pipeline, path):
        self.process.stdin.write(f"{pipeline} {path}\n".encode())
        self.process.stdin.flush()
        status, *words = self.process.stdout.readline().decode().rstrip("\n").split(" ")
        assert status == "ok", f"{path.name}: {' '.join(words)}"
        width, height, size = map(int, words)
        rgb = self.read(height * width * 3, np.uint8).reshape(height, width, 3)
        fitted = self.read(size * size * 3, np.uint8).reshape(size, size, 3)
        tensor = self.read(3 * size * size, np.float32).reshape(3, size, size)
        return rgb, fitted, tensor

    def close(self):
        self.process.stdin.close()
        assert self.process.wait() == 0


def expand2square(image, colour):
    """LLaVA's llava/mm_utils.py."""
    width, height = image.size
    if width == height:
        return image
    side = max(width, height)
    result = Image.new(image.mode, (side, side), colour)
    result.paste(image, ((side - width) // 2, (side - height) // 2))
    return result


def processor(pipeline, normalised):
    flags = {"do_rescale": normalised, "do_normalize": normalised}
    if pipeline.startswith("clip336"):
        return CLIPImageProcessor(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336}, **flags)
    return SiglipImageProcessor(size={"height": 384, "width": 384}, resample=3, **flags)


def reference(image, pipeline):
    """The fitted bytes [size, size, 3] and the tensor [3, size, size] that Hugging Face makes of an RGB picture."""
    outputs = []
    for normalised in (False, True):
        chain = processor(pipeline, normalised)
        fed = image
        if pipeline.endswith("_pad"):
            fed = expand2square(image, tuple(int(x * 255) for x in chain.image_mean))
        # As an array with its layout named: sides of 1 or 3 pixels are otherwise taken for channels.
        values = chain(np.array(fed), return_tensors="np", input_data_format="channels_last")["pixel_values"][0]
        outputs.append(values)
    return outputs[0].transpose(1, 2, 0), outputs[1]


# ----------------------------------------------------------------------------------------------------------- the tests


def test_every_picture_comes_out_as_pillow_and_hugging_face_make_it(paths):
    probe = Probe()
    seen = Counter()
    for path in paths:
        kind = path.suffix[1:]
        with Image.open(path) as opened:
            lossless = kind in ("png", "bmp", "gif") or (kind == "webp" and b"VP8L" in path.read_bytes()[:64])
            image = opened.convert("RGB")
        expected = np.array(image)
        seen[kind] += 1
        for pipeline in PIPELINES:
            rgb, fitted, tensor = probe.ask(pipeline, path)
            where = f"{path.name} {pipeline}"
            assert rgb.shape == expected.shape, where
            want_fitted, want_tensor = reference(image, pipeline)
            if np.array_equal(rgb, expected):
                seen[f"{kind} same"] += pipeline == PIPELINES[0]
                assert np.array_equal(fitted, want_fitted), where
                assert np.array_equal(tensor, want_tensor), where
                continue
            # Pillow's wheel brings its own JPEG and WebP libraries: another decoder may differ by rounding.
            assert not lossless, f"{where}: decoded bytes differ"
            levels = np.abs(fitted.astype(int) - want_fitted)
            assert np.abs(rgb.astype(int) - expected).max() <= 6, where
            assert levels.mean() <= 2 and (levels <= 8).mean() >= 0.99, where
    probe.close()
    print("\n" + ", ".join(f"{key}: {count}" for key, count in sorted(seen.items())))
    assert sum(seen[kind] for kind in FORMATS) == PICTURES
    # The same libraries do the same sums: nearly all of JPEG and WebP must agree to the bit as well.
    assert sum(seen[f"{kind} same"] for kind in FORMATS) >= 0.98 * PICTURES


def test_a_damaged_picture_is_refused_by_both(paths):
    probe = subprocess.Popen([PROBE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for path in paths[:40]:
        data = path.read_bytes()
        cut = path.with_suffix(".cut")
        cut.write_bytes(data[: len(data) // 2])
        with pytest.raises(Exception):
            with Image.open(cut) as opened:
                opened.convert("RGB")
        probe.stdin.write(f"clip336_pad {cut}\n".encode())
        probe.stdin.flush()
        answer = probe.stdout.readline().decode()
        assert answer.startswith("error "), f"{path.name}: {answer}"
    probe.stdin.close()
    assert probe.wait() == 0
