"""Writes testdata/nf4.json: matrices as bitsandbytes 0.50.2 quantises them to 4-bit NormalFloat with double
quantisation (`pip install bitsandbytes==0.50.2`; it runs on the CPU), for tests/tensor/quantized_test.cpp."""
import json
import pathlib

import bitsandbytes.functional as bnb
import torch


def matrix(rows, columns):
    """Values that fp32 holds exactly, of another size in every block of 64; the test makes the same."""
    i = torch.arange(rows * columns, dtype=torch.int64)
    size = 1 + (i // 64) % 7 + (i // 4096) % 3
    return (((i * i * 31 + 7 * i) % 1021 - 510) * size).to(torch.float32).div(8192).reshape(rows, columns)


def case(rows, columns):
    codes, state = bnb.quantize_4bit(matrix(rows, columns), blocksize=64, compress_statistics=True, quant_type="nf4")
    return {"rows": rows, "columns": columns,
            "codes": codes.flatten().numpy().tobytes().hex(),
            "scales": state.absmax.flatten().numpy().tobytes().hex(),
            "mean": state.offset.item(),
            "coarse": state.state2.absmax.tolist()}


folder = pathlib.Path(__file__).parent / "testdata"
made = {"library": "bitsandbytes 0.50.2",
        "levels": bnb.get_4bit_type("nf4", device="cpu").tolist(),
        "scale_levels": bnb.create_dynamic_map().tolist(),
        "cases": [case(200, 96), case(13, 77), case(5, 33)]}
(folder / "nf4.json").write_text(json.dumps(made) + "\n")
