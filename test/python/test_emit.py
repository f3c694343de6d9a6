"""Compiled models in C programs: that they build, and compute what a session does."""

import json
import os
import re
import shutil
import struct
import subprocess

import numpy as np
import pytest
from conftest import ROOT
from kernels import convert_program, matmul_program
from lowbit import Model, _lowbit

TEXT = "In the beginning"
TOKENS = np.array(list(TEXT.encode()), np.int64)
PAGE = (ROOT / "docs/Embedding.md").read_text()
(EXAMPLE,) = re.findall(r"^```c\n(.*?)^```", PAGE, re.M | re.S)
C = ("clang-22", "-x", "c", "-std=c99")
CXX = ("clang-22", "-x", "c++", "-std=c++17")


@pytest.fixture(scope="module")
def q4_model(byte_model_path, tmp_path_factory, run_lowbit):
    """The byte model as the page encodes it."""
    path = tmp_path_factory.mktemp("q4") / "q4.gguf"
    (encoding,) = re.findall(r"--weights '(.*)'", PAGE)
    run_lowbit("encode", byte_model_path, "--weights", encoding, "--output", path)
    return path


@pytest.fixture(scope="module")
def emitted(q4_model, tmp_path_factory):
    """A folder with the model under two names, for two kinds of activations."""
    folder = tmp_path_factory.mktemp("emitted")
    Model(q4_model).emit(str(folder / "byte"))
    Model(q4_model, activations="int8", context_length=64).emit(str(folder / "8-bit"))
    return folder


def _build(folder, source: str, *objects: str, compiler=C, name: str = "program"):
    """A program of one source and objects of `folder`, of nothing but C's libraries and OpenMP."""
    assert shutil.which("clang-22"), "clang-22 is missing: run scripts/setup.sh"
    (folder / f"{name}.source").write_text(source)
    command = [*compiler, "-pedantic", "-Wall", "-Wextra", "-Werror", "-O1", f"{name}.source"]
    command += ["-x", "none", *objects, "-lomp", "-lm", "-o", name]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / name


def _numbers(program, *arguments) -> np.ndarray:
    done = subprocess.run(
        [program, *arguments], cwd=program.parent, stdout=subprocess.PIPE, text=True, check=True
    )
    return np.array(done.stdout.split(), np.float32)


def _session(model, **options):
    return _lowbit.Session(str(model), {"kv_cache": "f16", **options})


