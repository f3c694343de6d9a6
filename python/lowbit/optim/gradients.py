"""What a step asks of all gradients together: their norm, and whether they are numbers."""

from __future__ import annotations

import math
from typing import Any, Sequence

import numpy as np

from .. import _lowbit

PIECE = 1 << 15
"""Elements of a tensor that a thread takes at a time, at least: some 100 microseconds of work."""


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

    def squares(self, gradients: Sequence[Any]) -> float:
        """The sum of squares of arrays [1, n]; infinite or NaN where an element is."""
        rows = [(g, np.zeros((1, -(-g.shape[1] // PIECE)), np.float64)) for g in gradients]
        self._program.batch("sum", [PIECE, 1], rows).run([], self._threads)
        # No square of a float32 overflows a float64.
        return math.fsum(x for _, sums in rows for x in sums[0]) if rows else 0.0
