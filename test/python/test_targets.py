"""Code for other processors than this machine's: x86-64's levels that it executes, arm64 through qemu.

Integers are exact whatever the instructions: they are compared with f64. Products of normal numbers keep their bound, and where
processors have the same registers and fuse multiply-adds they are equal bit for bit.
"""

from __future__ import annotations

import shutil
import subprocess

import kernels
import numpy as np
import pytest
from lowbit import LowbitError, Model, _lowbit
from test_contractions import (
    ACTIVATIONS,
    WEIGHTS,
    check_call,
    exact_and_magnitude,
    pipeline_of,
    program,
    rounded,
    tiled,
)

# What this machine must have, as Linux names it, to execute code for a processor.
V2 = {"ssse3", "sse4_2", "popcnt"}
V3 = V2 | {"avx2", "fma", "f16c", "bmi2", "movbe"}
V4 = V3 | {"avx512f", "avx512bw", "avx512vl", "avx512dq"}
LEVELS = {
    "x86-64": {"lm"},
    "x86-64-v2": V2,
    "x86-64-v3": V3,
    "x86-64-v3+avxvnni": V3 | {"avx_vnni"},
    "x86-64-v4": V4,
    "x86-64-v4+avx512vnni": V4 | {"avx512_vnni"},
    "native": set(),
}


@pytest.mark.parametrize(
    "name, lanes, vector_length, register_vectors",
    [
        ("x86-64", "generic", 4, 24),
        ("x86-64-v2", "ssse3", 4, 24),
        ("haswell", "avx2", 8, 24),
        ("alderlake", "vnni256", 8, 6),
        ("skylake-avx512", "avx512", 16, 24),
        ("znver4", "vnni512", 16, 24),
        ("aarch64", "neon", 4, 24),
        ("apple-m1", "sdot", 4, 6),
        ("neoverse-n1+i8mm", "usdot", 4, 6),
    ],
)
def test_records(name, lanes, vector_length, register_vectors):
    """As the processors' manuals have it: instructions, and how many registers of how many bits."""
    record = _lowbit.target(name)
    assert record["lanes"] == lanes
    assert record["vector-length"] == vector_length
    assert record["register-vectors"] == register_vectors
    assert record["multiply-add"] == (name not in ("x86-64", "x86-64-v2"))
    assert record["matrix-unit"] == "none"
    assert _lowbit.target("sapphirerapids")["matrix-unit"] == "amx"
    assert _lowbit.target("native")["runs-here"]


SAMPLE = [
    ("int4", "f32"),
    ("int3", "blocks"),
    ("uint8", "two-planes"),
    ("iq4_nl", "rows"),
    ("k-quant", "blocks"),
    ("nf4", "f32"),
]
"""Codes of one and more planes, beyond seven bits, of tables; minima; every kind of activations."""


def product(target_cpu: str, name: str, activations: str, rows: int, **options) -> np.ndarray:
    shape, text, activations = (100, 256), WEIGHTS[name], ACTIVATIONS[activations]
    compiled = _lowbit.Program(
        program(rows, shape, text),
        pipeline=pipeline_of(activations, **options),
        target_cpu=target_cpu,
    )
    return check_call(compiled, rows, shape, text, activations)


@pytest.mark.parametrize("level", kernels.those_of_this_machine(LEVELS))
@pytest.mark.parametrize("name, activations", SAMPLE)
def test_products(name, activations, level):
    y = product(level, name, activations, 5)
    if level.startswith("x86-64-v4"):
        here = product("native", name, activations, 5)
        kernels.assert_same_bits(y, here, f"on {level} and here")


def exact_case(text: str):
    """Scales that are powers of two and sums below 2^24: nothing is rounded anywhere."""
    rows, shape = 3, (48, 256)
    generator = np.random.default_rng(len(text))
    text += ", scale = e8m0 per [1, 64]"
    components = kernels.scrambled(_lowbit.encode(np.ones(shape, np.float32), tiled(text)), 5)
    components["scale"] = generator.integers(125, 128, components["scale"].shape, dtype=np.uint8)
    codes = generator.integers(-127, 128, (rows, 8, 32))
    codes[..., 0] = 127  # so that the scale of the block is the power of two
    x = codes * 2.0 ** -generator.integers(0, 3, (rows, 8, 1))
    x = x.reshape(rows, 256).astype(np.float32)
    exact, _ = exact_and_magnitude(x, text, shape, components)
    return text, shape, x, components, (exact + 0.0).astype(np.float32)


@pytest.mark.parametrize("level", kernels.those_of_this_machine(LEVELS))
@pytest.mark.parametrize("text", ["uint<8>", "int<5>", "codebook<iq4_nl>"])
def test_integers_are_exact(text, level):
    text, shape, x, components, exact = exact_case(text)
    module = program(len(x), shape, text)
    compiled = _lowbit.Program(
        module, pipeline=pipeline_of(ACTIVATIONS["blocks"]), target_cpu=level
    )
    (y,) = compiled.run("main", [x, *components.values(), np.zeros(exact.shape, np.float32)])
    kernels.assert_same_bits(y + np.float32(0), exact, "products")


