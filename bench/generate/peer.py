"""transformers' side of bench/generate/run.py: loads a checkpoint once and answers timing commands.

Speaks the protocol of bench_generate.cpp. transformers at its best on a CPU: SDPA attention, a key-value cache, no
autograd, logits of the last position only, and a bare loop in place of generate() with its per-token bookkeeping.
"""

import argparse
import array
import pathlib
import sys
import time

import torch
import transformers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from worker import serve  # noqa: E402

IMAGE = -200  # stands for the picture in a prompt


class Peer:
    def __init__(self, folder, precision, pixels, device):
        self.dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
        self.model = transformers.LlavaForConditionalGeneration.from_pretrained(
            folder, dtype=self.dtype, attn_implementation="sdpa", low_cpu_mem_usage=True
        ).eval().to(device)
        self.device = torch.device(device)
        config = self.model.config
        self.image_id = config.image_token_id
        vision = config.vision_config
        self.patches = (vision.image_size // vision.patch_size) ** 2
        self.pixels = None
        if pixels:
            values = array.array("f")
            with open(pixels, "rb") as file:
                values.frombytes(file.read())
            self.pixels = torch.tensor(values).view(1, 3, vision.image_size, vision.image_size).to(device, self.dtype)
        self.prompts = {}
        self.prefilled = None  # the prompt whose cache is kept, the cache, and the first token after it

    def greeting(self):
        return {"program": f"transformers {transformers.__version__}, torch {torch.__version__}"}

    def answer(self, command):
        if "set" in command:
            ids = []
            for token in command["ids"]:
                ids += [self.image_id] * self.patches if token == IMAGE else [token]
            self.prompts[command["set"]] = torch.tensor([ids], device=self.device)
            return {}
        if command["do"] == "memory":
            if self.device.type == "cuda":
                peak = torch.cuda.max_memory_allocated()
                return {"peak": peak, "anonymous": peak}
            with open("/proc/self/status") as file:
                fields = dict(line.split(":", 1) for line in file)
            return {"peak": int(fields["VmHWM"].split()[0]) * 1024, "anonymous": int(fields["RssAnon"].split()[0]) * 1024}
        torch.set_num_threads(command["threads"])
        prompt = command["prompt"]
        if command["do"] == "prefill":
            self.prefilled = None
            start = time.perf_counter()
            self.prefill(prompt)
            return {"seconds": time.perf_counter() - start, "tokens": self.prompts[prompt].shape[1]}
        if command["do"] == "decode":
            return self.decode(prompt, command["steps"])
        if command["do"] == "logits":
            return {"logits": self.prefill(prompt).tolist()}
        raise ValueError(f"no command {command['do']}")

    def prefill(self, prompt):
        ids = self.prompts[prompt]
        pixels = self.pixels if bool((ids == self.image_id).any()) else None
        output = self.model(input_ids=ids, pixel_values=pixels, use_cache=True, logits_to_keep=1)
        logits = output.logits[0, -1]
        self.prefilled = (prompt, output.past_key_values, int(logits.argmax()))
        return logits.float()

    def decode(self, prompt, steps):
        if self.prefilled is None or self.prefilled[0] != prompt:
            self.prefill(prompt)
        _, cache, token = self.prefilled
        answered = cache.get_seq_length() - self.prompts[prompt].shape[1]
        if answered > 0:
            cache.crop(-answered)
        ids = [token]
        start = time.perf_counter()
        for _ in range(steps):
            output = self.model(
                input_ids=torch.tensor([[token]], device=self.device), past_key_values=cache, use_cache=True, logits_to_keep=1
            )
            token = int(output.logits[0, -1].argmax())
            ids.append(token)
        return {"seconds": time.perf_counter() - start, "tokens": steps, "ids": ids}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--precision", required=True, choices=["fp32", "bf16"])
    parser.add_argument("--pixels")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    peer = Peer(args.model, args.precision, args.pixels, args.device)
    with torch.inference_mode():
        serve(peer.greeting(), peer.answer)


if __name__ == "__main__":
    main()
