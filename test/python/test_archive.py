"""Archives: decoded values, components, and the encoder, bit for bit against `gguf` and numpy."""

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type
from numpy_encodings import CASES

# Bytes per block of 32, and where its float16 fields lie.
BLOCKS = {Type.Q4_0: (18, [0]), Type.Q4_1: (20, [0, 2]), Type.Q8_0: (34, [0])}


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal as stored, except that any NaN equals any other."""
    nan = np.isnan(a) & np.isnan(b)
    return a.shape == b.shape and bool(np.all((a.view(np.uint32) == b.view(np.uint32)) | nan))


def random_blocks(type: Type, rows: int, blocks: int, random: np.random.Generator) -> np.ndarray:
    """Any codes; scales of every size, among them zeros, denormals, infinities and NaN."""
    size, halves = BLOCKS[type]
    data = random.integers(0, 256, (rows, blocks, size), np.uint8)
    special = np.array([0.0, -0.0, 6e-8, -6e-5, 65504.0, np.inf, -np.inf, np.nan], np.float16)
    for offset in halves:
        scale = random.standard_normal((rows, blocks)).astype(np.float16)
        scale[0, : len(special)] = random.permutation(special)
        data[:, :, offset : offset + 2] = scale[..., None].view(np.uint8)
    return data.reshape(rows, blocks * size)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("type", BLOCKS, ids=lambda type: type.name)
def test_decode_equals_the_gguf_package(type, make_gguf):
    from lowbit import Archive

    blocks = random_blocks(type, 37, 9, np.random.default_rng(1))
    archive = Archive(str(make_gguf("blocks.gguf", {"w": (blocks, type)})))
    decoded = archive.tensor_f32("w")
    assert decoded.dtype == np.float32 and decoded.shape == (37, 9 * 32)
    assert same_bits(decoded, gguf.quants.dequantize(blocks, type))

    # The components are the file's own bytes, and nobody can write through them.
    (stored,) = archive.components("w").values()
    assert stored.tobytes() == blocks.tobytes()
    assert not stored.flags.writeable and not stored.flags.owndata


def test_tensors_tell_their_sizes(make_gguf):
    from lowbit import Archive

    blocks = random_blocks(Type.Q4_1, 3, 8, np.random.default_rng(2))
    one = np.arange(5, dtype=np.float32)
    path = make_gguf("two.gguf", {"w": (blocks, Type.Q4_1), "b": one}, test__key="wörd")
    archive = Archive(str(path))
    weight, bias = archive.tensors
    assert (weight.name, list(weight.shape), weight.bytes) == ("w", [3, 256], blocks.size)
    assert weight.bits_per_weight == 5.0
    assert "ggml<q4_1>" in weight.encoding
    assert (bias.name, list(bias.shape), bias.bytes) == ("b", [5], 20)
    assert bias.bits_per_weight == 32.0
    assert archive.tensor_f32("b").tolist() == one.tolist()
    assert archive.metadata("test.key") == "wörd"
    assert archive.metadata("no.such.key") is None
    with pytest.raises(RuntimeError, match="nobody"):
        archive.tensor_f32("nobody")


def difficult(random: np.random.Generator) -> np.ndarray:
    """Ragged and zero blocks, ties, equal outliers, scales beyond both ends of f16."""
    x = random.standard_normal((83, 75)).astype(np.float32)
    x[0] = 0
    x[1, :40] = 0.0
    x[1, 3] = -0.0
    x[2] = np.arange(75) / 2 - 10  # halves: ties between codes
    x[3] = 1e-6 * x[3]
    x[4] = 1e-9 * x[4]  # the f16 scale becomes zero
    x[5] = 3.0
    x[6] = -3.0
    x[7] = np.abs(x[7]) + 1  # the zero point has to widen the range
    x[8] *= 2000
    x[9, 10], x[10, 3] = 1e6, -1e6  # the f16 scale and minimum saturate
    x[70, 40:60] = 12345.0
    return x


@pytest.mark.parametrize("name", CASES)
def test_encode_equals_numpy_bit_for_bit(name, make_gguf, tmp_path):
    from lowbit._lowbit import Archive, encode_archive

    x = difficult(np.random.default_rng(3))
    bias = x[0].copy()
    text, encoding = CASES[name]
    path, out = make_gguf("x.gguf", {"w": x, "b": bias}), tmp_path / "out.safetensors"
    calls = []
    encode_archive(str(path), str(out), text, [], lambda *call: calls.append(call))
    assert [total for _, total, _ in calls] == [2] * len(calls) and len(calls) >= 2

    archive = Archive(str(out))
    parts = encoding.encode(x)
    expected = encoding.storage(parts)
    stored = archive.components("w")
    assert list(stored) == list(expected)
    for component, array in expected.items():
        assert stored[component].dtype == array.dtype, component
        assert stored[component].shape == array.shape, component
        assert stored[component].tobytes() == array.tobytes(), component
    assert same_bits(archive.tensor_f32("w"), encoding.decode(parts, x.shape))
    # One-dimensional tensors stay as they are.
    assert same_bits(archive.tensor_f32("b"), bias)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.safetensors", "x.gguf"]


@pytest.mark.parametrize(
    "type, term",
    [
        (Type.Q4_0, "int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>"),
        (
            Type.Q4_1,
            "uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32], layout = ggml<q4_1>",
        ),
        (Type.Q8_0, "int<8>, scale = f16 per [1, 32], layout = ggml<q8_0>"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_encode_equals_the_gguf_package(type, term, make_gguf, tmp_path):
    from lowbit._lowbit import Archive, encode_archive

    random = np.random.default_rng(6)
    x = random.standard_normal((64, 1024)).astype(np.float32)
    x[0] = np.round(x[0] * 4) / 4  # ties
    x[1, :64] = 0
    path, out = make_gguf("x.gguf", {"w": x}), tmp_path / "out.safetensors"
    encode_archive(str(path), str(out), f"#lowbit.quantized<{term}>", [], lambda *call: None)
    (stored,) = Archive(str(out)).components("w").values()
    assert stored.tobytes() == gguf.quants.quantize(x, type).tobytes()


def test_keep_decides_by_the_first_match(make_gguf, tmp_path):
    from lowbit._lowbit import Archive, encode_archive

    x = np.random.default_rng(4).standard_normal((70, 64)).astype(np.float32)
    path = make_gguf("x.gguf", {name: x for name in ("a.weight", "b.weight", "c.weight")})
    out = tmp_path / "out.safetensors"
    int8, nf4 = CASES["int8-rows"], CASES["nf4"]
    keep = [("a.*", "same"), ("[ab].*", nf4[0])]
    encode_archive(str(path), str(out), int8[0], keep, lambda *call: None)
    archive = Archive(str(out))
    assert same_bits(archive.tensor_f32("a.weight"), x)
    for name, (_, encoding) in {"b.weight": nf4, "c.weight": int8}.items():
        assert same_bits(archive.tensor_f32(name), encoding.decode(encoding.encode(x), x.shape))


def test_a_failed_encode_leaves_nothing_behind(make_gguf, tmp_path):
    from lowbit._lowbit import encode_archive

    path = make_gguf("x.gguf", {"w": np.ones((4, 4), np.float32)})
    with pytest.raises(RuntimeError):
        encode_archive(
            str(path), str(tmp_path / "out"), "#lowbit.quantized<int<", [], lambda *c: None
        )
    assert [file.name for file in tmp_path.iterdir()] == ["x.gguf"]
