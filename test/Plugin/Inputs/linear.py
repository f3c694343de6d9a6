"""Inputs of x * decode(w)^T and its check: linear.py write|check palette|format FOLDER

w has shape [48, 96] in 4-bit codes, two a byte, the low nibble first. Every product and every sum is exact in f32, whatever
the order, so the outputs are compared for equality.
"""

import pathlib
import sys

import numpy as np

mode, kind, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
rows, columns, tokens = 48, 96, 5
i, k, m = np.arange(rows)[:, None], np.arange(columns)[None, :], np.arange(tokens)[:, None]
numbers = (i * 5 + k * 7) % 15
codes = (numbers[:, 0::2] | numbers[:, 1::2] << 4).astype(np.uint8)
x = ((m * 7 + k * 3) % 13 - 6).astype(np.float32) / 8
if kind == "palette":
    table = ((np.arange(16) * 11) % 16 - 5).astype(np.float32) / 4
    weights = table[numbers]
    components = {"codes": codes, "palette": table}
else:
    # The levels that OCP's E2M1 has, in order; a block of 32 shares a scale that is a power of two.
    table = np.array([-6, -4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)
    scale = (2.0 ** ((i + 2 * np.arange(columns // 32)[None, :]) % 5 - 2)).astype(np.float16)
    weights = table[numbers] * np.repeat(scale.astype(np.float32), 32, axis=1)
    components = {"codes": codes, "scale": scale}

if mode == "write":
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in {"x": x, **components}.items():
        np.save(folder / f"{name}.npy", array.view(np.int8) if array.dtype == np.uint8 else array)
else:
    np.testing.assert_array_equal(np.load(folder / "y.npy"), x @ weights.T)
