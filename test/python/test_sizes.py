"""Bytes: what an encoding says, what its arrays have, what an archive lists and what the file holds are one number."""

import json
import math
import struct

import gguf
import numpy as np
import pytest
from kernels import mixed_values
from lowbit import Archive, _lowbit
from test_kernels import ALIGNED, ALL, LARGE, ONE, PRIME, RAGGED

SHAPES = [ALIGNED, RAGGED, PRIME, ONE, LARGE, (1, 32), (3, 1), (2, 7), (1, 257)]


def fits(encoding: str, shape) -> bool:
    try:
        _lowbit.component_names(encoding, list(shape))
    except RuntimeError:
        return False
    return True


def encodings_for(shape) -> dict[str, str]:
    return {name: text for name, text in ALL.items() if fits(text, shape)}


def test_the_shapes_leave_out_no_encoding():
    assert {name for shape in SHAPES for name in encodings_for(shape)} == set(ALL)
    for name, text in ALL.items():
        if "ggml" not in text and "part" not in name:
            assert all(fits(text, shape) for shape in SHAPES), name


def by_hand(name: str, shape) -> int:
    """A few whose bytes anyone can count."""
    rows, columns = shape
    blocks = rows * -(-columns // 32)
    return {
        "int8-row": rows * columns + 4 * rows,
        "int1": rows * -(-columns // 8) + 4 * blocks,
        # Two low bits and one high bit of each code, each plane padded to bytes row by row.
        "int3": rows * (-(-columns * 2 // 8) + -(-columns // 8)) + 2 * blocks,
        "int4": rows * -(-columns // 2) + 2 * blocks,
        "int7": rows * (-(-columns // 2) + -(-columns // 4) + -(-columns // 8)) + 2 * blocks,
        "uint4-zero": rows * -(-columns // 2) + 2 * blocks + rows * -(-blocks // rows // 2),
        "rank1": rows * columns + 4 * rows + 4 * columns,
        "bf16": 2 * rows * columns,
        "q4_1": 20 * blocks,
    }.get(name)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def test_every_account_of_the_bytes_agrees(shape, make_gguf, run_lowbit, tmp_path):
    values = mixed_values(shape, 7)
    encodings = encodings_for(shape)
    source = make_gguf("source.gguf", {name: values for name in encodings})
    out = tmp_path / "all.safetensors"
    _lowbit.encode_archive(
        str(source), str(out), "same", list(encodings.items()), lambda *call: None
    )
    archive = Archive(str(out))
    told = json.loads(run_lowbit("inspect", out, "--json").stdout)
    assert [tensor.name for tensor in archive.tensors] == list(encodings)
    for tensor, line in zip(archive.tensors, told["tensors"]):
        text = encodings[tensor.name]
        stored = sum(array.nbytes for array in archive.components(tensor.name).values())
        encoded = sum(array.nbytes for array in _lowbit.encode(values, text).values())
        static = _lowbit.encoded_bytes(text, list(shape))
        assert tensor.bytes == line["bytes"] == stored == encoded, tensor.name
        assert (static is None) == ("sparse" in text), tensor.name
        assert static in (None, stored), tensor.name
        assert by_hand(tensor.name, shape) in (None, stored), tensor.name
        # Exactly: a quotient of whole numbers, rounded once.
        exact = 8 * stored / math.prod(shape)
        assert tensor.bits_per_weight == line["bits_per_weight"] == exact, tensor.name

    total = sum(tensor.bytes for tensor in archive.tensors)
    (header,) = struct.unpack("<Q", out.read_bytes()[:8])
    assert out.stat().st_size == 8 + header + total
    parameters = len(encodings) * math.prod(shape)
    assert told["totals"] == {
        "parameters": parameters,
        "bits_per_weight": 8 * total / parameters,
        "bytes": total,
    }


@pytest.mark.parametrize("shape", [(7,), (64,), (2, 3, 37), (2, 2, 64)])
def test_the_arrays_of_any_rank_have_the_bytes_the_encoding_says(shape):
    texts = [
        "#lowbit.quantized<int<3>, scale = f16 per tensor>",
        "#lowbit.quantized<bf16>",
        f"#lowbit.quantized<uint<5>, scale = f16 per {[1] * (len(shape) - 1) + [16]}, "
        f"zero = uint<3> per {[1] * (len(shape) - 1) + [16]}>",
    ]
    for text in texts:
        components = _lowbit.encode(mixed_values(shape, 8), text)
        stored = sum(array.nbytes for array in components.values())
        assert _lowbit.encoded_bytes(text, list(shape)) == stored


def test_a_gguf_file_holds_the_bytes_that_are_listed(make_gguf, run_lowbit, tmp_path):
    values = np.random.default_rng(9).standard_normal((5, 96)).astype(np.float32)
    names = ["q4_0", "q4_1", "q8_0", "f16", "bf16", "f32"]
    source = make_gguf("source.gguf", {name: values for name in names})
    out = tmp_path / "all.gguf"
    keep = [(name, ALL[name]) for name in names]
    _lowbit.encode_archive(str(source), str(out), "same", keep, lambda *call: None)
    told = json.loads(run_lowbit("inspect", out, "--json").stdout)
    held = {tensor.name: int(tensor.n_bytes) for tensor in gguf.GGUFReader(out).tensors}
    assert {tensor["name"]: tensor["bytes"] for tensor in told["tensors"]} == held
    assert told["totals"]["bytes"] == sum(held.values())
    for name in names[:-1]:
        assert held[name] == _lowbit.encoded_bytes(ALL[name], [5, 96]), name
