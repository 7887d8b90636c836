"""Exported GGUF files against the software that reads them: the `gguf` package reads every tensor back equal to what it
makes of the checkpoint itself, and llama.cpp (llama-cpp-python) runs the models, pruned ones and pictures included.

llama.cpp keeps keys and values in fp32 here and uses no flash attention, so that f32 files differ from Striate by the
order of sums alone.
"""

import ctypes
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

gguf = pytest.importorskip("gguf")
llama_cpp = pytest.importorskip("llama_cpp")
from llama_cpp import mtmd_cpp  # noqa: E402
from transformers import CLIPVisionConfig, CLIPVisionModel, SiglipVisionConfig, SiglipVisionModel  # noqa: E402

from reference_data import tokenizer_at  # noqa: E402

PROGRAM = os.environ.get("STRIATE_PROGRAM")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="STRIATE_PROGRAM does not name the striate program")

F32 = 0  # ggml's type
TOKENS = 12
SMALL = "--layers 3 --hidden 128 --heads 4 --mlp 256"
CLIP = "--vision-layers 3 --vision-hidden 64 --vision-heads 2 --vision-mlp 160 --image-size 56 --patch-size 14"
SIGLIP = "--vision-layers 3 --vision-hidden 64 --vision-heads 2 --vision-mlp 160 --image-size 60 --patch-size 14"
MODELS = {
    "llava": ("llama2_style", f"--arch llava-1.5-7b {SMALL} --kv-heads 2 {CLIP} --dtype fp32"),
    "llava_original_bf16": ("llama2_style", f"--arch llava-1.5-7b {SMALL} --kv-heads 4 {CLIP} --layout original"),
    "bunny_llama3": ("llama3_style/tokenizer.json.gz", f"--arch bunny-llama3-8b {SMALL} --kv-heads 2 {SIGLIP} --dtype fp32"),
    "bunny_phi3": ("phi3", f"--arch bunny-phi3-mini {SMALL} --kv-heads 2 {SIGLIP} --dtype fp32"),
    "llama_tied": ("llama2_style", f"--arch llama-2-7b {SMALL} --kv-heads 4 --tie-embeddings --dtype fp32"),
    "phi3_text_fp16": ("phi3", f"--arch phi-3-mini {SMALL} --kv-heads 4 --dtype fp16"),
}
ALL = [(name, kind) for name in MODELS for kind in ("f32", "q8_0")]
ALL += [("llava", "f16"), ("llava", "bf16"), ("bunny_phi3", "f16")]
SEEING = ["llava", "llava_original_bf16", "bunny_llama3", "bunny_phi3"]
QTYPES = {"f32": "F32", "f16": "F16", "bf16": "BF16", "q8_0": "Q8_0"}
PROMPT = "The quick brown fox jumps over the lazy dog, and then"


