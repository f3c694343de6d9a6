"""lowbit.rank: by a look-up for a block, the ranks of quotients, also where a quotient is next to a threshold."""

import numpy as np
import pytest

from kernels import by_scale_program
from lowbit import _lowbit

COUNT = 1 << 14

THRESHOLDS = {
    # Bucketed by leading bits, with a sign; by integral parts, without and with one; not at all: two too near.
    "wide": [-0.775, -0.55, -0.325, -0.145, -0.055, -0.019, -0.00275, 0.00275, 0.019, 0.055, 0.145, 0.325, 0.55, 0.775, 0.94375],
    "wide-positive": [0.0005, 0.004, 0.03, 0.1, 0.3, 0.8],
    "even": [(i + 1.5) / 16 for i in range(15)],
    "normal": [-0.8480968, -0.6106329, -0.4599952, -0.3396781, -0.2346055, -0.1379675, -0.0455253, 0.0397901, 0.1202552, 0.2035212, 0.2919293, 0.3893208, 0.5016634, 0.6427869, 0.8614784],
    "near": [0.25, 0.2500001],
}  # fmt: skip


def text(thresholds: np.ndarray, bounded: bool) -> str:
    listed = ", ".join(f"{t:.9e}" for t in thresholds)
    promise = "bounded " if bounded else ""
    return by_scale_program(COUNT, f"%0 = lowbit.rank %a by %s in [{listed}] {promise}: f32", "i32")


def numbers_near(generator, thresholds: np.ndarray, scale: np.float32) -> np.ndarray:
    """Zeros, all magnitudes, and numbers whose quotients are at thresholds and a few f32 beside them."""
    spread = np.exp2(generator.uniform(-40, 0, COUNT // 2)) * generator.choice([-1, 1], COUNT // 2)
    at = generator.choice(thresholds.astype(np.float64), COUNT // 2)
    x = (np.concatenate([spread, at]) * float(scale)).astype(np.float32)
    steps = generator.integers(-3, 4, COUNT // 2).astype(np.int32)
    x.view(np.int32)[COUNT // 2 :] += np.where(x[COUNT // 2 :] == 0, 0, steps)
    x[:4] = [0.0, -0.0, scale, -scale]
    return x


def ranks_of(x: np.ndarray, scale: np.float32, thresholds: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        q = x / scale if scale != 0 and np.isfinite(scale) else np.zeros_like(x)
    return np.searchsorted(thresholds, np.where(np.isnan(q), 0, q), side="right")


@pytest.mark.parametrize("pipeline", ["cpu", "cpu{lanes=generic}", "reference"])
@pytest.mark.parametrize("bounded", [False, True], ids=["any", "bounded"])
@pytest.mark.parametrize("name", THRESHOLDS)
def test_are_those_of_quotients(name: str, bounded: bool, pipeline: str) -> None:
    thresholds = np.array(THRESHOLDS[name], np.float32)
    program = _lowbit.Program(text(thresholds, bounded), pipeline=pipeline)

    def run(x: np.ndarray, scale: np.float32) -> np.ndarray:
        (ranks,) = program.run("main", [x, np.array(scale), np.empty(COUNT, np.int32)])
        return np.asarray(ranks)

    generator = np.random.default_rng(7)
    for exponent in (-149, -146, -140, -127, -126, -100, -30, -1, 0, 1, 40, 100, 126, 127):
        for mantissa in (1.0, 2 - 2**-23, *generator.uniform(1, 2, 4)):
            scale = np.float32(np.ldexp(mantissa, exponent))
            x = numbers_near(generator, thresholds, scale)
            if not bounded:
                # By a denormal scale what is far beyond it may be taken for zero (lowbit.quotient).
                far = np.inf if exponent >= -126 else 2.0**90 * scale
                x[4:12] = [
                    far,
                    -far,
                    np.nan,
                    -np.nan,
                    min(3e38, far),
                    -min(3e38, far),
                    1e-45,
                    -1e-45,
                ]
                with np.errstate(over="ignore"):
                    x[12:16] = np.array([2, -2, 70, -70], np.float32) * scale
                scale *= np.float32(generator.choice([-1, 1]))
            else:
                x = np.clip(x, -scale, scale)
                x[4:6] = np.nan
                if scale == np.finfo(np.float32).max:
                    x[6:8] = [np.inf, -np.inf]
            assert np.array_equal(run(x, scale), ranks_of(x, scale, thresholds)), scale
    x = np.array(([1.0, -1.0, np.nan, 0.0, np.inf, -np.inf] * COUNT)[:COUNT], np.float32)
    for scale in (0.0, -0.0, np.inf, np.nan):
        scale = np.float32(scale)
        assert np.array_equal(run(x, scale), ranks_of(x, scale, thresholds)), scale
