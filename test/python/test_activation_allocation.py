"""What inputs of weights are rounded to, weight by weight: chosen in pairs under a budget of time, and by what a file says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from lowbit import Archive, Model, _lowbit, cache, cli
from lowbit.errors import LowbitError
from lowbit.precision import activations, kernel_times
from lowbit.precision.quantize import Options, Quantization
from lowbit.precision.report import render
from lowbit.precision.sensitivity import Probe, Sensitivity
from lowbit.precision.sources import open_source
from reference import GgufFile, Llama, centred_logits
from tiny_llama import TEXT, write_tiny_llama

pytestmark = pytest.mark.usefixtures("stages_compiled_once")

INT4, INT8 = (f"#lowbit.quantized<int<{bits}>, scale = f16 per [1, 32]>" for bits in (4, 8))
TYPES = ["f32", "int15", "int8"]
SECONDS = {"f32": 4e-6, "int15": 2e-6, "int8": 1e-6}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("tiny") / "tiny.gguf", head=True)


@pytest.fixture
def fake_times(monkeypatch, tmp_path_factory) -> None:
    """So many for each 4096 weights."""
    folder = tmp_path_factory.mktemp("times")
    monkeypatch.setattr(cache, "folder", lambda: str(folder))

    def measure(shape, candidate, folder):
        return SECONDS[activations.split_pair(candidate)[1]] * shape[0] * shape[1] / 4096

    monkeypatch.setattr(kernel_times, "measure", measure)


def quantize(model: Path, output: Path, **options) -> dict:
    chosen = Options(
        **{"recipe": "mixed", "length": 64, "candidates": [INT4, INT8]}
        | {"activation_candidates": TYPES, **options}
    )
    return Quantization(open_source(str(model)), str(output), chosen, TEXT).run()


class RoundingLlama(Llama):
    """Rounds the inputs of some weights."""

    def __init__(self, file, types: dict[str, str]):
        self.types = types
        super().__init__(file)

    def _rounded(self, x: np.ndarray, key: str) -> np.ndarray:
        if key not in self.types:
            return x
        encoding = f"#lowbit.quantized<{activations.encoding_of(self.types[key])}>"
        return _lowbit.decode(
            encoding, list(x.shape), _lowbit.encode(np.ascontiguousarray(x), encoding)
        )

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return super()._linear(self._rounded(x, f"{name}.weight"), name)

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        normed = super()._norm(x, name)
        return self._rounded(normed, "output.weight") if name == "output_norm" else normed


def test_losses_are_what_numpy_finds(tiny):
    """With the input of one product rounded, and all else in float."""
    source = open_source(str(tiny))
    sequences = source.sequences(TEXT, 150, 64)
    names = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]
    keys = [f"blk.{layer}.{name}.weight" for layer in range(2) for name in names]
    keys.append("output.weight")
    probe = Probe(sequences=2, length=50)
    sensitivity = Sensitivity(source, 64, sequences, {k: [INT8] for k in keys}, None, probe)
    losses = sensitivity.measure_activations(["f32", "int8", "int15"])
    assert losses.keys() == {(key, type) for key in keys for type in ("int8", "int15")}
    file = GgufFile(tiny)

    def outputs(types: dict[str, str]) -> np.ndarray:
        return centred_logits(RoundingLlama(file, types), [tokens[:50] for tokens in sequences[:2]])

    exact = outputs({})
    for key in keys:
        change = np.square(outputs({key: "int8"}) - exact).sum() / np.square(exact).sum()
        assert losses[key, "int8"] == pytest.approx(change, rel=0.05), key
        assert losses[key, "int15"] < losses[key, "int8"] / 1000


def test_pairs_under_a_budget_of_time(tiny, tmp_path, fake_times):
    output = tmp_path / "a.safetensors"
    weights = 77824  # of all products
    within = weights / 4096 * 1.5e-6  # half way between int8 everywhere and int15 everywhere
    record = quantize(tiny, output, budget=f"6bpw,{within * 1e6:.6f}us")
    types = {t["key"]: t["activations"] for t in record["tensors"]}
    shapes = {t["key"]: t["shape"] for t in record["tensors"]}
    assert sum(map(np.prod, shapes.values())) == weights
    spent = sum(SECONDS[types[k]] * np.prod(shape) / 4096 for k, shape in shapes.items())
    assert spent <= within * (1 + 1e-9)
    assert {"int8", "int15"} <= set(types.values())
    assert record["totals"]["bits_per_weight"] <= 6
    allocation = record["allocation"]
    assert allocation["status"] == "optimal"
    table = {(c["key"], c["encoding"]): c for c in allocation["candidates"]}
    assert len(table) == len(shapes) * 2 * len(TYPES)
    chosen = [
        table[t["key"], activations.make_pair(t["base"], t["activations"])]
        for t in record["tensors"]
    ]
    assert sum(c["loss"] for c in chosen) == pytest.approx(allocation["loss"])
    assert sum(c["bytes"] for c in chosen) == allocation["bytes"]

    said = json.loads(Archive(str(output)).metadata("lowbit.activations"))
    assert said == {key: activations.encoding_of(type) for key, type in types.items()}
    assert "<td>int15</td>" in render(record)
    tokens = list(TEXT.encode()[:40])

    def logits(**options) -> np.ndarray:
        model = Model(output, kv_cache="f32", use_cache=False, **options)
        return np.concatenate(list(model.logits(tokens)))

    by_weight, exact, eight = logits(), logits(activations="f32"), logits(activations="int8")
    assert 0 < np.square(by_weight - exact).sum() < np.square(eight - exact).sum()


def test_plans_with_inputs_can_be_edited(tiny, tmp_path, fake_times):
    text, plan, output = tmp_path / "text.txt", tmp_path / "plan.json", tmp_path / "a.safetensors"
    text.write_text(TEXT)
    common = ["quantize", tiny, "--calibration", text, "--length", 64, "--output", output]

    def run(*arguments) -> dict[str, str]:
        assert cli.main([*map(str, [*common, *arguments])]) == 0
        return json.loads(Archive(str(output)).metadata("lowbit.activations"))

    given = [f"--activation-candidates={type}" for type in TYPES]
    said = run("--recipe", "mixed", "--budget", "8bpw,30us", "--save-plan", plan, *given)
    planned = json.loads(plan.read_text())["tensors"]
    inputs = {k.removesuffix(":input"): t for k, t in planned.items() if k.endswith(":input")}
    assert {key: activations.encoding_of(type) for key, type in inputs.items()} == said
    assert run("--plan", plan, "--recipe", "gptq") == said
    e4m3 = "e4m3, scale = f32 per [1, 32]"
    planned |= {"blk.0.attn_q.weight:input": "f32", "blk.1.ffn_up.weight:input": e4m3}
    plan.write_text(json.dumps({"schema": 1, "tensors": planned}))
    edited = run("--plan", plan, "--recipe", "rtn")
    assert edited == said | {"blk.0.attn_q.weight": "f32", "blk.1.ffn_up.weight": e4m3}
    whole = Model(output, use_cache=False, kv_cache="f32")
    assert np.isfinite(next(whole.logits([1, 2, 3]))).all()
    # Choices were made for encodings that weights have no more: only that of one that stays is kept.
    again, key = tmp_path / "again.safetensors", "blk.1.ffn_up.weight"
    keep = ["--keep", f"{key}=same", "--output", str(again)]
    assert cli.main(["quantize", str(output), "--recipe", "rtn", *keep]) == 0
    assert json.loads(Archive(str(again)).metadata("lowbit.activations")) == {key: e4m3}


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(budget="4bpw"), "the budget 4bpw has no time, which is all that activations"),
        (dict(budget="4ms", activation_candidates=["int8", "int5"]), "a candidate: activations of 'int5'"),
        (dict(recipe="gptq", plan={"blk.0.attn_q.weight:input": "int5"}), "the input of 'blk.0.attn_q.weight': activations of 'int5'"),
        (dict(recipe="gptq", plan={"blk.7.attn_q.weight:input": "int8"}), "the plan names the input of 'blk.7.attn_q.weight', which no product"),
    ],
)  # fmt: skip
def test_says_what_is_wrong_before_measuring(tiny, tmp_path, monkeypatch, options, message):
    monkeypatch.setattr(Sensitivity, "measure", lambda self: pytest.fail("measured"))
    with pytest.raises(LowbitError) as caught:
        quantize(tiny, tmp_path / "a.safetensors", **options)
    assert message in str(caught.value) and caught.value.hint
    assert list(tmp_path.iterdir()) == []
