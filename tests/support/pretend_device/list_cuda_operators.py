"""Lists the operators that have a CUDA kernel of their own: python3 list_cuda_operators.py TORCH_INCLUDE > cuda_operators.txt

TORCH_INCLUDE is the include folder of any wheel, one without CUDA too. ATen/ops/NAME_cuda_dispatch.h declares the C++
function of every operator that native_functions.yaml gives a CUDA kernel; ATen/ops/NAME_ops.h says which overload has
which C++ signature. Prints one "aten::name.overload" a line, and fails when a declaration fits no overload.
"""

import pathlib
import re
import sys

DECLARED = re.compile(r"^TORCH_API (?P<returns>.*?) (?P<name>\w+)\((?P<parameters>.*)\);$", re.M)
OPERATOR = re.compile(
    r"using schema = [^\n]*? \((?P<types>[^\n]*)\);\n"
    r".*?"
    r'const char\* name = "aten::(?P<name>.*?)";\s*'
    r'static constexpr const char\* overload_name = "(?P<overload>.*?)";',
    re.S,
)
SAME = [
    ("at::OptionalSymIntArrayRef", "at::OptionalIntArrayRef"),
    ("c10::SymIntArrayRef", "at::IntArrayRef"),
    ("c10::SymInt", "int64_t"),
]


def split_types(text):
    """The types of a C++ parameter list: commas inside of brackets do not count."""
    parts, depth, part = [], 0, ""
    for character in text:
        if character == "," and depth == 0:
            parts.append(part)
            part = ""
            continue
        depth += character in "<({"
        depth -= character in ">)}"
        part += character
    return [part.strip() for part in [*parts, part] if part.strip()]


def plain(type_name):
    """One spelling for a type and for its symbolic twin."""
    type_name = type_name.replace(" ", "").replace("::std::", "std::")
    for symbolic, other in SAME:
        type_name = type_name.replace(symbolic, other)
    return type_name


def without_name(parameter):
    return re.sub(r"\w+$", "", re.sub(r"\s*=.*$", "", parameter))


def overloads(header):
    """{(name, types): overload} of an operator's header."""
    return {
        (m["name"], tuple(map(plain, split_types(m["types"])))): m["overload"]
        for m in OPERATOR.finditer(header.read_text())
    }


def cuda_operators(ops):
    found, strangers = set(), []
    for header in sorted(ops.glob("*_cuda_dispatch.h")):
        known = overloads(ops / header.name.replace("_cuda_dispatch", "_ops"))
        for declared in DECLARED.finditer(header.read_text()):
            name = declared["name"].removesuffix("_outf").removesuffix("_symint")
            # Every operator is there in its schema's own order; these are it once more.
            if name.endswith("_out") or "at::TensorOptions options" in declared["parameters"]:
                continue
            key = (name, tuple(plain(without_name(p)) for p in split_types(declared["parameters"])))
            if key in known:
                found.add(f"aten::{key[0]}.{known[key]}".removesuffix("."))
            else:
                strangers.append(f"{header.name}: {declared[0]}")
    return sorted(found), strangers


def main():
    found, strangers = cuda_operators(pathlib.Path(sys.argv[1]) / "ATen/ops")
    print("\n".join(found))
    if strangers or not found:
        sys.exit("\n".join(["these fit no overload:", *strangers]))


if __name__ == "__main__":
    main()
