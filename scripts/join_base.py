"""Joins the decoder of one model with the vision tower and projector of another, in bf16: join_base.py READER SEER OUT.

Both are Bunny folders with one weight file in fp32, whose decoders differ in depth alone."""

import array
import json
import pathlib
import shutil
import sys


def tensors(folder):
    """Names with type, shape and bytes, in the file's order."""
    content = (folder / "model.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    data = memoryview(content)[8 + length :]
    return {name: (entry["dtype"], entry["shape"], data[slice(*entry["data_offsets"])]) for name, entry in header.items()}


def bf16(data):
    """fp32 rounded to the nearest, ties to even."""
    words = array.array("I")
    words.frombytes(data)
    return array.array("H", ((word + 0x7FFF + ((word >> 16) & 1)) >> 16 for word in words)).tobytes()


def of_picture(name):
    return "vision_tower" in name or "mm_projector" in name


def main(reader, seer, out):
    reader, seer, out = pathlib.Path(reader), pathlib.Path(seer), pathlib.Path(out)
    parts = [(name, value) for name, value in tensors(reader).items() if not of_picture(name)]
    parts += [(name, value) for name, value in tensors(seer).items() if of_picture(name)]
    header, data = {"__metadata__": {"format": "pt"}}, bytearray()
    for name, (dtype, shape, values) in parts:
        if dtype != "F32":
            sys.exit(f"error: {name} is {dtype}, not F32")
        begin = len(data)
        data += bf16(values)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, len(data)]}
    config, other = (json.loads((folder / "config.json").read_text()) for folder in (seer, reader))
    depth = other["num_hidden_layers"]
    if config | {"num_hidden_layers": depth} != other | {key: config[key] for key in ("mm_hidden_size",)}:
        sys.exit("error: the two models differ in more than their depth")
    out.mkdir(parents=True, exist_ok=True)
    shutil.copytree(seer / "vision_tower_siglip", out / "vision_tower_siglip", dirs_exist_ok=True)
    for name in ("tokenizer.model", "tokenizer_config.json", "generation_config.json"):
        shutil.copyfile(reader / name, out / name)
    config |= {"num_hidden_layers": depth, "torch_dtype": "bfloat16"}
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (out / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    print(f"{out}: {len(parts)} tensors, {len(data) / 1e6:.1f} MB; the decoder is that of {reader}, the tower that of {seer}")


main(*sys.argv[1:])
