#!/usr/bin/env python3
"""Makes a golden: a tiny checkpoint and what the reference code (transformers) computes from it.

    python make_goldens.py CASE OUT                       CASE's own weights and inputs, every number computed anew
    python make_goldens.py CASE OUT --layers 8 --seed 1   another depth, weights and inputs drawn from the seed

CASE is a golden such as tests/reference/goldens/a_llava15; it says which tensors a golden has, what they mean and how
closely they are to be met. What is drawn has the mean and the standard deviation of its namesake in CASE (a layer
beyond CASE's depth takes those of the layer it would be if CASE began again). Needs tests/peers/requirements.txt.
"""

import argparse
import json
import re
import shutil
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file

from golden_models import checkpoint_tensors, load_reference
from golden_numbers import IMAGE, Sample, adapted, compute, training_losses

DECODER_LAYER = re.compile(r"^((?:language_model\.)?(?:model\.)?(?:perturb\.)?layers\.)(\d+)\.")
# Where two choices are closer than this, rounding decides between them: no golden for another implementation.
CLEAR = 1e-3


class Case:
    """A golden on disk."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.settings = json.loads((self.folder / "golden.json").read_text())
        self.info = self.settings.pop("tensors")
        self.tensors = load_file(self.folder / "golden.safetensors")
        self.model = (self.folder / self.settings["model"]).resolve()
        config = json.loads((self.model / "config.json").read_text())
        self.depth = config.get("text_config", config)["num_hidden_layers"]

    def inputs(self):
        return {name: self.tensors[name] for name, info in self.info.items() if info["role"] == "input"}

    def expected(self):
        return {name: self.tensors[name] for name, info in self.info.items() if info["role"] == "expected"}

    def numbers(self):
        """Every expected tensor, computed by the reference code of this environment."""
        return compute(load_reference(self.model), self.inputs(), self.settings)


def with_layers(tensors, layers, depth):
    """`tensors` of a model `depth` layers deep as those of one `layers` deep: its layers, over and over."""
    changed = {}
    for name, tensor in tensors.items():
        match = DECODER_LAYER.match(name)
        if not match:
            changed[name] = tensor
            continue
        for layer in range(int(match[2]), layers, depth):
            changed[f"{match[1]}{layer}.{name[match.end():]}"] = tensor
    return changed


def drawn_like(tensor, generator):
    if not tensor.is_floating_point():
        return tensor
    values = tensor.float()
    spread = values.std() if values.numel() > 1 else values.abs()
    drawn = torch.randn(values.shape, generator=generator) * spread + values.mean()
    return drawn.to(tensor.dtype)


def drawn_ids(inputs, generator):
    """Ordinary ids in place of a sample's ordinary ids: its first and last, the image and the labels' places stay."""
    ids, labels = inputs["input_ids"].clone(), inputs["labels"].clone()
    ordinary = ids.ne(IMAGE)
    ordinary[..., 0] = ordinary[..., -1] = False
    if "attention_mask" in inputs:
        ordinary &= inputs["attention_mask"].bool()
    ids[ordinary] = torch.randint(3, 300, (int(ordinary.sum()),), generator=generator)
    labels = torch.where(labels.ne(-100), ids, labels)
    return {"input_ids": ids, "labels": labels}


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1) + "\n")


def write_model(case, out, layers, seed):
    """The checkpoint of the new golden, in `case`'s naming, dtypes and number of files."""
    shutil.copytree(case.model, out, ignore=shutil.ignore_patterns("*.safetensors*", "name_map*"))
    generator = torch.Generator().manual_seed(seed)
    weight_map = {}
    for file in sorted(case.model.glob("*.safetensors")):
        tensors = with_layers(load_file(file), layers, case.depth)
        tensors = {name: drawn_like(tensor, generator) for name, tensor in tensors.items()}
        save_file(tensors, out / file.name, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(tensors, file.name)
    if (case.model / "model.safetensors.index.json").exists():
        write_json(out / "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})
    for name in ("config.json", "config_original_llava.json"):
        if (out / name).exists():
            config = json.loads((out / name).read_text())
            config.get("text_config", config)["num_hidden_layers"] = layers
            write_json(out / name, config)
    if (case.model / "name_map_original_llava.json").exists():
        write_json(out / "name_map_original_llava.json", name_map(case, layers))


def name_map(case, layers):
    """llava-hf's names to the original LLaVA's, of `layers` decoder layers."""
    published = json.loads((case.model / "name_map_original_llava.json").read_text())
    names = {}
    for name in with_layers(published, layers, case.depth):
        layer = DECODER_LAYER.match(name)
        namesake = name if name in published else f"{layer[1]}0.{name[layer.end():]}"
        names[name] = published[namesake]
        if layer:
            names[name] = DECODER_LAYER.sub(rf"\g<1>{layer[2]}.", published[namesake])
    return names


def within(name, layers):
    """The name of an adapter's target (or of its matrix) in a model of `layers` layers."""
    return re.sub(r"layers\.(\d+)", lambda match: f"layers.{int(match[1]) % layers}", name)


def new_inputs(case, layers, seed):
    generator = torch.Generator().manual_seed(seed + 1)
    inputs = with_layers(case.inputs(), layers, case.depth)
    inputs = {within(name, layers) if name.startswith("lora.") else name: t for name, t in inputs.items()}
    return {name: drawn_like(tensor, generator) for name, tensor in inputs.items()} | drawn_ids(inputs, generator)


def check_clear(numbers):
    """Refuses a golden whose discrete results hang on rounding."""
    if "generated_logits" not in numbers:
        return
    best = numbers["generated_logits"].topk(2).values
    gaps = {"the generated tokens": (best[:, 0] - best[:, 1]).min()}
    gaps["the layers of lowest Block Influence"] = numbers["metric.bi"].sort().values.diff().min()
    by_n = numbers["metric.angular_by_n"]
    blocks = torch.where(by_n < 0, torch.inf, by_n)[:-1].sort().values
    gaps["the best angular blocks"] = (blocks[:, 1] - blocks[:, 0]).min()
    for what, gap in gaps.items():
        if gap < CLEAR:
            raise SystemExit(f"make_goldens.py: {what} are {gap:.1e} apart: take another --seed")


def any_layer(name):
    return re.sub(r"layers\.\d+", "layers.N", name)


def described(case, name, tensor):
    """The entry of golden.json: the meaning and the tolerance of the namesake in `case`."""
    info = dict({any_layer(known): info for known, info in case.info.items()}[any_layer(name)])
    info["shape"] = list(tensor.shape)
    if tensor.is_floating_point():
        info["max_abs"] = tensor.abs().max().item()
    if "grad." in name:
        info["atol"] = 1e-4 * info["max_abs"]
    info.pop("fp32_vs_fp64_max_abs", None)
    return info


def training_rounding(folder, inputs, settings, losses):
    """How far `losses`, of the training run in float32, are from those of the same run in float64.

    AdamW divides a gradient by its own size: a gradient that is nothing but rounding moves a weight as far as any other.
    The sixth loss of a deep golden differs by 4e-4 for this reason alone, and by how much depends on the processor.
    """
    model = load_reference(folder)
    for part in filter(None, (model.tower, model.projector, model.decoder)):
        part.double()
    exact = {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in inputs.items()}
    model, adapters = adapted(model, exact, settings)
    return (training_losses(Sample(model, exact), adapters) - losses).abs().max().item()


def make(case, out, layers=None, seed=None):
    """Writes the golden `out`, a folder that is not there yet, in the likeness of `case`."""
    out = Path(out)
    settings = dict(case.settings)
    out.mkdir(parents=True)
    if seed is None:
        inputs = case.inputs()
        shutil.copytree(case.model, out / "model")
    else:
        layers = layers or case.depth
        write_model(case, out / "model", layers, seed)
        inputs = new_inputs(case, layers, seed)
        if "lora" in settings:
            targets = [within(target, layers) for target in settings["lora"]["targets"]]
            settings["lora"] = settings["lora"] | {"targets": targets}
    settings["model"] = "model"
    settings.pop("margins", None)
    settings["oracle"] = {
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "attention": "eager",
        "compute": "float32, weights upcast from the checkpoint's dtype",
    }
    model = load_reference(out / "model")
    if "llm_grad_names" in settings:
        settings["llm_grad_names"] = [name for name, _ in model.decoder.named_parameters()]
    numbers = compute(model, inputs, settings)
    check_clear(numbers)
    tensors = {n: t.to(case.tensors[n].dtype if n in case.tensors else t.dtype) for n, t in (inputs | numbers).items()}
    settings["tensors"] = {name: described(case, name, tensor) for name, tensor in tensors.items()}
    if "train.losses" in numbers:
        rounding = training_rounding(out / "model", inputs, settings, numbers["train.losses"])
        if rounding > CLEAR:
            raise SystemExit(f"make_goldens.py: rounding moves the training losses by {rounding:.1e}: take another --seed")
        settings["tensors"]["train.losses"]["atol"] += rounding
    write_json(out / "golden.json", settings)
    save_file({n: t.contiguous() for n, t in tensors.items()}, out / "golden.safetensors", metadata={"format": "pt"})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", type=Path, help="a golden to take the likeness of")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--layers", type=int, help="decoder layers (those of CASE)")
    parser.add_argument("--seed", type=int, help="seed of weights and inputs (CASE's own, unless --layers)")
    args = parser.parse_args()
    if args.layers is not None and args.seed is None:
        args.seed = 1
    make(Case(args.case), args.out, args.layers, args.seed)
    print(f"wrote {args.out}: {len(checkpoint_tensors(args.out / 'model'))} weights")


if __name__ == "__main__":
    main()
