"""Files that torch and safetensors themselves write, read by Striate; and the other way round.

STRIATE_WEIGHTS_PROBE is the test program weights_probe (built in tests/files).
"""

import codecs
import json
import os
import pickle
import subprocess
import zipfile
from collections import OrderedDict

import pytest

torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")

DTYPES = [
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32,
    torch.uint64, torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn,
    torch.float8_e5m2,
]


@pytest.fixture(scope="module")
def probe():
    if "STRIATE_WEIGHTS_PROBE" not in os.environ:
        pytest.skip("STRIATE_WEIGHTS_PROBE does not name the weights_probe program")
    return os.environ["STRIATE_WEIGHTS_PROBE"]


def run(probe, *arguments):
    return subprocess.run([probe, *map(str, arguments)], capture_output=True, text=True)


def copied(probe, path, folder):
    """Striate's reading of `path`, written by Striate as safetensors and read by the safetensors package."""
    out = folder / "copied.safetensors"
    result = run(probe, "copy", path, out)
    assert result.returncode == 0, result.stderr
    return safetensors_torch.load_file(out)


def refusal(probe, path):
    result = run(probe, "list", path)
    assert result.returncode == 2, (result.returncode, result.stderr)
    message, hint = result.stderr.strip().split("\n")
    assert hint.startswith("hint: ") and len(hint) > 10
    return message


def bits(tensor):
    return tensor.detach().contiguous().flatten().view(torch.uint8)


def assert_same(got, want):
    assert sorted(got) == sorted(want)
    for name, tensor in want.items():
        assert got[name].dtype == tensor.dtype, name
        assert got[name].shape == tensor.shape, name
        assert torch.equal(bits(got[name]), bits(tensor)), name


def some_tensors(dtypes=DTYPES):
    generator = torch.Generator().manual_seed(3)
    values = torch.randint(0, 100, (3, 5), generator=generator)
    tensors = {str(dtype): values.to(dtype) for dtype in dtypes}
    tensors["scalar"] = torch.tensor(2.5)
    tensors["empty"] = torch.empty(3, 0, 2)
    return tensors


def test_every_dtype_of_torch_save(probe, tmp_path):
    tensors = some_tensors()
    torch.save(tensors, tmp_path / "x.bin")
    assert_same(copied(probe, tmp_path / "x.bin", tmp_path), tensors)


def test_every_dtype_of_safetensors(probe, tmp_path):
    tensors = some_tensors()
    safetensors_torch.save_file(tensors, tmp_path / "x.safetensors", metadata={"format": "pt"})
    assert_same(copied(probe, tmp_path / "x.safetensors", tmp_path), tensors)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_pickle_protocol(probe, tmp_path, protocol):
    tensors = OrderedDict(some_tensors())
    torch.save(tensors, tmp_path / "x.bin", pickle_protocol=protocol)
    assert_same(copied(probe, tmp_path / "x.bin", tmp_path), tensors)


def test_shared_storages_and_views(probe, tmp_path):
    base = torch.arange(60.0).reshape(3, 4, 5)
    tensors = {
        "base": base,
        "turned": base.permute(2, 0, 1),
        "slice": base[1:, ::2, 3],
        "last": base[-1, -1, -1],
        "expanded": base[0, 0].expand(7, 5),
        "diagonal": torch.arange(16.0).reshape(4, 4).diagonal(),
        "channels_last": torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5).to(memory_format=torch.channels_last),
    }
    torch.save(tensors, tmp_path / "x.bin")
    assert_same(copied(probe, tmp_path / "x.bin", tmp_path), tensors)


def test_parameters_and_module_state_dict(probe, tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 3, dtype=torch.bfloat16))
    state = module.state_dict()
    assert hasattr(state, "_metadata")
    torch.save(state, tmp_path / "state.bin")
    assert_same(copied(probe, tmp_path / "state.bin", tmp_path), state)
    parameters = dict(module.named_parameters())
    torch.save(parameters, tmp_path / "parameters.bin")
    assert_same(copied(probe, tmp_path / "parameters.bin", tmp_path), parameters)


def test_tensors_with_attributes(probe, tmp_path):
    parameter = torch.nn.Parameter(torch.arange(3.0))
    parameter.note = "kept by torch, of no use here"
    tensor = torch.arange(4.0)
    tensor.note = [1, 2]
    torch.save({"p": parameter, "t": tensor}, tmp_path / "x.bin")
    assert_same(copied(probe, tmp_path / "x.bin", tmp_path), {"p": parameter, "t": tensor})


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_training_checkpoint(probe, tmp_path, key):
    module = torch.nn.Linear(4, 2)
    optimiser = torch.optim.AdamW(module.parameters())
    module(torch.ones(4)).sum().backward()
    optimiser.step()
    state = {"epoch": 3, "loss": 0.5, "lr": None, key: module.state_dict(), "optimizer": optimiser.state_dict()}
    torch.save(state, tmp_path / "x.pt")
    assert_same(copied(probe, tmp_path / "x.pt", tmp_path), module.state_dict())


