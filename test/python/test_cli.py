"""The command line: its forms, its outputs, and what it says when something is wrong."""

import json
import math
import os

import numpy as np
import pytest
from conftest import ARTISTIC
from lowbit import cli

INT4 = "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>"
INT4_OF_GGML = "#lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>"


def test_generate_json(run_lowbit, model_path, model, tokenizer):
    done = run_lowbit("generate", model_path, "--prompt", "Water boils at", "--tokens", 8, "--json", "--no-cache")
    result = json.loads(done.stdout)
    assert list(result) == [
        "prompt_tokens",
        "tokens",
        "text",
        "tokens_per_second",
        "prefill_tokens_per_second",
        "compile_seconds",
    ]
    assert result["prompt_tokens"] == tokenizer.encode("Water boils at")
    assert result["tokens"] == model.generate(result["prompt_tokens"], 8).tokens
    assert result["text"] == tokenizer.decode(result["tokens"])
    assert all(result[key] > 0 for key in list(result)[3:])


def test_generate_text(run_lowbit, model_path, model, tokenizer):
    done = run_lowbit(
        "generate", model_path, "--prompt", "Water boils at", "--tokens", 4, "--activations", "f32"
    )
    tokens = model.generate(tokenizer.encode("Water boils at"), 4).tokens
    assert done.stdout == "Water boils at" + tokenizer.decode(tokens) + "\n"
    assert "tokens/s" in done.stderr


@pytest.mark.parametrize(
    "flags, temperature",
    [
        ([], 0),
        (["--temperature", "0.7"], 0.7),
        (["--top-k", "5"], 1),
        (["--top-p", "0.9"], 1),
        (["--seed", "3"], 1),
        (["--top-k", "5", "--temperature", "0"], 0),
    ],
)
def test_generate_is_greedy_unless_sampling_flags_are_given(flags, temperature, monkeypatch):
    from lowbit import commands

    seen = []
    monkeypatch.setattr(commands, "generate", lambda options: seen.append(options))
    assert cli.main(["generate", "m", "--prompt", "a", "--tokens", "1", *flags]) == 0
    assert commands._sampler(seen[0]).temperature == temperature


def test_logits_do_not_take_the_place_of_the_model(run_lowbit, byte_model_path, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(byte_model_path.read_bytes())
    done = run_lowbit("logits", path, "--tokens", "65,66", "--output", path, status=1)
    assert "the output is the model itself" in done.stderr
    assert path.read_bytes() == byte_model_path.read_bytes()


def test_logits(run_lowbit, model_path, reference, tmp_path):
    out = tmp_path / "out.npy"
    run_lowbit(
        *("logits", model_path, "--tokens", "504,3575,282", "--output", out),
        *("--activations", "f32", "--kv-cache", "f32"),
    )
    reference.reset()
    logits = np.load(out)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, reference.forward([504, 3575, 282]), rtol=0, atol=2e-3)

    failed = run_lowbit("logits", model_path, "--tokens", "1,99999", "--output", out, status=1)
    assert "lowbit: error: token 99999 is not in the vocabulary" in failed.stderr
    assert np.array_equal(np.load(out), logits)  # what was there stays
    assert [file.name for file in tmp_path.iterdir()] == ["out.npy"]


def test_perplexity_json(run_lowbit, model_path, artistic_tokens, tokenizer):
    done = run_lowbit("perplexity", model_path, "--text", ARTISTIC, "--max-tokens", 1024, "--json")
    result = json.loads(done.stdout)
    assert list(result) == ["tokens", "nll", "perplexity", "bits_per_byte"]
    assert result["tokens"] == 1024
    assert abs(result["perplexity"] - 16.73) < 0.02
    assert result["perplexity"] == pytest.approx(math.exp(result["nll"]))
    # The text that 1,024 tokens stand for is a prefix of the file; its first token is not scored.
    read, first = tokenizer.decode(artistic_tokens), tokenizer.decode(artistic_tokens[:1])
    assert ARTISTIC.read_text().startswith(read)
    scored = len(read.encode()) - len(first.encode())
    assert result["bits_per_byte"] * scored == pytest.approx(1023 * result["nll"] / math.log(2))


