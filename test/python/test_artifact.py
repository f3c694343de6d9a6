"""Compiled models in files: that they run as what they were compiled from does, without a compiler; and the cache of them."""

import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from lowbit import Archive, Model, cache
from lowbit.errors import LowbitError

PROMPT = list(b"In the beginning")


@pytest.fixture(scope="module")
def q4_model(byte_model_path, tmp_path_factory, run_lowbit):
    """The byte model in 4 bits, so that it has packed parameters."""
    path = tmp_path_factory.mktemp("q4") / "q4.gguf"
    encoding = "#lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>"
    run_lowbit("encode", byte_model_path, "--weights", encoding, "--output", path)
    return path


@pytest.fixture(scope="module")
def compiled(q4_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("artifact") / "q4.lbm"
    Model(q4_model).compile(str(path))
    return path


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    folder = tmp_path / "own"
    monkeypatch.setenv("LOWBIT_COMPILE_CACHE", str(folder))
    return folder


def _logits(model: Model) -> np.ndarray:
    return np.concatenate(list(model.logits(PROMPT)))


def test_an_artifact_computes_what_its_model_does(q4_model, compiled):
    expected = _logits(Model(q4_model, use_cache=False))
    model = Model(compiled)
    np.testing.assert_array_equal(_logits(model), expected)
    assert model.compile_seconds == 0
    generated = model.generate(PROMPT, 12).tokens
    assert generated == Model(q4_model, use_cache=False).generate(PROMPT, 12).tokens
    assert model.tokenizer.decode(PROMPT) == "In the beginning"


def test_models_beside_each_other(q4_model, compiled):
    """Each session has code of its own while another one is loaded."""
    one, two = Model(compiled), Model(q4_model, activations="int8", use_cache=False)
    first, second = _logits(one), _logits(two)
    del one
    np.testing.assert_array_equal(_logits(two), second)
    assert not np.array_equal(first, second)


def test_an_artifact_runs_without_llvm(compiled):
    script = f"""
import sys
from lowbit import cli
status = cli.main(["generate", {str(compiled)!r}, "--prompt", "In the beginning", "--tokens", "4"])
maps = open("/proc/self/maps").read()
print([name for name in ("libLLVM", "libMLIR", "libLowbit") if name in maps], status, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "[] 0", done.stderr
    assert done.stdout.startswith("In the beginning")


def _damage(path, out, at, value):
    content = bytearray(path.read_bytes())
    content[at : at + len(value)] = value
    out.write_bytes(content)
    return out


def _rewrite(path, out, key, text):
    """Another text under a key of the metadata."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"][key] = text
    changed = json.dumps(header).encode()
    changed += b" " * (-len(changed) % 64)
    out.write_bytes(len(changed).to_bytes(8, "little") + changed + content[8 + size :])