@pytest.mark.parametrize("level", kernels.those_of_this_machine(LEVELS))
@pytest.mark.parametrize("encoding", [
    "int<4>, scale = f16 per [1, 32]", "codebook<nf4>, scale = bf16 per [1, 32]", "e4m3, scale = f32 per [1, 32]",
])  # fmt: skip
def test_codes_and_values(encoding, level):
    """An encode's codes and scales and a decode's values, bit for bit."""
    encoding, shape = f"#lowbit.quantized<{encoding}>", (13, 131)
    values = kernels.mixed_values(shape, kernels.seed_of(encoding, shape))
    expected = _lowbit.encode(values, encoding)
    encode = _lowbit.Program(kernels.encode_program(shape, encoding), target_cpu=level)
    storage = kernels.storage_for(expected, 1)
    kernels.check_components(encode.run("main", [values, *storage.values()]), expected, "encoded")
    decode = _lowbit.Program(kernels.decode_program(shape, encoding), target_cpu=level)
    (decoded,) = decode.run("main", [*expected.values(), np.zeros(shape, np.float32)])
    expected = _lowbit.decode(encoding, list(shape), expected)
    kernels.assert_same_bits(decoded, expected, "decoded")


def test_an_instruction_that_the_processor_lacks_is_an_error():
    """LLVM would end the process."""
    dot = """
module attributes {lowbit.entries = [{name = "main", arguments = [], outputs = 0 : i64}]} {
  llvm.func @_mlir_ciface_main() {
    %a = llvm.mlir.constant(dense<1> : vector<16xi32>) : vector<16xi32>
    %b = llvm.mlir.constant(dense<1> : vector<64xi8>) : vector<64xi8>
    %c = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%a, %b, %b) : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
    %p = llvm.mlir.zero : !llvm.ptr
    llvm.store volatile %c, %p : vector<16xi32>, !llvm.ptr
    llvm.return
  }
}"""
    for target_cpu in ("x86-64-v4", "aarch64"):
        with pytest.raises(_lowbit.Error, match="vpdpbusd.512, an instruction that .* lacks"):
            _lowbit.Program(dot, pipeline="none", target_cpu=target_cpu)
    module = program(1, (16, 32), WEIGHTS["int4"])
    with pytest.raises(_lowbit.Error, match="lanes=vnni512 needs the features avx512vnni avx512bw"):
        _lowbit.Program(module, pipeline="cpu{lanes=vnni512}", target_cpu="x86-64-v3")
    with pytest.raises(_lowbit.Error, match="no option of this pipeline"):
        _lowbit.Program(module, pipeline="cpu{target-cpu=x86-64-v3}")


# ----------------------------------------------------------------------------------------------
# arm64
# ----------------------------------------------------------------------------------------------

ARM = ("aarch64", "neoverse-n1", "neoverse-v1")
"""Without dot products, with those of signed bytes, with mixed ones."""

MAIN = """
#include "program.h"
#include <stdio.h>
#include <stdlib.h>

static void *load(const char *path) {
  static unsigned char all[1 << 20] __attribute__((aligned(64)));
  static size_t used;
  FILE *file = fopen(path, "rb");
  if (!file)
    exit(1);
  unsigned char *start = all + used;
  used = (used + fread(start, 1, sizeof all - used, file) + 63) / 64 * 64;
  fclose(file);
  return start;
}

int main(void) {
%s
  return 0;
}
"""


def run_on_arm(folder, module: str, inputs, output: int, target_cpu: str, pipeline: str) -> bytes:
    """The bytes of input number `output`, in which @main has left its result."""
    for tool in ("clang-22", "qemu-aarch64"):
        assert shutil.which(tool), f"{tool} is missing: run scripts/setup.sh"
    options = {"target_cpu": target_cpu, "pipeline": pipeline}
    _lowbit.emit_program(module, "test", [], str(folder / "program"), True, True, options)
    lines = []
    for i, array in enumerate(inputs):
        array = np.ascontiguousarray(array)
        (folder / f"{i}.bin").write_bytes(array.tobytes())
        extents = "".join(f", {n}" for n in array.shape)
        lines.append(
            f'  lowbit_array{array.ndim} a{i} = lowbit_make_array{array.ndim}(load("{i}.bin"){extents});'
        )
    arguments = ", ".join(f"&a{i}" for i in range(len(inputs)))
    lines.append(f"  void *arguments[] = {{{arguments}}};")
    lines.append("  program_main_packed(arguments);")
    lines.append(f"  fwrite(a{output}.aligned, 1, {np.asarray(inputs[output]).nbytes}, stdout);")
    (folder / "main.c").write_text(MAIN.replace("%s", "\n".join(lines)))
    command = [
        "clang-22",
        "--target=aarch64-linux-gnu",
        "-fuse-ld=lld",
        "-static",
        "-O1",
        "-Wall",
        "-Werror",
    ]
    command += ["main.c", "program.o", "-lm", "-o", "main"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # The processor that the code is for, so that a wrong instruction ends the program.
    processor = {"aarch64": "cortex-a53", "neoverse-n1": "neoverse-n1"}.get(target_cpu, "max")
    command = ["qemu-aarch64", "-cpu", processor, "./main"]
    return subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=True).stdout


