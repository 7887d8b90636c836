"""The peers' side of bench/eval/run.py: transformers' generate() on pictures, lm-evaluation-harness on letters.

    {"do": "answer", "batch": N, "threads": N}    every question; the seconds, and the answers in the order of the file
    {"do": "memory"}                              the peak of resident bytes

The questions are JSON Lines: {"prompt", "picture"} for `pictures`, {"prompt", "choices"} for `letters`.
"""

import argparse
import json
import os
import pathlib
import sys
import time

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

import sentencepiece  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from worker import serve  # noqa: E402


class Pictures:
    """generate() at its best on a CPU: SDPA attention, its own key-value cache, prompts of like length in a batch."""

    def __init__(self, model, questions, tokens):
        self.model = transformers.LlavaForConditionalGeneration.from_pretrained(
            model, dtype=torch.float32, attn_implementation="sdpa").eval()
        self.processor = transformers.AutoProcessor.from_pretrained(model, backend="pil")
        self.words = sentencepiece.SentencePieceProcessor(model_file=str(pathlib.Path(model) / "tokenizer.model"))
        self.questions = questions
        self.tokens = tokens
        self.pictures = {}

    def pixels(self, file):
        """Each picture is read and made smaller once, however many questions it has."""
        if file not in self.pictures:
            from PIL import Image
            with Image.open(file) as picture:
                self.pictures[file] = self.processor.image_processor(picture.convert("RGB"), return_tensors="pt")["pixel_values"]
        return self.pictures[file]

    def encode(self, prompt):
        """As LLaVA does: the words on either side of the picture by themselves."""
        before, after = map(self.words.encode, prompt.split("<image>"))
        image = [self.model.config.image_token_id] * self.model.config.image_seq_length
        return [self.words.bos_id(), *before, *image, *after]

    def answer(self, batch):
        self.pictures.clear()
        tokenizer = self.processor.tokenizer
        encoded = [self.encode(question["prompt"]) for question in self.questions]
        order = sorted(range(len(encoded)), key=lambda i: -len(encoded[i]))
        answers = [None] * len(encoded)
        for begin in range(0, len(order), batch):
            part = order[begin : begin + batch]
            inputs = tokenizer.pad({"input_ids": [encoded[i] for i in part]}, padding_side="left", return_tensors="pt")
            inputs["pixel_values"] = torch.cat([self.pixels(self.questions[i]["picture"]) for i in part])
            made = self.model.generate(**inputs, max_new_tokens=self.tokens, do_sample=False,
                                       pad_token_id=self.model.config.pad_token_id)
            made = made[:, inputs["input_ids"].shape[1] :]
            for i, text in zip(part, tokenizer.batch_decode(made, skip_special_tokens=True), strict=True):
                answers[i] = text
        return answers


class Letters:
    """lm-evaluation-harness: HFLM.loglikelihood() of the requests that its multiple-choice tasks make."""

    def __init__(self, model, questions, _):
        from lm_eval.api.instance import Instance
        from lm_eval.models.huggingface import HFLM

        self.language_model = HFLM(pretrained=model, dtype="float32", device="cpu", batch_size=1)
        self.requests = [Instance("loglikelihood", {}, (question["prompt"], choice), i)
                         for i, question in enumerate(questions) for choice in question["choices"]]
        self.choices = [len(question["choices"]) for question in questions]

    def answer(self, batch):
        self.language_model.batch_size_per_gpu = batch
        found = iter(self.language_model.loglikelihood(self.requests, disable_tqdm=True))
        return [[float(next(found)[0]) for _ in range(count)] for count in self.choices]


def peak_memory():
    with open("/proc/self/status") as file:
        return int(dict(line.split(":", 1) for line in file)["VmHWM"].split()[0]) * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["pictures", "letters"])
    parser.add_argument("--model", required=True)
    parser.add_argument("--questions", required=True, type=pathlib.Path)
    parser.add_argument("--tokens", type=int, default=16, help="most tokens of an answer")
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    questions = [json.loads(line) for line in args.questions.read_text().splitlines()]
    peer = {"pictures": Pictures, "letters": Letters}[args.kind](args.model, questions, args.tokens)

    def answer(command):
        if command["do"] == "memory":
            return {"peak": peak_memory()}
        torch.set_num_threads(command["threads"])
        begin = time.perf_counter()
        answers = peer.answer(command["batch"])
        return {"seconds": time.perf_counter() - begin, "answers": answers}

    with torch.inference_mode():
        serve({"program": f"transformers {transformers.__version__}, torch {torch.__version__}"}, answer)


if __name__ == "__main__":
    main()