def test_a_damaged_artifact_is_an_error(compiled, tmp_path):
    content = compiled.read_bytes()
    header = int.from_bytes(content[:8], "little")
    arrays = json.loads(content[8 : 8 + header])
    program = json.loads(arrays["__metadata__"]["lowbit.program"])
    packed = [p["symbol"] for p in program["parameters"] if "pack" in p]
    mapped = sorted(arrays.keys() - {"__metadata__", "code"} - set(packed))
    out = tmp_path / "damaged.lbm"
    for name in ("code", packed[0], mapped[0]):
        at = 8 + header + arrays[name]["data_offsets"][0] + 5
        _damage(compiled, out, at, bytes([content[at] ^ 16]))
        with pytest.raises(RuntimeError, match=f"damaged.lbm: byte .*'{name}' is damaged"):
            Model(out).load()
    shape = content.index(b'prefill')  # of the program: code trusts it
    _damage(compiled, out, shape, b"prefull")
    with pytest.raises(RuntimeError, match="'lowbit.program' is damaged"):
        Model(out).load()
    _rewrite(compiled, out, "lowbit.program", "[" * 100_000)
    with pytest.raises(RuntimeError, match="'lowbit.program' is not JSON"):
        Model(out).load()
    version = content.index(b'"lowbit.artifact":"1"')
    _damage(compiled, out, version, b'"lowbit.artifact":"9"')
    with pytest.raises(RuntimeError, match="of format 9, not 1"):
        Model(out).load()
    out.write_bytes(content[: len(content) // 2])
    with pytest.raises(RuntimeError, match="damaged.lbm"):
        Model(out).load()


@pytest.mark.parametrize("moment", [0.1, 0.5])  # of the time that it takes: lowering, LLVM
def test_an_interrupt_ends_compiling(q4_model, tmp_path, moment):
    def compile(output):
        """The seconds that it took, and those of the processor, which other work on the machine does not prolong."""
        start, work = time.monotonic(), time.process_time()
        Model(q4_model).compile(str(output))
        return time.monotonic() - start, time.process_time() - work

    whole, work = min(compile(tmp_path / "whole.lbm") for _ in range(2))
    timer = threading.Timer(moment * whole, lambda: os.kill(os.getpid(), signal.SIGINT))
    start = time.process_time()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        compile(tmp_path / "interrupted.lbm")
    assert time.process_time() - start < (moment + 0.4) * work
    assert [file.name for file in tmp_path.iterdir()] == ["whole.lbm"]
    assert compile(tmp_path / "again.lbm") > (0, 0)


def test_what_is_no_artifact_is_an_error(q4_model, tmp_path, run_lowbit):
    path = tmp_path / "model.lbm"
    run_lowbit("encode", q4_model, "--weights", "#lowbit.quantized<f16>", "--output", tmp_path / "m.safetensors")
    os.rename(tmp_path / "m.safetensors", path)
    with pytest.raises(RuntimeError, match="no compiled model: make one with `lowbit compile`"):
        Model(path).load()
    with pytest.raises(RuntimeError, match="missing.lbm"):
        Model(tmp_path / "missing.lbm").load()


def test_options_of_a_compiled_model_are_settled(compiled):
    for options in ({"activations": "f32"}, {"context_length": 8}, {"prefix_bits": 2}):
        with pytest.raises(LowbitError, match="compiled already"):
            Model(compiled, **options)


def test_command_line(q4_model, compiled, tmp_path, run_lowbit):
    out = tmp_path / "out.lbm"
    done = run_lowbit("compile", q4_model, "--output", out, "--timing", "--context-length", 64)
    steps = [line.split()[0] for line in done.stderr.splitlines()[:-1]]
    assert steps == ["import", "lower", "translate", "optimize", "codegen", "pack", "total"]
    assert Model(out).context_length == 64
    assert sorted(os.listdir(tmp_path)) == ["out.lbm"]
    wrong = run_lowbit("compile", q4_model, "--output", tmp_path / "out.so", status=1)
    assert "does not end in .lbm" in wrong.stderr
    again = run_lowbit("compile", compiled, "--output", out, status=1)
    assert "is compiled already" in again.stderr
    for name in ("", f"{tmp_path}/..", f"{tmp_path}/"):
        done = run_lowbit("compile", q4_model, "--emit", "object", "--output", name, status=1)
        assert "names no file" in done.stderr
    nowhere = run_lowbit("compile", q4_model, "--output", tmp_path / "no/out.lbm", status=1)
    assert "there is no folder" in nowhere.stderr


def test_an_artifact_is_inspected_as_what_it_is(compiled, q4_model, run_lowbit, tmp_path):
    shown = json.loads(run_lowbit("inspect", compiled, "--json").stdout)
    assert shown["compiled"]["model"] == q4_model.name
    assert shown["compiled"]["options"] == {"activations": "int15", "kv_cache": "f16"}
    assert shown["compiled"]["processor"] and shown["compiled"]["threads"] is True
    assert [entry["name"] for entry in shown["entries"]] == ["prefill", "decode"]
    assert shown["entries"][1]["arguments"][0] == "1xi64"
    weights = {tensor.name: tensor for tensor in Archive(str(q4_model)).tensors}
    assert {parameter["name"] for parameter in shown["parameters"]} == set(weights)
    plain = [parameter for parameter in shown["parameters"] if parameter["name"] == "output_norm.weight"]
    assert plain == [{"name": "output_norm.weight", "component": "values", "type": "256xf32", "bytes": 1024}]
    size = compiled.stat().st_size
    assert 0.8 * size < sum(shown["totals"].values()) < size

    lines = run_lowbit("inspect", compiled).stdout.splitlines()
    assert len(lines) == 1 + len(shown["parameters"]) + 2 + 1
    assert "entry decode(1xi64, i64, 8 of " in lines[-2]
    assert f"compiled from {q4_model.name} with activations=int15, kv_cache=f16; for " in lines[-1]

    # It is no archive of weights, whatever its name.
    other = tmp_path / "model.safetensors"
    os.symlink(compiled, other)
    for path in (compiled, other):
        done = run_lowbit("encode", path, "--weights", "f32", "--output", tmp_path / "o", status=1)
        assert "this is a compiled model" in done.stderr and "give the model that it was" in done.stderr
    assert "this is a compiled model" in run_lowbit("inspect", other, status=1).stderr
    assert os.listdir(tmp_path) == ["model.safetensors"]


def test_a_model_is_compiled_once(q4_model, own_cache):
    first, second = Model(q4_model), Model(q4_model)
    expected = _logits(first)
    assert first.compile_seconds > 0
    np.testing.assert_array_equal(_logits(second), expected)
    assert second.compile_seconds == 0
    assert len(cache.entries()) == 1
    entry = cache.entries()[0]
    assert entry.model == q4_model.name and entry.options == {"activations": "int15", "kv_cache": "f16"}
    # Another option, another code.
    assert Model(q4_model, activations="int8").compile_seconds > 0
    assert len(cache.entries()) == 2


def test_another_file_is_another_model(byte_model_path, q4_model, own_cache, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(q4_model.read_bytes())
    assert Model(path).compile_seconds > 0
    assert Model(path).compile_seconds == 0
    path.write_bytes(byte_model_path.read_bytes())
    assert Model(path).compile_seconds > 0


def test_a_damaged_entry_is_compiled_again(q4_model, own_cache):
    expected = _logits(Model(q4_model))
    path = cache.entries()[0].path
    content = bytearray(open(path, "rb").read())
    content[-9] ^= 1
    header = int.from_bytes(content[:8], "little")
    content[8 + header // 2] ^= 1
    with open(path, "wb") as file:
        file.write(content)
    model = Model(q4_model)
    np.testing.assert_array_equal(_logits(model), expected)
    assert model.compile_seconds > 0


def test_processes_that_compile_at_the_same_time(q4_model, own_cache):
    command = [sys.executable, "-m", "lowbit", "generate", str(q4_model)]
    command += ["--prompt", "In the beginning", "--tokens", "8"]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = {run.communicate()[0] for run in runs}
    assert len(outputs) == 1 and all(run.returncode == 0 for run in runs)
    assert [entry.path for entry in cache.entries()] == [str(p) for p in own_cache.iterdir()]


def test_the_oldest_entries_make_room(q4_model, own_cache, monkeypatch, run_lowbit):
    for activations, age in (("int15", 300), ("int8", 200)):
        Model(q4_model, activations=activations).load()
        path = cache.path_of(
            str(q4_model), {"activations": activations, "kv_cache": "f16"}
        )
        os.utime(path, (os.stat(path).st_atime, os.stat(path).st_mtime - age))
    size = cache.entries()[0].bytes
    monkeypatch.setenv("LOWBIT_COMPILE_CACHE_LIMIT", str(2.5 * size / (1 << 30)))
    Model(q4_model, activations="f32").load()
    kept = {entry.options["activations"] for entry in cache.entries()}
    assert kept == {"int8", "f32"}
    listed = json.loads(run_lowbit("cache", "--json").stdout)
    assert listed["folder"] == str(own_cache) and len(listed["entries"]) == 2
    assert "2 compiled models" in run_lowbit("cache").stdout
    assert "2 compiled models removed" in run_lowbit("cache", "--clear").stderr
    assert cache.entries() == []
    monkeypatch.setenv("LOWBIT_COMPILE_CACHE_LIMIT", "much")
    with pytest.raises(LowbitError, match="LOWBIT_COMPILE_CACHE_LIMIT is 'much'"):
        Model(q4_model).load()


def test_other_files_in_the_folder_stay(q4_model, compiled, own_cache, run_lowbit):
    own_cache.mkdir()
    mine = own_cache / "mine.lbm"
    mine.write_bytes(compiled.read_bytes())
    (own_cache / "folder.lbm").mkdir()
    (own_cache / f"{'0' * 40}.lbm").symlink_to("nowhere")
    rest = own_cache / f".{'1' * 40}.lbm.abc.tmp"
    rest.write_text("of a process that was killed")
    Model(q4_model).load()
    assert len(cache.entries()) == 1 and rest.exists()
    assert "1 compiled model removed" in run_lowbit("cache", "--clear").stderr
    assert mine.exists() and not rest.exists()


def test_files_that_vanish_or_do_not_fit_are_no_matter(q4_model, own_cache, monkeypatch):
    expected = _logits(Model(q4_model))
    path = cache.entries()[0].path
    find = cache.find
    monkeypatch.setattr(cache, "find", lambda *given: (find(*given), os.unlink(path))[0])
    np.testing.assert_array_equal(_logits(Model(q4_model)), expected)
    monkeypatch.setattr(cache, "find", lambda *given: None)

    def full(self, output):
        raise RuntimeError(f"{output}: cannot write: No space left on device")

    monkeypatch.setattr(Model, "compile", full)
    with pytest.warns(RuntimeWarning, match="is not kept: .*No space left"):
        np.testing.assert_array_equal(_logits(Model(q4_model)), expected)


def test_a_file_that_changes_while_it_is_compiled_is_not_kept(q4_model, own_cache, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(q4_model.read_bytes())
    model = Model(path)
    compile = model.compile
    model.compile = lambda output: (compile(output), os.utime(path))
    model.load()
    assert cache.entries() == []


def test_threads_do_not_share_a_model(q4_model):
    model = Model(q4_model)
    model.load()

    def second(token):
        with pytest.raises(LowbitError, match="generating in another thread"):
            model.generate(PROMPT, 1)

    model.generate(PROMPT, 2, on_token=second)
    # The session itself takes one call at a time.
    session = model._session
    tokens = np.array(PROMPT, np.int64)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(session.prefill, tokens, 1) for _ in range(12)]
    assert all(np.isfinite(run.result()).all() for run in runs)


def test_without_a_folder_models_run_all_the_same(q4_model, tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("in the way")
    monkeypatch.setenv("LOWBIT_COMPILE_CACHE", str(file / "folder"))
    assert Model(q4_model).compile_seconds > 0
    monkeypatch.setenv("LOWBIT_COMPILE_CACHE", str(tmp_path / "unused"))
    assert Model(q4_model, use_cache=False).compile_seconds > 0
    assert not (tmp_path / "unused").exists()
