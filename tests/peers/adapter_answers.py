"""transformers and PEFT answer what answers_probe answered: the same prompts, pictures and adapter, greedily in fp32.

    python adapter_answers.py --model BASE --adapter DIR --answers PROBE.jsonl --data FILE.json --images DIR

Opens the adapter as any PEFT user would (PeftModel.from_pretrained, which refuses names it does not know) and the
projector beside it. An answer may differ only where the two likeliest tokens are closer than CLEAR: then both are
right. Prints how many agree; exit status 1 when a clear answer differs.
"""

import argparse
import json
import os
import sys
import warnings

import peft
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file

try:  # before transformers 5 the plain name is the Pillow path
    from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil as LlavaImageProcessor
except ImportError:
    from transformers import LlavaImageProcessor

IMAGE = -200
CLEAR = 1e-3


def open_model(base, adapter):
    model = transformers.LlavaForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    projector = load_file(os.path.join(adapter, "non_lora_trainables.safetensors"))
    unknown = model.load_state_dict(projector, strict=False).unexpected_keys
    if unknown:
        sys.exit(f"error: transformers knows no {unknown[0]}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # PEFT warns of adapter keys that are missing
        warnings.simplefilter("ignore", FutureWarning)
        return peft.PeftModel.from_pretrained(model, adapter).eval()


def greedy(model, records, pixels, tokens):
    """Ids of each record's answer and how clear its least clear choice was. Prompts of one length together."""
    image_id = model.config.image_token_id
    tower = model.config.vision_config
    rows = (tower.image_size // tower.patch_size) ** 2
    ids = [[x for i in r["prompt_ids"] for x in ([image_id] * rows if i == IMAGE else [i])] for r in records]
    inputs = {"input_ids": torch.tensor(ids), "pixel_values": torch.stack(pixels)}
    answers, clear, past = [[] for _ in records], [float("inf")] * len(records), None
    for _ in range(tokens):
        output = model(**inputs, past_key_values=past, use_cache=True)
        past = output.past_key_values
        top = output.logits[:, -1].topk(2)
        for row, answer in enumerate(answers):
            answer.append(int(top.indices[row, 0]))
            clear[row] = min(clear[row], float(top.values[row, 0] - top.values[row, 1]))
        inputs = {"input_ids": top.indices[:, :1]}
    return answers, clear


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--model", "--adapter", "--answers", "--data", "--images"):
        parser.add_argument(name, required=True)
    args = parser.parse_args()
    warnings.simplefilter("ignore", FutureWarning)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_grad_enabled(False)
    model = open_model(args.model, args.adapter)
    processor = LlavaImageProcessor.from_pretrained(args.model)
    with open(args.data) as file:
        pictures = {record["id"]: record["image"] for record in json.load(file)}
    with open(args.answers) as file:
        records = [json.loads(line) for line in file]
    longest = max(len(record["ids"]) for record in records)
    seen = {}

    def pixels(record):
        name = pictures[record["id"]]
        if name not in seen:
            picture = Image.open(os.path.join(args.images, name)).convert("RGB")
            seen[name] = processor([picture], return_tensors="pt")["pixel_values"][0]
        return seen[name]

    by_length = {}
    for record in records:
        by_length.setdefault(len(record["prompt_ids"]), []).append(record)
    same = unclear = 0
    for group in by_length.values():
        for first in range(0, len(group), 64):
            part = group[first : first + 64]
            for record, ids, margin in zip(part, *greedy(model, part, [pixels(r) for r in part], longest), strict=True):
                ids = ids[: len(record["ids"])]
                if ids == record["ids"]:
                    same += 1
                elif margin < CLEAR:
                    unclear += 1
                else:
                    print(f"error: {record['id']}: PEFT answers {ids}, Striate {record['ids']} ({record['answer']!r})")
    print(f"{args.adapter}: PEFT gives the same answer to {same} of {len(records)} questions ({unclear} differ where "
          "two tokens are equally likely)")
    sys.exit(same + unclear != len(records))


if __name__ == "__main__":
    main()
