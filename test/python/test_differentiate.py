"""lowbit-differentiate: gradients against central differences in f64, of rules one by one and of every stage of real models."""

from __future__ import annotations

import os
import re
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from lowbit import _lowbit
from lowbit.precision.sources import open_source
from lowbit.precision.stages import StagedProgram

RNG = np.random.default_rng(7)


def compile_plain(text: str) -> _lowbit.Program:
    """By plain loops, as they are written."""
    return _lowbit.Program(text, pipeline="reference", optimization_level=0)


def differentiated(text: str, arguments: str) -> _lowbit.Program:
    tool = Path(_lowbit.__file__).parents[2] / "bin/lowbit-opt"
    passes = f"builtin.module(lowbit-differentiate{{arguments={arguments}}})"
    command = [tool, "--pass-pipeline=" + passes]
    done = subprocess.run(command, input=text, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return compile_plain(done.stdout)


def check_directions(forward, backward, arguments: list[np.ndarray], places: list[int]) -> None:
    """Along a random direction in each of the arguments at these places: backward gives one gradient for each."""
    result = forward(arguments)
    cotangent = RNG.standard_normal(result.shape)
    gradients = backward(arguments, cotangent)
    assert len(gradients) == len(places)
    for place, gradient in zip(places, gradients):
        value = arguments[place]
        assert gradient.shape == value.shape and np.isfinite(gradient).all()
        direction = RNG.standard_normal(value.shape) * np.sqrt((value**2).mean())

        def along(step: float) -> float:
            moved = [a if n != place else a + step * direction for n, a in enumerate(arguments)]
            return float((forward(moved) * cotangent).sum())

        # Of fourth order: with this step both truncation and rounding are below 1e-9 of the terms.
        h = 1e-3
        measured = (8 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12 * h)
        scale = np.sqrt(((gradient * direction) ** 2).sum())
        assert measured == pytest.approx((gradient * direction).sum(), rel=1e-7, abs=1e-7 * scale)


# Rules, one by one
# -----------------

ROWS, COLUMNS = 5, 7
MATRIX, VECTOR, ROW = (
    f"tensor<{ROWS}x{COLUMNS}xf64>",
    f"tensor<{ROWS}xf64>",
    f"tensor<{COLUMNS}xf64>",
)
MAPS = """
#e = affine_map<(i, j) -> (i, j)>
#r = affine_map<(i, j) -> (i)>
#c = affine_map<(i, j) -> (j)>
"""


def elementwise(expression: str) -> str:
    """y = f(a, b, c) of a matrix, a column and a row; `expression` computes %y."""
    return f"""{MAPS}
func.func @f(%a: {MATRIX}, %b: {VECTOR}, %c: {ROW}, %o: {MATRIX}) -> {MATRIX} attributes {{lowbit.entry, lowbit.updates = array<i64: 3>}} {{
  %two = arith.constant 2.5 : f64
  %r = linalg.generic {{indexing_maps = [#e, #r, #c, #e], iterator_types = ["parallel", "parallel"]}}
      ins(%a, %b, %c : {MATRIX}, {VECTOR}, {ROW}) outs(%o : {MATRIX}) {{
    ^bb0(%x: f64, %u: f64, %v: f64, %z: f64):
      {expression}
      linalg.yield %y : f64
  }} -> {MATRIX}
  return %r : {MATRIX}
}}"""


def reduction(expression: str, start: str, places: str = "#r", result: str = VECTOR) -> str:
    """Over columns, or rows: `expression` computes %y from %x, the row's %v, the column's %u and %s, what there was before."""
    kinds = '"parallel", "reduction"' if places == "#r" else '"reduction", "parallel"'
    return f"""{MAPS}
func.func @f(%a: {MATRIX}, %b: {VECTOR}, %c: {ROW}, %o: {result}) -> {result} attributes {{lowbit.entry, lowbit.updates = array<i64: 3>}} {{
  %start = arith.constant {start} : f64
  %empty = tensor.empty() : {result}
  %zeros = linalg.fill ins(%start : f64) outs(%empty : {result}) -> {result}
  %r = linalg.generic {{indexing_maps = [#e, #r, #c, {places}], iterator_types = [{kinds}]}}
      ins(%a, %b, %c : {MATRIX}, {VECTOR}, {ROW}) outs(%zeros : {result}) {{
    ^bb0(%x: f64, %u: f64, %v: f64, %s: f64):
      {expression}
      linalg.yield %y : f64
  }} -> {result}
  return %r : {result}
}}"""


ABOVE_0 = "%p = math.absf %x : f64\n %q = arith.addf %p, %two : f64\n"
UNARY = ["negf", "exp", "exp2", "expm1", "tanh", "erf", "sin", "cos", "absf"]
POSITIVE = ["log", "log2", "log1p", "sqrt", "rsqrt"]
RULES = {
    **{op: f"%y = {'arith' if op == 'negf' else 'math'}.{op} %x : f64" for op in UNARY},
    **{op: f"{ABOVE_0} %y = math.{op} %q : f64" for op in POSITIVE},
    **{
        op: f"%k = arith.{op} %x, %u : f64\n %y = arith.mulf %k, %v : f64"
        for op in ("addf", "subf", "mulf", "divf", "maximumf", "minimumf", "maxnumf", "minnumf")
    },
    "powf": f"{ABOVE_0} %y = math.powf %q, %v : f64",
    "fma": "%y = math.fma %x, %u, %v : f64",
    "select": "%k = arith.cmpf ogt, %x, %u : f64\n %y = arith.select %k, %x, %v : f64",
    "chain": "%k = arith.mulf %x, %x : f64\n %l = math.tanh %k : f64\n %m = arith.mulf %l, %x : f64\n %y = arith.divf %m, %two : f64",
    "unused": "%y = arith.mulf %u, %u : f64",
}
RULES = {name: elementwise(text) for name, text in RULES.items()} | {
    "sum": reduction("%k = arith.mulf %x, %v : f64\n %y = arith.addf %k, %s : f64", "0.0"),
    "sum of two": reduction("%k = arith.addf %s, %x : f64\n %y = arith.addf %u, %k : f64", "0.0"),
    "sum over rows": reduction(
        "%k = math.exp %x : f64\n %y = arith.subf %s, %k : f64", "1.0", "#c", ROW
    ),
    "fused sum": reduction("%y = math.fma %x, %u, %s : f64", "0.0"),
    "largest": reduction(
        "%k = arith.mulf %x, %v : f64\n %y = arith.maximumf %s, %k : f64", "-1.0e300"
    ),
    "smallest": reduction("%y = arith.minnumf %x, %s : f64", "1.0e300", "#c", ROW),
}


@pytest.mark.parametrize("rule", RULES)
def test_rules(rule):
    text = RULES[rule]
    both = differentiated(text, "0,1,2")
    shapes = [(ROWS, COLUMNS), (ROWS,), (COLUMNS,)]
    arguments = [RNG.standard_normal(shape) for shape in shapes]
    storage = np.zeros(result_shape(text))

    def forward(given):
        return both.run("f", [*given, storage])[0]

    def backward(given, cotangent):
        return both.run("f_vjp", [*given, storage, cotangent, *map(np.zeros, shapes)])

    check_directions(forward, backward, arguments, [0, 1, 2])


def result_shape(text: str) -> list[int]:
    return [int(extent) for extent in re.search(r"\) -> tensor<(.*)xf64>", text)[1].split("x")]


def test_equal_maxima_share():
    """The cotangent of a maximum that is there twice goes to both in equal parts: nothing is lost or counted twice."""
    text = reduction("%y = arith.maximumf %s, %x : f64", "0xFFF0000000000000")
    program = differentiated(text, "0")
    a = np.arange(ROWS * COLUMNS, dtype=float).reshape(ROWS, COLUMNS)
    a[1, 2], a[3, :] = a[1, 6], 2.0
    a[4, 0] = np.inf
    b, c, o, given = np.zeros(ROWS), np.zeros(COLUMNS), np.zeros(ROWS), np.arange(1.0, 1 + ROWS)
    (found,) = program.run("f_vjp", [a, b, c, o, given, np.zeros_like(a)])
    expected = np.zeros_like(a)
    expected[[0, 2], 6], expected[1, [2, 6]], expected[3], expected[4, 0] = [1, 3], 1.0, 4 / 7, 5
    np.testing.assert_allclose(found, expected, rtol=1e-15)


def test_infinite_exponentials_give_no_nan():
    """x / (1 + exp(-x)) of -1000: 0, and so is its derivative."""
    silu = "%n = arith.negf %x : f64\n %k = math.exp %n : f64\n %one = arith.addf %k, %u : f64\n %y = arith.divf %x, %one : f64"
    program = differentiated(elementwise(silu), "0")
    a, b, c = np.full((ROWS, COLUMNS), -1000.0), np.ones(ROWS), np.zeros(COLUMNS)
    a[2, 2] = 1000
    (found,) = program.run("f_vjp", [a, b, c, a, np.ones_like(a), np.zeros_like(a)])
    np.testing.assert_array_equal(found, np.where(a > 0, 1.0, 0.0))


# Stages of real models
# ---------------------


def in_f64(text: str) -> str:
    """The same program in double precision."""

    def widen(match: re.Match) -> str:
        (number,) = struct.unpack(">f", bytes.fromhex(match[1]))
        return f"0x{struct.pack('>d', number).hex().upper()} : f64"

    text = re.sub(r"0x([0-9A-F]{8}) : f32", widen, text)
    # A constant that was rounded stays as it is; what has no effect stands in for the conversion.
    text = re.sub(r"arith\.truncf (%\w+) : f64 to f32", r"arith.maximumf \1, \1 : f64", text)
    return text.replace("f32", "f64")


@pytest.mark.usefixtures("stages_compiled_once")
@pytest.mark.parametrize("model", ["byte_model_path", "minilm_path"])
def test_stages_of_models(model, request):
    path = request.getfixturevalue(model)
    if model == "byte_model_path":
        source = open_source(os.fspath(path))
    else:
        parameters = [os.fspath(path / "model.safetensors")]
        source = open_source(os.fspath(ROOT / "models/minilm-l6.mlir"), parameters)
    staged = StagedProgram(
        source.program(16), ["sums"], source.path, output=True, gradients=True
    )
    wide = compile_plain(in_f64(staged.text))
    (tokens,) = source.sequences("The word was with them, and they", 12, 12)
    value, differentiated = None, set()
    for stage in staged.stages:
        weights = {key: source.archive.tensor_f32(key) for key in stage.weights}
        inputs = [
            a.astype(np.float64) if a.dtype == np.float32 else a
            for a in map(np.asarray, staged._inputs(stage, tokens, value, weights, None))
        ]
        result = wide.run(stage.function, inputs)[0]
        if stage.gradient and stage.function not in differentiated:
            differentiated.add(stage.function)
            zeros = [np.zeros_like(inputs[place]) for place in stage.differentiated]
            cotangent = RNG.standard_normal(result.shape)
            check_directions(
                lambda given: wide.run(stage.function, given)[0],
                lambda given, cotangent: wide.run(stage.gradient, [*given, cotangent, *zeros]),
                inputs,
                list(stage.differentiated),
            )
            # The code that is used computes the same in f32.
            exact = wide.run(stage.gradient, [*inputs, cotangent, *zeros])
            compiled = staged.pull_back(stage, tokens, value, weights, cotangent.astype(np.float32))
            for found, expected in zip(compiled.values(), exact, strict=True):
                assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
        value = result.astype(np.float32)
    assert len(differentiated) == (6 if model == "byte_model_path" else 4)
