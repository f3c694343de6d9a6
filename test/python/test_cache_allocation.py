"""Key-value caches of which each has a type of its own: by JSON, by a budget that they share with the weights, and by what a file says."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from lowbit import Archive, Model, _lowbit, cli
from lowbit.errors import LowbitError
from lowbit.precision.caches import Caches
from lowbit.precision.quantize import Options, Quantization
from lowbit.precision.report import render, summary
from lowbit.precision.sensitivity import Probe, Sensitivity
from lowbit.precision.sources import open_source
from reference import GgufFile, Llama, centred_logits
from tiny_llama import TEXT, write_tiny_llama

pytestmark = pytest.mark.usefixtures("stages_compiled_once")

NAMES = ["k_0", "v_0", "k_1", "v_1"]
INT4, INT8 = (f"#lowbit.quantized<int<{bits}>, scale = f16 per [1, 32]>" for bits in (4, 8))
CACHE8 = "#lowbit.quantized<int<8>, scale = f16 per [1, 1, 32]>"
EXACT = dict(activations="f32", use_cache=False)
BY_TENSOR = "int<8>, scale = f32 per tensor"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


def quantize(model: Path, output: Path, **options) -> dict:
    chosen = Options(
        **{"recipe": "mixed", "length": 64, "candidates": [INT4, INT8], "context": 500, **options}
    )
    return Quantization(open_source(str(model)), str(output), chosen, TEXT).run()


def test_types_by_name(tiny):
    archive = Archive(str(tiny))

    def listed(types: str) -> dict[str, str]:
        return {name: encoding for name, _, encoding in _lowbit.list_caches(archive, 7, types)}

    assert listed("int8") == dict.fromkeys(NAMES, CACHE8)
    found = listed('{"v": "f32", "k_1": "f16", "k": "int8"}')
    assert found == {"k_0": CACHE8, "v_0": "", "k_1": "#lowbit.quantized<f16>", "v_1": ""}
    assert [shape for _, shape, _ in _lowbit.list_caches(archive, 7)] == [[2, 7, 16]] * 4


@pytest.mark.parametrize(
    "types, message",
    [
        ('{"k": "int8"}', "nothing is said of the key-value cache 'v_0'"),
        ('{"k": "int8", "v": "int5"}', "'v_0': a key-value cache of 'int5'"),
        ('{"k_2": "int8", "k": "f16", "v": "f16"}', "there is no key-value cache 'k_2': they are k_0, v_0 to k_1, v_1"),
        ('{"k_-1": "int8"}', "there is no key-value cache 'k_-1'"),
        ('{"k_01": "int8"}', "there is no key-value cache 'k_01'"),
        ('{"q": "int8"}', "there is no key-value cache 'q'"),
        ('{"k": 8}', "the type of the key-value cache 'k' is no text"),
        ('{"k": "int8"', "the key-value caches are no JSON"),
    ],
)  # fmt: skip
def test_types_that_are_none(tiny, types, message):
    with pytest.raises(RuntimeError, match="tiny.gguf: ") as caught:
        _lowbit.list_caches(Archive(str(tiny)), 7, types)
    assert message in str(caught.value)
    with pytest.raises(RuntimeError) as caught:
        Model(tiny, kv_cache=types, **EXACT).load()
    assert message in str(caught.value)


class RoundingLlama(Llama):
    """Stores some caches as they are encoded."""

    def __init__(self, file, types: dict[str, str]):
        self.types = types
        super().__init__(file)

    def _attention(self, layer, x, positions):
        # All positions are of one call: they are rounded as they are made.
        linear = self._linear

        def rounded(y: np.ndarray, cache: str) -> np.ndarray:
            if cache not in self.types:
                return y
            shape = (self.kv_heads, len(positions), self.head_width)
            assert y.shape == shape
            return _lowbit.decode(
                self.types[cache],
                list(shape),
                _lowbit.encode(np.ascontiguousarray(y), self.types[cache]),
            )

        rotate = self._rotate

        def rotated(y: np.ndarray, where: np.ndarray) -> np.ndarray:
            y = rotate(y, where)
            return rounded(y, f"k_{layer}") if len(y) == self.kv_heads else y

        def by_name(y: np.ndarray, name: str) -> np.ndarray:
            y = linear(y, name)
            if name != f"blk.{layer}.attn_v":
                return y
            heads = y.reshape(len(positions), self.kv_heads, self.head_width).transpose(1, 0, 2)
            return rounded(heads, f"v_{layer}").transpose(1, 0, 2).reshape(y.shape)

        self._rotate, self._linear = rotated, by_name
        try:
            return super()._attention(layer, x, positions)
        finally:
            del self._rotate, self._linear


def test_losses_are_what_numpy_finds(tiny):
    """With one cache encoded, and all else in float."""
    source = open_source(str(tiny))
    sequences = source.sequences(TEXT, 150, 64)
    sensitivity = Sensitivity(source, 64, sequences, {}, None, Probe(sequences=2, length=50))
    items = sensitivity.measure_caches(["f32", "int8", "int4"], Caches(source, 1000))
    assert [item.key for item in items] == NAMES
    file = GgufFile(tiny)

    def outputs(types: dict[str, str]) -> np.ndarray:
        return centred_logits(RoundingLlama(file, types), [tokens[:50] for tokens in sequences[:2]])

    exact = outputs({})
    for item in items:
        plain, eight, four = item.candidates
        assert plain.loss < 1e-12 and plain.bytes == 4 * 2 * 1000 * 16
        for candidate, bits in ((eight, 8), (four, 4)):
            encoding = CACHE8.replace("8", str(bits))
            changed = outputs({item.key: encoding})
            change = np.square(changed - exact).sum() / np.square(exact).sum()
            assert candidate.loss == pytest.approx(change, rel=0.02)
            assert candidate.bytes == 2 * 1000 * (16 * bits // 8 + 2)
            assert candidate.bytes == _lowbit.encoded_bytes(encoding, [2, 1000, 16])


@pytest.mark.parametrize("budget", [80_000, 100_000, 140_000])
def test_one_budget_is_kept_exactly(tiny, tmp_path, budget):
    """By weights and caches together; no exchange between two of them would have less loss."""
    record = quantize(tiny, tmp_path / "a.safetensors", budget=f"{budget}B")
    allocation, caches = record["allocation"], record["caches"]
    size = record["totals"]["bytes"] + sum(cache["bytes"] for cache in caches)
    assert allocation["bytes"] == size <= budget == allocation["budgets"]["bytes"]
    assert allocation["status"] == "optimal" and record["context"] == 500
    chosen = {t["key"]: t["base"] for t in record["tensors"]}
    chosen |= {cache["key"]: cache["encoding"] for cache in caches}
    assert [cache["key"] for cache in caches] == NAMES
    table: dict[str, list[dict]] = {}
    for candidate in allocation["candidates"]:
        table.setdefault(candidate["key"], []).append(candidate)
    assert table.keys() == chosen.keys()
    taken = {k: next(c for c in table[k] if c["encoding"] == e) for k, e in chosen.items()}
    assert math.fsum(c["loss"] for c in taken.values()) == pytest.approx(allocation["loss"])
    for first in table:
        for second in table.keys() - {first}:
            for one in table[first]:
                for other in table[second]:
                    bytes, loss = (
                        one[what] + other[what] - taken[first][what] - taken[second][what]
                        for what in ("bytes", "loss")
                    )
                    assert size + bytes > budget or loss >= -1e-8 * allocation["loss"]


def test_a_file_says_what_its_caches_are(tiny, tmp_path):
    """Models and imported programs have the types, unless others are asked for."""
    output, plan = tmp_path / "a.safetensors", {
        "k_0": "int4",
        "v_1": "int<6>, scale = f16 per [1, 1, 16]",
    }
    record = quantize(
        tiny, output, budget=None, context=None, recipe="gptq", plan=plan, weights=INT8
    )
    types = {"k_0": "int4", "v_0": "f16", "k_1": "f16", "v_1": plan["v_1"]}
    assert json.loads(Archive(str(output)).metadata("lowbit.kv_cache")) == types
    assert {cache["key"]: cache["encoding"] for cache in record["caches"]} == types
    assert record["context"] == 128
    tokens = list(TEXT.encode()[:40])

    def logits(**options) -> np.ndarray:
        return np.concatenate(list(Model(output, **EXACT, **options).logits(tokens)))

    said = logits()
    np.testing.assert_array_equal(said, logits(kv_cache=json.dumps(types)))
    whole = logits(kv_cache="f32")
    assert np.abs(said - whole).max() > 1e-3
    # Quantized again, or with all else as it is, a model keeps them.
    again = tmp_path / "b.safetensors"
    quantize(output, again, candidates=[], budget=None, context=None, recipe="rtn", weights=INT8)
    assert json.loads(Archive(str(again)).metadata("lowbit.kv_cache")) == types


def test_plans_with_caches_can_be_edited(tiny, tmp_path, capsys):
    text, plan = tmp_path / "text.txt", tmp_path / "plan.json"
    text.write_text(TEXT)
    common = ["--calibration", text, "--length", 64]

    def run(output: str, *arguments) -> dict[str, str]:
        command = ["quantize", tiny, *common, "--output", tmp_path / output, *arguments]
        assert cli.main([*map(str, command)]) == 0
        return json.loads(Archive(str(tmp_path / output)).metadata("lowbit.kv_cache"))

    page, record = tmp_path / "a.html", tmp_path / "a.json"
    types = run(
        *("a.safetensors", "--recipe", "mixed", "--budget", "150kB", "--context", 500),
        *("--candidates", INT4, "--candidates", INT8, "--cache-candidates", "int8"),
        *("--cache-candidates", "f16", "--save-plan", plan, "--report", page, "--json", record),
    )
    planned = json.loads(plan.read_text())["tensors"]
    assert {name: planned[name] for name in NAMES} == types
    assert set(types.values()) <= {"int8", "f16"}
    shown = capsys.readouterr().out
    assert "caches: " in shown and shown == summary(json.loads(record.read_text())) + "\n"
    assert "Key-value caches of 500 tokens" in page.read_text()

    assert run("b.safetensors", "--plan", plan, "--recipe", "gptq") == types
    assert (tmp_path / "a.safetensors").stat().st_size == (
        tmp_path / "b.safetensors"
    ).stat().st_size
    planned["v_1"], planned["k_0"] = "int4", "f32"
    plan.write_text(json.dumps({"schema": 1, "tensors": planned}))
    assert run("c.safetensors", "--plan", plan) == types | {"v_1": "int4", "k_0": "f32"}


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(budget="4bpw"), "the budget 4bpw has no bytes, which key-value caches share"),
        (dict(budget="4ms"), "has no bytes"),
        (dict(budget="30kB"), "no choice of encodings is within 30000B: the smallest takes"),
        (dict(budget="1MB", cache_candidates=["int8", BY_TENSOR]), f"a key-value cache of '{BY_TENSOR}': its codes and scales do not belong to single positions"),
        (dict(budget="1MB", cache_candidates=["int5"]), "a key-value cache of 'int5'"),
        (dict(recipe="gptq"), "a context is for the key-value caches in a budget"),
        (dict(recipe="gptq", plan={"v_0": "int5"}), "'v_0': a key-value cache of 'int5'"),
        (dict(recipe="gptq", plan={"v_2": "int8"}), "the plan names 'v_2', which no product"),
    ],
)  # fmt: skip
def test_says_what_is_wrong_before_measuring(tiny, tmp_path, monkeypatch, options, message):
    monkeypatch.setattr(Sensitivity, "measure", lambda self: pytest.fail("measured"))
    with pytest.raises(LowbitError) as caught:
        quantize(tiny, tmp_path / "a.safetensors", **options)
    assert message in str(caught.value) and caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_rejected_candidates_are_named(tiny, tmp_path, monkeypatch):
    """Of the weights that do not take one, and of what is no type of a cache."""
    monkeypatch.setattr("lowbit.precision.mixing.CACHE_CANDIDATES", ("int8", BY_TENSOR))
    tall = f"#lowbit.part<axis = 0, at = [80], {INT8}, {INT4}>"
    record = quantize(
        tiny,
        tmp_path / "a.safetensors",
        recipe="allocate,nearest",
        budget="1MB",
        candidates=[INT4, tall],
    )
    first, second = record["allocation"]["rejected"]
    assert first["encoding"] == tall and "does not fit blk.0.attn_q.weight, " in first["reason"]
    assert "ffn_gate" not in first["reason"]
    assert (
        second["encoding"] == BY_TENSOR and "do not belong to single positions" in second["reason"]
    )
    assert {cache["encoding"] for cache in record["caches"]} == {"int8"}
    page = render(record)
    assert "Rejected before the search: #lowbit.part" in page


def test_programs_have_no_caches_that_are_known(tmp_path):
    class Program:
        path, archive = "net.mlir", None

    with pytest.raises(
        LowbitError, match="which arguments of a program are caches is not known"
    ) as caught:
        Caches(Program(), 100)
    assert caught.value.hint and Caches(Program()).shapes == {}
