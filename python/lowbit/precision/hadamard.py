"""Hadamard matrices of real sizes.

A Hadamard matrix of order n has entries +-1 and orthogonal rows; beyond 2, n is a multiple of 4. Here are those of orders

- 2^k: Sylvester's construction;
- q + 1 and 2 (q + 1) for primes q = 3 and 1 (mod 4): Paley's two (1933, "On orthogonal matrices", J. Math. Phys. 12);
- 4 m for some odd m: Goethals' and Seidel's array (1967, "Orthogonal matrices with zero diagonal", Canad. J. Math. 19, theorem 1) of four sequences
  whose periodic autocorrelations add up to 0;

and products of these, by Kronecker products: 576 = 12 x 12 x 4, 768 = 12 x 64, 11008 = 172 x 64, 13696 = 428 x 32, 18944 = 148 x 128.
"""

from __future__ import annotations

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from ..errors import LowbitError

Matrix = NDArray[np.float64]


_LARGEST = 1024
"""The order of a factor that is no power of two, at most: it is applied as it is."""


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


# By m, four sequences of length m: bits, the first one highest, 1 for -1. For m up to 43 they are symmetric (Williamson 1944, "Hadamard's determinant theorem
# and the sum of four squares", Duke Math. J. 11, has order 172; Baumert, Golomb and Hall 1962, "Discovery of an Hadamard matrix of order 92"), found anew
# by trying all; for m = 43 all that are constant on the cosets of the sixth roots of unity. For m = 107 they are made of the Turyn-type
# sequences of Kharaghani and Tayfeh-Rezaie 2005 ("A Hadamard matrix of order 428", J. Combin. Des. 13, section 3).
_SEQUENCES = {
    13: (0xC03, 0x294, 0x999, 0x8F1),
    23: (0x35002B, 0x32A153, 0x0E619C, 0x363F1B),
    25: (0x9C0039, 0xBB81DD, 0xB4C32D, 0x6CBD36),
    29: (0xD3801CB, 0xA7606E5, 0x2439C24, 0xAF264F5),
    43: (0x39851322867, 0x1C2D9FE6D0E, 0xA6A17A1594, 0x103D649AF02),
    107: (
        0x20B0898B70BE68D4421E57C243D,
        0x5F4F767488BE68D44241AD98439,
        0x5F4F76748F41972BBD1E57C243D,
        0x5F4F767488BE68D442BE5267BC6,
    ),
}


def _goethals_seidel(order: int) -> Matrix | None:
    length = order // 4
    if order % 4 or length not in _SEQUENCES:
        return None
    index = (np.arange(length)[None, :] - np.arange(length)[:, None]) % length
    a, b, c, d = (
        np.array([1.0 - 2 * int(bit) for bit in f"{bits:0{length}b}"])[index]
        for bits in _SEQUENCES[length]
    )

    def back(circulant: Matrix) -> Matrix:
        return circulant[:, ::-1]

    return np.block(
        [
            [a, back(b), back(c), back(d)],
            [-back(b), a, back(d.T), -back(c.T)],
            [-back(c), -back(d.T), a, back(b.T)],
            [-back(d), back(c.T), -back(b.T), a],
        ]
    )


def _sylvester(size: int) -> Matrix:
    two = np.array([[1.0, 1.0], [1.0, -1.0]])
    return reduce(np.kron, [two] * (size.bit_length() - 1))


def factors(order: int) -> list[Matrix]:
    """Hadamard matrices whose Kronecker product has this order: small ones, powers of two of at most 128 last.

    Few and small factors make the product cheap to apply: order * sum of their orders instead of order^2.
    """
    found = _search(order)
    if found is None:
        why = (
            f"can be put together from those of Sylvester and Paley and of {', '.join(str(4 * m) for m in _SEQUENCES)}"
            if order % 4 == 0
            else "exists: there are those of 1, 2 and multiples of 4"
        )
        raise LowbitError(
            f"no Hadamard matrix of order {order} {why}",
            hint="leave a rotation that runs online out, as in 'rotate{down=false},gptq'; for one that is folded 'rotate{by=orthogonal}' "
            "takes any orthogonal matrix",
        )
    return found or [np.ones((1, 1))]


def _search(order: int) -> list[Matrix] | None:
    if order & (order - 1) == 0:
        sizes = [128] * ((order.bit_length() - 1) // 7) + [1 << (order.bit_length() - 1) % 7]
        return [_sylvester(size) for size in sizes if size > 1]
    for size in range(4, min(order, _LARGEST) + 1, 4):
        # Powers of two are left for the end: what is looked for takes an odd part away.
        if size & (size - 1) == 0 or order % size:
            continue
        matrix = _goethals_seidel(size)
        matrix = _paley(size) if matrix is None else matrix
        if matrix is not None:
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
