"""lowbit.precision.quantize: whole runs on a tiny llama, and runs that are interrupted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from lowbit import Archive, Model, _lowbit
from lowbit.errors import LowbitError
from lowbit.precision import recipes
from lowbit.precision.quantize import Options, Quantization
from lowbit.precision.sources import open_source
from reference import GgufFile, Llama
from tiny_llama import TEXT, ArchiveFile, Recorder, write_tiny_llama

pytestmark = pytest.mark.usefixtures("stages_compiled_once")

INT8 = "#lowbit.quantized<int<8>, scale = f16 per [1, 32]>"
SEVEN = tuple(
    f"blk.{layer}.{name}.weight"
    for layer in range(2)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


def quantize(model: Path, output: Path, text: str | None = TEXT, progress=None, **options) -> dict:
    if options.get("recipe") == "mixed":
        options.setdefault("budget", "4.5bpw")
    chosen = Options(**{"length": 64, **options})
    run = Quantization(
        open_source(str(model)), str(output), chosen, text, progress or (lambda *call: None)
    )
    return run.run()


def encodings(path: Path) -> dict[str, str]:
    return {tensor.name: tensor.encoding for tensor in Archive(str(path)).tensors}


def interrupt_at(call: int):
    """Progress that is interrupted at the call of this number."""
    calls = iter(range(call + 1))

    def progress(*_) -> None:
        if next(calls) == call:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("recipe", ["gptq", "rotate", "mixed"])
def test_interrupted_runs_go_on(tiny, tmp_path, recipe):
    calls = []
    expected = tmp_path / "whole.safetensors"
    quantize(tiny, expected, progress=lambda *call: calls.append(call), recipe=recipe)
    assert list(tmp_path.iterdir()) == [expected]
    assert all(0 <= done <= total for done, total, _ in calls)
    resumed = []
    for stop in np.linspace(0, len(calls) - 1, 3, dtype=int):
        output = tmp_path / f"{stop}.safetensors"
        with pytest.raises(KeyboardInterrupt):
            quantize(tiny, output, progress=interrupt_at(stop), recipe=recipe)
        assert not output.exists()
        rest = []
        quantize(tiny, output, progress=lambda *call: rest.append(call), recipe=recipe)
        assert output.read_bytes() == expected.read_bytes(), calls[stop]
        assert not Path(f"{output}.partial").exists()
        resumed.append(len(rest))
    # The later it was interrupted, the less is left to do.
    assert resumed == sorted(resumed, reverse=True) and resumed[-1] < len(calls) // 2


def test_records_of_interrupted_runs_are_whole(tiny, tmp_path):
    record = quantize(tiny, tmp_path / "a.safetensors")
    with pytest.raises(KeyboardInterrupt):
        quantize(tiny, tmp_path / "b.safetensors", progress=interrupt_at(30))
    again = quantize(tiny, tmp_path / "b.safetensors")

    def without_times(tensors: list[dict]) -> list[dict]:
        return [{k: v for k, v in tensor.items() if k != "seconds"} for tensor in tensors]

    assert without_times(again["tensors"]) == without_times(record["tensors"])
    assert again["sites"] == record["sites"]


def test_other_settings_start_anew(tiny, tmp_path):
    """Also where a stage leaves nothing now that left tensors before."""
    output, keep = tmp_path / "a.safetensors", [("blk.0.*", "same")]
    with pytest.raises(KeyboardInterrupt):
        quantize(tiny, output, progress=interrupt_at(30))
    assert len(list(Path(f"{output}.partial").glob("stage-*"))) == 2
    quantize(tiny, output, keep=keep)
    assert {name for name, encoding in encodings(output).items() if "int<4>" in encoding} == set(
        SEVEN[7:]
    )
    expected = tmp_path / "b.safetensors"
    quantize(tiny, expected, keep=keep)
    assert output.read_bytes() == expected.read_bytes()


def test_weights_kept_in_f32_are_plain(tiny, tmp_path):
    output, keep = tmp_path / "a.safetensors", [("blk.0.*", "f32")]
    quantize(tiny, output, None, recipe="rtn", keep=keep)
    found = encodings(output)
    assert {found[name] for name in SEVEN[:7]} == {"f32"}
    assert all("int<4>" in found[name] for name in SEVEN[7:])
    whole = Model(output, use_cache=False, activations="f32", kv_cache="f32")
    expected = Llama(ArchiveFile(output)).forward([1, 2, 3])
    np.testing.assert_allclose(next(whole.logits([1, 2, 3])), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "{}", '{"settings": 1, "done": 2}'])
def test_damaged_journals_start_anew(tiny, tmp_path, text):
    output = tmp_path / "a.safetensors"
    folder = Path(f"{output}.partial")
    folder.mkdir()
    (folder / "journal.json").write_text(text)
    quantize(tiny, output, None, recipe="rtn")
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(keep=[("nosuch.*", "same")]), "no tensor has a name like 'nosuch.*'"),
        (dict(keep=[("*", "same")]), "no weight is left to quantize"),
        (dict(keep=[("*_norm.*", INT8)]), "tensor 'blk.0.attn_norm.weight': the encoding does not"),
        (dict(weights="int4"), "tensor 'blk.0.attn_q.weight': 'int4' is not an encoding"),
        (dict(weights=f"#lowbit.sum<{INT8}, #lowbit.sparse<f16, density = 0.01>>"), "tensor 'blk.0.attn_q.weight': errors are carried"),
        (dict(plan={"output_norm.weight": INT8}), "the plan names 'output_norm.weight', which no product"),
        (dict(plan={"blk.0.attn_q.weight": "int4"}), "tensor 'blk.0.attn_q.weight': 'int4' is not"),
        (dict(budget="4bpw"), "recipe 'gptq' has no use for a budget"),
        (dict(recipe="allocate,gptq"), "recipe 'custom' needs a budget"),
        (dict(recipe="mixed", budget="4"), "'4' is no budget"),
        (dict(recipe="mixed", budget="1.5bpw"), "no choice of encodings is within 1.5bpw"),
        (dict(recipe="mixed", plan={SEVEN[0]: INT8}), "a plan and a budget are given"),
        (dict(recipe="allocate,low-rank,gptq", budget="4bpw"), "step 'low-rank' stores more than the budget counts"),
        (dict(recipe="allocate,sparse-outliers,gptq", budget="4bpw"), "step 'sparse-outliers' stores more"),
        (dict(recipe="allocate,column-outliers,gptq", budget="4bpw"), "step 'column-outliers' stores more"),
        (dict(recipe="mixed", candidates=["#lowbit.none"]), "the candidate '#lowbit.none' is no encoding"),
        (dict(recipe="mixed", candidates=["#lowbit.none", INT8]), "the candidate '#lowbit.none' is no encoding"),
        (dict(recipe="rotate", keep=[("nosuch.*", "same")]), "no tensor has a name like 'nosuch.*'"),
        (dict(text=None), "recipe 'gptq' needs a text to calibrate on"),
        (dict(text=" \n"), "the calibration text is empty"),
        (dict(text="a"), "the calibration text has 1 token"),
    ],
)  # fmt: skip
def test_says_what_is_wrong_and_leaves_nothing(tiny, tmp_path, options, message):
    with pytest.raises(LowbitError) as caught:
        quantize(tiny, tmp_path / "a.safetensors", **options)
    assert message in str(caught.value) and caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_sequences_are_as_long_as_the_model_takes(tiny, tmp_path):
    source = open_source(str(tiny))
    assert source.program(1024) == source.program(128) != source.program(100)
    for length, expected in [(1024, [128, 128, 44]), (128, [128, 128, 44]), (200, [128, 128, 44]), (120, [120, 120, 60])]:  # fmt: skip
        assert [len(piece) for piece in source.sequences(2 * TEXT, 300, length)] == expected
    record = quantize(tiny, tmp_path / "a.safetensors", length=64, tokens=150)
    assert record["calibration"] == {"tokens": 150, "sequences": 3, "length": 64}
    record = quantize(tiny, tmp_path / "b.safetensors", length=64, tokens=30)
    assert record["calibration"] == {"tokens": 30, "sequences": 1, "length": 30}


def test_outputs_have_a_place(tiny, tmp_path):
    before = tiny.read_bytes()
    with pytest.raises(LowbitError, match="there is no folder") as caught:
        quantize(tiny, tmp_path / "none" / "a.safetensors")
    assert caught.value.hint and not list(tmp_path.iterdir())
    with pytest.raises(LowbitError, match="the output is the model itself") as caught:
        quantize(tiny, tiny)
    assert caught.value.hint and tiny.read_bytes() == before


ALL = list(recipes.RECIPES)


@pytest.mark.parametrize("recipe", ALL)
def test_recipes(tiny, tmp_path, recipe):
    """Bytes and encodings are as recorded, values as measured; two runs give the same."""
    output, again = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    keep = [("blk.0.attn_k.*", "same"), ("blk.1.ffn_?p.*", INT8)]
    record = quantize(tiny, output, recipe=recipe, keep=keep)
    before, archive = Archive(str(tiny)), Archive(str(output))
    tensors = {tensor.name: tensor for tensor in archive.tensors}
    assert tensors.keys() >= {tensor.name for tensor in before.tensors}
    entries = {entry["key"]: entry for entry in record["tensors"]}
    assert set(SEVEN) - {"blk.0.attn_k.weight"} <= set(entries)
    for name, entry in entries.items():
        assert tensors[name].encoding == entry["encoding"]
        assert tensors[name].bytes == entry["bytes"] and tensors[name].shape == entry["shape"]
        assert entry["base"] in entry["encoding"]
        if recipe not in ("awq", "smoothquant", "static", "rotate"):  # whose weights are scaled
            values = before.tensor_f32(name).astype(np.float64)
            change = np.square(archive.tensor_f32(name) - values).sum() / np.square(values).sum()
            assert change == pytest.approx(entry["weight_error"], rel=1e-3)
    assert entries["blk.1.ffn_up.weight"]["base"] == INT8
    assert "int<" not in tensors["blk.0.attn_k.weight"].encoding
    if recipe not in ("awq", "smoothquant", "static", "rotate"):
        for tensor in before.tensors:
            if tensor.name not in entries:
                assert np.array_equal(
                    archive.tensor_f32(tensor.name), before.tensor_f32(tensor.name)
                )
    totals = record["totals"]
    assert totals["bytes"] == sum(entry["bytes"] for entry in record["tensors"])
    errors = [(entry["error"], entry["error_nearest"]) for entry in record["tensors"]]
    assert np.mean([e for e, _ in errors]) <= np.mean([n for _, n in errors]) * (1 + 1e-6)
    quantize(tiny, again, recipe=recipe, keep=keep)
    assert again.read_bytes() == output.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"a.safetensors", "b.safetensors"}


@pytest.mark.parametrize("recipe", ["spqr", "owq", "svdquant", "rotate"])
def test_outputs_open(tiny, tmp_path, recipe):
    """As models that compute nearly what the original does."""
    output = tmp_path / "a.safetensors"
    quantize(tiny, output, recipe=recipe, weights=INT8)
    text = list(TEXT.encode()[:20])
    exact = dict(activations="f32", kv_cache="f32", context_length=64)
    found, expected = (
        np.concatenate(list(Model(path, **exact).logits(text))) for path in (output, tiny)
    )
    assert 1e-6 < np.square(found - expected).mean() / expected.var() < 0.02


def test_outputs_are_quantized_again(tiny, tmp_path):
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    quantize(tiny, first, recipe="svdquant", weights=INT8)
    record = quantize(first, second, recipe="gptq")
    assert encodings(second)["blk.0.ffn_up.weight"] == recipes.INT4_MSE
    assert all(0 < tensor["error"] < 0.02 for tensor in record["tensors"])


def test_heads_of_their_own_are_quantized_and_tables_are_not(tmp_path):
    model = write_tiny_llama(tmp_path / "m.gguf", head=True)
    record = quantize(model, tmp_path / "a.safetensors", None, recipe="rtn")
    assert {tensor["key"] for tensor in record["tensors"]} == {*SEVEN, "output.weight"}
    tied = write_tiny_llama(tmp_path / "t.gguf")
    record = quantize(tied, tmp_path / "b.safetensors", None, recipe="rtn")
    assert {tensor["key"] for tensor in record["tensors"]} == set(SEVEN)
    record = quantize(
        tied, tmp_path / "c.safetensors", None, recipe="rtn", keep=[("token_embd.*", INT8)]
    )
    assert "token_embd.weight" in {tensor["key"] for tensor in record["tensors"]}


@pytest.mark.parametrize("recipe", ["gptq", "awq", "llm-int8", "rotate", "mixed"])
def test_tensors_of_zeros(tmp_path, recipe):
    def change(tensors: dict[str, np.ndarray]) -> None:
        for name in ("blk.0.attn_q.weight", "blk.1.ffn_down.weight", "blk.1.attn_norm.weight"):
            tensors[name][:] = 0

    model = write_tiny_llama(tmp_path / "m.gguf", change=change)
    record = quantize(model, tmp_path / "a.safetensors", recipe=recipe)
    archive = Archive(str(tmp_path / "a.safetensors"))
    assert not archive.tensor_f32("blk.1.ffn_down.weight").any()
    for tensor in record["tensors"]:
        assert np.isfinite(tensor["error"]) and np.isfinite(archive.tensor_f32(tensor["key"])).all()


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize(
    "name, recipe, message",
    [
        (
            "blk.1.ffn_down.weight",
            "gptq",
            "tensor 'blk.1.ffn_down.weight' has numbers that are not",
        ),
        ("blk.0.attn_q.weight", "rtn", "tensor 'blk.0.attn_q.weight' has numbers that are not"),
        ("blk.0.attn_norm.weight", "awq", "tensor 'blk.0.attn_norm.weight' has numbers that are not"),
    ],
)
def test_numbers_that_are_not_finite(tmp_path, name, recipe, message, number):
    def change(tensors: dict[str, np.ndarray]) -> None:
        tensors[name].flat[7] = number

    model = write_tiny_llama(tmp_path / "m.gguf", change=change)
    with pytest.raises(LowbitError, match=message) as caught:
        quantize(
            model, tmp_path / "a.safetensors", None if recipe == "rtn" else TEXT, recipe=recipe
        )
    assert caught.value.hint and list(tmp_path.iterdir()) == [model]


def test_layers_see_what_those_before_them_are_quantized_to(tiny, tmp_path):
    output, sequences = tmp_path / "a.safetensors", open_source(str(tiny)).sequences(TEXT, 128, 64)
    int2 = "#lowbit.quantized<int<2>, scale = f16 per [1, 32]>"
    record = quantize(tiny, output, weights=int2, tokens=128)
    expected = []
    for model in (Recorder(ArchiveFile(output)), Recorder(GgufFile(tiny))):
        entered = []
        for tokens in sequences:
            model.reset()
            model.forward(tokens)
            entered.append(model.entered["blk.1.ffn_gate.weight"][0])
        expected.append(np.sqrt(np.square(np.concatenate(entered)).mean(axis=0)))
    (site,) = [site for site in record["sites"] if site["name"] == "blk.1.ffn_gate.weight"]

    def difference(values: np.ndarray) -> float:
        return np.abs(np.array(site["root_mean_squares"]) / values - 1).mean()

    # The attention of the same stage is not quantized yet, all before it is.
    assert difference(expected[0]) < 0.5 * difference(expected[1])


def test_provenance_is_kept(tiny, tmp_path):
    quantize(tiny, tmp_path / "a.safetensors", recipe="column-outliers,nearest")
    text = Archive(str(tmp_path / "a.safetensors")).metadata("lowbit.quantization")
    found = json.loads(text)
    assert 200 < found.pop("tokens") <= len(TEXT)
    assert found == {"schema": 1, "recipe": "custom", "pipeline": "column-outliers,nearest"}


def test_gguf_files(tiny, tmp_path):
    """Hold some encodings; what they cannot hold is told early."""
    output, calls = tmp_path / "a.gguf", []
    cannot = "a.gguf: cannot write: tensor 'blk.0.*GGUF"
    for recipe, message in (
        ("gptq", cannot),
        ("spqr", cannot),
        ("rotate", "do not know 'rotation.*', a rotation while the model runs"),
    ):
        options = dict(recipe=recipe)
        with pytest.raises(LowbitError, match=message) as caught:
            quantize(tiny, output, progress=lambda *call: calls.append(call), **options)
        assert ".safetensors" in caught.value.hint and not list(tmp_path.iterdir())
    assert max(done / total for done, total, _ in calls) < 0.5
    weights = "#lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>"
    quantize(tiny, output, recipe="awq", weights=weights)
    found = GgufFile(output)
    archive = Archive(str(output))
    for name in (*SEVEN, "blk.0.attn_norm.weight", "token_embd.weight"):
        np.testing.assert_allclose(found.tensor(name), archive.tensor_f32(name), rtol=1e-6)
    assert encodings(output)["blk.1.ffn_up.weight"] == weights
    assert list(tmp_path.iterdir()) == [output]


def test_files_of_others_in_its_folder_stay(tiny, tmp_path):
    output, folder = tmp_path / "a.safetensors", tmp_path / "a.safetensors.partial"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    quantize(tiny, output)
    assert output.exists() and [path.name for path in folder.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("lost", ["stage-1.safetensors", "values-3.safetensors"])
def test_runs_that_lost_a_file_start_anew(tiny, tmp_path, lost):
    expected, output = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    quantize(tiny, expected)
    with pytest.raises(KeyboardInterrupt):
        quantize(tiny, output, progress=interrupt_at(30))
    (Path(f"{output}.partial") / lost).unlink()
    quantize(tiny, output)
    assert output.read_bytes() == expected.read_bytes()


def test_a_table_that_becomes_f32_is_in_the_record(tmp_path):
    """With its size, as every tensor that is stored otherwise than it was."""
    archive = Archive(str(write_tiny_llama(tmp_path / "tiny.gguf", head=True)))
    key, part, model = "token_embd.weight", str(tmp_path / "part"), tmp_path / "q.safetensors"
    table = archive.tensor_f32(key)
    _lowbit.write_archive(part, {}, [(key, table.shape, INT8, _lowbit.encode(table, INT8))])
    _lowbit.merge_archives(archive, [part], {}, str(model))
    output = tmp_path / "a.safetensors"
    record = quantize(model, output, None, recipe="rtn", keep=[(key, "f32")])
    (entry,) = [tensor for tensor in record["tensors"] if tensor["key"] == key]
    assert (entry["encoding"], entry["bytes"]) == ("f32", 4 * table.size)
    assert encodings(output)[key] == "f32"