def test_what_there_is(emitted):
    names = {"byte", "8-bit"}
    expected = {name + ending for name in names for ending in (".o", ".h", ".weights")}
    assert {
        path.name for path in emitted.iterdir() if path.suffix in (".o", ".h", ".weights", ".tmp")
    } == expected
    listed = subprocess.run(
        ["nm", "--extern-only", "--defined-only", emitted / "byte.o"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.splitlines()
    symbols = {line.split()[-1] for line in listed}
    parameters = {symbol for symbol in symbols if symbol.startswith("byte_parameter_")}
    assert symbols - parameters == {"byte_prefill_packed", "byte_decode_packed"}
    assert len(parameters) == len(
        re.findall(r"^    \{byte_parameter_", (emitted / "byte.h").read_text(), re.M)
    )
    assert b"lowbit.pack" not in (emitted / "byte.o").read_bytes()


@pytest.mark.parametrize("compiler", [C, CXX], ids=["c", "c++"])
def test_the_example_of_the_page(q4_model, emitted, compiler):
    program = _build(emitted, EXAMPLE, "byte.o", compiler=compiler, name=f"example-{compiler[2]}")
    logits = _numbers(program, "byte.weights", TEXT)
    expected = _session(q4_model, activations="int15").prefill(TOKENS, 1)
    np.testing.assert_array_equal(logits, expected[0])


# Both models read the text and then decode a byte, by the entries that take addresses.
TWO_MODELS = """
#include "8-bit.h"
#include "byte.h"
#include <stdio.h>
#include <stdlib.h>

static void run(void (*prefill)(void **), void (*decode)(void **), int64_t context) {
  int64_t tokens[] = {%(tokens)s}, next[] = {46};
  enum { count = sizeof tokens / sizeof *tokens };
  static float logits[count + 1][256];
  lowbit_array3 caches[8];
  lowbit_array1 input = lowbit_make_array1(tokens, count);
  lowbit_array2 output = lowbit_make_array2(logits, count, 256);
  int64_t position = 0;
  void *arguments[11] = {&input, &position};
  for (int i = 0; i < 8; ++i) {
    caches[i] = lowbit_make_array3(calloc(2 * context * 64, sizeof(uint16_t)), 2, context, 64);
    arguments[2 + i] = &caches[i];
  }
  arguments[10] = &output;
  prefill(arguments);
  input = lowbit_make_array1(next, 1);
  output = lowbit_make_array2(logits[count], 1, 256);
  position = count;
  decode(arguments);
  for (size_t i = 0; i < sizeof logits / sizeof **logits; ++i)
    printf("%%.9g\\n", logits[0][i]);
}

static void *load(const char *path, size_t bytes) {
  void *weights = aligned_alloc(64, bytes);
  FILE *file = fopen(path, "rb");
  if (!file || fread(weights, 1, bytes, file) != bytes || fgetc(file) != EOF)
    exit(1);
  fclose(file);
  return weights;
}

int main(void) {
  byte_set_parameters(load("byte.weights", byte_weights_bytes));
  lowbit_8_bit_set_parameters(load("8-bit.weights", lowbit_8_bit_weights_bytes));
  run(byte_prefill_packed, byte_decode_packed, 1024);
  run(lowbit_8_bit_prefill_packed, lowbit_8_bit_decode_packed, 64);
  return 0;
}
"""


def test_two_models_in_one_program(q4_model, emitted):
    source = TWO_MODELS % {"tokens": ", ".join(map(str, TOKENS))}
    program = _build(
        emitted, source, "byte.o", "8-bit.o", compiler=(*C[:-1], "-std=c11"), name="two"
    )
    logits = _numbers(program).reshape(2, len(TOKENS) + 1, 256)
    for found, activations in zip(logits, ("int15", "int8")):
        session = _session(q4_model, activations=activations)
        np.testing.assert_array_equal(found[:-1], session.prefill(TOKENS, len(TOKENS)))
        np.testing.assert_array_equal(found[-1], session.decode(46))


# A row of the embedding, which the archive has in an encoding.
ROWS = """
func.func @rows(%row: index) -> tensor<256xf32> attributes {lowbit.entry} {
  %w = lowbit.parameter "token_embd.weight" : tensor<256x256xf32>
  %y = tensor.extract_slice %w[%row, 0] [1, 256] [1, 1] : tensor<256x256xf32> to tensor<256xf32>
  return %y : tensor<256xf32>
}
"""


def test_a_program_with_parameters(q4_model, tmp_path, run_lowbit):
    module = tmp_path / "a.mlir"
    module.write_text(ROWS)
    arguments = ("--emit", "object,header", "--output", tmp_path / "a", "--parameters", q4_model)
    run_lowbit("compile", module, *arguments)
    source = """
#include "a.h"
#include <stdio.h>
static unsigned char weights[a_weights_bytes] __attribute__((aligned(64)));
int main(void) {
  FILE *file = fopen("a.weights", "rb");
  float y[256];
  if (!file || fread(weights, 1, sizeof weights, file) != sizeof weights)
    return 1;
  a_set_parameters(weights);
  a_rows(69, lowbit_make_array1(y, 256));
  for (int i = 0; i < 256; ++i)
    printf("%.9g\\n", y[i]);
  return 0;
}
"""
    found = _numbers(_build(tmp_path, source, "a.o"))
    expected = _lowbit.Archive(str(q4_model)).tensor_f32("token_embd.weight")[69]
    np.testing.assert_array_equal(found, expected)


# Entries whose names are one identifier, a parameter that is a number, and a key with a trigraph.
ODD = r"""
module attributes {
  lowbit.entries = [{name = "get.it", arguments = [i1, memref<i64>], outputs = 1 : i64},
                    {name = "get it", arguments = [], outputs = 0 : i64}],
  lowbit.parameters = [{key = "what??/\"", component = "values", type = index, symbol = @number}]} {
  llvm.mlir.global internal @number(0 : i64) : i64
  llvm.func @"_mlir_ciface_get.it"(%wanted: i1, %out: !llvm.ptr) {
    %zero = llvm.mlir.constant(0 : i64) : i64
    %at = llvm.mlir.addressof @number : !llvm.ptr
    %number = llvm.load %at : !llvm.ptr -> i64
    %result = llvm.select %wanted, %number, %zero : i1, i64
    %slot = llvm.getelementptr %out[1] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
    %data = llvm.load %slot : !llvm.ptr -> !llvm.ptr
    llvm.store %result, %data : i64, !llvm.ptr
    llvm.return
  }
  llvm.func @"_mlir_ciface_get it"() {
    llvm.return
  }
}
"""


@pytest.mark.parametrize("compiler", [C, CXX], ids=["c", "c++"])
def test_odd_names_and_scalars(tmp_path, compiler):
    header = json.dumps(
        {'what??/"': {"dtype": "I64", "shape": [], "data_offsets": [0, 8]}}
    ).encode()
    header += b" " * (-len(header) % 8)
    archive = tmp_path / "number.safetensors"
    archive.write_bytes(struct.pack("<Q", len(header)) + header + struct.pack("<q", 12345678901))
    options = {"pipeline": "none"}
    _lowbit.emit_program(ODD, "odd", [str(archive)], str(tmp_path / "x"), True, True, options)
    source = """
#include "x.h"
#include <stdio.h>
int main(void) {
  static int64_t weights[x_weights_bytes / sizeof(int64_t)];
  int64_t y[2];
  FILE *file = fopen("x.weights", "rb");
  if (!file || fread(weights, 1, sizeof weights, file) != sizeof weights)
    return 1;
  x_set_parameters(weights);
  x_get_it(1, lowbit_make_array0(&y[0]));
  x_get_it(0, lowbit_make_array0(&y[1]));
  x_get_it_();
  printf("%d %d\\n%s\\n", y[0] == 12345678901, y[1] == 0, x_parameters[0].key);
  return 0;
}
"""
    program = _build(tmp_path, source, "x.o", compiler=compiler)
    done = subprocess.run([program], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert done.stdout == '1 1\nwhat??/"\n'


def test_programs_bring_what_they_call(tmp_path):
    """For a processor without f16, conversions are functions: each object has its own."""
    encoding, shape = "#lowbit.quantized<f16>", (3, 5)
    for name in ("one", "two"):
        _lowbit.emit_program(
            convert_program(shape, "#lowbit.quantized<f32>", encoding),
            "test",
            [],
            str(tmp_path / name),
            True,
            True,
            {"target_cpu": "x86-64"},
        )
        assert b"__truncsfhf2" in (tmp_path / f"{name}.o").read_bytes()
    source = """
#include "one.h"
#include "two.h"
#include <stdio.h>
int main(void) {
  float x[15];
  uint16_t y[2][15];
  for (int i = 0; i < 15; ++i)
    x[i] = (float)i / 7;
  one_main(lowbit_make_array2(x, 3, 5), lowbit_make_array2(y[0], 3, 5));
  two_main(lowbit_make_array2(x, 3, 5), lowbit_make_array2(y[1], 3, 5));
  for (int i = 0; i < 30; ++i)
    printf("%d\\n", y[0][i]);
  return 0;
}
"""
    found = _numbers(_build(tmp_path, source, "one.o", "two.o"))
    expected = (np.arange(15, dtype=np.float32) / np.float32(7)).astype(np.float16).view(np.uint16)
    np.testing.assert_array_equal(found, [*expected, *expected])


@pytest.fixture
def linear(tmp_path):
    """A program without parameters, alone in a folder."""
    path = tmp_path / "in" / "linear.mlir"
    path.parent.mkdir()
    path.write_text(
        matmul_program(1, (16, 32), "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>")
    )
    (tmp_path / "out").mkdir()
    return path


def test_the_command(linear, tmp_path, run_lowbit):
    out = tmp_path / "out"
    done = run_lowbit("compile", linear, "--emit", "header", "--output", out / "x", "--timing")
    assert "total" in done.stderr and os.listdir(out) == ["x.h"]
    assert "out0: f32 [1, 16]" in (out / "x.h").read_text()
    run_lowbit("compile", linear, "--emit=object", "--output", out / "x")
    assert sorted(os.listdir(out)) == ["x.h", "x.o"]


def test_what_is_wrong_leaves_nothing(linear, q4_model, tmp_path, run_lowbit):
    out = tmp_path / "out"

    def fails(message, *arguments, model=linear, output=out / "x", emit="object,header", status=1):
        arguments = ("compile", model, "--output", output, "--emit", emit, *arguments)
        assert message in run_lowbit(*arguments, status=status).stderr
        assert os.listdir(out) == []

    fails("'library' is none of artifact, object and header", emit="object,library", status=2)
    fails("an artifact is one file", emit="object,artifact", status=2)
    fails("is not a name without an ending", output=out / "x.o")
    fails("there is no folder", output=out / "no" / "x")
    fails("is a program, no language model", emit="artifact", output=out / "x.lbm")
    fails("--context-length is of language models", "--context-length", 8)
    fails("--parameters are of programs", "--parameters", q4_model, model=q4_model)
    fails("No such file", model=tmp_path / "missing.mlir")
    wrong = tmp_path / "wrong.mlir"
    wrong.write_text("func.func @f(")
    fails("wrong.mlir:1:", model=wrong)
    with pytest.raises(RuntimeError, match="has no entry to call"):
        options = {"pipeline": "none"}
        _lowbit.emit_program("module {}", "test", [], str(out / "x"), True, True, options)
    assert os.listdir(out) == []


@pytest.mark.parametrize("blocked", [".o", ".h", ".weights"])
def test_all_files_or_none(q4_model, tmp_path, blocked):
    def emit(stem):
        _lowbit.emit_program(ROWS, "rows", [str(q4_model)], str(tmp_path / stem), True, True, {})

    (tmp_path / f"x{blocked}").mkdir()
    with pytest.raises(RuntimeError, match=f"x{blocked}: cannot write: it is a directory"):
        emit("x")
    with pytest.raises(RuntimeError, match="check that the folder exists"):
        emit("no/x")
    assert os.listdir(tmp_path) == [f"x{blocked}"]