def striate(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def shake(folder, seed=5):
    """Moves every bias and norm weight away from 0 and 1, lets the layers do more, and makes some tokens likelier after
    others, so that the likeliest one stands out."""
    generator = torch.Generator().manual_seed(seed)
    for file in sorted(Path(folder).glob("*.safetensors")):
        tensors = load_file(file)
        for name in sorted(tensors):
            if tensors[name].ndim == 1:
                noise = 0.1 * torch.randn(tensors[name].shape, generator=generator)
                tensors[name] = (tensors[name].float() + noise).to(tensors[name].dtype)
            elif "model.layers." in name or "projector" in name:
                tensors[name] = tensors[name] * 1.2
        table = next((name for name in tensors if name.endswith("embed_tokens.weight")), None)
        head = next((name for name in tensors if name.endswith("lm_head.weight")), None)
        if table and head:
            tensors[head] = (0.5 * tensors[head] + tensors[table].roll(7, 0)).to(tensors[head].dtype)
        if table:
            tensors[table] = (tensors[table] * (4 / tensors[table].float().std())).to(tensors[table].dtype)
        save_file(tensors, file, metadata={"format": "pt"})


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Checkpoints by name, made once."""
    made = {}

    def get(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("models") / name
            tokenizer, arguments = MODELS[name]
            striate("init", *arguments.split(), "--tokenizer", tokenizer_at(tokenizer), "--seed", 3, "--out", folder)
            shake(folder)
            made[name] = folder
        return made[name]

    return get


@pytest.fixture(scope="module")
def exports(models, tmp_path_factory):
    """{report, text, mmproj} by model and type, exported once."""
    made = {}

    def get(name, kind, *more):
        key = (name, kind, *more)
        if key not in made:
            made[key] = export(models(name), tmp_path_factory.mktemp("gguf") / name, kind, *more)
        return made[key]

    return get


def export(folder, out, kind, *more):
    report = json.loads(
        striate("export", "--model", folder, "--format", "gguf", "--gguf-type", kind, "--out", out, "--json", *more)
    )
    for file in filter(None, (report["text"], report["mmproj"])):
        assert Path(file["path"]).stat().st_size == file["bytes"]
    assert report["check"]["half_steps"] <= 1
    assert report["check"]["relative"] <= report["check"]["tolerance"]
    return report


def weights(folder):
    tensors = {}
    for file in sorted(Path(folder).glob("*.safetensors")):
        tensors.update(load_file(file))
    return tensors


def plain_name(name):
    """A checkpoint's name as transformers' text models and vision towers have it alone."""
    for prefix in ("model.vision_tower.vision_tower.", "vision_tower.", "language_model."):
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name


def permuted(rows, heads):
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def wanted_tensors(folder):
    """GGUF's names (by the gguf package's own tables) and the fp32 contents they should have."""
    config = json.loads((folder / "config.json").read_text())
    text = config.get("text_config", config)
    arch = gguf.MODEL_ARCH.PHI3 if "phi" in text["model_type"] else gguf.MODEL_ARCH.LLAMA
    names = gguf.get_tensor_name_map(arch, text["num_hidden_layers"])
    vision_names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.MMPROJ, 8)
    heads, kv_heads = text["num_attention_heads"], text["num_key_value_heads"]
    linears = {"multi_modal_projector.linear_1": "mm.0", "multi_modal_projector.linear_2": "mm.2",
               "model.mm_projector.0": "mm.0", "model.mm_projector.2": "mm.2"}
    wanted = {}
    for full, tensor in weights(folder).items():
        name, data = plain_name(full), tensor.float().numpy()
        module, kind = name.rsplit(".", 1)
        if module in linears:
            wanted[f"{linears[module]}.{kind}"] = data
        elif name.startswith("vision_model."):
            if "layers.2." in name or "post_layernorm" in name or ".head." in name:
                continue  # after the feature layer, -2 of three
            found = vision_names.get_name("vision_tower." + name, try_suffixes=(".weight", ".bias"))
            wanted[found] = data
        else:
            if arch == gguf.MODEL_ARCH.LLAMA and "q_proj" in name:
                data = permuted(data, heads)
            if arch == gguf.MODEL_ARCH.LLAMA and "k_proj" in name:
                data = permuted(data, kv_heads)
            wanted[names.get_name(name, try_suffixes=(".weight", ".bias"))] = data
    return wanted


@pytest.mark.parametrize("name, kind", ALL)
def test_the_gguf_package_reads_every_tensor_back_equal(name, kind, models, exports):
    report = exports(name, kind)
    wanted = wanted_tensors(models(name))
    seen = set()
    for file in filter(None, (report["text"], report["mmproj"])):
        for tensor in gguf.GGUFReader(file["path"]).tensors:
            data = wanted[tensor.name]
            assert tuple(reversed(tensor.shape.tolist())) == data.shape
            if data.ndim == 1:
                assert tensor.tensor_type == gguf.GGMLQuantizationType.F32
            elif tensor.name.startswith("blk.") or tensor.name in ("token_embd.weight", "output.weight"):
                assert tensor.tensor_type.name == QTYPES[kind]
            assert tensor.data.tobytes() == gguf.quants.quantize(data, tensor.tensor_type).tobytes(), tensor.name
            seen.add(tensor.name)
    assert seen == set(wanted)


def value(reader, key):
    return reader.fields[key].contents()


def test_the_metadata_is_what_llama_cpp_reads(exports):
    text = gguf.GGUFReader(exports("llava", "q8_0")["text"]["path"])
    assert value(text, "general.architecture") == "llama" and value(text, "general.file_type") == 7
    assert value(text, "llama.block_count") == 3 and value(text, "llama.attention.head_count_kv") == 2
    assert value(text, "llama.rope.dimension_count") == 32 and value(text, "llama.context_length") == 4096
    assert text.fields["llama.attention.layer_norm_rms_epsilon"].types == [gguf.GGUFValueType.FLOAT32]
    tokens, kinds = value(text, "tokenizer.ggml.tokens"), value(text, "tokenizer.ggml.token_type")
    assert len(tokens) == len(kinds) == value(text, "llama.vocab_size")
    assert tokens[:4] == ["<unk>", "<s>", "</s>", "<0x00>"] and kinds[:4] == [2, 3, 3, 6]
    assert tokens[1000:1002] == ["<image>", "<pad>"] and kinds[1000:1002] == [3, 3]
    vision = gguf.GGUFReader(exports("llava", "q8_0")["mmproj"]["path"])
    assert value(vision, "general.architecture") == "clip" and value(vision, "clip.projector_type") == "mlp"
    assert value(vision, "clip.vision.block_count") == 2 and value(vision, "clip.vision.feature_layer") == [2]
    assert value(vision, "clip.use_gelu") is False
    phi = gguf.GGUFReader(exports("bunny_phi3", "f16")["text"]["path"])
    assert value(phi, "general.architecture") == "phi3" and value(phi, "phi3.attention.sliding_window") == 2047
    assert value(phi, "tokenizer.ggml.eos_token_id") == 32000
    bunny = gguf.GGUFReader(exports("bunny_llama3", "f32")["text"]["path"])
    assert value(bunny, "tokenizer.ggml.pre") == "llama-bpe" and value(bunny, "tokenizer.ggml.bos_token_id") == 1024
    assert value(bunny, "tokenizer.ggml.eot_token_id") == 1033


def distance(got, wanted):
    assert got.shape == wanted.shape
    return np.abs(got - wanted).max() / np.abs(wanted).max()


def opened(path):
    return llama_cpp.Llama(
        str(path), n_ctx=256, logits_all=True, type_k=F32, type_v=F32, flash_attn=False, n_threads=2, verbose=False
    )


def chat(folder, prompt, tmp_path, *more):
    logits = tmp_path / "logits.safetensors"
    arguments = ["chat", "--model", folder, "--prompt", prompt, "--raw", "--json", "--max-tokens", TOKENS]
    answer = json.loads(striate(*arguments, "--precision", "fp32", "--logits", logits, *more))
    return answer, load_file(logits)["steps"].float().numpy()


def greedy(llama, ids):
    """The tokens llama.cpp answers with."""
    llama.reset()
    llama.eval(ids)
    answer = []
    for _ in range(TOKENS):
        answer.append(int(np.argmax(llama.scores[llama.n_tokens - 1])))
        llama.eval(answer[-1:])
    return answer


def check_text(llama, ids, answer, rows, tolerance):
    """The logits of the prompt and of every step on the way Striate went, and the greedy answer."""
    llama.reset()
    llama.eval(ids + answer)
    got = llama.scores[len(ids) - 1 : len(ids) - 1 + len(rows)].copy()
    count = min(len(rows), len(answer) + 1)
    error = np.abs(got[:count] - rows[:count]).max() / np.abs(rows).max()
    assert error <= tolerance, error
    top = np.sort(rows[: len(answer)], axis=1)[:, -2:]
    margins = (top[:, 1] - top[:, 0]) / np.abs(rows).max()
    stand_out = np.flatnonzero(margins > 2 * error)
    assert len(stand_out) >= len(answer) // 3, "the two likeliest tokens are too near to compare: take another seed"
    for step in stand_out:
        assert int(got[step].argmax()) == answer[step]
    unclear = np.flatnonzero(margins <= 2 * error)
    clear = int(unclear[0]) if len(unclear) else len(answer)
    print(f"logits differ by {error:.2g} of the largest; {len(stand_out)} of {len(answer)} tokens stand out")
    assert greedy(llama, ids)[:clear] == answer[:clear]
    return clear


# Of the largest logit. In q8_0 files llama.cpp rounds activations to q8_0, too.
TOLERANCE = {"f32": 2e-5, "f16": 1e-2, "bf16": 6e-2, "q8_0": 0.1}


@pytest.mark.parametrize("name, kind", ALL)
def test_llama_cpp_gives_striates_logits_and_answers(name, kind, models, exports, tmp_path):
    answer, rows = chat(models(name), PROMPT, tmp_path)
    llama = opened(exports(name, kind)["text"]["path"])
    clear = check_text(llama, answer["prompt_ids"], answer["ids"], rows, TOLERANCE[kind])
    if kind == "f32":
        assert clear == len(answer["ids"])


def pruned(folder, out, keep):
    """`folder` with the layers `keep` alone, as a pruning writes it."""
    out.mkdir()
    for file in folder.iterdir():
        if file.is_dir():
            (out / file.name).mkdir()
            for inner in file.iterdir():
                (out / file.name / inner.name).write_bytes(inner.read_bytes())
        elif file.suffix != ".safetensors" and not file.name.endswith(".index.json"):
            (out / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    text = config.get("text_config", config)
    total, text["num_hidden_layers"] = text["num_hidden_layers"], len(keep)
    (out / "config.json").write_text(json.dumps(config))
    kept = {}
    for name, tensor in weights(folder).items():
        at = name.find("model.layers.")
        if at < 0 or "vision" in name:
            kept[name] = tensor
            continue
        layer, rest = name[at + len("model.layers.") :].split(".", 1)
        if int(layer) in keep:
            kept[f"{name[:at]}model.layers.{keep.index(int(layer))}.{rest}"] = tensor
    save_file(kept, out / "model.safetensors", metadata={"format": "pt"})
    removed = [i for i in range(total) if i not in keep]
    (out / "striate.json").write_text(json.dumps({"layers": {"of": total, "original": keep, "removed": removed}}))
    return out


@pytest.mark.parametrize("kind", ["f32", "q8_0"])
@pytest.mark.parametrize("name", ["llava", "bunny_llama3", "bunny_phi3"])
def test_llama_cpp_runs_pruned_models(name, kind, models, tmp_path):
    folder = pruned(models(name), tmp_path / "pruned", [0, 2])
    report = export(folder, tmp_path / "gguf", kind)
    reader = gguf.GGUFReader(report["text"]["path"])
    assert value(reader, "striate.original_layers") == [0, 2]
    answer, rows = chat(folder, PROMPT, tmp_path)
    _, whole = chat(models(name), PROMPT, tmp_path)
    assert distance(rows[0], whole[0]) > 0.02, "pruning changes too little to test anything"
    check_text(opened(report["text"]["path"]), answer["prompt_ids"], answer["ids"], rows, TOLERANCE[kind])


def test_an_adapter_is_merged(models, tmp_path):
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    folder = models("llama_tied")
    config = peft.LoraConfig(r=4, lora_alpha=9, target_modules=["q_proj", "k_proj", "down_proj"], task_type="CAUSAL_LM")
    model = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), config)
    generator = torch.Generator().manual_seed(4)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator)
    model.save_pretrained(tmp_path / "adapter")
    report = export(folder, tmp_path / "gguf", "f32", "--adapter", tmp_path / "adapter")
    _, plain = chat(folder, PROMPT, tmp_path)
    answer, rows = chat(folder, PROMPT, tmp_path, "--adapter", tmp_path / "adapter")
    assert distance(rows[0], plain[0]) > 0.01, "the adapter changes too little to test anything"
    check_text(opened(report["text"]["path"]), answer["prompt_ids"], answer["ids"], rows, TOLERANCE["f32"])


TEXTS = [
    "Hello world", "  two spaces", "line\nbreak\n\n", "Ünïcode, naïve: 日本語 🙂", "it's 12345.67 o'clock", "tab\there",
    "a", " ", "\u00a0x", "def f(x):\n    return x ** 2\n", "ᚠᛇᚻ runes", "end ",
]


@pytest.mark.parametrize("name", ["llava", "bunny_llama3", "bunny_phi3"])
def test_llama_cpp_encodes_text_alike(name, models, exports):
    llama = llama_cpp.Llama(str(exports(name, "f32")["text"]["path"]), vocab_only=True, verbose=False)
    texts = TEXTS + (["<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"] if name == "bunny_llama3" else [])
    lines = "\n".join(json.dumps({"text": text}) for text in texts)
    command = [PROGRAM, "tokenize", "--tokenizer", str(models(name))]
    done = subprocess.run(command, input=lines, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    wanted = [json.loads(line)["ids"] for line in done.stdout.splitlines()]
    got = [llama.tokenize(text.encode(), add_bos=False, special=True) for text in texts]
    assert got == wanted
    space = "" if name == "bunny_llama3" else " "  # sentencepiece's prefix
    assert [llama.detokenize(ids).decode() for ids in got[:3]] == [space + text for text in texts[:3]]


@llama_cpp.llama_log_callback
def quiet(level, text, data):
    """mtmd's log, which has pages for every file."""