def test_names_of_every_kind(probe, tmp_path):
    tensors = {name: torch.ones(1) for name in ["é", "模型.weight", "a b", 'q"\\', "line\nbreak", "\U0001F600", ""]}
    torch.save(tensors, tmp_path / "x.bin")
    assert_same(copied(probe, tmp_path / "x.bin", tmp_path), tensors)


def test_without_checksums(probe, tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": torch.ones(2)}, tmp_path / "x.bin")
    finally:
        torch.serialization.set_crc32_options(True)
    assert_same(copied(probe, tmp_path / "x.bin", tmp_path), {"a": torch.ones(2)})


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_sharded_directory(probe, tmp_path, kind):
    tensors = some_tensors([torch.float32, torch.bfloat16, torch.float16])
    names = sorted(tensors)
    shards = {f"part-{i}.{kind}": {name: tensors[name] for name in names[i::2]} for i in range(2)}
    weight_map = {}
    for file, part in shards.items():
        if kind == "bin":
            torch.save(part, tmp_path / file)
        else:
            safetensors_torch.save_file(part, tmp_path / file)
        weight_map.update({name: file for name in part})
    stem = "pytorch_model.bin" if kind == "bin" else "model.safetensors"
    (tmp_path / f"{stem}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    assert_same(copied(probe, tmp_path, tmp_path), tensors)
    (tmp_path / f"part-1.{kind}").unlink()
    assert f"part-1.{kind}" in refusal(probe, tmp_path)


def test_legacy_format_is_refused(probe, tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "x.bin", _use_new_zipfile_serialization=False)
    assert "before version 1.6" in refusal(probe, tmp_path / "x.bin")


def test_torchscript_is_refused(probe, tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "x.pt")
    assert "TorchScript" in refusal(probe, tmp_path / "x.pt")


def test_sparse_and_whole_modules_are_refused_by_name(probe, tmp_path):
    torch.save({"a": torch.eye(3).to_sparse()}, tmp_path / "x.bin")
    assert "_rebuild_sparse_tensor" in refusal(probe, tmp_path / "x.bin")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "x.bin")
    assert "torch.nn.modules.linear.Linear" in refusal(probe, tmp_path / "x.bin")


class Calls:
    """Pickles as a call of `function`, as an attacker's object would."""

    def __init__(self, function, *arguments):
        self.function = function
        self.arguments = arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    "function, arguments, name",
    [
        (os.system, ("touch /tmp/striate-was-here",), "posix.system"),
        (eval, ("1",), "eval"),
        (exec, ("1",), "exec"),
        (getattr, ("a", "b"), "getattr"),
        (codecs.encode, ("x", "rot13"), "_codecs.encode"),
        (subprocess.Popen, (["true"],), ".Popen"),
        (torch.load, ("x",), "torch.serialization.load"),
    ],
)
def test_pickles_that_ask_for_code_are_refused_by_name(probe, tmp_path, protocol, function, arguments, name):
    bomb = Calls(function, *arguments)
    for i, content in enumerate([bomb, {"a": bomb}, {"a": torch.ones(2), "b": [({"c": bomb},)]}]):
        path = tmp_path / f"{i}.bin"
        torch.save(content, path, pickle_protocol=protocol)
        message = refusal(probe, path)
        assert "asks for" in message and name in message, message


def test_hidden_in_metadata_and_in_hooks(probe, tmp_path):
    state = OrderedDict(a=torch.ones(2))
    state._metadata = {"x": Calls(os.system, "true")}
    torch.save(state, tmp_path / "x.bin")
    assert "posix.system" in refusal(probe, tmp_path / "x.bin")


def test_nested_reduce_is_refused(probe, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.bin", "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps(Calls(Calls, Calls(os.system, "true")), protocol=4))
    assert "asks for" in refusal(probe, tmp_path / "x.bin")


def test_compressed_archive_is_refused(probe, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.bin", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", pickle.dumps({}, protocol=2))
    assert "compressed" in refusal(probe, tmp_path / "x.bin")


def test_safetensors_refuses_what_striate_refuses(probe, tmp_path):
    safetensors_torch.save_file(some_tensors([torch.float32]), tmp_path / "x.safetensors")
    whole = (tmp_path / "x.safetensors").read_bytes()
    for size in range(0, len(whole), 7):
        (tmp_path / "x.safetensors").write_bytes(whole[:size])
        with pytest.raises(Exception):
            safetensors_torch.load_file(tmp_path / "x.safetensors")
        refusal(probe, tmp_path / "x.safetensors")
