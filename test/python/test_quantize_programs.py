"""Programs of one's own (.mlir) are quantized: their tokenizer, their parameters, and what makes an interrupted run another one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tokenizers
from lowbit import Archive, _lowbit
from lowbit.errors import LowbitError
from lowbit.precision.quantize import Options, Quantization
from lowbit.precision.sources import EncoderProgram, open_source

pytestmark = pytest.mark.usefixtures("stages_compiled_once")

WORDS = "in the beginning god created heaven and earth was without form void darkness upon face of deep".split()
TEXT = (
    "In the beginning\n\nthe earth was\nwithout form and void\n\ndarkness upon the face of the deep"
)
PROGRAM = """
#e = affine_map<(m, k) -> (m, k)>
#v = affine_map<(m, k) -> (k)>
#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>
func.func @embed(%tokens: tensor<1x?xi64>, %mask: tensor<1x?xi64>) -> tensor<?x32xf32> attributes {lowbit.entry} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %table = lowbit.parameter "table" : tensor<32x64xf32>
  %gain = lowbit.parameter "gain" : tensor<64xf32>
  %up = lowbit.parameter "up" : tensor<32x64xf32>
  %n = tensor.dim %tokens, %c1 : tensor<1x?xi64>
  %e = tensor.empty(%n) : tensor<?x64xf32>
  %x = linalg.generic {indexing_maps = [#v, #e], iterator_types = ["parallel", "parallel"]}
      ins(%gain : tensor<64xf32>) outs(%e : tensor<?x64xf32>) {
    ^bb0(%g: f32, %o: f32):
      %t = linalg.index 0 : index
      %c = linalg.index 1 : index
      %token = tensor.extract %tokens[%c0, %t] : tensor<1x?xi64>
      %i = arith.index_cast %token : i64 to index
      %f = tensor.extract %table[%i, %c] : tensor<32x64xf32>
      %s = arith.mulf %f, %g : f32
      linalg.yield %s : f32
  } -> tensor<?x64xf32>
  %d = tensor.empty(%n) : tensor<?x32xf32>
  %z = linalg.fill ins(%zero : f32) outs(%d : tensor<?x32xf32>) -> tensor<?x32xf32>
  %r = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %up : tensor<?x64xf32>, tensor<32x64xf32>)
                     outs(%z : tensor<?x32xf32>) -> tensor<?x32xf32>
  return %r : tensor<?x32xf32>
}
"""


@pytest.fixture
def files(tmp_path) -> Path:
    """A folder with program.mlir, its parameters and its tokenizer."""
    (tmp_path / "program.mlir").write_text(PROGRAM)
    generator = np.random.default_rng(1)
    shapes = {"table": (32, 64), "gain": (64,), "up": (32, 64)}
    arrays = {
        name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()
    }
    tensors = [(name, a.shape, "", {"values": a}) for name, a in arrays.items()]
    _lowbit.write_archive(str(tmp_path / "model.safetensors"), {}, tensors)
    words = {word: number for number, word in enumerate(["[UNK]", *WORDS])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.Lowercase()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def quantize(files: Path, progress=lambda *call: None, **options) -> dict:
    source = open_source(str(files / "program.mlir"), [str(files / "model.safetensors")])
    output = str(files / "out.safetensors")
    return Quantization(source, output, Options(**options), TEXT, progress).run()


@pytest.mark.parametrize("recipe", ["gptq", "awq", "spqr"])
def test_programs_are_quantized(files, recipe):
    record = quantize(files, recipe=recipe)
    assert record["calibration"] == {"tokens": 17, "sequences": 3, "length": 7}
    (entry,) = record["tensors"]
    assert entry["key"] == "up" and entry["error"] < 0.7 * entry["error_nearest"]
    before, after = Archive(str(files / "model.safetensors")), Archive(
        str(files / "out.safetensors")
    )
    assert np.array_equal(before.tensor_f32("table"), after.tensor_f32("table"))

    ids = [t for tokens in EncoderProgram(files / "program.mlir", files / "model.safetensors", files / "tokenizer.json").sequences(TEXT, 99, 99) for t in tokens]  # fmt: skip
    x, moved = (archive.tensor_f32("table")[ids] * archive.tensor_f32("gain") for archive in (before, after))  # fmt: skip
    exact, found = x @ before.tensor_f32("up").T, moved @ after.tensor_f32("up").T
    error = np.square(found - exact).sum() / np.square(exact).sum()
    assert error == pytest.approx(entry["error"], rel=1e-2)


def test_another_program_or_tokenizer_starts_anew(files):
    """The model's parameters are the same: what an interrupted run has done would be taken for this one's."""

    def interrupt(done: int, total: int, what: str) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantize(files, interrupt)
    calls = []
    quantize(files, lambda *call: calls.append(call))
    assert calls == [calls[-1]] * len(calls)  # nothing but writing was left
    for name, old, new in [
        ("tokenizer.json", '"void": 12', '"void": 31'),
        ("program.mlir", "%s = arith.mulf %f, %g", "%s = arith.addf %f, %g"),
    ]:
        with pytest.raises(KeyboardInterrupt):
            quantize(files, interrupt)
        text = (files / name).read_text()
        assert old in text
        (files / name).write_text(text.replace(old, new))
        calls.clear()
        quantize(files, lambda *call: calls.append(call))
        assert calls[0][0] == 0, name


def test_what_a_program_needs_is_told(files):
    program, parameters = str(files / "program.mlir"), str(files / "model.safetensors")
    for given in ([], [parameters, parameters]):
        with pytest.raises(LowbitError, match="needs one archive with its parameters") as caught:
            open_source(program, given)
        assert "--parameters" in caught.value.hint
    (files / "tokenizer.json").unlink()
    with pytest.raises(LowbitError, match="there is no file '.*tokenizer.json'") as caught:
        open_source(program, [parameters])
    assert caught.value.hint
    with pytest.raises(LowbitError, match="are for programs of your own") as caught:
        open_source(parameters, [parameters])
    assert caught.value.hint
