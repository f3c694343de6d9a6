"""What a step asks of all gradients together: their norm, and whether they are numbers."""

from __future__ import annotations

import math
from typing import Any, Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _lowbit
from ..errors import LowbitError

PIECE = 1 << 15
"""Elements of a tensor that a thread takes at a time, at least: some 100 microseconds of work."""

Squares = dict[tuple[str, tuple[int, ...]], NDArray[np.float64]]
"""Sums of squares of pieces, by the name of a parameter and where in it what is held begins."""


def _text(element: str) -> str:
    """@sum(gradient [1, ?], sum [1, ?]): the sum of squares, in float64, goes into the second."""
    gradient = f"tensor<1x?x{element}>"
    return f"""
#e = affine_map<(i, j) -> (i, j)>
#s = affine_map<(i, j) -> ()>
func.func @sum(%g: {gradient}, %into: tensor<1x?xf64>) -> tensor<1x?xf64>
    attributes {{lowbit.entry, lowbit.updates = array<i64: 1>}} {{
  %start = arith.constant dense<0.0> : tensor<f64>
  %sum = linalg.generic {{indexing_maps = [#e, #s], iterator_types = ["reduction", "reduction"]}}
      ins(%g : {gradient}) outs(%start : tensor<f64>) {{
    ^bb0(%x: {element}, %before: f64):
      %wide = arith.extf %x : {element} to f64
      %square = arith.mulf %wide, %wide : f64
      %after = arith.addf %before, %square : f64
      linalg.yield %after : f64
  }} -> tensor<f64>
  %value = tensor.extract %sum[] : tensor<f64>
  %zero = arith.constant 0 : index
  %result = tensor.insert %value into %into[%zero, %zero] : tensor<1x?xf64>
  return %result : tensor<1x?xf64>
}}"""


class Norm:
    """Of gradients of one type, 'F32', 'BF16' or 'F16': the same for any number of threads, and on any processor."""

    def __init__(self, dtype: str, threads: int, target_cpu: str = "") -> None:
        self._threads = threads
        self._program = _lowbit.Program(
            _text(dtype.lower()),
            pipeline="cpu{parallel=false}",
            target_cpu=target_cpu,
            threads=threads,
            name="norm",
        )

    def squares(self, gradients: Sequence[tuple[NDArray[Any], int]]) -> list[NDArray[np.float64]]:
        """The sums of squares of the pieces of arrays [1, n], infinite or NaN where an element is. Pieces are those of the whole array, whose
        element of this number is the first one."""
        sums, rows = [], []
        for array, start in gradients:
            head = min(-start % PIECE, array.shape[1])
            parts = [array[:, :head], array[:, head:]] if head else [array]
            rows += [(p, np.zeros((1, -(-p.shape[1] // PIECE)), np.float64)) for p in parts]
            sums.append([own[0] for _, own in rows[-len(parts) :]])
        self._program.batch("sum", [PIECE, 1], rows).run([], self._threads)
        return [np.concatenate(own) for own in sums]


def norm_of(*held: Squares) -> float:
    """The norm of all gradients, of the squares() of all processes, in any order; what several of them hold alike counts once.

    It is, bit for bit, the one without shards where these begin at multiples of 32,768 elements of the whole parameter.
    """
    found: Squares = {}
    for squares in held:
        for (name, offset), own in squares.items():
            if not own.size:
                continue
            other = found.setdefault((name, offset), own)
            if not np.array_equal(other, own, equal_nan=True):
                raise LowbitError(
                    f"the gradient of '{name}' at {list(offset)} is another one in another process"
                )
    # No square of a float32 overflows a float64.
    return math.sqrt(math.fsum(x for own in found.values() for x in own))
