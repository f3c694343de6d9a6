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
from tiny_llama import TEXT, write_tiny_llama

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
    for stop in np.linspace(0, len(calls) - 1, 5, dtype=int):
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
        (dict(recipe="clip,gptq", weights="#lowbit.quantized<f16>"), "no ranges of a row share a scale"),
        (dict(plan={"output_norm.weight": INT8}), "the plan names 'output_norm.weight', which no product"),
        (dict(plan={"blk.0.attn_q.weight": "int4"}), "tensor 'blk.0.attn_q.weight': 'int4' is not"),
        (dict(budget="4bpw"), "recipe 'gptq' has no use for a budget"),
        (dict(recipe="allocate,gptq"), "recipe 'custom' needs a budget"),
        (dict(recipe="mixed", budget="4"), "'4' is no budget"),
        (dict(recipe="mixed", budget="1.5bpw"), "no choice of encodings is within 1.5bpw"),
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
    record = quantize(tiny, tmp_path / "a.safetensors", 2 * TEXT, length=1024, tokens=300)
    assert record["calibration"] == {"tokens": 300, "sequences": 3, "length": 128}
    record = quantize(tiny, tmp_path / "b.safetensors", length=100, tokens=150)
    assert record["calibration"] == {"tokens": 150, "sequences": 2, "length": 100}
