#!/usr/bin/env python3
"""Writes the seeds of the fuzzers: DIRECTORY/TARGET/NAME, from the inputs of other tests.

encoding     every encoding and encoded type of test/IR/encodings.mlir, and the table of
             test/python/test_kernels.py
bytecode     functions of test/IR/ops.mlir, each as a module of its own
gguf, safetensors, directory
             small files that hold every kind of value, tensor and component once
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import shutil
import struct
import subprocess
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent


def bracketed(text: str, start: int) -> str:
    """The text from `start` to the '>' that closes the first '<' after it."""
    depth = 0
    for i in range(text.index("<", start), len(text)):
        depth += (text[i] == "<") - (text[i] == ">" and text[i - 1] != "-")
        if depth == 0:
            return text[start : i + 1]
    raise ValueError(f"no closing '>' after {text[start:start + 40]!r}")


def encodings() -> dict[str, bytes]:
    lines = (TESTS / "IR" / "encodings.mlir").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("//"))
    found = [bracketed(text, match.start()) for match in re.finditer(r"tensor<", text)]
    found += [
        bracketed(text, match.start())
        for match in re.finditer(r"#lowbit\.(quantized|sparse|sum|part)<", text)
    ]
    # The dictionary of test_kernels.py, read and not run: it imports what a fuzzing build has not.
    kernels = ast.parse((TESTS / "python" / "test_kernels.py").read_text())
    tables = [
        ast.literal_eval(statement.value)
        for statement in kernels.body
        if isinstance(statement, ast.Assign) and getattr(statement.targets[0], "id", "") == "QUANTIZED"
    ]
    found += [f"#lowbit.quantized<{term}>" for table in tables for term in table.values()]
    unique = sorted(set(found))
    if len(unique) < 60:
        raise SystemExit(f"make-seeds: only {len(unique)} encodings found: have the tests moved?")
    return {f"{i:03}": text.encode() for i, text in enumerate(unique)}


CODEC = """
#q = #lowbit.quantized<uint<4>, scale = f16 per [1, 64] * uint<6> per [1, 32], min = f16 per [1, 32]>
func.func private @codec(%x: tensor<?x64xf32>, %w: tensor<?x64xf32, #q>) -> tensor<?x64xf32, #q> {
  %v = lowbit.decode %w : tensor<?x64xf32, #q>
  %e = lowbit.encode %v into %w : tensor<?x64xf32> into tensor<?x64xf32, #q>
  return %e : tensor<?x64xf32, #q>
}
"""


def modules() -> dict[str, str]:
    """Functions of ops.mlir that hold operations of Lowbit and `func` only, each with the aliases."""
    text = (TESTS / "IR" / "ops.mlir").read_text()
    aliases = re.findall(r"^#\w+ = .*$", text, re.M)
    functions = re.findall(r"^func\.func @(\w+)(.*?^\})", text, re.M | re.S)
    result = {}
    for name, rest in functions:
        rest = "\n".join(line for line in rest.splitlines() if "// " not in line)
        if not re.search(r"= (arith|linalg|scf|tensor)\.", rest):
            result[name] = "\n".join([*aliases, f"func.func @{name}{rest}"])
    result["codec"] = CODEC
    if len(result) < 5:
        raise SystemExit(f"make-seeds: only {len(result)} modules found: have the tests moved?")
    return result


def gguf_string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def gguf(version: int, values: list[tuple[str, int, bytes]], tensors, alignment: int) -> bytes:
    """`values`: (key, type number, bytes); `tensors`: (name, dimensions fastest first, type number, size)."""
    file = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values))
    for key, kind, value in values:
        file += gguf_string(key) + struct.pack("<I", kind) + value
    data = b""
    for name, dimensions, kind, size in tensors:
        file += gguf_string(name) + struct.pack("<I", len(dimensions))
        file += struct.pack(f"<{len(dimensions)}Q", *dimensions)
        file += struct.pack("<IQ", kind, len(data))
        data += bytes(i % 251 for i in range(size))
        data += bytes(-len(data) % alignment)
    file += bytes(-len(file) % alignment)
    return file + data


def ggufs() -> dict[str, bytes]:
    array = lambda kind, count, content: struct.pack("<IQ", kind, count) + content
    scalars = [
        ("u8", 0, b"\x07"),
        ("i8", 1, b"\xf9"),
        ("u16", 2, struct.pack("<H", 700)),
        ("i16", 3, struct.pack("<h", -700)),
        ("u32", 4, struct.pack("<I", 70000)),
        ("i32", 5, struct.pack("<i", -70000)),
        ("f32", 6, struct.pack("<f", 1e-5)),
        ("bool", 7, b"\1"),
        ("string", 8, gguf_string("grüße")),
        ("u64", 10, struct.pack("<Q", 2**63 + 1)),
        ("i64", 11, struct.pack("<q", -(2**62))),
        ("f64", 12, struct.pack("<d", 0.1)),
        ("not.a.number", 6, struct.pack("<I", 0x7FC00001)),
    ]
    arrays = [
        ("tokens", 9, array(8, 3, b"".join(map(gguf_string, ["<s>", "a", ""])))),
        ("types", 9, array(5, 2, struct.pack("<2i", 1, -1))),
        ("scores", 9, array(6, 2, struct.pack("<2f", 0.5, -0.0))),
        ("flags", 9, array(7, 2, b"\0\1")),
        ("deep", 9, array(9, 2, array(9, 1, array(0, 1, b"\5")) + array(9, 0, b""))),
        ("empty", 9, array(8, 0, b"")),
    ]
    alignment = [("general.alignment", 4, struct.pack("<I", 8))]
    tensors = [
        ("f32", [2], 0, 8),
        ("f16", [2, 2], 1, 8),
        ("q4_0", [32, 2], 2, 36),
        ("q4_1", [32], 3, 20),
        ("q8_0", [32, 1, 1, 2], 8, 68),
        ("bf16", [3], 30, 6),
        ("q4_K", [256], 12, 144),
    ]
    return {
        "scalars": gguf(3, scalars, [], 32),
        "arrays": gguf(2, arrays, [], 32),
        "tensors": gguf(3, alignment, tensors, 8),
        "tiny": gguf(3, [("a", 0, b"\1")], [("w", [1], 0, 4)], 32),
    }


def safetensors(header: dict, data: bytes, padding: int = 0) -> bytes:
    text = json.dumps(header, separators=(",", ":")).encode() + b" " * padding
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


INT4 = "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>"
MODEL = {
    "general.name": {"string": "mini"},
    "llama.block_count": {"u32": 2},
    "eps": {"f32": 1e-05},
    "nan": {"f32": "0x7fc00001"},
    "half": {"f64": "0x8000000000000000"},
    "tokens": {"[string]": ["<s>", "\u00fc"]},
    "deep": {"[array]": [{"[i8]": [-1]}, {"[bool]": [True]}]},
}
# Of the arrays that FuzzSafetensors.cpp puts into the file.
DIRECTORY = {
    "w": {"shape": [8, 64], "encoding": INT4, "components": ["codes", "scale"]},
    "s": {
        "shape": [2, 4],
        "encoding": "#lowbit.sparse<bf16, density = 0.25>",
        "components": ["positions", "columns", "values"],
    },
    "norm": {"shape": [4], "encoding": "", "components": ["values"]},
    "half": {"shape": [2, 2], "encoding": "#lowbit.quantized<f16>", "components": ["codes"]},
    "brain": {"shape": [2, 2], "encoding": "#lowbit.quantized<bf16>", "components": ["codes"]},
}


def safetensors_files() -> dict[str, bytes]:
    lowbit = {
        "__metadata__": {
            "lowbit.version": "1",
            "lowbit.tensors": json.dumps(
                {"w": {"shape": [1, 32], "encoding": INT4, "components": ["codes", "scale"]}}
            ),
            "lowbit.model": json.dumps(MODEL),
        },
        "w::codes": entry("U8", [1, 16], 0, 16),
        "w::scale": entry("F16", [1, 1], 16, 18),
    }
    plain = {
        "__metadata__": {"format": "pt"},
        "a": entry("F32", [2], 0, 8),
        "\u00fc\n": entry("BF16", [1, 2], 8, 12),
        "scalar": entry("F16", [], 12, 14),
        "none": entry("I64", [0, 3], 14, 14),
        "odd": entry("F4", [2, 2], 14, 16),
    }
    return {
        "lowbit": safetensors(lowbit, bytes(18), 6),
        "plain": safetensors(plain, bytes(range(16))),
        "empty": safetensors({}, b""),
    }


def checkpoints() -> dict[str, bytes]:
    """Small quantized checkpoints; zero points are said where a single file can say it."""
    found = {}
    for path in sorted((TESTS / "python" / "data" / "checkpoints").glob("*/model.safetensors")):
        data = path.read_bytes()
        (size,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8 : 8 + size])
        header["__metadata__"]["gptq_checkpoint_format"] = "gptq"
        found[f"checkpoint-{path.parent.name}"] = safetensors(header, data[8 + size :])
    return found


def directories() -> dict[str, bytes]:
    text = json.dumps(DIRECTORY).encode()
    return {"model": text + b"\0" + json.dumps(MODEL).encode(), "no-model": text}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bytecode-writer", required=True, help="lowbit-fuzz-write-bytecode")
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    seeds = {
        "encoding": encodings(),
        "gguf": ggufs(),
        "safetensors": safetensors_files() | checkpoints(),
        "directory": directories(),
        "bytecode": {
            name: subprocess.run(
                [arguments.bytecode_writer], input=text.encode(), stdout=subprocess.PIPE, check=True
            ).stdout
            for name, text in modules().items()
        },
    }
    for target, files in seeds.items():
        folder = arguments.directory / target
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
