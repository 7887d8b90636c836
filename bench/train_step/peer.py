"""transformers and PEFT's side of bench/train_step/run.py: loads a checkpoint once, puts LoRA on a region, and answers
commands. Speaks the protocol of bench_train_step.cpp.

--mode authors: as the authors of the paper run it: gradient checkpointing, padded batches.
--mode best: what an expert would do: no checkpointing, SDPA, fused AdamW, in bf16 no casts that autocast undoes.
(Which samples make a batch, random or of similar length, is the driver's choice.)

A bare loop in place of Trainer, its defaults otherwise: right padding, AdamW, gradients clipped to norm 1.
"""

import argparse
import array
import contextlib
import json
import pathlib
import sys
import time
import types
import warnings

import peft
import torch
import transformers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from worker import serve  # noqa: E402

IGNORED = -100


class PrecomputedTower(torch.nn.Module):
    """Stands in for the frozen vision tower, whose features both programs are given: `pixel_values` are they."""

    def forward(self, pixel_values, **_):
        return types.SimpleNamespace(hidden_states=[pixel_values])


class Peer:
    def __init__(self, args):
        with open(args.work) as file:
            self.work = json.load(file)
        self.features = read_features(self.work)
        self.bf16 = args.compute == "bf16"
        model = transformers.LlavaForConditionalGeneration.from_pretrained(
            args.model, dtype=torch.bfloat16 if self.bf16 else torch.float32, attn_implementation="sdpa"
        )
        self.device = torch.device(args.device)
        model.model.vision_tower = PrecomputedTower()
        model.config.vision_feature_layer = 0
        model.config.vision_feature_select_strategy = "full"
        model.config.use_cache = False
        self.image_id = model.config.image_token_id
        if args.mode == "authors":
            model.activation_checkpointing_enable()
        self.model = adapted(model, args)
        if args.initial:
            load_parameters(self.model, args.initial)
        self.model.to(self.device)
        if self.bf16 and args.mode == "best":  # autocast chooses the type of every product: PEFT need not cast before it
            for module in self.model.modules():
                if isinstance(module, peft.tuners.lora.LoraLayer):
                    module.cast_input_dtype_enabled = False
        self.model.train()
        self.optimizer = torch.optim.AdamW(groups(self.model, args), weight_decay=0.0, fused=args.mode == "best")
        self.trained = [p for p in self.model.parameters() if p.requires_grad]

    def greeting(self):
        versions = f"transformers {transformers.__version__}, PEFT {peft.__version__}, torch {torch.__version__}"
        return {"program": versions, "trained": sum(p.numel() for p in self.trained)}

    def answer(self, command):
        if command["do"] == "memory":
            if self.device.type == "cuda":
                return {"peak": torch.cuda.max_memory_allocated()}
            with open("/proc/self/status") as file:
                fields = dict(line.split(":", 1) for line in file)
            return {"peak": int(fields["VmHWM"].split()[0]) * 1024}
        if command["do"] == "train":
            torch.set_num_threads(command["threads"])
            batches = [self.batch(indices) for indices in command["steps"]]
            start, cpu_start = time.perf_counter(), time.process_time()
            losses = [self.step(batch) for batch in batches]
            seconds = {"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu_start}
            return {"seconds": seconds, "losses": losses}
        raise ValueError(f"no command {command['do']}")

    def batch(self, indices):
        """Samples padded on the right to the longest; the picture's one token becomes its rows."""
        rows = self.work["image_tokens"]
        samples = []
        for index in indices:
            sample = self.work["samples"][index]
            ids, labels = [], []
            for token, label in zip(sample["ids"], sample["labels"], strict=True):
                picture = token == self.work["image_token"]
                ids += [self.image_id] * rows if picture else [token]
                labels += [IGNORED] * rows if picture else [label]
            samples.append((ids, labels))
        longest = max(len(ids) for ids, _ in samples)
        batch = {
            "input_ids": torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in samples]),
            "labels": torch.tensor([labels + [IGNORED] * (longest - len(labels)) for _, labels in samples]),
            "attention_mask": torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in samples]),
            "pixel_values": self.features[indices].to(self.model.dtype),
        }
        return {name: tensor.to(self.device) for name, tensor in batch.items()}

    def step(self, batch):
        with torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else contextlib.nullcontext():
            loss = self.model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return float(loss.detach())  # on a GPU, waits for the whole step


def read_features(work):
    """[samples, image tokens, vision hidden]"""
    values = array.array("f")
    with open(work["features"], "rb") as file:
        values.frombytes(file.read())
    return torch.tensor(values).view(len(work["samples"]), work["image_tokens"], work["vision_hidden"])


def adapted(model, args):
    """LoRA on every linear of the region's layers, and the projector trained unless it is frozen: in fp32."""
    config = peft.LoraConfig(
        r=args.rank,
        lora_alpha=2 * args.rank,
        lora_dropout=0.0,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        layers_to_transform=[int(layer) for layer in args.layers.split(",")],
        layers_pattern="layers",
        modules_to_save=None if args.freeze_projector else ["multi_modal_projector"],
    )
    model = peft.get_peft_model(model, config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return model


def is_projector(name):
    return "multi_modal_projector" in name


def groups(model, args):
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    adapters = {"params": [p for name, p in named if not is_projector(name)], "lr": args.lr}
    projector = {"params": [p for name, p in named if is_projector(name)], "lr": args.projector_lr}
    return [group for group in (adapters, projector) if group["params"]]


def load_parameters(model, file):
    """What Striate starts from, under its names."""
    import safetensors.torch

    start = safetensors.torch.load_file(file)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if is_projector(name):
            linear = {"linear_1": "projector.0", "linear_2": "projector.2"}[name.split(".")[-2]]
            key = f"{linear}.{name.split('.')[-1]}"
        else:
            key = "model.layers" + name.split("language_model.layers")[1].replace(".default", "")
        parameter.data.copy_(start.pop(key))
    if start:
        raise ValueError(f"Striate trains what PEFT does not: {sorted(start)[:3]}")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--work", required=True, help="the samples, as run.py writes them")
    parser.add_argument("--mode", required=True, choices=["authors", "best"])
    parser.add_argument("--compute", required=True, choices=["fp32", "bf16"])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--layers", required=True, help="the region: 0,4,8,12")
    parser.add_argument("--rank", type=int, required=True)
    parser.add_argument("--freeze-projector", action="store_true")
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--projector-lr", type=float, required=True)
    parser.add_argument("--initial", help="safetensors of the parameters to start from")
    return parser.parse_args()


def main():
    args = parse_args()
    warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers under names that will go
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    peer = Peer(args)
    serve(peer.greeting(), peer.answer)


if __name__ == "__main__":
    main()