mtmd_cpp.mtmd_log_set(quiet, None)
mtmd_cpp.mtmd_helper_log_set(quiet, None)


class Eyes:
    """llama.cpp's mtmd on one picture and prompt."""

    def __init__(self, report):
        self.llama = opened(report["text"]["path"])
        params = mtmd_cpp.mtmd_context_params_default()
        params.use_gpu, params.print_timings, params.n_threads, params.warmup = False, False, 2, False
        params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.context = mtmd_cpp.mtmd_init_from_file(report["mmproj"]["path"].encode(), self.llama.model, params)
        assert self.context is not None

    def chunks(self, prompt, picture):
        """The prompt's pieces; the picture is [S, S, 3] uint8 of the tower's own size."""
        data = picture.tobytes()
        buffer = (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
        bitmap = mtmd_cpp.mtmd_bitmap_init(picture.shape[1], picture.shape[0], buffer)
        text = prompt.replace("<image>", mtmd_cpp.mtmd_default_marker().decode()).encode()
        piece = mtmd_cpp.mtmd_input_text(text=text, text_len=len(text), add_special=True, parse_special=True)
        chunks = mtmd_cpp.mtmd_input_chunks_init()
        bitmaps = (mtmd_cpp.mtmd_bitmap_p_ctypes * 1)(bitmap)
        assert mtmd_cpp.mtmd_tokenize(self.context, chunks, ctypes.byref(piece), bitmaps, 1) == 0
        return chunks

    def embeddings(self, picture):
        """[tokens, hidden]: what the language model sees of the picture."""
        chunks = self.chunks("<image>", picture)
        for i in range(mtmd_cpp.mtmd_input_chunks_size(chunks)):
            chunk = mtmd_cpp.mtmd_input_chunks_get(chunks, i)
            if mtmd_cpp.mtmd_input_chunk_get_type(chunk) != mtmd_cpp.MTMD_INPUT_CHUNK_TYPE_IMAGE:
                continue
            assert mtmd_cpp.mtmd_encode_chunk(self.context, chunk) == 0
            tokens = mtmd_cpp.mtmd_input_chunk_get_n_tokens(chunk)
            width = self.llama.n_embd()
            rows = mtmd_cpp.mtmd_get_output_embd(self.context)
            return np.ctypeslib.as_array(rows, (tokens * width,)).reshape(tokens, width).copy()
        raise AssertionError("no picture among the pieces")

    def answer(self, prompt, picture):
        """The greedy answer's tokens, and the logits of the first."""
        self.llama.reset()
        self.llama._ctx.kv_cache_clear()
        chunks, past = self.chunks(prompt, picture), llama_cpp.llama_pos(0)
        done = mtmd_cpp.mtmd_helper_eval_chunks(
            self.context, self.llama.ctx, chunks, 0, 0, 256, True, ctypes.byref(past)
        )
        assert done == 0
        tokens, first = [], None
        vocabulary = self.llama.n_vocab()
        for step in range(TOKENS):
            logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(self.llama.ctx, -1), (vocabulary,)).copy()
            first = logits if first is None else first
            tokens.append(int(logits.argmax()))
            token = (llama_cpp.llama_token * 1)(tokens[-1])
            assert llama_cpp.llama_decode(self.llama.ctx, llama_cpp.llama_batch_get_one(token, 1)) == 0
        return tokens, first


