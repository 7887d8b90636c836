"""What transformers saves, Striate opens: same logits and greedy answers as the model that was saved, with a picture.

Every family that transformers has a class for: LLaVA with a Llama or a Phi-3 and a CLIP or SigLIP tower, Llama and Phi-3
alone, towers alone (as --vision-tower of a model in parts). Models and processors are made and saved here by
`save_pretrained`; nothing is copied between layouts, so that names, settings and files are those transformers chooses.
"""

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    AutoProcessor,
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    Phi3Config,
    Phi3ForCausalLM,
    SiglipConfig,
    SiglipModel,
    SiglipTextConfig,
    SiglipVisionConfig,
    SiglipVisionModel,
)

try:  # before transformers 5 the plain names are the Pillow path
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil as CLIPImageProcessor
    from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil as LlavaImageProcessor
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil as SiglipImageProcessor
except ImportError:
    from transformers import CLIPImageProcessor, LlavaImageProcessor, SiglipImageProcessor

from test_models import ATOL, IMAGE, LLAVA, PROGRAM, PROMPTS, RTOL, TOKENIZER, chat, check, expand, make, opened, striate
from test_models import pictures  # noqa: F401  (a fixture)

pytestmark = pytest.mark.skipif(not PROGRAM, reason="STRIATE_PROGRAM does not name the striate program")

SIDE = 56
TEXT = dict(vocab_size=32064, hidden_size=64, intermediate_size=100, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=512)
TOWER = dict(hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=3, image_size=SIDE, patch_size=14)
LINEAR = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64, "rope_theta": 500000.0}

TEXTS = {
    "llama": lambda: LlamaConfig(**TEXT),
    "llama_tied": lambda: LlamaConfig(**TEXT, tie_word_embeddings=True),
    "llama_biased": lambda: LlamaConfig(**TEXT, attention_bias=True, mlp_bias=True),
    "llama_linear_rope": lambda: LlamaConfig(**TEXT, rope_parameters=dict(LINEAR)),
    "llama_llama3_rope": lambda: LlamaConfig(**TEXT, rope_parameters=dict(LLAMA3)),
    "phi3": lambda: Phi3Config(**TEXT, pad_token_id=0, eos_token_id=2),
}
TOWERS = {
    "clip": (CLIPVisionConfig, "default"),
    "clip_full": (CLIPVisionConfig, "full"),
    "siglip": (SiglipVisionConfig, "full"),
}
PROCESSORS = {
    "clip": lambda: CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}),
    "clip_other_means": lambda: CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE},
                                                   image_mean=[0.3, 0.4, 0.5], image_std=[0.2, 0.3, 0.4]),
    "llava_padded": lambda: LlavaImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE},
                                                do_pad=True),
    "llava_cropped": lambda: LlavaImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}),
    "siglip": lambda: SiglipImageProcessor(size={"height": SIDE, "width": SIDE}),
}
# Text, tower, processor, and whether the tie stands at the top of the configuration alone.
MODELS = {
    "llama_clip": ("llama", "clip", "clip", False),
    "other_means": ("llama", "clip", "clip_other_means", False),
    "padded": ("llama", "clip", "llava_padded", False),
    "cropped_by_llava": ("llama", "clip", "llava_cropped", False),
    "tied_in_the_text": ("llama_tied", "clip", "clip", False),
    "tied_at_the_top": ("llama", "clip", "clip", True),
    "linear_rope": ("llama_linear_rope", "clip", "clip", False),
    "llama3_rope": ("llama_llama3_rope", "clip", "clip", False),
    "class_token_kept": ("llama", "clip_full", "clip", False),
    "siglip_tower": ("llama", "siglip", "siglip", False),
    "phi3_text": ("phi3", "clip", "clip", False),
    "phi3_and_siglip_padded": ("phi3", "siglip", "llava_padded", False),
}


def awake(model, seed=7):
    """Random weights that do something everywhere: biases and norms too."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        scale = 0.1 if parameter.ndim == 1 else 0.08
        parameter.data += scale * torch.randn(parameter.shape, generator=generator)
    return model.eval()


@pytest.fixture(scope="module")
def processor(tmp_path_factory):
    """LLaVA's processor on the Llama-2 tokenizer with <image> and <pad>."""
    folder = make(tmp_path_factory.mktemp("processor") / "model", "--arch", "llava-1.5-7b", "--tokenizer",
                  TOKENIZER, *LLAVA["grouped"].split())
    return AutoProcessor.from_pretrained(folder)


