#!/usr/bin/env python3
"""The time that GPTQ's codes take, numpy's over ours: `lowbit.encode(..., second_moments=...)` against the same algorithm in numpy and LAPACK.

Both choose scales of least squared error (rule = mse, 17 candidates for each group) as they go, and have the same threads. numpy's computes in float64 and is
written for speed: the matrix transposed, so that a column is contiguous and all rows are taken at once; errors carried to a block of columns in one product;
factors by LAPACK. It leaves codes as they are, where ours packs them, too. It comes in two kinds:

    paper   by the Cholesky factor of the inverse, as GPTQ's authors do (Frantar et al. 2022, arXiv 2210.17323)
    LDL     without an inverse, as ours (QuIP, Chee et al. 2023, arXiv 2307.13304: the same codes)

Shapes are those of MiniLM-L6 and SmolLM2-135M; numbers are random. Each round times all three, one after the other; ratios are medians over rounds, of time and
of processor time, which is the one to look at where other programs run, with one thread (OpenBLAS' threads spin while they wait). For each number of threads
a process of its own is kept on as many cores. The last columns say which part of the rows has exactly numpy's codes and scales; near-ties fall to either side.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

SHAPES = "384x384,1536x384,384x1536,576x576,1536x576,576x1536"
GROUP = 32
DAMPING = 0.01

Matrix = NDArray[np.float64]


def lapack_cholesky(h: Matrix, lower: int = 1) -> Matrix:
    """l with l l^T = h, or u with u^T u = h."""
    factor, failed = lapack.dpotrf(h, lower=lower)
    assert not failed
    return factor


def factor_inverse(h: Matrix) -> Matrix:
    """What an error r of column j changes later columns k by, -r u_jk, is in row j: u over its diagonal, with u^T u = inverse(h)."""
    inverse, _ = lapack.dpotri(lapack_cholesky(h), lower=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    upper = lapack_cholesky(inverse, lower=0)
    return upper / np.diag(upper)[:, None]


def factor_blocks(h: Matrix) -> Matrix:
    """h = v v^T, v upper triangular. In the columns of each group: above its rows what errors (decoded - wanted) are subtracted by, in its rows as above."""
    upper = lapack_cholesky(h[::-1, ::-1])[::-1, ::-1]
    result = np.zeros_like(h)
    for begin in range(0, len(h), GROUP):
        block = slice(begin, begin + GROUP)
        inverse, _ = lapack.dtrtri(upper[block, block], lower=0)
        np.matmul(upper[:begin, block], inverse, out=result[:begin, block])
        np.multiply(np.diag(upper)[block, None], inverse, out=result[block, block])
    return result


def least_squares_scales(x: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """[rows] for x [group, rows], rounded to f16: of 17 candidates that of least squared error."""
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    ideal = np.abs(x).max(0) / np.float32(high)
    best, least = ideal, np.full_like(ideal, np.inf)
    t = np.empty_like(x)
    for i in range(17):
        scale = (ideal * np.float32(1 - i * 0.5 / 16)).astype(np.float16).astype(np.float32)
        np.divide(x, scale, out=t)
        np.rint(t, out=t)
        np.clip(t, low, high, out=t)
        t *= scale
        np.subtract(x, t, out=t)
        t *= t
        error = t.sum(0)
        better = error < least
        best, least = np.where(better, scale, best), np.where(better, error, least)
    return best


def numpy_codes(
    w: NDArray[np.float32], h: Matrix, bits: int, by_inverse: bool
) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Codes and scales of w [rows, columns], both transposed."""
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    damped = h + DAMPING * np.mean(np.diag(h)) * np.eye(len(h))
    factor = (factor_inverse if by_inverse else factor_blocks)(damped)
    values = np.ascontiguousarray(w.T, np.float64)
    errors = np.empty_like(values)
    codes = np.empty(values.shape, np.int8)
    scales = np.empty((len(values) // GROUP, w.shape[0]), np.float16)
    product = np.empty((GROUP, w.shape[0]))
    for begin in range(0, len(values), GROUP):
        end = begin + GROUP
        wanted = values[begin:end].copy()
        values[begin:end] -= factor[:begin, begin:end].T @ errors[:begin]
        scale = least_squares_scales(values[begin:end].astype(np.float32), bits)
        scales[begin // GROUP] = scale
        for j in range(begin, end):
            t = values[j].astype(np.float32)
            t /= scale
            np.rint(t, out=t)
            np.clip(t, low, high, out=t)
            codes[j] = t
            t *= scale
            values[j] -= t
            if by_inverse:
                errors[j] = values[j]
            else:
                np.subtract(t, wanted[j - begin], out=errors[j])
            rest = product[: end - j - 1]
            np.multiply(factor[j, j + 1 : end, None], values[j], out=rest)
            values[j + 1 : end] -= rest
    return codes, scales


def seconds(work: Callable[[], object]) -> NDArray[np.float64]:
    """On the clock, and of processors."""
    begin = np.array([time.perf_counter(), time.process_time()])
    work()
    return np.array([time.perf_counter(), time.process_time()]) - begin


def measure(shape: str, bits: int, rounds: int) -> None:
    import lowbit

    rows, columns = map(int, shape.split("x"))
    if columns % GROUP:
        sys.exit(f"gptq.py: {shape}: the peer takes whole groups of {GROUP} columns")
    generator = np.random.default_rng(0)
    mix = generator.normal(size=(columns, columns)) * np.exp2(-np.arange(columns) * 12 / columns)
    x = generator.normal(size=(2 * columns, columns)) @ mix.T
    h = x.T @ x / len(x)
    w = generator.normal(size=(rows, columns)).astype(np.float32)
    encoding = f"#lowbit.quantized<int<{bits}>, scale = f16 per [1, {GROUP}], rule = mse>"
    kinds: dict[str, Callable[[], Any]] = {
        "ours": lambda: lowbit.encode(w, encoding, second_moments=h, damping=DAMPING),
        "paper": lambda: numpy_codes(w, h, bits, True),
        "LDL": lambda: numpy_codes(w, h, bits, False),
    }
    found = lowbit.decode(encoding, w.shape, kinds["ours"]())
    same = []
    for kind in ("paper", "LDL"):
        codes, scales = kinds[kind]()
        expected = codes * np.repeat(scales.astype(np.float32), GROUP, axis=0)
        same.append(float((found.T == expected).all(0).mean()))
    # [rounds, kinds, clocks]
    times = np.array([[seconds(work) for work in kinds.values()] for _ in range(rounds)])
    ratios = np.median(times[:, 1:] / times[:, :1], axis=0)
    print(
        f"{shape:>10} int<{bits}>"
        + "".join(f"{1e3 * value:8.1f}" for value in np.median(times, axis=0)[:, 0])
        + "".join(f"{ratio:9.2f}" for ratio in ratios.T.ravel())
        + "".join(f"{part:9.1%}" for part in same),
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", default=SHAPES, help=f"rows x columns ({SHAPES})")
    parser.add_argument("--bits", default="3,4", help="of the codes (3,4)")
    parser.add_argument("--threads", default="1,2", help="how many (1,2)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        for shape in arguments.shapes.split(","):
            for bits in map(int, arguments.bits.split(",")):
                measure(shape, bits, arguments.rounds)
        return
    print(
        f"{'':18}{'milliseconds':>24}{'time over ours':>18}{'processor time':>18}{'same rows':>18}"
    )
    print(
        f"{'shape':>10} {'codes':7}{'ours':>8}{'paper':>8}{'LDL':>8}"
        + 3 * f"{'paper':>9}{'LDL':>9}"
    )
    for threads in map(int, arguments.threads.split(",")):
        cores = sorted(os.sched_getaffinity(0))[:threads]
        print(f"{threads} threads", flush=True)
        subprocess.run(
            [sys.executable, *sys.argv, "--here"],
            env={**os.environ, "OPENBLAS_NUM_THREADS": str(threads)},
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
            check=True,
        )


if __name__ == "__main__":
    main()
