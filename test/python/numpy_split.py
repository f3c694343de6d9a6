"""`#lowbit.split` in numpy, in float64 and by its meaning: docs/Numerics.md."""

from __future__ import annotations

import ml_dtypes
import numpy as np


def split(x: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The bits of the bfloat16, the integer of so many bits, and the number of float32 that they are."""
    magnitude = np.abs(x.astype(np.float64))
    finite = np.isfinite(magnitude)
    magnitude = np.where(finite, magnitude, 0)
    # Steps of the last bit that is kept, and of a bfloat16's last bit.
    _, exponent = np.frexp(magnitude)
    step = np.ldexp(1.0, np.maximum(exponent - 1, -126) - 7 - bits)
    kept = np.rint(magnitude / step) * step
    coarse = step * 2.0**bits
    high = np.floor(kept / coarse + 0.5) * coarse
    # Rounded up to the next power of two, the number has that one's exponent.
    low = np.rint((kept - high) / step)
    with np.errstate(over="ignore"):
        whole = np.where(finite, np.copysign(kept, x), x).astype(np.float32)
        high = np.where(finite, np.copysign(high, x), x).astype(np.float32)
    low[~np.isfinite(whole)] = 0
    return high.astype(ml_dtypes.bfloat16).view(np.uint16), low.astype(np.int64), whole
