"""Writes the model of a GGUF file as a Lowbit archive with plain f32 tensors.

    make_archive.py model.gguf model.safetensors --claim blk.0.attn_q.weight='#lowbit.quantized<f16>'

`--claim` says that a tensor has an encoding, for which one array of zeros stands.
"""

from __future__ import annotations

import argparse
import json

import gguf
import numpy as np

TYPES = {
    gguf.GGUFValueType.UINT32: "u32",
    gguf.GGUFValueType.FLOAT32: "f32",
    gguf.GGUFValueType.STRING: "string",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--claim", metavar="TENSOR=ENCODING", default="=")
    options = parser.parse_args()
    claimed, encoding = options.claim.split("=", 1)

    reader = gguf.GGUFReader(options.model)
    model = {
        key: {TYPES[field.types[0]]: field.contents()}
        for key, field in reader.fields.items()
        if not key.startswith("GGUF.")
    }
    tensors, arrays = {}, {}
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if tensor.name == claimed:
            tensors[claimed] = {
                "shape": list(values.shape),
                "encoding": encoding,
                "components": ["codes"],
            }
            arrays[f"{claimed}::codes"] = ("U8", np.zeros(1, np.uint8))
        else:
            tensors[tensor.name] = {
                "shape": list(values.shape),
                "encoding": "",
                "components": ["values"],
            }
            arrays[tensor.name] = ("F32", values)

    metadata = {
        "lowbit.version": "1",
        "lowbit.tensors": json.dumps(tensors),
        "lowbit.model": json.dumps(model),
    }
    header, end = {"__metadata__": metadata}, 0
    for name, (dtype, array) in arrays.items():
        header[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [end, end + array.nbytes],
        }
        end += array.nbytes
    text = json.dumps(header).encode()
    with open(options.out, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, array in arrays.values():
            file.write(array.tobytes())


if __name__ == "__main__":
    main()
