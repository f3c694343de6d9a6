"""`lowbit quantize`: its files, its exit status, and what it says when something is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from lowbit import Archive, cli
from lowbit.precision import recipes
from lowbit.precision.steps import REGISTRY
from tiny_llama import TEXT, write_tiny_llama

pytestmark = pytest.mark.usefixtures("stages_compiled_once")

INT3 = "#lowbit.quantized<int<3>, scale = f16 per [1, 32]>"
INT8 = "#lowbit.quantized<int<8>, scale = f16 per [1, 32]>"


@pytest.fixture
def tiny(tmp_path) -> Path:
    """With a head of its own, so that nothing multiplies with the embedding."""
    return write_tiny_llama(tmp_path / "tiny.gguf", head=True)


@pytest.fixture
def text(tmp_path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def quantize(*arguments) -> int:
    return cli.main(["quantize", *map(str, arguments)])


def encodings(path: Path) -> dict[str, str]:
    return {tensor.name: tensor.encoding for tensor in Archive(str(path)).tensors}


def test_writes_report_record_and_plan(tiny, text, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lowbit", "quantize", "tiny.gguf"])
    output, plan = tmp_path / "a.safetensors", tmp_path / "plan.json"
    arguments = ["--recipe", "mixed", "--budget", "4.5bpw", "--calibration", text, "--length", 64]
    page, record = tmp_path / "a.html", tmp_path / "a.json"
    outputs = ["--output", output, "--report", page, "--json", record, "--save-plan", plan]
    keep = ["--keep", f"token_embd.*={INT8}", "--keep", "blk.0.attn_k.*=same"]
    assert quantize(tiny, *arguments, *keep, *outputs) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        *("tiny.gguf", "text.txt", "a.safetensors", "a.html", "a.json", "plan.json")
    }
    told = capsys.readouterr()
    assert told.out.splitlines()[-1].startswith("all  ") and "error:" not in told.err
    assert "<html" in page.read_text() and "blk.1.ffn_down.weight" in page.read_text()

    found, stored = encodings(output), json.loads(record.read_text())
    assert "int<8>" in found["token_embd.weight"]
    assert "int" not in found["blk.0.attn_k.weight"]
    assert stored["recipe"] == "mixed" and stored["budget"] == "4.5bpw"
    assert stored["command"] == "lowbit quantize tiny.gguf"
    assert stored["calibration"]["text"] == "text.txt"
    planned = json.loads(plan.read_text())
    # What is looked up is in no plan, nor what is left as it is.
    assert planned["budget"] == "4.5bpw"
    assert set(planned["tensors"]) == {
        tensor["key"] for tensor in stored["tensors"] if tensor["key"] != "token_embd.weight"
    }
    assert "blk.0.attn_k.weight" not in planned["tensors"]
    for tensor in stored["tensors"]:
        assert found[tensor["key"]] == tensor["encoding"]

    # The plan gives the same model again; edited, what it says then.
    again = tmp_path / "b.safetensors"
    plain = ["--calibration", text, "--length", 64, "--plan", plan, "--output", again]
    assert quantize(tiny, *plain, *keep) == 0
    assert encodings(again) == found
    planned["tensors"]["blk.1.ffn_up.weight"] = INT3
    planned["tensors"]["blk.1.attn_q.weight"] = "same"
    plan.write_text(json.dumps({"schema": 1, "tensors": planned["tensors"]}))
    assert quantize(tiny, *plain, *keep) == 0
    edited = encodings(again)
    assert {name for name in found if edited[name] != found[name]} <= {
        "blk.1.ffn_up.weight",
        "blk.1.attn_q.weight",
    }
    assert edited["blk.1.ffn_up.weight"] == INT3 and "int" not in edited["blk.1.attn_q.weight"]


def test_nearest_needs_no_text(tiny, tmp_path):
    output = tmp_path / "a.safetensors"
    assert quantize(tiny, "--recipe", "rtn", "--output", output, "--weights", INT3) == 0
    assert encodings(output)["blk.0.attn_q.weight"] == INT3


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--output", "none/a.safetensors"], "there is no folder"),
        (["--output", "tiny.gguf"], "the output is the model itself"),
        (["--output", "a.safetensors", "--report", "none/a.html"], "there is no folder"),
        (["--output", "a.safetensors", "--json", "tiny.gguf"], "the output is the model itself"),
        (["--output", "text.txt", "--calibration", "text.txt"], "'text.txt' is an input, too"),
        (["--output", "a.safetensors", "--report", "./a.safetensors"], "is another output, too"),
        (["--output", "a.lbm"], "has the name of a compiled model"),
        (["--output", "a.safetensors", "--save-plan", "."], "is a folder"),
        (["--output", "a.safetensors", "--calibration", "latin.txt"], "'latin.txt' is not UTF-8 text (byte 1)"),
        (["--output", "a.safetensors", "--calibration", "none.txt"], "No such file or directory: 'none.txt'"),
        (["--output", "a.safetensors", "--calibration", "empty.txt"], "the calibration text is empty"),
        (["--output", "a.safetensors", "--plan", "empty.txt"], "empty.txt"),
        (["--output", "a.safetensors", "--recipe", "gtpq"], "there is no recipe 'gtpq'"),
        (["--output", "a.safetensors", "--recipe", "mixed", "--calibration", "text.txt"], "needs a budget"),
        (["--output", "a.safetensors", "--tokenizer", "text.txt"], "are for programs of your own"),
        (["--output", "a.safetensors"], "needs a text to calibrate on"),
    ],
)  # fmt: skip
def test_says_what_is_wrong(tiny, text, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("latin.txt").write_bytes(b"n\xe4her")
    Path("empty.txt").write_text("")
    before = tiny.read_bytes()
    assert quantize("tiny.gguf", *arguments) == 1
    told = capsys.readouterr()
    assert told.err.startswith("lowbit: error: ") and message in told.err and not told.out
    assert "lowbit: hint: " in told.err or "No such file" in told.err or "no JSON" in told.err
    assert tiny.read_bytes() == before
    left = {"tiny.gguf", "text.txt", "latin.txt", "empty.txt"}
    assert {path.name for path in tmp_path.iterdir()} == left


def test_a_program_of_ones_own_needs_its_files(tmp_path, capsys):
    program = tmp_path / "a.mlir"
    program.write_text("module {}")
    assert quantize(program, "--output", tmp_path / "b.safetensors") == 1
    assert "give --parameters" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["m.gguf"],
        ["m.gguf", "--output", "a", "--tokens", "1"],
        ["m.gguf", "--output", "a", "--length", "x"],
        ["m.gguf", "--output", "a", "--keep", "token_embd"],
    ],
)
def test_wrong_usage_has_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        quantize(*arguments)
    assert caught.value.code == 2
    assert "lowbit: hint: `lowbit quantize --help`" in capsys.readouterr().err


def test_lists_recipes_and_steps(capsys):
    with pytest.raises(SystemExit) as caught:
        quantize("--list-recipes")
    assert caught.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    for recipe in recipes.RECIPES.values():
        assert any(line.startswith(f"{recipe.name} ") for line in lines)
    for name in REGISTRY:
        assert any(line.partition("{")[0] == name for line in lines)


def test_help_needs_no_numpy():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['numpy', 'lowbit._lowbit', 'tqdm']))\n"
        "from lowbit import cli; cli.main(['quantize', '--help'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "--calibration" in done.stdout, done.stderr


def test_an_interrupt_is_no_traceback(tiny, text, tmp_path, monkeypatch, capsys):
    from lowbit.precision import quantize as module

    original = module.Quantization._quantize_stage

    def interrupted(self, stage, record):
        if len(record["steps"]) == 3:
            raise KeyboardInterrupt
        return original(self, stage, record)

    output = tmp_path / "a.safetensors"
    arguments = [tiny, "--calibration", text, "--length", 64, "--output", output]
    with monkeypatch.context() as patch:
        patch.setattr(module.Quantization, "_quantize_stage", interrupted)
        assert quantize(*arguments) == 130
    assert "interrupted" in capsys.readouterr().err and not output.exists()
    assert quantize(*arguments) == 0
    assert output.exists() and not Path(f"{output}.partial").exists()
