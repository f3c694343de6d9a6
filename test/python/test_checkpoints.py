"""Checkpoints of GPTQ, AWQ and bitsandbytes, packed and decoded by the published code.

test/python/data/checkpoints has files that AutoGPTQ 0.7.1, GPTQModel 7.3.4, AutoAWQ 0.2.9 and bitsandbytes 0.50.2 packed, and
the SHA-256 of the values that they decode to: scripts/make-checkpoint-fixtures.py.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from pathlib import Path

import kernels
import lowbit
import numpy as np
import pytest
from lowbit import _lowbit

DATA = Path(__file__).parent / "data" / "checkpoints"
VALUES = json.loads((DATA / "values.json").read_text())
FOLDERS = ["gptq", "gptq_v2", "awq", "bnb"]

ENCODINGS = {
    "gptq/bits3.qweight": "#lowbit.quantized<uint<3>, scale = f16 per [32, 1], zero = uint<3> per [32, 1], layout = checkpoint<gptq>>",
    "gptq/ragged.qweight": "#lowbit.quantized<uint<4>, scale = f16 per [24, 1], zero = uint<4> per [24, 1], layout = checkpoint<gptq>>",
    "gptq/act_order.qweight": "#lowbit.permuted<axis = 0, #lowbit.quantized<uint<4>, scale = f16 per [16, 1], zero = uint<4> per [16, 1], layout = checkpoint<gptq>>>",
    "gptq_v2/sym.qweight": "#lowbit.quantized<uint<8>, scale = f16 per [32, 1], zero = uint<8> per [32, 1], layout = checkpoint<gptq_v2>>",
    "awq/layer.qweight": "#lowbit.quantized<uint<4>, scale = f16 per [32, 1], zero = uint<4> per [32, 1], layout = checkpoint<awq>>",
    "bnb/fp4.weight": "#lowbit.quantized<codebook<fp4>, scale = f32 per [1, 32], layout = checkpoint<bnb>>",
    "bnb/double.weight": "#lowbit.quantized<codebook<nf4>, scale = f32 per [64, 128] * codebook<dynamic, 8> per [1, 32] + f32 per tensor, layout = checkpoint<bnb>>",
    "bnb/flat.weight": "#lowbit.flattened<#lowbit.quantized<codebook<nf4>, scale = f32 per [16384] * codebook<dynamic, 8> per [64] + f32 per tensor, layout = checkpoint<bnb>>>",
}  # fmt: skip


def read(path):
    """The arrays of a safetensors file as (dtype, shape, bytes), and its metadata."""
    data = Path(path).read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + size])
    metadata = header.pop("__metadata__", {})
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        arrays[name] = (entry["dtype"], entry["shape"], data[8 + size + begin : 8 + size + end])
    return arrays, metadata


def write(path, arrays, metadata=None):
    header, at = {"__metadata__": metadata or {}}, 0
    for name, (dtype, shape, data) in arrays.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    blobs = b"".join(data for _, _, data in arrays.values())
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + blobs)


def sha256(values):
    return hashlib.sha256(values.astype("<f4").tobytes()).hexdigest()


def archive(folder):
    return lowbit.Archive(str(DATA / folder / "model.safetensors"))


@pytest.mark.parametrize("name", VALUES)
def test_values_are_those_of_the_published_code(name):
    folder, tensor = name.split("/")
    values = archive(folder).tensor_f32(tensor)
    assert list(values.shape) == VALUES[name]["shape"]
    assert sha256(values) == VALUES[name]["sha256"]


@pytest.mark.parametrize("name", VALUES)
def test_compiled_programs_read_checkpoints(name):
    folder, tensor = name.split("/")
    kind = kernels.tensor_type(VALUES[name]["shape"])
    # The parameter is declared in full precision: its encoding comes from the file.
    program = _lowbit.Program(
        f"""func.func @main(%out: {kind}) -> {kind} attributes {{lowbit.entry}} {{
  %w = lowbit.parameter "{tensor}" : {kind}
  %r = linalg.copy ins(%w : {kind}) outs(%out : {kind}) -> {kind}
  return %r : {kind}
}}""",
        [str(DATA / folder / "model.safetensors")],
    )
    (values,) = program.run("main", [np.zeros(VALUES[name]["shape"], np.float32)])
    assert sha256(values) == VALUES[name]["sha256"]


@pytest.mark.parametrize("name", ENCODINGS)
def test_each_layer_is_one_tensor(name):
    folder, tensor = name.split("/")
    found = {t.name: t for t in archive(folder).tensors}
    assert found[tensor].encoding == ENCODINGS[name]
    assert found[tensor].bytes == _lowbit.encoded_bytes(ENCODINGS[name], found[tensor].shape)
    quantized = {key.split("/")[1] for key in VALUES if key.startswith(folder + "/")}
    assert set(found) == quantized | ({"norm.weight"} if folder == "gptq" else set())


@pytest.mark.parametrize("folder", FOLDERS)
def test_conversion_does_not_round(folder, tmp_path, run_lowbit):
    path, out = DATA / folder / "model.safetensors", tmp_path / "out.safetensors"
    run_lowbit("encode", path, "--weights", "same", "--output", out)
    before, after = archive(folder), lowbit.Archive(str(out))
    described = lambda a: {t.name: (t.shape, t.encoding, t.bytes) for t in a.tensors}  # noqa: E731
    assert described(before) == described(after)
    for tensor in before.tensors:
        kernels.assert_same_bits(
            after.tensor_f32(tensor.name), before.tensor_f32(tensor.name), tensor.name
        )


def test_inspect_shows_types_and_sizes(run_lowbit):
    done = run_lowbit("inspect", DATA / "gptq" / "model.safetensors", "--json")
    tensors = {tensor["name"]: tensor for tensor in json.loads(done.stdout)["tensors"]}
    # 64 x 32 codes of 3 bits; for each of 2 groups and 32 outputs an f16 and a zero point of 3 bits.
    assert tensors["bits3.qweight"]["shape"] == [64, 32]
    assert tensors["bits3.qweight"]["bytes"] == 64 * 32 * 3 // 8 + 2 * 32 * 2 + 2 * 32 * 3 // 8
    assert tensors["bits3.qweight"]["bits_per_weight"] == 3 + (16 + 3) / 32
    assert tensors["norm.weight"]["encoding"] == "#lowbit.quantized<f16>"


def test_other_levels_than_the_named_ones_are_kept(tmp_path):
    arrays, metadata = read(DATA / "bnb" / "model.safetensors")
    levels = np.frombuffer(arrays["plain.weight.quant_map"][2], "<f4").copy()
    levels[3] = np.nextafter(levels[3], np.float32(0))
    arrays["plain.weight.quant_map"] = ("F32", [16], levels.tobytes())
    write(tmp_path / "m.safetensors", arrays, metadata)
    changed, same = lowbit.Archive(str(tmp_path / "m.safetensors")), archive("bnb")
    codes = same.components("plain.weight")["weight"]
    codes = np.stack([codes >> 4, codes & 15], -1).reshape(16, 128)
    absmax = np.repeat(same.components("plain.weight")["absmax"], 64, 1)
    assert "codebook<[" in {t.name: t for t in changed.tensors}["plain.weight"].encoding
    kernels.assert_same_bits(changed.tensor_f32("plain.weight"), absmax * levels[codes], "decoded")


# ----------------------------------------------------------------------------------------------
# Zero points are stored less 1 or not
# ----------------------------------------------------------------------------------------------


@pytest.fixture
def gptq_file(tmp_path):
    return Path(shutil.copy(DATA / "gptq" / "model.safetensors", tmp_path))


def zero_points_of(path):
    encoding = {t.name: t for t in lowbit.Archive(str(path)).tensors}["bits4.qweight"].encoding
    return encoding[encoding.index("checkpoint<") :].rstrip(">")


@pytest.mark.parametrize(
    "name, text, expected",
    [
        ("quantize_config.json", {"bits": 4}, "gptq"),
        ("quantize_config.json", {"checkpoint_format": "gptq_v2"}, "gptq_v2"),
        ("quantize_config.json", {"format": "gptq_v2"}, "gptq_v2"),
        ("config.json", {"quantization_config": {"checkpoint_format": "gptq_v2"}}, "gptq_v2"),
    ],
)
def test_the_configuration_says_which_zero_points(gptq_file, name, text, expected):
    (gptq_file.parent / name).write_text(json.dumps(text))
    assert zero_points_of(gptq_file) == "checkpoint<" + expected


def test_metadata_of_the_file_comes_first(gptq_file):
    arrays, metadata = read(gptq_file)
    write(gptq_file, arrays, metadata | {"gptq_checkpoint_format": "gptq_v2"})
    (gptq_file.parent / "quantize_config.json").write_text("{}")
    assert zero_points_of(gptq_file) == "checkpoint<gptq_v2"


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("other.json", "{}", "put that file beside this one"),
        ("config.json", "{}", "put that file beside this one"),
        ("config.json", '{"a" 1}', r"config\.json: byte 6: "),
        ("quantize_config.json", '{"checkpoint_format": "marlin"}', "of the format 'marlin'"),
    ],
)
def test_without_a_configuration_is_an_error(gptq_file, name, text, message, run_lowbit):
    (gptq_file.parent / name).write_text(text)
    with pytest.raises(RuntimeError, match=message):
        lowbit.Archive(str(gptq_file))
    done = run_lowbit("inspect", gptq_file, status=1)
    assert done.stderr.startswith("lowbit: error: ") and not done.stdout


# ----------------------------------------------------------------------------------------------
# Damaged files
# ----------------------------------------------------------------------------------------------


def change_state(arrays, **changes):
    dtype, shape, data = arrays["double.weight.quant_state.bitsandbytes__nf4"]
    data = json.dumps(json.loads(data) | changes).encode()
    arrays["double.weight.quant_state.bitsandbytes__nf4"] = ("U8", [len(data)], data)


def change_index(arrays, values, dtype="I32"):
    arrays["act_order.g_idx"] = (dtype, [len(values)], np.array(values, "<i4").tobytes())


DAMAGES = {
    "scales": ("gptq", lambda a: a.update({"bits4.scales": ("F16", [2, 31], bytes(124))}), "neither the words of GPTQ nor those of AWQ"),
    "scale-type": ("gptq", lambda a: a.update({"bits4.scales": ("I16", [2, 32], bytes(128))}), "neither the words of GPTQ"),
    "codes-type": ("awq", lambda a: a.update({"layer.qweight": ("F32", *a["layer.qweight"][1:])}), "neither the words of GPTQ"),
    "group-beyond": ("gptq", lambda a: change_index(a, [0] * 31 + [2]), r"puts input 31 into group 2, but there are 2"),
    "group-negative": ("gptq", lambda a: change_index(a, [0] * 31 + [-1]), "group -1"),
    "groups-unequal": ("gptq", lambda a: change_index(a, [1] * 17 + [0] * 15), "groups of unequal sizes"),
    "index-short": ("gptq", lambda a: change_index(a, [0] * 16), "one group for each of 32 inputs"),
    "no-groups": ("gptq", lambda a: (a.pop("ragged.g_idx"), a.update({"ragged.scales": ("F16", [5, 32], bytes(320)), "ragged.qzeros": ("I32", [5, 4], bytes(80))})), "no g_idx"),
    "bnb-codes": ("bnb", lambda a: a.update({"double.weight": ("U8", [7], bytes(7))}), r"has 4352 bytes of codes"),
    "bnb-absmax": ("bnb", lambda a: a.update({"double.weight.absmax": ("U8", [9], bytes(9))}), "has 272 in U8"),
    "bnb-nested": ("bnb", lambda a: a.update({"double.weight.nested_absmax": ("F32", [1], bytes(4))}), "has 2 in F32"),
    "bnb-map": ("bnb", lambda a: a.update({"double.weight.quant_map": ("F32", [15], bytes(60))}), "no table of 16 levels"),
    "bnb-levels": ("bnb", lambda a: a.update({"double.weight.quant_map": ("F32", [16], b"\xff" * 64)}), "finite"),
    "bnb-json": ("bnb", lambda a: a.update({"double.weight.quant_state.bitsandbytes__nf4": ("U8", [2], b"{]")}), r"byte \d+: .* in 'double"),
    "bnb-kind": ("bnb", lambda a: change_state(a, quant_type="fp4"), "quant_type 'nf4'"),
    "bnb-shape": ("bnb", lambda a: change_state(a, shape=[2**40, 2**40]), "impossible shape"),
    "bnb-empty": ("bnb", lambda a: change_state(a, shape=[0, 4]), "impossible shape"),
    "bnb-block": ("bnb", lambda a: change_state(a, blocksize=0), "no even number from 2"),
    "bnb-huge": ("bnb", lambda a: change_state(a, nested_blocksize=2**60), "no even number from 2"),
    "bnb-offset": ("bnb", lambda a: change_state(a, nested_offset="x"), "no finite number"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_checkpoints_are_located_errors(name, tmp_path):
    folder, damage, message = DAMAGES[name]
    shutil.copytree(DATA / folder, tmp_path / folder)
    path = tmp_path / folder / "model.safetensors"
    arrays, metadata = read(path)
    damage(arrays)
    write(path, arrays, metadata)
    with pytest.raises(RuntimeError, match=message) as caught:
        lowbit.Archive(str(path))
    assert str(caught.value).startswith(f"{path}: byte ")


@pytest.mark.parametrize(
    "folder, tensor, array",
    [
        ("gptq", "bits4.qweight", "bits4.scales"),
        ("awq", "layer.qweight", "layer.qzeros"),
        ("bnb", "flat.weight", "flat.weight.absmax"),
        ("bnb", "flat.weight", "flat.weight.nested_quant_map"),
        ("bnb", "flat.weight", "flat.weight"),
    ],
)
def test_a_layer_cut_in_two_is_listed_and_not_used(folder, tensor, array, tmp_path):
    """A checkpoint of several files may have part of a layer in each: the other layers are read."""
    shutil.copytree(DATA / folder, tmp_path / folder)
    path = tmp_path / folder / "model.safetensors"
    arrays, metadata = read(path)
    del arrays[array]
    write(path, arrays, metadata)
    cut = lowbit.Archive(str(path))
    described = {t.name: t.encoding for t in cut.tensors}
    assert f"without '{array}' in this file (not supported)" in described[tensor]
    with pytest.raises(
        RuntimeError,
        match=f"tensor '{tensor}' is stored as .* without '{array}' in this file: give a file",
    ):
        cut.tensor_f32(tensor)
    for name in VALUES:
        if name.startswith(folder + "/") and name != f"{folder}/{tensor}":
            assert sha256(cut.tensor_f32(name.split("/")[1])) == VALUES[name]["sha256"]
