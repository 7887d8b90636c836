"""Every number of a golden, computed by the reference model from the golden's inputs.

`compute(model, inputs, settings)` gives the tensors that golden.json calls "expected", by name: hidden states, logits,
losses, gradients, a short training run, generated tokens, layer scores, pruned models. `inputs` are the golden's
tensors of role "input", `settings` its golden.json without the tensors. What a case lacks the inputs for is left out.
"""

import copy

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import metrics_reference as metrics

IMAGE = -200  # stands in input_ids where the image's features go
IGNORED = -100  # a label that is not learned
NEW_TOKENS = 8
TRAINING_STEPS = 6


class Lora(nn.Module):
    """A linear layer W beside which alpha/r B A stands."""

    def __init__(self, linear, a, b, scaling):
        super().__init__()
        self.linear, self.scaling = linear, scaling
        self.A, self.B = nn.Parameter(a.clone()), nn.Parameter(b.clone())

    def forward(self, x):
        return self.linear(x) + self.scaling * (x @ self.A.T @ self.B.T)


def splice(model, ids, labels, features):
    """One sample with its features [patches, hidden] in place of the image's id: embeddings, labels, is_image."""
    embed = model.decoder.get_input_embeddings()
    rows, expanded, is_image = [], [], []
    for token, label in zip(ids.tolist(), labels.tolist()):
        if token == IMAGE:
            rows.append(features)
            expanded += [IGNORED] * len(features)
            is_image += [1] * len(features)
        else:
            rows.append(embed(torch.tensor([token])))
            expanded.append(label)
            is_image.append(0)
    return torch.cat(rows), torch.tensor(expanded), torch.tensor(is_image, dtype=torch.uint8)


def token_losses(logits, labels):
    """[T, V], [T] -> [T-1]: position t predicts label t+1; 0 where that label is ignored."""
    return cross_entropy(logits[:-1], labels[1:], ignore_index=IGNORED, reduction="none")


class Sample:
    """One sample through one model. A forward pass is made anew whenever gradients may differ."""

    def __init__(self, model, inputs):
        self.model, self.inputs = model, inputs
        self.features = None
        if "pixel_values" in inputs:
            with torch.no_grad():
                self.features = model.vision_features(inputs["pixel_values"])[0]

    def embedded(self, length=None):
        projected = None if self.features is None else self.model.project(self.features)
        return splice(self.model, self.inputs["input_ids"][:length], self.inputs["labels"][:length], projected)

    def loss(self):
        """The mean negative log-likelihood and the logits [T, V]."""
        embeddings, labels, _ = self.embedded()
        logits = self.model.decoder(inputs_embeds=embeddings[None], use_cache=False).logits[0]
        return token_losses(logits, labels).sum() / labels[1:].ne(IGNORED).sum(), logits


def raw_states(decoder, embeddings):
    """[T, H] -> the raw outputs of every layer, the input first [L+1, T, H], and the pass's output with attentions."""
    states = [embeddings]
    hooks = [
        layer.register_forward_hook(lambda _, __, out: states.append((out[0] if isinstance(out, tuple) else out)[0]))
        for layer in decoder.model.layers
    ]
    out = decoder(inputs_embeds=embeddings[None], use_cache=False, output_attentions=True, output_hidden_states=True)
    for hook in hooks:
        hook.remove()
    return torch.stack(states), out


def forward_numbers(sample):
    embeddings, labels, is_image = sample.embedded()
    states, out = raw_states(sample.model.decoder, embeddings)
    numbers = {
        "labels_expanded": labels,
        "is_image": is_image,
        "position_ids": torch.arange(len(labels)),
        "hidden_states": states,
        "final_norm": out.hidden_states[-1][0],
        "logits": out.logits[0],
        "token_nll": token_losses(out.logits[0], labels),
    }
    numbers["loss"] = (numbers["token_nll"].sum() / labels[1:].ne(IGNORED).sum())[None]
    if sample.features is not None:
        numbers |= {"vision_features": sample.features, "projector_output": sample.model.project(sample.features)}
    numbers["attn_image_mass"] = torch.stack([a[0][:, :, is_image.bool()].sum(-1) for a in out.attentions])
    return numbers


