"""How the LLaVA and Bunny projects turn a conversation into ids and labels, restated: what conversations.json holds.

`expected(sample, variant)` gives the prompt, the ids (-200 where the image goes) and the ranges of ids that are
learned, or the name of the exception that the projects raise. The projects mask by counting: they tokenise each round
and each question by itself and take the lengths for positions in the whole, which fails where a text contains a
separator; then they warn and learn nothing from the sample.
"""

from dataclasses import dataclass
from typing import Any, Callable

IMAGE = -200
TAG = "<image>"
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
SPEAKERS = {"human": "USER", "gpt": "ASSISTANT"}
QUESTION_ENDS = " "
MISMATCH = "tokenization mismatch"


@dataclass
class Variant:
    """A template and a tokenizer. `ids` of a text include a BOS where the tokenizer puts one."""

    ids: Callable[[str], list[int]]
    answer_ends: str = ""  # "" for the plain template
    bos: int | None = None  # of a tokenizer that puts it
    pad: int | None = None
    # LLaVA (`legacy` of its tokenizer: False or True) counts as preprocess_v1 does; None: Bunny, which lets the end of
    # an answer be its padding and counts it apart.
    legacy: bool | None = None

    @property
    def plain(self):
        return not self.answer_ends


def with_image(variant, text):
    """The ids of a text, an image's place between the texts around each tag; one BOS in front."""
    ids = [] if variant.bos is None else [variant.bos]
    for i, piece in enumerate(text.split(TAG)):
        found = variant.ids(piece)
        ids += [IMAGE] * (i > 0) + found[variant.bos is not None :]
    return ids


def image_in_front(value):
    """A message with a tag begins with one, on a line of its own, and has no other."""
    return f"{TAG}\n{value.replace(TAG, '').strip()}".strip() if TAG in value else value


def prompt_of(turns, variant):
    """The projects' template. Raises KeyError for an unknown speaker, AssertionError for one out of turn."""
    if SPEAKERS[turns[0]["from"]] != "USER":
        turns = turns[1:]
    prompt = SYSTEM + QUESTION_ENDS
    for i, turn in enumerate(turns):
        speaker = SPEAKERS[turn["from"]]
        assert speaker == ("USER", "ASSISTANT")[i % 2]
        ends = (QUESTION_ENDS, variant.answer_ends)[i % 2]
        prompt += f"{speaker}: {turn['value']}{ends}" if turn["value"] else f"{speaker}:"
    return prompt


def learned_of_plain(ids, variant):
    """Everything after the image."""
    start = len(with_image(variant, TAG))
    return [[start, len(ids)]] if start < len(ids) else []


def learned(prompt, ids, variant, encode, limit):
    """Ranges of learned ids, and whether the counts met."""
    marker = f"{QUESTION_ENDS}ASSISTANT: "
    begins = 0 if variant.bos is None else 1
    position, ends_counted, spans = 1 if begins else 0, 0, []
    for i, piece in enumerate(prompt.split(variant.answer_ends)):
        parts = piece.split(marker)
        if not piece or len(parts) != 2:
            break
        length, asked = len(encode(piece)), len(encode(parts[0] + marker))
        if variant.legacy is None:
            # The end of the answer comes to the round; its BOS, and the space at the question's end, do not count.
            length, asked = length - begins + 1, asked - begins - 1
            ends_counted += 1
        else:
            # The round's BOS stands for the end of its answer. Without `legacy` a text that follows a special token has
            # no mark of its own, which each of these texts, tokenised alone, has.
            later = i > 0 and not variant.legacy
            length, asked = length - later, asked - 2 - later
        spans.append([position + asked, position + length])
        position += length
    total = sum(token != variant.pad for token in ids) + ends_counted
    # A sample that is cut keeps what is left of its labels.
    if position < limit and position != total:
        return [], False
    cut = ([begin, min(end, len(ids))] for begin, end in spans)
    return [span for span in cut if span[0] < span[1]], True


def expected(sample, variant):
    """What the projects make of a sample: {"prompt", "input_ids", "label_spans"[, "warning"]} or {"error"}."""
    turns = [dict(turn) for turn in sample["conversations"]]
    if "image" in sample:
        for turn in turns:
            turn["value"] = image_in_front(turn["value"])
    try:
        return of_plain(turns, variant) if variant.plain else of_template(turns, variant, sample)
    except (KeyError, AssertionError) as error:
        return {"error": type(error).__name__}


def of_plain(turns, variant):
    assert len(turns) == 2 and TAG in turns[0]["value"]
    prompt = f"{TAG}{turns[1]['value']}\n"
    ids = with_image(variant, prompt)
    return {"prompt": prompt, "input_ids": ids, "label_spans": learned_of_plain(ids, variant)}


def of_template(turns, variant, sample) -> dict[str, Any]:
    limit = sample.get("model_max_length", 2048)
    prompt = prompt_of(turns, variant)
    has_image = "image" in sample
    encode = (lambda text: with_image(variant, text)) if has_image else variant.ids
    ids = encode(prompt)
    if not has_image:  # the collator cuts samples with images, later
        ids = ids[:limit]
    spans, met = learned(prompt, ids, variant, encode, limit)
    made = {"prompt": prompt, "input_ids": ids, "label_spans": spans}
    return made if met else made | {"warning": MISMATCH}