def llava_of(name):
    text, tower, _, tied_at_the_top = MODELS[name]
    kind, strategy = TOWERS[tower]
    config = LlavaConfig(text_config=TEXTS[text](), vision_config=kind(**TOWER), image_token_index=32000,
                         image_seq_length=(SIDE // 14) ** 2, vision_feature_select_strategy=strategy,
                         **({"tie_word_embeddings": True} if tied_at_the_top else {}))
    return awake(LlavaForConditionalGeneration(config))


def save_llava(name, folder, processor):
    """Model and processor as their owners save them."""
    model = llava_of(name)
    model.save_pretrained(folder)
    processor.image_processor = PROCESSORS[MODELS[name][2]]()
    processor.save_pretrained(folder)
    return model


def seen_by_transformers(folder, model, ids, images):
    """What transformers makes of the same tokens and of the pictures, by the processor that the folder holds."""
    tower = model.config.vision_config
    tokens = (tower.image_size // tower.patch_size) ** 2
    if tower.model_type == "clip_vision_model" and model.config.vision_feature_select_strategy == "full":
        tokens += 1
    prepared = AutoProcessor.from_pretrained(folder).image_processor
    pixels = prepared([Image.open(image).convert("RGB") for image in images], return_tensors="pt")["pixel_values"]
    return {"input_ids": torch.tensor([expand(ids, model.config.image_token_index, tokens)]), "pixel_values": pixels}


@pytest.mark.parametrize("name", MODELS)
def test_a_llava_that_transformers_saved_gives_its_logits(name, processor, pictures, tmp_path):  # noqa: F811
    folder = tmp_path / name
    model = save_llava(name, folder, processor)
    for picture in pictures:
        answer, row, steps = chat(folder, PROMPTS["one_picture"][0], [picture], tmp_path)
        check(model, seen_by_transformers(folder, model, answer["prompt_ids"], [picture]), answer, row, steps)
    assert json.loads(striate("inspect", "--model", folder, "--json"))["complete"]


def test_transformers_writes_the_layout_that_these_tests_are_about(processor, tmp_path):
    save_llava("llama_clip", tmp_path / "m", processor)
    names = load_file(tmp_path / "m/model.safetensors").keys()
    assert "vision_tower.embeddings.class_embedding" in names
    assert not (tmp_path / "m/preprocessor_config.json").exists()
    assert "image_processor" in json.loads((tmp_path / "m/processor_config.json").read_text())


@pytest.mark.parametrize("name", TEXTS)
def test_a_language_model_that_transformers_saved_gives_its_logits(name, processor, tmp_path):
    config = TEXTS[name]()
    model = awake((Phi3ForCausalLM if config.model_type == "phi3" else LlamaForCausalLM)(config))
    model.save_pretrained(tmp_path / "m")
    processor.tokenizer.save_pretrained(tmp_path / "m")
    answer, row, steps = chat(tmp_path / "m", "The quick brown fox jumps over", [], tmp_path)
    check(model, {"input_ids": torch.tensor([answer["prompt_ids"]])}, answer, row, steps)


def clip_whole():
    return CLIPModel(CLIPConfig(vision_config=CLIPVisionConfig(**TOWER).to_dict(),
                                text_config=CLIPTextConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=1,
                                                           num_attention_heads=2).to_dict()))


def siglip_whole():
    return SiglipModel(SiglipConfig(vision_config=SiglipVisionConfig(**TOWER).to_dict(),
                                    text_config=SiglipTextConfig(hidden_size=48, intermediate_size=48, num_hidden_layers=1,
                                                                 num_attention_heads=2).to_dict()))


TOWERS_ALONE = {
    "clip": (lambda: CLIPVisionModel(CLIPVisionConfig(**TOWER)), lambda model: model),
    "clip_with_projection": (lambda: CLIPVisionModelWithProjection(CLIPVisionConfig(**TOWER)), lambda m: m.vision_model),
    "clip_whole": (clip_whole, lambda model: model.vision_model),
    "siglip": (lambda: SiglipVisionModel(SiglipVisionConfig(**TOWER)), lambda model: model),
    "siglip_whole": (siglip_whole, lambda model: model.vision_model),
}


def save_parts(name, folder, processor):
    """A language model, a tower and a projector, each on its own; the three modules."""
    build, tower_of = TOWERS_ALONE[name]
    tower, language = awake(build()), awake(LlamaForCausalLM(LlamaConfig(**TEXT)))
    tower.save_pretrained(folder / "tower")
    language.save_pretrained(folder / "llm")
    processor.tokenizer.save_pretrained(folder / "llm")
    projector = awake(torch.nn.Sequential(torch.nn.Linear(TOWER["hidden_size"], TEXT["hidden_size"]), torch.nn.GELU(),
                                          torch.nn.Linear(TEXT["hidden_size"], TEXT["hidden_size"])))
    save_file({f"model.mm_projector.{key}": value for key, value in projector.state_dict().items()},
              folder / "mm_projector.safetensors")
    return tower_of(tower), language, projector


def parts_flags(folder):
    return ["--llm", folder / "llm", "--vision-tower", folder / "tower", "--projector", folder / "mm_projector.safetensors"]


def ask_parts(flags, picture, tmp_path):
    logits = tmp_path / "logits.safetensors"
    answer = json.loads(striate("chat", *flags, "--prompt", PROMPTS["one_picture"][0], "--raw", "--json", "--max-tokens", 2,
                                "--precision", "fp32", "--logits", logits, "--image", picture))
    return answer, load_file(logits)["prompt"]


def expected_row(parts, ids, picture, pad):
    """The logits of the prompt's last position, put together by hand."""
    tower, language, projector = parts
    size = dict(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    siglip = tower.config.model_type == "siglip_vision_model"
    if siglip:
        size = dict(size={"height": SIDE, "width": SIDE}, do_center_crop=False, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    pixels = LlavaImageProcessor(**size, do_pad=pad)(Image.open(picture).convert("RGB"), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        features = tower(pixels, output_hidden_states=True).hidden_states[-2]
        image = projector(features if siglip else features[:, 1:])[0]
        embed = language.get_input_embeddings()
        place = ids.index(IMAGE)
        rows = torch.cat([embed(torch.tensor(ids[:place])), image, embed(torch.tensor(ids[place + 1:]))])
        return language(inputs_embeds=rows[None], use_cache=False).logits[0, -1]


@pytest.mark.parametrize("pad", [True, False])
@pytest.mark.parametrize("name", TOWERS_ALONE)
def test_parts_that_transformers_saved_give_their_logits(name, pad, processor, pictures, tmp_path):  # noqa: F811
    parts = save_parts(name, tmp_path, processor)
    flags = [*parts_flags(tmp_path), "--image-aspect", "pad" if pad else "crop"]
    answer, row = ask_parts(flags, pictures[0], tmp_path)
    torch.testing.assert_close(row.reshape(-1), expected_row(parts, answer["prompt_ids"], pictures[0], pad), atol=ATOL,
                               rtol=RTOL)


@pytest.mark.parametrize("name", ["llama_clip", "tied_at_the_top", "siglip_tower", "phi3_text"])
def test_transformers_opens_again_what_striate_makes_of_it(name, processor, pictures, tmp_path):  # noqa: F811
    folder = tmp_path / name
    save_llava(name, folder, processor)
    striate("prune", "--model", folder, "--region", "none", "--layers", "1", "--out", tmp_path / "pruned")
    striate("export", "--model", folder, "--image-aspect", "pad", "--out", tmp_path / "padded")
    for out in (tmp_path / "pruned", tmp_path / "padded"):
        model = opened(LlavaForConditionalGeneration, out)
        answer, row, steps = chat(out, PROMPTS["one_picture"][0], pictures[:1], tmp_path)
        check(model, seen_by_transformers(out, model, answer["prompt_ids"], pictures[:1]), answer, row, steps)
    told = json.loads((tmp_path / "padded/processor_config.json").read_text())["image_processor"]
    assert told["do_pad"] and told["image_processor_type"] == "LlavaImageProcessor"


@pytest.mark.parametrize("name", ["clip", "siglip_whole"])
def test_a_model_of_parts_becomes_a_folder_whose_parts_transformers_opens(name, processor, pictures, tmp_path):  # noqa: F811
    parts = save_parts(name, tmp_path, processor)
    out = tmp_path / "out"
    striate("export", *parts_flags(tmp_path), "--out", out)
    config = json.loads((out / "config.json").read_text())
    siglip = name.startswith("siglip")
    assert config["model_type"] == ("bunny-llama" if siglip else "llava_llama")
    assert config["architectures"] == ["BunnyLlamaForCausalLM" if siglip else "LlavaLlamaForCausalLM"]
    assert config["mm_vision_tower"] == ("vision_tower_siglip" if siglip else "vision_tower_clip")
    assert config["image_aspect_ratio"] == "pad" and config["mm_projector_type"] == "mlp2x_gelu"
    for file in ("tokenizer_config.json", "generation_config.json"):
        assert (out / file).is_file()
    # The tower's folder is one that the towers' own class opens, as LLaVA's and Bunny's loaders do.
    tower = opened(SiglipVisionModel if siglip else CLIPVisionModel, out / config["mm_vision_tower"])
    for key, value in parts[0].state_dict().items():
        torch.testing.assert_close(tower.state_dict()[key], value, atol=0, rtol=0)
    # Names of LLaVA's and Bunny's model, without the tower.
    names = set(load_file(out / "model.safetensors"))
    assert names == set(parts[1].state_dict()) | {f"model.mm_projector.{key}" for key in parts[2].state_dict()}
    answer, row = ask_parts(["--model", out], pictures[0], tmp_path)
    torch.testing.assert_close(row.reshape(-1), expected_row(parts, answer["prompt_ids"], pictures[0], True), atol=ATOL,
                               rtol=RTOL)
