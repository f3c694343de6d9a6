"""Language models whose products with weights read rounded activations, in any encoding.

The compiler rounds what is multiplied with encoded weights (its option `activations`). To compare recipes the same has to happen to what is multiplied with weights
that they leave in f32, as the head: there the rounding is written into the program, an encode and a decode before the product. It is that of the option, bit
for bit (docs/Numerics.md).
"""

from __future__ import annotations

import re
from typing import Collection, Sequence

import numpy as np

from lowbit import Archive, _lowbit

_PRODUCT = re.compile(
    r"^(?P<before>\s*%\S+ = linalg\.matmul .*?ins\()(?P<x>%[\w#]+)(?P<between>, %[\w#]+ : )"
    r"tensor<(?P<rows>\?|\d+)x(?P<columns>\d+)xf32>(?P<after>, tensor<(?P<weight>[\dx]+)xf32>.*)$"
)


def round_inputs(text: str, encoding: str, weights: Collection[Sequence[int]]) -> str:
    """The program with the left inputs [rows, columns] of its products with f32 matrices of these shapes encoded and decoded.

    encoding: within the brackets of #lowbit.quantized.
    """
    shapes = {"x".join(map(str, shape)) for shape in weights}
    lines = []
    for number, line in enumerate(text.splitlines()):
        match = _PRODUCT.match(line)
        if match and match["weight"] in shapes:
            name, x = f"%rounded_{number}", match["x"]
            plain = f"tensor<{match['rows']}x{match['columns']}xf32>"
            encoded = f"{plain[:-1]}, #lowbit.quantized<{encoding}>>"
            size = f"{name}_rows" if match["rows"] == "?" else ""
            lines += [
                f"{name}_axis = arith.constant 0 : index",
                f"{name}_rows = tensor.dim {x}, {name}_axis : {plain}",
                f"{name}_empty = tensor.empty({size}) : {encoded}",
                f"{name}_codes = lowbit.encode {x} into {name}_empty : {plain} into {encoded}",
                f"{name} = lowbit.decode {name}_codes : {encoded}",
            ]
            line = f"{match['before']}{name}{match['between']}{plain}{match['after']}"
        lines.append(line)
    return "\n".join(lines) + "\n"


class Rounded:
    """The model of an archive, with activations in an encoding, and keys and values in f32."""

    def __init__(self, path: str, activations: str, length: int):
        archive = Archive(path)
        # Rotations that run online are no weights: they come before what is rounded.
        weights = [
            tensor.shape
            for tensor in archive.tensors
            if len(tensor.shape) == 2 and not tensor.name.startswith("rotation.")
        ]
        program = _lowbit.import_model(_lowbit.Archive(path), length)
        text = round_inputs(program, activations, weights)
        entry = re.search(r"func\.func @prefill\((.*?)\) ->", text)
        assert entry, "an imported model has an entry prefill"
        types = re.findall(r"%arg\d+: ([^ ,]+(?:, #[^>]*>)?)", entry[1])
        self._shapes = [
            [int(e) if e != "?" else None for e in re.findall(r"(\?|\d+)x", kind)]
            for kind in types[2:]
        ]
        self._program = _lowbit.Program(text, [archive.path], f"cpu{{activations='{activations}'}}")

    def nll(self, tokens: Sequence[int]) -> float:
        """The mean negative log likelihood of tokens[1:], each given all before it, in nats."""
        ids = np.asarray(tokens, np.int64)
        floats = [
            np.zeros([len(ids) if extent is None else extent for extent in shape], np.float32)
            for shape in self._shapes
        ]
        logits = self._program.run("prefill", [ids, np.array(0, np.int64), *floats])[-1]
        scored = logits[:-1].astype(np.float64)
        scored -= scored.max(axis=1, keepdims=True)
        normalizer = np.log(np.exp(scored).sum(axis=1))
        return float((normalizer - scored[np.arange(len(scored)), ids[1:]]).mean())
