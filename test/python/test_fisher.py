"""Fisher information where a model is quantized: what is kept, codebooks and outliers by it, and plans. On a tiny llama."""

from __future__ import annotations

import numpy as np
import pytest
from lowbit import Archive, _lowbit
from lowbit.errors import LowbitError
from lowbit.precision import gradients
from lowbit.precision.fisher import KeptFisher, conditioned_fisher, fisher_cost
from lowbit.precision.gradients import Gradients
from lowbit.precision.journal import Journal
from lowbit.precision.outliers import SparseOutliers
from lowbit.precision.quantize import Options, Quantization
from lowbit.precision.quantizers import KMeans, Nearest
from lowbit.precision.sources import open_source
from lowbit.precision.weights import Weight, encode
from tiny_llama import TEXT, write_tiny_llama

pytestmark = pytest.mark.usefixtures("stages_compiled_once")

LEARNED = "#lowbit.quantized<learned<3, f16 per axis 0>>"
INT2, INT4 = (f"#lowbit.quantized<int<{bits}>, scale = f16 per [1, 32]>" for bits in (2, 4))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_llama(tmp_path_factory.mktemp("tiny") / "tiny.gguf", head=True)


@pytest.fixture(scope="module")
def float_gradients(tiny) -> Gradients:
    source = open_source(str(tiny))
    return Gradients(source, 64, source.sequences(TEXT, 32768, 64))


@pytest.fixture(scope="module")
def diagonals(float_gradients) -> dict[str, np.ndarray]:
    return dict(float_gradients.fisher())


def quantize(model, output, progress=lambda *call: None, **options) -> dict:
    chosen = Options(**{"length": 64, **options})
    return Quantization(open_source(str(model)), str(output), chosen, TEXT, progress).run()


