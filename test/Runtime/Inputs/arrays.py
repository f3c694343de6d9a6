"""Arrays for run.mlir and run-archive.mlir: `make FOLDER`, then `check FOLDER NAME` of a result against numpy."""

import json
import sys
from pathlib import Path

import numpy as np

random = np.random.default_rng(1)
x = random.standard_normal((3, 64)).astype(np.float32)
q = random.integers(-8, 8, (8, 64))
scale = random.uniform(0.5, 2, (8, 2)).astype(np.float16)
nibbles = (q & 15).astype(np.uint8)
codes = nibbles[:, ::2] | nibbles[:, 1::2] << 4


def write_archive(path: Path) -> None:
    encoding = "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>"
    tensors = {
        "w": {"shape": [8, 64], "encoding": encoding, "components": ["codes", "scale"]},
        "factors": {"shape": [2], "encoding": "", "components": ["values"]},
    }
    header = json.dumps(
        {
            "__metadata__": {
                "lowbit.version": "1",
                "lowbit.tensors": json.dumps(tensors),
                "lowbit.model": "{}",
            },
            "w::scale": {"dtype": "F16", "shape": [8, 2], "data_offsets": [0, 32]},
            "w::codes": {"dtype": "U8", "shape": [8, 32], "data_offsets": [32, 288]},
            "factors": {"dtype": "I64", "shape": [2], "data_offsets": [288, 304]},
        }
    ).encode()
    header += b" " * (-len(header) % 8)
    arrays = scale.tobytes() + codes.tobytes() + np.array([-1, 2]).tobytes()
    path.write_bytes(len(header).to_bytes(8, "little") + header + arrays)


command, folder, *name = sys.argv[1:]
folder = Path(folder)
if command == "make":
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", np.full((3, 8), 7, np.float32))
    np.save(folder / "codes.npy", codes)
    np.save(folder / "scale.npy", scale)
    write_archive(folder / "w.safetensors")
else:
    w = q * np.repeat(scale.astype(np.float64), 32, axis=1)
    result = np.load(folder / f"{name[0]}.npy")
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, 2 * (x @ w.T), rtol=1e-4, atol=1e-3)