def picture_of(size, seed=11):
    from PIL import Image

    small = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((size, size), Image.BILINEAR))


def tower_of(folder):
    """The vision tower in transformers, and its mean and standard deviation of pixels."""
    config = json.loads((folder / "config.json").read_text())
    if "vision_config" in config:
        shape, kind = config["vision_config"], "clip"
    else:
        name = config["mm_vision_tower"]
        shape = json.loads((folder / name / "config.json").read_text())
        shape, kind = shape.get("vision_config", shape), "siglip" if "siglip" in name else "clip"
    if kind == "clip":
        tower, mean, std = CLIPVisionModel(CLIPVisionConfig(**shape)), [0.48145466, 0.4578275, 0.40821073], [
            0.26862954, 0.26130258, 0.27577711]
    else:
        tower, mean, std = SiglipVisionModel(SiglipVisionConfig(**shape, vision_use_head=False)), [0.5] * 3, [0.5] * 3
    own = tower.state_dict()
    prefix = "vision_model." if any(key.startswith("vision_model.") for key in own) else ""
    found = {}
    for name, tensor in weights(folder).items():
        if plain_name(name).startswith("vision_model."):
            found[prefix + plain_name(name)[len("vision_model.") :]] = tensor.float()
    missing, unexpected = tower.load_state_dict(found, strict=False)
    assert not unexpected and not [key for key in missing if "position_ids" not in key and ".head." not in key]
    return tower.eval(), kind, torch.tensor(mean), torch.tensor(std)


