"""lowbit.precision.sensitivity and mixing: what weights cost, and plans under a budget, on a tiny llama."""

from __future__ import annotations

import numpy as np
import pytest
from lowbit import _lowbit
from lowbit.errors import LowbitError
from lowbit.precision.quantize import Options, Quantization
from lowbit.precision.sensitivity import Probe, Sensitivity
from lowbit.precision.sources import open_source
from lowbit.precision.weights import encode
from reference import GgufFile, Llama
from tiny_llama import TEXT, write_tiny_llama

pytestmark = pytest.mark.usefixtures("stages_compiled_once")

INT2, INT4, INT8 = (
    f"#lowbit.quantized<int<{bits}>, scale = f16 per [1, 32]>" for bits in (2, 4, 8)
)


def spoil(name: str, number: float):
    def change(tensors: dict[str, np.ndarray]) -> None:
        tensors[name].flat[5] = number

    return change


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize(
    "name, message",
    [
        ("blk.1.ffn_down.weight", "what the model computes is not finite"),
        ("output_norm.weight", "has numbers that are not finite"),
        ("blk.0.attn_norm.weight", "has numbers that are not finite"),
    ],
)
def test_damaged_models_get_no_plan(tmp_path, name, number, message):
    """Rather than the smallest encodings, with losses of nothing."""
    path = write_tiny_llama(tmp_path / "m.gguf", change=spoil(name, number))
    output = tmp_path / "a.safetensors"
    options = Options(recipe="mixed", budget="4.5bpw", length=64)
    with pytest.raises(LowbitError, match=message) as caught:
        Quantization(open_source(str(path)), str(output), options, TEXT).run()
    assert caught.value.hint and list(tmp_path.iterdir()) == [path]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_llama(tmp_path_factory.mktemp("tiny") / "tiny.gguf", biases=True)


def quantize(model, output, **options) -> dict:
    chosen = Options(**{"recipe": "mixed", "length": 64, **options})
    return Quantization(open_source(str(model)), str(output), chosen, TEXT).run()


def test_losses_are_what_arrives_at_the_models_end(tiny):
    """Of the candidate in the middle exactly: numpy's model with that one weight rounded."""
    source = open_source(str(tiny))
    sequences = source.sequences(TEXT, 150, 64)
    keys = ["blk.0.attn_v.weight", "blk.0.ffn_down.weight", "blk.1.attn_q.weight"]

    def round_to(values, encoding, moments):
        return encode(values, encoding).decode(values.shape)

    probe = Probe(sequences=2, length=50)
    measured = Sensitivity(
        source, 64, sequences, {key: [INT2, INT4, INT8] for key in keys}, round_to, probe
    ).measure()
    assert [item.key for item in measured] == keys
    file = GgufFile(tiny)

    def outputs(key: str = "") -> np.ndarray:
        def replace(name: str, weight: np.ndarray) -> np.ndarray:
            return round_to(weight, INT4, None) if name == key else weight

        model, found = Llama(file, replace), []
        for tokens in sequences[:2]:
            model.reset()
            found.append(model.forward(tokens[:50]).astype(np.float64))
        logits = np.concatenate(found)
        return logits - logits.mean(axis=1, keepdims=True)

    float_outputs = outputs()
    for item in measured:
        two, four, eight = item.candidates
        change = np.square(outputs(item.key) - float_outputs).sum() / np.square(float_outputs).sum()
        assert four.loss == pytest.approx(change, rel=0.02)
        assert two.loss > 10 * four.loss > 100 * eight.loss > 0
        assert four.bytes == _lowbit.encoded_bytes(INT4, list(file.tensor(item.key).shape))
        assert item.weights == file.tensor(item.key).size


@pytest.mark.parametrize("recipe", ["mixed", "allocate,nearest"])
def test_budgets_are_kept(tiny, tmp_path, recipe):
    losses = []
    for budget, bits in [("2.6bpw", 2.6), ("20kB", 8 * 20000 / 61440), ("4.25bpw", 4.25), ("9bpw", 9)]:  # fmt: skip
        record = quantize(tiny, tmp_path / "a.safetensors", recipe=recipe, budget=budget)
        allocation, totals = record["allocation"], record["totals"]
        assert totals["weights"] == 61440 and totals["bits_per_weight"] <= bits
        assert allocation["bytes"] == totals["bytes"] <= allocation["budgets"]["bytes"]
        assert allocation["status"] == "optimal" and allocation["gap"] < 1e-6
        chosen = {tensor["key"]: tensor["base"] for tensor in record["tensors"]}
        losses.append(
            sum(c["loss"] for c in allocation["candidates"] if chosen[c["key"]] == c["encoding"])
        )
        assert losses[-1] == pytest.approx(allocation["loss"])
    assert losses == sorted(losses, reverse=True) and losses[0] > 20 * losses[-1]


def test_budgets_that_are_too_small_are_told_at_once(tiny, tmp_path, monkeypatch):
    """Before anything is measured."""
    monkeypatch.setattr(Sensitivity, "measure", lambda self: pytest.fail("measured"))
    for budget in ("2bpw", "17kB", "1B,1ms"):
        with pytest.raises(LowbitError, match="no choice of encodings is within") as caught:
            quantize(tiny, tmp_path / "a.safetensors", budget=budget)
        assert "raise the budget" in caught.value.hint and not list(tmp_path.iterdir())