def attention_scores(numbers):
    """The mean attention on the image, over heads and over several choices of query positions."""
    mass, is_image = numbers["attn_image_mass"], numbers["is_image"].bool()
    text = ~is_image

    def over(queries):
        return mass[:, :, queries].mean((1, 2))

    scores = {"image_attention_score": over(text)}
    if is_image.any():
        after = text & (torch.arange(len(text)) > is_image.nonzero().max())
        scores["image_attention_score_after"] = over(after)
        scores["image_attention_score_answer"] = over(numbers["labels_expanded"].ne(IGNORED))
        scores["image_attention_score_last"] = over(torch.arange(len(text)) == len(text) - 1)
    return scores


def score_numbers(numbers):
    states, is_image = numbers["hidden_states"], numbers["is_image"].numpy()
    as_hugging_face = torch.cat([states[:-1], numbers["final_norm"][None]])
    pairs = metrics.angular_matrix(states)
    by_n, best = metrics.angular_by_n(pairs)
    scores = {
        "metric.bi": metrics.block_influence(states),
        "metric.bi_hf": metrics.block_influence(as_hugging_face),
        "metric.angular_pairs": pairs,
        "metric.angular_by_n": by_n,
        "metric.angular_best_start": best,
    }
    if is_image.any():
        kinds = ("metric.bi_text", "metric.bi_image", "metric.bi_multimodal")
        scores |= zip(kinds, metrics.multimodal_block_influence(states, is_image))
    return {name: torch.from_numpy(value) for name, value in scores.items()}


def gradient_numbers(sample, settings):
    """Of the whole decoder and the projector; the tower is frozen."""
    model = sample.model
    for part in (model.decoder, model.projector):
        part.requires_grad_(True)
    sample.loss()[0].backward()
    parameters = dict(model.decoder.named_parameters())
    norms = [parameters[name].grad.norm() for name in settings["llm_grad_names"]]
    numbers = {"llm_grad_norms": torch.stack(norms)} | projector_gradients(sample, "grad.")
    for part in (model.decoder, model.projector):
        part.zero_grad()
        part.requires_grad_(False)
    return numbers


def projector_gradients(sample, prefix):
    if sample.features is None:
        return {}
    return {f"{prefix}projector.{name}": p.grad.clone() for name, p in sample.model.projector.named_parameters()}


def adapted(model, inputs, settings):
    """A copy of `model` with the golden's adapters, and these by the name of their target."""
    model = copy.deepcopy(model)
    adapters = {}
    for target in settings["lora"]["targets"]:
        parent_name, _, name = target.rpartition(".")
        parent = model.decoder.model.get_submodule(parent_name)
        pair = (inputs[f"lora.{target}.{half}"] for half in "AB")
        adapters[target] = Lora(getattr(parent, name), *pair, settings["lora"]["scaling"])
        setattr(parent, name, adapters[target])
    model.projector.requires_grad_(True)
    return model, adapters


def adapter_numbers(model, inputs, settings):
    model, adapters = adapted(model, inputs, settings)
    sample = Sample(model, inputs)
    loss, logits = sample.loss()
    loss.backward()
    numbers = {"lora.logits": logits, "lora.loss": loss[None]}
    for target, adapter in adapters.items():
        numbers |= {f"lora.grad.{target}.A": adapter.A.grad.clone(), f"lora.grad.{target}.B": adapter.B.grad.clone()}
    numbers |= projector_gradients(sample, "lora.grad.")
    return numbers | {"train.losses": training_losses(sample, adapters)}


def training_losses(sample, adapters):
    trained = [p for adapter in adapters.values() for p in (adapter.A, adapter.B)]
    if sample.features is not None:
        trained += sample.model.projector.parameters()
    optimizer = torch.optim.AdamW(trained, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    losses = []
    for _ in range(TRAINING_STEPS):
        optimizer.zero_grad()
        loss = sample.loss()[0]
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)


def generated_numbers(sample):
    """Greedy tokens, each from a pass over everything before it."""
    embeddings = sample.embedded(int(sample.inputs["prompt_len"]))[0]
    embed = sample.model.decoder.get_input_embeddings()
    tokens, rows = [], []
    for _ in range(NEW_TOKENS):
        rows.append(sample.model.decoder(inputs_embeds=embeddings[None], use_cache=False).logits[0, -1])
        tokens.append(rows[-1].argmax())
        embeddings = torch.cat([embeddings, embed(tokens[-1])[None]])
    return {"generated": torch.stack(tokens), "generated_logits": torch.stack(rows)}


