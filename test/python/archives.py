"""Small archives for tests: files as their writers make them, of any content."""

from __future__ import annotations

import json
import struct

import numpy as np

DTYPES = {
    "float32": "F32",
    "float16": "F16",
    "uint8": "U8",
    "int8": "I8",
    "int32": "I32",
    "int64": "I64",
}


def write_archive(path, encoding: str, shape, components: dict) -> None:
    """One tensor `w`, laid out in safetensors as `lowbit encode` does it, whatever the components are."""
    description = {
        "w": {"shape": list(shape), "encoding": encoding, "components": list(components)}
    }
    header, data = {
        "__metadata__": {"lowbit.version": "1", "lowbit.tensors": json.dumps(description)}
    }, b""
    for name, array in components.items():
        array = np.asarray(array)
        header[f"w::{name}"] = {
            "dtype": DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + array.nbytes],
        }
        data += array.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