def projected(folder, picture, class_last):
    """Rows of the picture as the checkpoint's projector gives them, in transformers. `class_last`: computed as llama.cpp
    does since its pull request 13321, with the class token after the patches and yet counted as the first (its issue
    25814): patches have their neighbours' positions, the first row is lost, the class token's row comes last."""
    tower, kind, mean, std = tower_of(folder)
    pixels = ((torch.tensor(picture).float() / 255 - mean) / std).permute(2, 0, 1).unsqueeze(0)
    if class_last and kind == "clip":
        table = next(p for n, p in tower.named_parameters() if n.endswith("position_embedding.weight"))
        table.data = torch.cat([table.data[-1:], table.data[:-1]])
    with torch.no_grad():
        rows = tower(pixel_values=pixels, output_hidden_states=True).hidden_states[-2][0]
    if kind == "clip":
        rows = torch.cat([rows[2:], rows[:1]]) if class_last else rows[1:]
    tensors = {plain_name(name): tensor.float() for name, tensor in weights(folder).items()}
    names = ["multi_modal_projector.linear_1", "multi_modal_projector.linear_2"]
    if names[0] + ".weight" not in tensors:
        names = ["model.mm_projector.0", "model.mm_projector.2"]
    for i, name in enumerate(names):
        rows = torch.nn.functional.linear(rows, tensors[name + ".weight"], tensors[name + ".bias"])
        rows = torch.nn.functional.gelu(rows) if i == 0 else rows
    return rows.numpy()