def test_inspect(run_lowbit, model_path, gguf_file):
    result = json.loads(run_lowbit("inspect", model_path, "--json").stdout)
    tensors = {tensor["name"]: tensor for tensor in result["tensors"]}
    assert list(tensors) == gguf_file.names()
    for tensor in result["tensors"]:
        assert list(tensor) == ["name", "shape", "encoding", "bits_per_weight", "bytes"]
    assert tensors["token_embd.weight"]["shape"] == [49152, 576]
    assert tensors["token_embd.weight"]["bits_per_weight"] == 8.5
    assert tensors["blk.0.attn_k.weight"]["shape"] == [192, 576]
    assert tensors["blk.0.attn_k.weight"]["bytes"] == 192 * 576 * 5 // 8
    totals = result["totals"]
    assert totals["parameters"] == sum(math.prod(tensor["shape"]) for tensor in result["tensors"])
    assert totals["bytes"] == sum(tensor["bytes"] for tensor in result["tensors"])
    assert totals["bits_per_weight"] == pytest.approx(8 * totals["bytes"] / totals["parameters"])

    table = run_lowbit("inspect", model_path).stdout.splitlines()
    assert len(table) == 1 + len(tensors) + 1
    assert "49152x576" in table[1] and "8.500" in table[1]


@pytest.fixture
def fails(capsys):
    """Runs a command line that must fail; gives what it says."""

    def run(*arguments, status: int) -> str:
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse's way out
            code = end.code
        shown = capsys.readouterr()
        assert code == status, shown.err
        assert shown.out == ""
        assert shown.err.startswith("lowbit: error: ")
        return shown.err

    return run


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "the following arguments are required: COMMAND"),
        (["guess"], "invalid choice: 'guess'"),
        (["generate"], "the following arguments are required: MODEL, --prompt, --tokens"),
        (
            ["generate", "m", "--prompt", "a", "--tokens", "0"],
            "'0' is not a whole number of at least 1",
        ),
        (["generate", "m", "--prompt", "a", "--tokens", "many"], "'many' is not a whole number"),
        (
            ["generate", "m", "--prompt", "a", "--tokens", "1", "--temperature", "-1"],
            "of at least 0",
        ),
        (
            ["generate", "m", "--prompt", "a", "--tokens", "1", "--temperature", "nan"],
            "of at least 0",
        ),
        (["generate", "m", "--prompt", "a", "--tokens", "1", "--top-p", "1.5"], "from 0 to 1"),
        (
            ["generate", "m", "--prompt", "a", "--tokens", "1", "--activations", "f7"],
            "'f7' is none of f32, int15 and int8",
        ),
        (["generate", "m", "--prompt", "a", "--tokens", "1", "--fast"], "unrecognized arguments"),
        (["logits", "m", "--tokens", "1,,2", "--output", "o"], "'1,,2' is not a list of token ids"),
        (["logits", "m", "--tokens", "1 2", "--output", "o"], "'1 2' is not a list of token ids"),
        (["perplexity", "m", "--text", "t", "--max-tokens", "1"], "of at least 2"),
        (["encode", "m", "--output", "o"], "arguments are required: --weights"),
        (["encode", "m", "--weights", "x", "--output", "o", "--keep", "a"], "'a' is not PATTERN="),
        (["encode", "m", "--weights", "x", "--output", "o", "--keep", "=same"], "is not PATTERN="),
    ],
)
def test_wrong_usage(arguments, message, fails):
    said = fails(*arguments, status=2)
    assert message in said
    assert "--help` shows the options and examples" in said


def test_a_model_that_is_not_there(fails, tmp_path):
    for command in (
        ["generate", "no.gguf", "--prompt", "a", "--tokens", 1],
        ["logits", "no.gguf", "--tokens", 1, "--output", tmp_path / "o"],
        ["perplexity", "no.gguf", "--text", ARTISTIC],
        ["inspect", "no.gguf"],
        ["encode", "no.gguf", "--weights", INT4, "--output", tmp_path / "o"],
    ):
        assert "there is no file 'no.gguf'" in fails(*command, status=1)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_a_folder_or_no_model(fails, tmp_path):
    assert "is a folder" in fails("inspect", tmp_path, status=1)
    (tmp_path / "text.gguf").write_text("not a model\n" * 10)
    assert "text.gguf" in fails("inspect", tmp_path / "text.gguf", status=1)
    (tmp_path / "empty.gguf").touch()
    assert "empty.gguf" in fails("inspect", tmp_path / "empty.gguf", status=1)


def test_a_truncated_model(fails, model_path, tmp_path):
    with open(model_path, "rb") as file:
        (tmp_path / "half.gguf").write_bytes(file.read(4_000_000))
    assert "half.gguf" in fails("inspect", tmp_path / "half.gguf", status=1)