def test_diagonals_are_computed_once_and_kept(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        yield "a", np.float32([[1, 2]])
        yield "b", np.float32([[3]])
        yield "a", np.float32([[10, 20]])  # another stage that uses it

    for _ in range(2):
        kept = KeptFisher(compute, Journal(str(tmp_path / "run"), {"settings": 1}))
        assert kept.load("a").tolist() == [[11, 22]] and kept.load("b").tolist() == [[3]]
    assert len(calls) == 1
    KeptFisher(compute, Journal(str(tmp_path / "run"), {"settings": 2}))
    assert len(calls) == 2
    next((tmp_path / "run").glob("fisher-*")).unlink()
    KeptFisher(compute, Journal(str(tmp_path / "run"), {"settings": 2}))
    assert len(calls) == 3


def test_factors_of_channels_divide_out(tiny, diagonals):
    """A weight whose columns are multiplied, and whose inputs are divided: the gradients are those of the model that computes the same."""
    key, factors = "blk.1.ffn_gate.weight", np.linspace(0.5, 4, 64).astype(np.float32)

    def change(tensors):
        for name in (key, "blk.1.ffn_up.weight"):
            tensors[name] *= factors
        tensors["blk.1.ffn_norm.weight"] /= factors

    path = write_tiny_llama(tiny.with_name("moved.gguf"), head=True, change=change)
    source = open_source(str(path))
    moved = dict(Gradients(source, 64, source.sequences(TEXT, 32768, 64)).fisher())
    original, values = (open_source(str(p)).archive.tensor_f32(key) for p in (tiny, path))
    expected = conditioned_fisher(diagonals[key], original, values)
    np.testing.assert_allclose(moved[key], expected, rtol=1e-2, atol=1e-4 * moved[key].max())
    assert np.abs(moved[key] / diagonals[key] - 1).max() > 2
    zeros = np.zeros_like(values)
    np.testing.assert_array_equal(conditioned_fisher(diagonals[key], zeros, zeros), diagonals[key])


def test_costs_are_the_change_of_the_loss(tiny, diagonals, float_gradients):
    """Of small random errors of one weight, measured on the model itself: the mean divergence of its predictions."""
    key = "blk.1.attn_v.weight"
    values = float_gradients.archive.tensor_f32(key)
    outputs = float_gradients.forward(float_gradients.load)[-1]
    generator = np.random.default_rng(0)
    measured, expected = [], []
    for _ in range(20):
        change = (0.05 * np.abs(values).mean() * generator.standard_normal(values.shape)).astype(
            np.float32
        )

        def load(stage):
            weights = float_gradients.load(stage)
            return {k: v + change if k == key else v for k, v in weights.items()}

        total = 0.0
        for p, q in zip(outputs, float_gradients.forward(load)[-1]):
            p, q = (a.astype(np.float64)[:-1] for a in (p, q))
            p, q = (a - np.log(np.exp(a).sum(axis=-1, keepdims=True)) for a in (p, q))
            total += float((np.exp(p) * (p - q)).sum())
        measured.append(total / float_gradients.count)
        expected.append(fisher_cost(diagonals[key], change))
    assert np.mean(expected) == pytest.approx(np.mean(measured), rel=0.15)


def test_kmeans_by_fisher(tiny, tmp_path, diagonals):
    """Of all tables of levels, the best one for these weights; for others it is not."""
    for by in ("fisher", "moments", "none"):
        recipe = f"kmeans{{by={by}}}"
        quantize(tiny, tmp_path / f"{by}.safetensors", recipe=recipe, weights=LEARNED)
    costs = {}
    for key, diagonal in diagonals.items():
        original = open_source(str(tiny)).archive.tensor_f32(key)
        for by in ("fisher", "moments", "none"):
            found = Archive(str(tmp_path / f"{by}.safetensors")).tensor_f32(key)
            costs[by, key] = fisher_cost(diagonal, found - original)
        assert costs["fisher", key] < min(costs["moments", key], costs["none", key])
    assert sum(v for (by, _), v in costs.items() if by == "fisher") < 0.9 * sum(
        v for (by, _), v in costs.items() if by == "none"
    )
    assert not list(tmp_path.glob("*.partial"))


def test_outliers_have_no_say_in_levels():
    generator = np.random.default_rng(4)
    values = generator.normal(size=(8, 64)).astype(np.float32)
    values[:, 5] = 40
    fisher = np.abs(generator.normal(size=values.shape)).astype(np.float32)
    fisher[:, 7] = 100
    weight = Weight("w", values, LEARNED, np.eye(64), fisher=fisher)
    SparseOutliers(density=1 / 64, by="fisher").apply(weight)
    assert (weight.terms[0].decode(weight.shape) != 0).sum(axis=0).tolist() == [0] * 7 + [8] + [0] * 56  # fmt: skip
    SparseOutliers(density=1 / 64, by="magnitude").apply(weight)
    stored = weight.finish(KMeans().encode(weight))
    rest = np.delete(np.arange(64), [5, 7])
    alone = _lowbit.encode_weighted(
        np.ascontiguousarray(values[:, rest]), LEARNED, np.ascontiguousarray(fisher[:, rest])
    )
    np.testing.assert_array_equal(stored.components["0.levels"], alone["levels"])
    np.testing.assert_allclose(stored.decode(weight.shape)[:, 5], 40, atol=0.02)


def test_squeezellm(tiny, tmp_path):
    record = quantize(tiny, tmp_path / "a.safetensors", recipe="squeezellm")
    entry = next(t for t in record["tensors"] if t["key"] == "output.weight")
    assert entry["base"] == LEARNED and entry["encoding"].startswith("#lowbit.sum<#lowbit.quantized<learned<3")  # fmt: skip
    assert [d.split(" in ")[0] for d in entry["decisions"]] == [
        f"{int(density * 256 * 64)} outliers by {by}" for density, by in [(0.0005, "fisher"), (0.004, "magnitude")]
    ]  # fmt: skip


def test_an_interrupted_run_keeps_its_diagonals(tiny, tmp_path, monkeypatch):
    output = tmp_path / "a.safetensors"

    def stop(done, total, what):
        if what == "blk.1.attn_q.weight" and (tmp_path / "a.safetensors.partial/stage-2.safetensors").exists():  # fmt: skip
            raise KeyboardInterrupt

    options = dict(recipe="kmeans", weights=LEARNED)
    with pytest.raises(KeyboardInterrupt):
        quantize(tiny, output, stop, **options)
    monkeypatch.setattr(gradients.Gradients, "fisher", lambda self: pytest.fail("computed again"))
    quantize(tiny, output, **options)
    assert list(tmp_path.iterdir()) == [output]


def test_damaged_models_are_told(tiny, tmp_path):
    """Of a weight that stays as it is."""

    def change(tensors):
        tensors["output.weight"][7, 3] = np.nan

    path = write_tiny_llama(tmp_path / "m.gguf", head=True, change=change)
    output = tmp_path / "a.safetensors"
    keep = [("output.weight", "same")]
    with pytest.raises(LowbitError, match="tensor 'output.weight' has numbers that are not finite"):
        quantize(path, output, recipe="kmeans", weights=LEARNED, keep=keep)
    assert list(tmp_path.iterdir()) == [path]


def test_given_levels_get_nearest_codes(tiny, tmp_path):
    key, output = "blk.0.ffn_up.weight", tmp_path / "a.safetensors"
    options = dict(recipe="kmeans{by=none}", weights=LEARNED, keep=[(key, INT4)])
    record = quantize(tiny, output, **options)
    decisions = {tensor["key"]: tensor["decisions"] for tensor in record["tensors"]}
    assert decisions.pop(key) == ["nearest codes: its levels are given"]
    assert not any(decisions.values())
    values = open_source(str(tiny)).archive.tensor_f32(key)
    expected = encode(values, INT4).decode(values.shape)
    np.testing.assert_array_equal(Archive(str(output)).tensor_f32(key), expected)


def test_plans_by_curvature(tiny, tmp_path, diagonals, float_gradients):
    """Losses are those of nearest codes, by the diagonal of each weight or by its mean curvature."""
    traces = float_gradients.traces()
    original = open_source(str(tiny)).archive
    for sensitivity in ("fisher", "trace"):
        record = quantize(
            tiny,
            tmp_path / "a.safetensors",
            recipe=f"allocate{{sensitivity={sensitivity}}},nearest",
            candidates=[INT2, INT4],
            budget="3.5bpw",
        )
        assert record["totals"]["bits_per_weight"] <= 3.5
        below = [key for key, trace in traces.items() if trace.value < 0]
        assert record["allocation"]["flat"] == (below if sensitivity == "trace" else [])
        candidates = record["allocation"]["candidates"]
        assert len(candidates) == 2 * len(diagonals)
        for candidate in candidates:
            key, values = candidate["key"], original.tensor_f32(candidate["key"])
            change = encode(values, candidate["encoding"]).decode(values.shape) - values
            if sensitivity == "fisher":
                expected = (diagonals[key] * change.astype(np.float64) ** 2).sum() / 2
            else:
                expected = max(traces[key].value, 0) / values.size * (change**2).sum() / 2
            assert candidate["loss"] == pytest.approx(expected, rel=1e-5)
