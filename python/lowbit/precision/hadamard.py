"""Hadamard matrices of real sizes.

A Hadamard matrix of order n has entries +-1 and orthogonal rows. Orders 2^k come from Sylvester's construction, q + 1 and 2 (q + 1) from Paley's two for
primes q = 3 and 1 (mod 4) (Paley 1933, "On orthogonal matrices"), products from Kronecker products: 576 = 12 x 12 x 4, 1536 = 12 x 128,
768 = 12 x 64.
"""

from __future__ import annotations

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from ..errors import LowbitError

Matrix = NDArray[np.float64]


def _is_prime(q: int) -> bool:
    return q > 1 and all(q % d for d in range(2, int(q**0.5) + 1))


def _jacobsthal(q: int) -> Matrix:
    """Q[i, j] = 1 where i - j is a square other than 0 modulo q, -1 where it is none, 0 on the diagonal."""
    squares = {i * i % q for i in range(1, q)}
    signs = np.array([0] + [1 if i in squares else -1 for i in range(1, q)], np.float64)
    return signs[(np.arange(q)[:, None] - np.arange(q)[None, :]) % q]


def _paley(order: int) -> Matrix | None:
    if order % 4 == 0 and (order - 1) % 4 == 3 and _is_prime(order - 1):
        skew = np.zeros((order, order))
        skew[0, 1:], skew[1:, 0] = 1, -1
        skew[1:, 1:] = _jacobsthal(order - 1)
        return skew + np.eye(order)
    q = order // 2 - 1
    if order % 4 == 0 and q % 4 == 1 and _is_prime(q):
        core = np.zeros((q + 1, q + 1))
        core[0, 1:] = core[1:, 0] = 1
        core[1:, 1:] = _jacobsthal(q)
        return np.kron(core, [[1, 1], [1, -1]]) + np.kron(np.eye(q + 1), [[1, -1], [-1, -1]])
    return None


def _sylvester(size: int) -> Matrix:
    two = np.array([[1.0, 1.0], [1.0, -1.0]])
    return reduce(np.kron, [two] * (size.bit_length() - 1))


def factors(order: int) -> list[Matrix]:
    """Hadamard matrices whose Kronecker product has this order: small ones, powers of two of at most 128 last.

    Few and small factors make the product cheap to apply: order * sum of their orders instead of order^2.
    """
    found = _search(order)
    if found is None:
        raise LowbitError(
            f"no Hadamard matrix of order {order} can be put together from those of Sylvester and Paley",
            hint="leave this rotation out, as in 'rotate{down=false},gptq'",
        )
    return found or [np.ones((1, 1))]


def _search(order: int) -> list[Matrix] | None:
    if order & (order - 1) == 0:
        sizes = [128] * ((order.bit_length() - 1) // 7) + [1 << (order.bit_length() - 1) % 7]
        return [_sylvester(size) for size in sizes if size > 1]
    for size in range(4, order + 1, 4):
        # Powers of two are left for the end: what is looked for takes an odd part away.
        if size & (size - 1) and order % size == 0 and (matrix := _paley(size)) is not None:
            if (rest := _search(order // size)) is not None:
                return [matrix, *rest]
    return None


def rotation_factors(order: int) -> list[Matrix]:
    """The same, orthonormal."""
    return [matrix / np.sqrt(len(matrix)) for matrix in factors(order)]


def rotation(order: int, seed: int | None = None) -> Matrix:
    """[order, order], orthonormal: a Hadamard matrix, with random signs of its rows where a seed is given (a randomized Hadamard transform)."""
    matrix = reduce(np.kron, rotation_factors(order))
    if seed is None:
        return matrix
    signs = np.random.Generator(np.random.Philox(seed)).integers(0, 2, order) * 2 - 1
    return matrix * signs[:, None]


def orthogonal(order: int, seed: int) -> Matrix:
    """[order, order], orthogonal, evenly random among those (the Q of a QR decomposition of normal numbers, with signs that make R's diagonal
    positive: Mezzadri 2007, arXiv math-ph/0609050, section 5)."""
    normal = np.random.Generator(np.random.Philox(seed)).standard_normal((order, order))
    q, r = np.linalg.qr(normal)
    return q * np.where(np.diag(r) < 0, -1.0, 1.0)


def rotation_with_ones(order: int, seed: int) -> Matrix:
    """[order, order], orthogonal and random but for the vector of ones, which stays where it is: so a mean over channels does, too."""
    # The reflection that exchanges the first unit vector and the direction of ones.
    v = -np.full(order, order**-0.5)
    v[0] += 1
    reflection = np.eye(order) - (2 / max(float(v @ v), 1e-300)) * np.outer(v, v)
    inner = np.eye(order)
    inner[1:, 1:] = orthogonal(order - 1, seed)
    return reflection @ inner @ reflection
