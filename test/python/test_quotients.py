"""lowbit.quotient: by one division for a block, the quotient bit for bit."""

import numpy as np
import pytest

from kernels import by_scale_program
from lowbit import _lowbit

COUNT = 1 << 16

TEXT = by_scale_program(COUNT, "%0 = lowbit.quotient %a, %s : f32")


@pytest.fixture(
    scope="module", params=["cpu", "cpu{lanes=generic}", "cpu{multiply-add=false}", "reference"]
)
def divide(request):
    program = _lowbit.Program(TEXT, pipeline=request.param)

    def run(numbers: np.ndarray, scale: np.float32) -> np.ndarray:
        (result,) = program.run("main", [numbers, np.array(scale), np.empty_like(numbers)])
        return np.asarray(result)

    return run


def numbers_near(generator: np.random.Generator, scale: float) -> np.ndarray:
    """Of all magnitudes, and such that lie at and beside midpoints of quotients."""
    spread = np.exp2(generator.uniform(-95, 72, COUNT // 2)) * scale
    codes = generator.integers(1, 1 << 24, COUNT // 2).astype(np.float64) + generator.choice(
        [0, 0.5, 0.25], COUNT // 2
    )
    near = codes * np.exp2(generator.integers(-40, 4, COUNT // 2)) * scale
    x = np.concatenate([spread, near]) * generator.choice([-1, 1], COUNT)
    with np.errstate(over="ignore"):
        return x.astype(np.float32)


@pytest.mark.parametrize(
    "exponent", [-149, -140, -126, -100, -64, -20, -1, 0, 1, 30, 100, 126, 127]
)
def test_is_the_quotient(divide, exponent: int) -> None:
    generator = np.random.default_rng(exponent + 200)
    mantissas = [1.0, 2 - 2**-23, 1 + 2**-23, 4 / 3, *generator.uniform(1, 2, 6)]
    for mantissa in mantissas:
        scale = np.float32(np.ldexp(mantissa, exponent) * generator.choice([-1, 1]))
        x = numbers_near(generator, float(scale))
        with np.errstate(all="ignore"):
            wanted = x / scale
        found = divide(x, scale)
        tells = (abs(wanted) >= 2.0**-90) & (abs(wanted) <= 2.0**70)
        assert tells.sum() > COUNT // 4
        assert np.array_equal(found[tells], wanted[tells])
        assert np.all(abs(found[abs(wanted) < 2.0**-90]) < 2.0**-90)
        assert np.all(abs(found[abs(wanted) > 2.0**70]) > 2.0**70)
        other = ~tells & (wanted != 0) & (found != 0)
        assert np.array_equal(np.signbit(found[other]), np.signbit(wanted[other]))


def test_special_numbers(divide) -> None:
    x = np.zeros(COUNT, np.float32)
    x[:5] = [np.nan, np.inf, -np.inf, 1.0, -3e38]
    at_scale_one = divide(x, np.float32(1))
    assert at_scale_one[0] == 0 and at_scale_one[1] > 2.0**70 and at_scale_one[2] < -(2.0**70)
    assert not at_scale_one[5:].any()
    for scale in (0.0, -0.0, np.inf):
        assert not divide(x, np.float32(scale))[3:].any()
