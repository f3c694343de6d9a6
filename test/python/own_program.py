"""A small pre-norm network as a program of one's own, with names that no importer knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from lowbit import _lowbit

WIDTH, HIDDEN, WORDS, LAYERS = 48, 80, 50, 2

_MAPS = """
#v = affine_map<(m) -> (m)>
#e = affine_map<(m, k) -> (m, k)>
#c = affine_map<(m, k) -> (k)>
#r = affine_map<(m, k) -> (m)>
#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>
"""


class _Builder:
    def __init__(self) -> None:
        self.parameters: dict[str, tuple[int, ...]] = {}
        self.lines: list[str] = []
        self.count = 0

    def parameter(self, key: str, *shape: int) -> str:
        self.parameters[key] = shape
        return "%" + key

    def fresh(self) -> str:
        self.count += 1
        return f"%t{self.count}"

    def generic(self, inputs: list[tuple[str, str, str]], width: int, body: str) -> str:
        """Elementwise on [?, width]. inputs: value, map, type; numbers are %0, %1, ..., %r the result."""
        empty, result = self.fresh(), self.fresh()
        kind = f"tensor<?x{width}xf32>"
        maps = ", ".join([*(m for _, m, _ in inputs), "#e"])
        self.lines.append(f"{empty} = tensor.empty(%rows) : {kind}")
        values, types = ", ".join(v for v, _, _ in inputs), ", ".join(t for _, _, t in inputs)
        block = ", ".join([*(f"%n{i}: f32" for i in range(len(inputs))), "%old: f32"])
        self.lines.append(
            f'{result} = linalg.generic {{indexing_maps = [{maps}], iterator_types = ["parallel", "parallel"]}} '
            f"ins({values} : {types}) outs({empty} : {kind}) {{\n^bb0({block}):\n{body}\nlinalg.yield %r : f32 }} -> {kind}"
        )
        return result

    def total(self, x: str, width: int, square: bool) -> str:
        empty, zeros, result = self.fresh(), self.fresh(), self.fresh()
        term = "%p = arith.mulf %a, %a : f32" if square else "%p = arith.addf %a, %zero : f32"
        self.lines += [
            f"{empty} = tensor.empty(%rows) : tensor<?xf32>",
            f"{zeros} = linalg.fill ins(%zero : f32) outs({empty} : tensor<?xf32>) -> tensor<?xf32>",
            f'{result} = linalg.generic {{indexing_maps = [#e, #r], iterator_types = ["parallel", "reduction"]}} '
            f"ins({x} : tensor<?x{width}xf32>) outs({zeros} : tensor<?xf32>) {{\n^bb0(%a: f32, %s: f32):\n{term}\n"
            f"%q = arith.addf %s, %p : f32\nlinalg.yield %q : f32 }} -> tensor<?xf32>",
        ]
        return result

    def norm(self, x: str, name: str, mean: bool) -> str:
        full, row, col = f"tensor<?x{WIDTH}xf32>", "tensor<?xf32>", f"tensor<{WIDTH}xf32>"
        if mean:
            sums = self.total(x, WIDTH, square=False)
            body = "%d = arith.divf %n1, %width : f32\n%r = arith.subf %n0, %d : f32"
            x = self.generic([(x, "#e", full), (sums, "#r", row)], WIDTH, body)
        squares = self.total(x, WIDTH, square=True)
        body = (
            "%d = arith.divf %n1, %width : f32\n%f = arith.addf %d, %epsilon : f32\n%g = math.rsqrt %f : f32\n"
            "%h = arith.mulf %n0, %g : f32\n%r = arith.mulf %h, %n2 : f32"
        )
        gain = self.parameter(f"{name}_gain", WIDTH)
        x = self.generic([(x, "#e", full), (squares, "#r", row), (gain, "#c", col)], WIDTH, body)
        if not mean:
            return x
        bias = self.parameter(f"{name}_bias", WIDTH)
        return self.add(x, bias, WIDTH)

    def add(self, x: str, bias: str, width: int) -> str:
        kinds = [(x, "#e", f"tensor<?x{width}xf32>"), (bias, "#c", f"tensor<{width}xf32>")]
        return self.generic(kinds, width, "%r = arith.addf %n0, %n1 : f32")

    def linear(self, x: str, weight: str, inputs: int, outputs: int, init: str = "") -> str:
        kind = f"tensor<?x{outputs}xf32>"
        if not init:
            empty, init = self.fresh(), self.fresh()
            self.lines += [
                f"{empty} = tensor.empty(%rows) : {kind}",
                f"{init} = linalg.fill ins(%zero : f32) outs({empty} : {kind}) -> {kind}",
            ]
        result = self.fresh()
        self.lines.append(
            f"{result} = linalg.matmul indexing_maps = [#x, #w, #y] ins({x}, {weight} : tensor<?x{inputs}xf32>, "
            f"tensor<{outputs}x{inputs}xf32>) outs({init} : {kind}) -> {kind}"
        )
        return result


def write_program(
    *, mean: bool = False, post_norm: bool = False, tied: bool = False
) -> tuple[str, dict[str, tuple[int, ...]]]:
    """MLIR text of `run(ids, logits)`, and its parameters' shapes. mean: norms subtract it and have a bias; post_norm: behind the residual; tied: the
    head is the embedding."""
    b = _Builder()
    table = b.parameter("words", WORDS, WIDTH)
    x = b.fresh()
    full = f"tensor<?x{WIDTH}xf32>"
    b.lines += [
        f"%empty = tensor.empty(%rows) : {full}",
        f'{x} = linalg.generic {{indexing_maps = [affine_map<(m, k) -> (m)>, #e], iterator_types = ["parallel", "parallel"]}} '
        f"ins(%ids : tensor<?xi64>) outs(%empty : {full}) {{\n^bb0(%id: i64, %old: f32):\n%i = arith.index_cast %id : i64 to index\n"
        f"%j = linalg.index 1 : index\n%v = tensor.extract {table}[%i, %j] : tensor<{WORDS}x{WIDTH}xf32>\nlinalg.yield %v : f32 }} -> {full}",
    ]
    for layer in range(LAYERS):
        h = x if post_norm else b.norm(x, f"before{layer}", mean)
        up = b.parameter(f"widen{layer}", HIDDEN, WIDTH)
        h = b.add(b.linear(h, up, WIDTH, HIDDEN), b.parameter(f"widen{layer}_bias", HIDDEN), HIDDEN)
        h = b.generic([(h, "#e", f"tensor<?x{HIDDEN}xf32>")], HIDDEN, "%r = arith.maximumf %n0, %zero : f32")  # fmt: skip
        down = b.parameter(f"narrow{layer}", WIDTH, HIDDEN)
        x = b.linear(h, down, HIDDEN, WIDTH, init=x)
        x = b.add(x, b.parameter(f"narrow{layer}_bias", WIDTH), WIDTH)
        if post_norm:
            x = b.norm(x, f"after{layer}", mean)
    if not post_norm:
        x = b.norm(x, "last", mean)
    head = table if tied else b.parameter("head", WORDS, WIDTH)
    result = b.linear(x, head, WIDTH, WORDS, init="%zeros")
    logits = f"tensor<?x{WORDS}xf32>"
    declared = "\n".join(
        f'%{key} = lowbit.parameter "{key}" : tensor<{"x".join(map(str, shape))}xf32>'
        for key, shape in b.parameters.items()
    )
    text = f"""{_MAPS}
