"""Models written as GGUF: read by the `gguf` package, bit for bit its own quantization, and run by us."""

import json

import gguf
import numpy as np
import pytest
from conftest import ARTISTIC
from gguf import GGMLQuantizationType as Type
from numpy_encodings import CASES
from reference import GgufFile, Llama, perplexity

Q8_0 = "#lowbit.quantized<int<8>, scale = f16 per [1, 32], layout = ggml<q8_0>>"
LENGTH = 256


@pytest.fixture(scope="module")
def q8_path(model_path, run_lowbit, tmp_path_factory):
    """The real model, its matrices as Q8_0."""
    folder = tmp_path_factory.mktemp("q8")
    path = folder / "model.gguf"
    run_lowbit("encode", model_path, "--weights", Q8_0, "--output", path)
    assert [file.name for file in folder.iterdir()] == ["model.gguf"]
    yield path
    path.unlink()  # 145 megabytes, which pytest would keep


def test_tensors_are_those_of_the_gguf_package(q8_path, model_path):
    before, after = gguf.GGUFReader(model_path).tensors, gguf.GGUFReader(q8_path).tensors
    assert [tensor.name for tensor in before] == [tensor.name for tensor in after]
    for source, written in zip(before, after):
        assert list(source.shape) == list(written.shape), written.name
        wanted = Type.Q8_0 if len(source.shape) == 2 else source.tensor_type
        assert written.tensor_type == wanted, written.name
        weights = gguf.quants.dequantize(np.asarray(source.data), source.tensor_type)
        expected = gguf.quants.quantize(weights, wanted)
        assert written.data.tobytes() == expected.tobytes(), written.name
        assert written.data_offset % 32 == 0


def test_metadata_stays_as_it_was(q8_path, model_path):
    before, after = gguf.GGUFReader(model_path).fields, gguf.GGUFReader(q8_path).fields
    assert list(before) == list(after)
    changed = {"general.file_type"}
    for key in before:
        assert before[key].types == after[key].types, key
        assert (before[key].contents() == after[key].contents()) == (key not in changed), key
    assert after["general.file_type"].contents() == gguf.LlamaFileType.MOSTLY_Q8_0
    assert after["general.quantization_version"].contents() == 2
    assert len(after["tokenizer.ggml.tokens"].contents()) == 49152


def test_we_run_what_we_write(q8_path, artistic_tokens, run_lowbit):
    tokens = artistic_tokens[:LENGTH]
    expected = perplexity(Llama(GgufFile(q8_path)).forward(tokens), tokens)
    done = run_lowbit("perplexity", q8_path, "--text", ARTISTIC, "--max-tokens", LENGTH, "--json")
    assert json.loads(done.stdout)["perplexity"] == pytest.approx(expected, rel=1e-3)


def test_nothing_encoded_is_nothing_changed(model_path, run_lowbit, tmp_path):
    """At once, and by way of a Lowbit archive: the same file to the byte."""
    direct, archive, back = (tmp_path / name for name in ("a.gguf", "b.safetensors", "c.gguf"))
    for source, out in [(model_path, direct), (model_path, archive), (archive, back)]:
        run_lowbit("encode", source, "--weights", "same", "--output", out)
    original = model_path.read_bytes()
    assert direct.read_bytes() == original
    assert back.read_bytes() == original
    for path in (direct, archive, back):
        path.unlink()


@pytest.mark.parametrize(
    "type, term",
    [
        (Type.F32, "f32"),
        (Type.F16, "#lowbit.quantized<f16>"),
        (Type.BF16, "#lowbit.quantized<bf16>"),
        (Type.Q4_0, "#lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>"),
        (
            Type.Q4_1,
            "#lowbit.quantized<uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32], "
            "layout = ggml<q4_1>>",
        ),
        (Type.Q5_0, "#lowbit.quantized<int<5>, scale = f16 per [1, 32], layout = ggml<q5_0>>"),
        (
            Type.Q5_1,
            "#lowbit.quantized<uint<5>, scale = f16 per [1, 32], min = f16 per [1, 32], "
            "layout = ggml<q5_1>>",
        ),
        (Type.Q8_0, Q8_0),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_every_type_is_the_gguf_package_s(type, term, make_gguf, run_lowbit, tmp_path):
    from lowbit import Archive

    x = np.random.default_rng(5).standard_normal((64, 96)).astype(np.float32)
    path, out = make_gguf("x.gguf", {"w": x, "b": x[0].copy()}), tmp_path / "out.gguf"
    run_lowbit("encode", path, "--weights", term, "--output", out)
    reader = gguf.GGUFReader(out)
    w, b = reader.tensors
    assert (w.name, w.tensor_type, list(w.shape)) == ("w", type, [96, 64])
    assert w.data.tobytes() == gguf.quants.quantize(x, type).tobytes()
    assert (b.name, b.tensor_type) == ("b", Type.F32) and np.array_equal(b.data, x[0])
    file_type = reader.fields["general.file_type"].contents()
    ours = "ALL_F32" if type == Type.F32 else f"MOSTLY_{type.name}"
    assert file_type == gguf.LlamaFileType[ours]
    values = Archive(str(out)).tensor_f32("w")
    assert np.array_equal(values, gguf.quants.dequantize(w.data, type).reshape(64, 96))


def test_what_gguf_cannot_hold_is_one_error(make_gguf, run_lowbit, tmp_path):
    x = np.random.default_rng(5).standard_normal((64, 96)).astype(np.float32)
    path = make_gguf("x.gguf", {"a": x, "w": x})
    out = tmp_path / "out.gguf"
    out.write_text("precious")
    for name, (text, _) in CASES.items():
        keep = ("--keep", "a=f32", "--keep", f"w={text}")
        done = run_lowbit("encode", path, "--weights", "same", *keep, "--output", out, status=1)
        assert "tensor 'w' has the encoding" in done.stderr, name
        assert "which GGUF cannot hold" in done.stderr and ".safetensors" in done.stderr, name
        advice = {"int4": "layout = ggml<q4_0>", "uint4-min": "layout = ggml<q4_1>"}
        assert advice.get(name, "or a layout of ggml") in done.stderr, name
        assert done.stderr.count("\n") == 1, name
    assert out.read_text() == "precious"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.gguf", "x.gguf"]