# llama.cpp's GELU in the projector is the tanh form, through a table in fp16; towers have one of these tables, too.
PICTURE_TOLERANCE = {"f32": 4e-3, "f16": 6e-3, "bf16": 3e-2, "q8_0": 3e-2}


@pytest.mark.parametrize("name, kind", [pair for pair in ALL if pair[0] in SEEING])
def test_llama_cpp_sees_what_the_tower_sees(name, kind, models, exports):
    picture = picture_of(56 if "llava" in name else 60)
    rows = Eyes(exports(name, kind, "--mmproj-type", kind)).embeddings(picture)
    right = projected(models(name), picture, class_last=False)
    as_published = distance(rows, right)
    if "llava" in name:  # llama.cpp's issue 25814, which a later version may have mended
        late = distance(rows, projected(models(name), picture, class_last=True))
        print(f"{name} {kind}: {as_published:.2g} from the tower, {late:.2g} from the tower with its class token last")
        assert min(as_published, late) <= PICTURE_TOLERANCE[kind]
        assert distance(right, projected(models(name), picture, class_last=True)) > 10 * PICTURE_TOLERANCE["f32"]
    else:
        print(f"{name} {kind}: {as_published:.2g} from the tower")
        assert as_published <= PICTURE_TOLERANCE[kind]


