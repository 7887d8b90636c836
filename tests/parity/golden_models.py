"""The reference models of the goldens: transformers' own classes, and the few lines that the Bunny project adds.

A `Reference` has a vision tower, a projector and a decoder in float32 with eager attention. LLaVA's is cut from
`LlavaForConditionalGeneration`; Bunny's consists of `SiglipVisionModel`, `LlamaForCausalLM` or `Phi3ForCausalLM` and a
projector of two linear layers, filled from a checkpoint in Bunny's naming.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlavaForConditionalGeneration,
    Phi3Config,
    Phi3ForCausalLM,
    SiglipVisionConfig,
    SiglipVisionModel,
)

TOWER_PREFIX = "model.vision_tower.vision_tower."
PROJECTOR_PREFIX = "model.mm_projector."

# What a checkpoint's config says about Bunny or about the file, which the decoder's class does not take.
NOT_OF_THE_DECODER = ("architectures", "model_type", "torch_dtype", "transformers_version", "use_cache")


@dataclass
class Reference:
    """`decoder(inputs_embeds=...)` gives logits; `decoder.model.layers` are its layers."""

    tower: nn.Module
    projector: nn.Module
    decoder: nn.Module
    drops_class_token: bool

    def vision_features(self, pixels):
        """[images, 3, H, W] -> [images, patches, width]: the output of the tower's last layer but one."""
        states = self.tower(pixel_values=pixels, output_hidden_states=True).hidden_states[-2]
        return states[:, 1:] if self.drops_class_token else states

    def project(self, features):
        return self.projector(features)


class LlavaProjector(nn.Sequential):
    """The projector of a LlavaForConditionalGeneration, its layers numbered 0, 1, 2 as the goldens name them."""

    def __init__(self, whole):
        super().__init__(whole.linear_1, whole.act, whole.linear_2)


def checkpoint_tensors(folder):
    """Every tensor of a checkpoint's safetensors files, in the dtype of the file."""
    tensors = {}
    for file in sorted(Path(folder).glob("*.safetensors")):
        tensors.update(load_file(file))
    return tensors


def load_reference(folder):
    """The model of a checkpoint folder in llava-hf or Bunny naming, its weights upcast to float32."""
    folder = Path(folder)
    config = json.loads((folder / "config.json").read_text())
    with torch.random.fork_rng():
        model = load_llava(folder) if config["model_type"] == "llava" else load_bunny(folder, config)
    for part in (model.tower, model.projector, model.decoder):
        part.eval().requires_grad_(False)
    return model


def load_llava(folder):
    whole, found = LlavaForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    unmet = {what: names for what, names in found.items() if names}
    if unmet:
        raise ValueError(f"{folder}: the checkpoint does not fill the model: {unmet}")
    # The decoder with its head, as a causal language model of its own.
    decoder = LlamaForCausalLM(whole.config.text_config)
    decoder.model = whole.model.language_model
    decoder.lm_head = whole.lm_head
    decoder.config._attn_implementation = "eager"
    return Reference(whole.model.vision_tower, LlavaProjector(whole.model.multi_modal_projector), decoder, True)


def load_bunny(folder, config):
    tensors = {name: tensor.float() for name, tensor in checkpoint_tensors(folder).items()}

    def part(prefix):
        return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}

    tower_folder = folder / config["mm_vision_tower"]
    tower_config = SiglipVisionConfig(**json.loads((tower_folder / "config.json").read_text())["vision_config"])
    tower_config._attn_implementation = "eager"
    tower = SiglipVisionModel(tower_config)
    tower.load_state_dict(of_this_release(part(TOWER_PREFIX), tower.state_dict()))

    # mlp2x_gelu: two linear layers with an exact GELU between them.
    hidden = config["hidden_size"]
    projector = nn.Sequential(nn.Linear(config["mm_hidden_size"], hidden), nn.GELU(), nn.Linear(hidden, hidden))
    projector.load_state_dict(part(PROJECTOR_PREFIX))

    phi3 = config["model_type"] == "bunny-phi3"
    settings = {key: value for key, value in config.items() if key not in NOT_OF_THE_DECODER}
    decoder_config = (Phi3Config if phi3 else LlamaConfig)(**settings)
    decoder_config._attn_implementation = "eager"
    decoder = (Phi3ForCausalLM if phi3 else LlamaForCausalLM)(decoder_config)
    decoder.load_state_dict(
        {n: t for n, t in tensors.items() if not n.startswith((TOWER_PREFIX, PROJECTOR_PREFIX))}
    )
    return Reference(tower, projector, decoder, False)


def of_this_release(tensors, wanted):
    """Releases of transformers differ in whether a tower's names begin with `vision_model.`; the rest is the same."""
    prefix = "vision_model."
    if any(name.startswith(prefix) for name in wanted):
        return tensors
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