def test_candidates_and_kept_tensors(tiny, tmp_path):
    keep = [("blk.0.attn_q.*", "same"), ("blk.1.ffn_down.*", INT8)]
    options = dict(recipe="allocate{rounding=gptq},gptq", candidates=[INT2, INT4], budget="4bpw")
    record = quantize(tiny, tmp_path / "a.safetensors", keep=keep, **options)
    bases = {tensor["key"]: tensor["base"] for tensor in record["tensors"]}
    assert "blk.0.attn_q.weight" not in bases and bases.pop("blk.1.ffn_down.weight") == INT8
    assert set(bases.values()) == {INT2, INT4}
    listed = {candidate["key"] for candidate in record["allocation"]["candidates"]}
    assert listed == set(bases)


def test_budgets_of_time(tiny, tmp_path, monkeypatch):
    """Times are measured once for a machine, and kept."""
    from lowbit import cache
    from lowbit.precision import kernel_times

    measured = []

    def measure(shape, encoding, folder) -> float:
        measured.append((tuple(shape), encoding))
        return 1e-9 * np.prod(shape) * {INT2: 1, INT4: 2, INT8: 4}[encoding]

    monkeypatch.setattr(kernel_times, "measure", measure)
    monkeypatch.setattr(cache, "folder", lambda: str(tmp_path / "cache"))
    options = dict(recipe="allocate,nearest", candidates=[INT2, INT4, INT8])
    record = quantize(tiny, tmp_path / "a.safetensors", budget="0.1ms,9bpw", **options)
    assert len(measured) == len(set(measured)) == 3 * 4  # of four shapes
    seconds = sum(
        c["seconds"]
        for c in record["allocation"]["candidates"]
        if {"key": c["key"], "base": c["encoding"]}
        in [{"key": t["key"], "base": t["base"]} for t in record["tensors"]]
    )
    assert 0.8e-4 < seconds <= 1e-4
    again = quantize(tiny, tmp_path / "b.safetensors", budget="0.1ms,9bpw", **options)
    assert len(measured) == 12
    assert again["allocation"]["loss"] == record["allocation"]["loss"]
    with pytest.raises(LowbitError, match="no choice of encodings is within 10us"):
        quantize(tiny, tmp_path / "c.safetensors", budget="10us", **options)


def test_kernels_are_timed(tmp_path):
    from lowbit.precision import kernel_times

    assert 0 < kernel_times.measure((64, 96), INT4, str(tmp_path)) < 0.1


def test_a_last_layer_that_is_added_to_its_own_input_has_its_place(tmp_path):
    """Its output needs more than its taps: stages that keep the output are others there."""
    random = np.random.default_rng(8)
    weights = {name: random.standard_normal((16, 16)) / 4 for name in ("up", "down")}
    archive = str(tmp_path / "weights.safetensors")
    _lowbit.write_archive(
        archive,
        {},
        [(k, v.shape, "", {"values": v.astype(np.float32)}) for k, v in weights.items()]
        + [("table", (8, 16), "", {"values": random.standard_normal((8, 16)).astype(np.float32)})],
    )

    class Residual:
        path = "residual"

        def __init__(self):
            self.archive = _lowbit.Archive(archive)

        def program(self, length: int) -> str:
            return RESIDUAL

    encoding = "#lowbit.quantized<int<3>, scale = f16 per [1, 16]>"
    tokens = [np.arange(8) % 8, np.arange(8)[::-1].copy()]
    items = Sensitivity(
        Residual(),
        8,
        tokens,
        {"up": [encoding], "down": [encoding]},
        lambda values, encoding, moments: encode(values, encoding).decode(values.shape),
    ).measure()
    assert [item.key for item in items] == ["up", "down"]
    assert all(item.candidates[0].loss > 0 for item in items)


RESIDUAL = """
#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>
#e = affine_map<(m, k) -> (m, k)>
func.func @net(%ids: tensor<?xi64>, %out: tensor<?x16xf32>) -> tensor<?x16xf32> attributes {lowbit.entry, lowbit.updates = array<i64: 1>} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %table = lowbit.parameter "table" : tensor<8x16xf32>
  %up = lowbit.parameter "up" : tensor<16x16xf32>
  %down = lowbit.parameter "down" : tensor<16x16xf32>
  %rows = tensor.dim %ids, %c0 : tensor<?xi64>
  %empty = tensor.empty(%rows) : tensor<?x16xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x16xf32>) -> tensor<?x16xf32>
  %x = linalg.generic {indexing_maps = [affine_map<(m, k) -> (m)>, #e], iterator_types = ["parallel", "parallel"]}
      ins(%ids : tensor<?xi64>) outs(%empty : tensor<?x16xf32>) {
    ^bb0(%id: i64, %o: f32):
      %row = arith.index_cast %id : i64 to index
      %k = linalg.index 1 : index
      %v = tensor.extract %table[%row, %k] : tensor<8x16xf32>
      linalg.yield %v : f32
  } -> tensor<?x16xf32>
  %u = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %up : tensor<?x16xf32>, tensor<16x16xf32>) outs(%zeros : tensor<?x16xf32>) -> tensor<?x16xf32>
  %a = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%u : tensor<?x16xf32>) outs(%empty : tensor<?x16xf32>) {
    ^bb0(%g: f32, %o: f32):
      %t = math.tanh %g : f32
      linalg.yield %t : f32
  } -> tensor<?x16xf32>
  %d = linalg.matmul indexing_maps = [#x, #w, #y] ins(%a, %down : tensor<?x16xf32>, tensor<16x16xf32>) outs(%zeros : tensor<?x16xf32>) -> tensor<?x16xf32>
  %r = linalg.generic {indexing_maps = [#e, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%x, %d : tensor<?x16xf32>, tensor<?x16xf32>) outs(%out : tensor<?x16xf32>) {
    ^bb0(%p: f32, %q: f32, %o: f32):
      %s = arith.addf %p, %q : f32
      linalg.yield %s : f32
  } -> tensor<?x16xf32>
  return %r : tensor<?x16xf32>
}
"""