@pytest.mark.parametrize("kind", ["f32", "q8_0"])
@pytest.mark.parametrize("name", ["bunny_llama3", "bunny_phi3"])
def test_llama_cpp_answers_about_a_picture_as_striate_does(name, kind, models, exports, tmp_path):
    from PIL import Image

    picture = picture_of(60)
    Image.fromarray(picture).save(tmp_path / "picture.png")
    prompt = "<image>\nWhat is it?"
    answer, rows = chat(models(name), prompt, tmp_path, "--image", tmp_path / "picture.png")
    other = tmp_path / "other.png"
    Image.fromarray(255 - picture).save(other)
    tolerance = TOLERANCE[kind] + PICTURE_TOLERANCE["f16"]
    assert distance(chat(models(name), prompt, tmp_path, "--image", other)[1][0], rows[0]) > 0.01
    tokens, first = Eyes(exports(name, kind)).answer(prompt, picture)
    error = distance(first, rows[0])
    assert error <= tolerance
    top = np.sort(rows[: len(answer["ids"])], axis=1)[:, -2:]
    margins = (top[:, 1] - top[:, 0]) / np.abs(rows).max()
    unclear = np.flatnonzero(margins <= 2 * error)
    clear = int(unclear[0]) if len(unclear) else len(answer["ids"])
    print(f"{name} {kind}: logits differ by {error:.2g}; {clear} of {len(answer['ids'])} tokens are clear")
    assert clear > 0
    assert tokens[:clear] == answer["ids"][:clear]


@pytest.mark.parametrize("name", ["llava", "bunny_llama3", "bunny_phi3"])
def test_the_chat_template_renders_the_prompts_of_striate_chat(name, models, exports):
    """The file carries the family's template, which Jinja renders to what `striate chat` asks. Phi-3's tokenizer files,
    as Bunny's folders hold them, name another template: the model was not tuned with it."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    folder = models(name)
    text = gguf.GGUFReader(exports(name, "f32")["text"]["path"]).get_field("tokenizer.chat_template").contents()
    render = ImmutableSandboxedEnvironment().from_string(text).render
    question = "Is there a blue square?"
    prompt = render(messages=[{"role": "user", "content": question}], add_generation_prompt=True)
    ids = [json.loads(striate("chat", "--model", folder, "--json", "--max-tokens", 1, "--prompt", *asked))["prompt_ids"]
           for asked in ([question], [prompt, "--raw"])]
    assert ids[0] == ids[1]
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    assert " ASSISTANT: b" in render(messages=turns, add_generation_prompt=False)
    assert render(messages=[{"role": "system", "content": "S"}, *turns]).startswith("S USER: a ASSISTANT: b")
    assert render(messages=[{"role": "system", "content": " "}, *turns]) == render(messages=turns)
