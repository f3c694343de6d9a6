"""lowbit.insert: new positions of an encoded tensor, for the rest untouched, as the scalar reference encodes them."""

import numpy as np
import pytest
from lowbit import _lowbit

HEADS, POSITIONS, SIZE = 3, 40, 64
ENCODINGS = [
    "f16",
    "bf16",
    "int<8>, scale = f16 per [1, 1, 64]",
    "int<8>, scale = f32 per [1, 1, 32]",
    "int<4>, scale = f16 per [1, 1, 32]",
    "uint<4>, scale = f16 per [1, 1, 32], min = f16 per [1, 1, 32]",
    "e4m3, scale = f32 per [1, 1, 16]",
    "codebook<nf4>, scale = f16 per [1, 1, 64]",
]


def program(encoding: str, pipeline: str) -> _lowbit.Program:
    text = f"""
    #kv = #lowbit.quantized<{encoding}>
    !cache = tensor<{HEADS}x{POSITIONS}x{SIZE}xf32, #kv>
    func.func @append(%x: tensor<{HEADS}x?x{SIZE}xf32>, %cache: !cache, %position: index) -> !cache
        attributes {{lowbit.entry, lowbit.updates = array<i64: 1>}} {{
      %new = lowbit.insert %x into %cache[0, %position, 0] : tensor<{HEADS}x?x{SIZE}xf32> into !cache
      return %new : !cache
    }}"""
    return _lowbit.Program(text, pipeline=pipeline)


@pytest.mark.parametrize("pipeline", ["cpu", "reference"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_rows_are_encoded_in_place(encoding, pipeline):
    generator = np.random.default_rng(0)
    values = generator.normal(size=(HEADS, POSITIONS, SIZE)).astype(np.float32)
    term = f"#lowbit.quantized<{encoding}>"
    append = program(encoding, pipeline)
    for position, count in ((0, 1), (7, 12), (POSITIONS - 3, 3), (5, 0)):
        components = _lowbit.encode(values, term)
        rows = generator.normal(size=(HEADS, count, SIZE)).astype(np.float32)
        found = append.run("append", [rows, *components.values(), np.int64(position)])
        values[:, position : position + count] = rows
        for name, (have, want) in zip(components, zip(found, _lowbit.encode(values, term).values())):
            np.testing.assert_array_equal(have, want, err_msg=f"{name} at {position}")