func.func @run(%ids: tensor<?xi64>, %logits: {logits}) -> {logits} attributes {{lowbit.entry, lowbit.updates = array<i64: 1>}} {{
%c0 = arith.constant 0 : index
%zero = arith.constant 0.0 : f32
%width = arith.constant {WIDTH}.0 : f32
%epsilon = arith.constant 1.0e-5 : f32
%rows = tensor.dim %ids, %c0 : tensor<?xi64>
%zeros = linalg.fill ins(%zero : f32) outs(%logits : {logits}) -> {logits}
{declared}
{chr(10).join(b.lines)}
return {result} : {logits}
}}"""
    return text, b.parameters


class OwnProgram:
    """A source (lowbit.precision.sources.Source) of such a program with random weights."""

    def __init__(self, path: Path, **options: bool):
        self.path = str(path.with_suffix(".mlir"))
        self.text, shapes = write_program(**options)
        Path(self.path).write_text(self.text)
        generator = np.random.default_rng(3)
        tensors = []
        for key, shape in shapes.items():
            values = generator.standard_normal(shape) * (0.3 if len(shape) > 1 else 0.5)
            values = (values + key.endswith("gain")).astype(np.float32)
            tensors.append((key, values.shape, "", {"values": values}))
        _lowbit.write_archive(str(path), {}, tensors)
        self.archive = _lowbit.Archive(str(path))

    def program(self, length: int) -> str:
        return self.text

    def sequences(self, text: str, tokens: int, length: int) -> list[np.ndarray]:
        ids = np.frombuffer(text.encode(), np.uint8)[:tokens].astype(np.int64) % WORDS
        return [ids[start : start + length] for start in range(0, len(ids), length)]

    def untied(self, path: str) -> OwnProgram:
        return self

    def with_values(self, changed: dict[str, np.ndarray], path: str) -> OwnProgram:
        tensors = [
            (key, values.shape, "", {"values": np.ascontiguousarray(values, np.float32)})
            for key, values in changed.items()
        ]
        _lowbit.write_archive(path + ".changed", {}, tensors)
        _lowbit.merge_archives(self.archive, [path + ".changed"], {}, path)
        other = object.__new__(OwnProgram)
        other.path, other.text, other.archive = self.path, self.text, _lowbit.Archive(path)
        return other

    def logits(self, ids: np.ndarray) -> np.ndarray:
        program = _lowbit.Program(self.text, [self.archive.path], pipeline="reference")
        return program.run("run", [ids, np.zeros((len(ids), WORDS), np.float32)])[-1]