@pytest.mark.parametrize("target_cpu", ARM)
@pytest.mark.parametrize("text", ["uint<8>", "int<4>", "codebook<iq4_nl>"])
def test_integers_are_exact_on_arm(tmp_path, text, target_cpu):
    text, shape, x, components, exact = exact_case(text)
    inputs = [x, *components.values(), np.zeros(exact.shape, np.float32)]
    module, pipeline = program(len(x), shape, text), pipeline_of(
        ACTIVATIONS["blocks"], parallel="false"
    )
    found = run_on_arm(tmp_path, module, inputs, len(inputs) - 1, target_cpu, pipeline)
    y = np.frombuffer(found, np.float32).reshape(exact.shape)
    kernels.assert_same_bits(y + np.float32(0), exact, "products")


@pytest.mark.parametrize(
    "name, activations", [("int4", "f32"), ("int3", "blocks"), ("k-quant", "two-planes")]
)
def test_products_on_arm(tmp_path, name, activations):
    rows, shape, text, activations = 5, (100, 256), WEIGHTS[name], ACTIVATIONS[activations]
    generator = np.random.default_rng(kernels.seed_of(text + activations, shape))
    components = _lowbit.encode(generator.normal(size=shape).astype(np.float32), tiled(text))
    x = generator.normal(size=(rows, shape[1])).astype(np.float32)
    inputs = [x, *components.values(), np.zeros((rows, shape[0]), np.float32)]
    pipeline = pipeline_of(activations, parallel="false")
    found = run_on_arm(
        tmp_path, program(rows, shape, text), inputs, len(inputs) - 1, "neoverse-n1", pipeline
    )
    y = np.frombuffer(found, np.float32).reshape(rows, shape[0])
    exact, magnitude = exact_and_magnitude(rounded(x, activations), text, shape, components)
    additions = shape[1] // 16 if activations else shape[1]
    assert np.all(np.abs(y - exact) <= (additions + 8) * 2.0**-24 * magnitude)


@pytest.mark.parametrize(
    "encoding", ["int<4>, scale = f16 per [1, 32]", "e4m3, scale = bf16 per [1, 32]"]
)
def test_codes_on_arm(tmp_path, encoding):
    encoding, shape = f"#lowbit.quantized<{encoding}>", (13, 131)
    values = kernels.mixed_values(shape, kernels.seed_of(encoding, shape))
    expected = _lowbit.encode(values, encoding)
    storage = kernels.storage_for(expected, 1)
    for i, wanted in enumerate(expected.values()):
        found = run_on_arm(
            tmp_path, kernels.encode_program(shape, encoding), [values, *storage.values()], 1 + i, "aarch64",
            "cpu{parallel=false}",
        )  # fmt: skip
        found = np.frombuffer(found, wanted.dtype).reshape(wanted.shape)
        kernels.check_components([found], {"component": wanted}, "encoded")


# ----------------------------------------------------------------------------------------------
# Files
# ----------------------------------------------------------------------------------------------


def test_a_model_for_another_processor(byte_model_path, tmp_path, run_lowbit):
    """Its weights are packed here; it is refused here, in words."""
    q4, compiled = tmp_path / "q4.gguf", tmp_path / "arm.lbm"
    encoding = "#lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>"
    run_lowbit("encode", byte_model_path, "--weights", encoding, "--output", q4)
    run_lowbit("compile", q4, "--target-cpu", "apple-m1", "--output", compiled)
    done = run_lowbit("generate", compiled, "--prompt", "In", "--tokens", 1, status=1)
    assert "the code is for aarch64" in done.stderr
    arguments = ("--no-threads", "--emit", "object,header", "--output", tmp_path / "arm")
    run_lowbit("compile", q4, "--target-cpu", "apple-m1", *arguments)
    # What was packed for arm64 is what would have been packed for this machine.
    Model(q4).emit(str(tmp_path / "here"))
    assert (tmp_path / "arm.weights").read_bytes() == (tmp_path / "here.weights").read_bytes()
    assert b"__kmpc" not in (tmp_path / "arm.o").read_bytes()
    done = run_lowbit("compile", q4, "--target-cpu", "neoverse-n11", "--output", compiled, status=1)
    with pytest.raises(LowbitError, match="this machine cannot run code for 'apple-m1'"):
        Model(q4, target_cpu="apple-m1").load()
    assert "no processor 'neoverse-n11'" in done.stderr and "'neoverse-n1'" in done.stderr