def test_texts_that_cannot_be_scored(fails, model_path, tmp_path):
    missing = fails("perplexity", model_path, "--text", tmp_path / "none.txt", status=1)
    assert "No such file or directory" in missing and "none.txt" in missing
    (tmp_path / "latin1.txt").write_bytes(b"caf\xe9 au lait")
    assert "is not UTF-8 (byte 3)" in fails(
        "perplexity", model_path, "--text", tmp_path / "latin1.txt", status=1
    )
    (tmp_path / "short.txt").write_text("a")
    short = fails("perplexity", model_path, "--text", tmp_path / "short.txt", status=1)
    assert "perplexity needs at least 2 tokens, the text has 1" in short


def test_an_empty_prompt(fails, model_path):
    said = fails("generate", model_path, "--prompt", "", "--tokens", 4, status=1)
    assert "the prompt is empty" in said


def test_outputs_that_cannot_be_written(fails, model_path, tmp_path):
    nowhere = tmp_path / "no" / "o"
    encode = ["encode", model_path, "--weights", INT4, "--output"]
    assert "there is no folder" in fails(*encode, nowhere, status=1)
    assert "there is no folder" in fails(
        "logits", model_path, "--tokens", 1, "--output", nowhere, status=1
    )
    assert "is a folder" in fails(*encode, tmp_path, status=1)
    assert "the output is the model itself" in fails(*encode, model_path, status=1)


def test_file_names_are_bytes(run_lowbit, byte_model_path, tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    model, other, logits = (os.fsdecode(folder + name) for name in (b"/\xff.gguf", b"/\xfe.gguf", b"/\xfd.npy"))
    os.symlink(byte_model_path, model)
    run_lowbit("encode", model, "--weights", INT4_OF_GGML, "--output", other)
    run_lowbit("logits", other, "--tokens", "65,66", "--output", logits)
    assert np.load(logits).shape == (2, 256)
    assert json.loads(run_lowbit("inspect", other, "--json").stdout)["tensors"]
    compiled = other.replace(".gguf", ".lbm")
    run_lowbit("compile", other, "--output", compiled)
    assert "?.gguf with" in run_lowbit("inspect", compiled).stdout
    run_lowbit("generate", compiled, "--prompt", "a", "--tokens", 2)
    os.truncate(other, 100)
    assert "lowbit: error: " in run_lowbit("inspect", other, status=1).stderr
    assert "is not UTF-8" in run_lowbit("encode", model, "--weights", other, "--output", other, status=2).stderr


def test_what_a_symbolic_link_points_to_is_written(run_lowbit, byte_model_path, tmp_path):
    (tmp_path / "far").mkdir()
    for name, arguments in {
        "o.gguf": ["encode", byte_model_path, "--weights", INT4_OF_GGML],
        "o.npy": ["logits", byte_model_path, "--tokens", "65,66"],
        "o.lbm": ["compile", byte_model_path],
    }.items():
        link, target = tmp_path / name, tmp_path / "far" / name
        link.symlink_to(f"far/{name}")
        run_lowbit(*arguments, "--output", link)
        assert link.is_symlink() and target.is_file()
    assert len(os.listdir(tmp_path / "far")) == 3
    link.unlink()
    link.symlink_to(link.name)
    assert "a circle of symbolic links" in run_lowbit(*arguments, "--output", link, status=1).stderr


def test_encodings_that_cannot_be(fails, model_path, tmp_path):
    def encode(weights, *more):
        return fails(
            "encode", model_path, "--weights", weights, *more, "--output", tmp_path / "o", status=1
        )

    assert "'ffn*' (from --keep)" in encode(INT4, "--keep", "ffn*=same")
    for wrong in (
        "int4",
        "#lowbit.quantized<int<4>",
        "#lowbit.quantized<int<99>, scale = f16 per tensor>",
    ):
        assert len(encode(wrong)) > len("lowbit: error: \n")
    assert "int<" in encode(INT4, "--keep", "token_embd.*=#lowbit.quantized<int<")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["", "generate", "logits", "perplexity", "inspect", "encode"])
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([*command.split(), "--help"])
    assert end.value.code == 0
    assert f"  lowbit {command or 'generate'} model.gguf" in capsys.readouterr().out


def test_an_interrupt_ends_quietly(monkeypatch, capsys):
    from lowbit import commands

    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "inspect", interrupted)
    assert cli.main(["inspect", "m.gguf"]) == 130
    assert capsys.readouterr().err.strip() == "lowbit: interrupted"