def without_layers(model, removed):
    pruned = copy.deepcopy(model)
    kept = [layer for i, layer in enumerate(pruned.decoder.model.layers) if i not in removed]
    pruned.decoder.model.layers = nn.ModuleList(kept)
    pruned.decoder.config.num_hidden_layers = len(kept)
    return pruned


def pruned_numbers(model, inputs, scores):
    lowest = scores["metric.bi"].argsort()[:2].sort().values
    start = int(scores["metric.angular_best_start"][1])
    numbers = {}
    for name, removed in (("bi2", lowest.tolist()), ("block2", [start, start + 1])):
        loss, logits = Sample(without_layers(model, removed), inputs).loss()
        numbers[f"prune.{name}.removed"] = torch.tensor(removed)
        numbers |= {f"prune.{name}.logits_last": logits[-1], f"prune.{name}.loss": loss[None]}
    return numbers


def sliding_numbers(model, inputs):
    """A window of W lets a query see W + 1 keys in the release that the published Phi-3 was made with; newer ones
    count the query among the W, so they are given W + 1."""
    if "sliding.window" not in inputs:
        return {}
    windowed = copy.deepcopy(model)
    windowed.decoder.config.sliding_window = int(inputs["sliding.window"]) + 1
    windowed.decoder.model.config.sliding_window = int(inputs["sliding.window"]) + 1
    loss, logits = Sample(windowed, inputs).loss()
    return {"sliding.logits_last": logits[-1], "sliding.loss": loss[None]}


def change_numbers(model, inputs, settings):
    """How far W + u v^T is from W, where the golden has u and v."""
    if not any(name.startswith("perturb.") for name in inputs):
        return {}
    base, new = [], []
    for i, layer in enumerate(model.decoder.model.layers):
        weights = {name: layer.get_submodule(name).weight.detach() for name in settings["linear_names"]}
        u, v = ({n: inputs[f"perturb.layers.{i}.{n}.{x}"] for n in weights} for x in "uv")
        base.append(weights)
        new.append({name: w + torch.outer(u[name], v[name]) for name, w in weights.items()})
    changes = zip(("matrix", "layer", "mean", "sum"), metrics.parameter_change(base, new))
    return {f"metric.param_change_{part}": torch.from_numpy(change) for part, change in changes}


def sample_numbers(model, inputs, settings):
    sample = Sample(model, inputs)
    with torch.no_grad():
        numbers = forward_numbers(sample)
        scores = score_numbers(numbers) | attention_scores(numbers)
        numbers |= scores | generated_numbers(sample) | pruned_numbers(model, inputs, scores)
        numbers |= sliding_numbers(model, inputs) | change_numbers(model, inputs, settings)
    return numbers | gradient_numbers(sample, settings) | adapter_numbers(model, inputs, settings)


def batch_numbers(model, inputs):
    """Right-padded rows of one image each (a dummy where the row has none), as the originals batch them."""
    with torch.no_grad():
        features = model.vision_features(inputs["pixel_values"])
    model.projector.requires_grad_(True)
    projected = model.project(features)
    rows, labels = [], []
    for row, mask in enumerate(inputs["attention_mask"].bool()):
        ids, targets = inputs["input_ids"][row][mask], inputs["labels"][row][mask]
        embeddings, expanded, _ = splice(model, ids, targets, projected[row])
        rows.append(embeddings)
        labels.append(expanded)
    mask = nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in labels], batch_first=True)
    labels = nn.utils.rnn.pad_sequence(labels, batch_first=True, padding_value=IGNORED)
    embeddings = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    logits = model.decoder(inputs_embeds=embeddings, attention_mask=mask, use_cache=False).logits
    losses = torch.cat([token_losses(*row) for row in zip(logits, labels)])
    loss = losses.sum() / labels[:, 1:].ne(IGNORED).sum()
    loss.backward()
    numbers = {"labels_expanded": labels, "attention_mask_expanded": mask, "logits": logits * mask[..., None]}
    numbers |= {f"grad.projector.{name}": p.grad.clone() for name, p in model.projector.named_parameters()}
    model.projector.zero_grad()
    model.projector.requires_grad_(False)
    return numbers | {"loss": loss[None]}


def compute(model, inputs, settings):
    if inputs["input_ids"].dim() == 2:
        numbers = batch_numbers(model, inputs)
    else:
        numbers = sample_numbers(model, inputs, settings)
    return {name: tensor.detach() for name, tensor in numbers.items()}
