"""What the tests share: the real model, its reference, and runs of the command line."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
from reference import GgufFile, Llama

ROOT = Path(__file__).parents[2]
ARTISTIC = Path("/usr/share/common-licenses/Artistic")


def _find_in_cache(name: str, script: str) -> Path:
    cache = os.environ.get("LOWBIT_CACHE")
    if not cache:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lowbit"
    path = Path(cache) / name
    if not path.exists():
        pytest.fail(f"no model at {path}: run {script}", pytrace=False)
    return path


@pytest.fixture(scope="session", autouse=True)
def compile_cache(tmp_path_factory, worker_id) -> Path:
    """What the tests compile is kept for them alone, in one place for all their processes."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "compiled"
    os.environ["LOWBIT_COMPILE_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def model_path() -> Path:
    """SmolLM2-135M-Instruct, as scripts/get-smollm2.sh leaves it."""
    return _find_in_cache("SmolLM2-135M-Instruct.Q4_1.gguf", "scripts/get-smollm2.sh")


@pytest.fixture(scope="session")
def minilm_path() -> Path:
    """The folder of MiniLM-L6, as scripts/get-minilm.sh leaves it."""
    return _find_in_cache("all-MiniLM-L6-v2", "scripts/get-minilm.sh")


@pytest.fixture(scope="session")
def gguf_file(model_path) -> GgufFile:
    return GgufFile(model_path)


@pytest.fixture(scope="session")
def tokenizer(gguf_file):
    """Our tokenizer, from the metadata as the `gguf` package reads it."""
    from lowbit.tokenizer import Tokenizer

    return Tokenizer(gguf_file.metadata)


@pytest.fixture(scope="session")
def artistic_tokens(tokenizer) -> list[int]:
    """The first 1,024 tokens of a text that every Debian has."""
    return tokenizer.encode(ARTISTIC.read_text())[:1024]


@pytest.fixture(scope="session")
def reference(gguf_file) -> Llama:
    """The model in numpy. Tests that use it call reset() first."""
    return Llama(gguf_file)


@pytest.fixture(scope="session")
def model(model_path):
    """The compiled model, once for all tests."""
    from lowbit import Model

    return Model(model_path, activations="f32", kv_cache="f32")  # as the numpy reference computes


@pytest.fixture(scope="session")
def byte_model_path() -> Path:
    """The byte model's GGUF (docs/ByteModel.md); expanded where it is missing, which takes a second."""
    done = subprocess.run([ROOT / "scripts/get-byte-model.sh"], stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0
    return Path(done.stdout.strip())


@pytest.fixture(scope="session")
def byte_model_held_out(byte_model_path) -> bytes:
    """The part of the King James text that the byte model was not trained on."""
    return byte_model_path.with_name("byte-model-held-out.txt").read_bytes()


@pytest.fixture(scope="session")
def run_lowbit():
    """Runs `lowbit ARGUMENTS…` in a process of its own; checks its exit status."""

    def run(*arguments, status: int = 0) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "lowbit", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == status, done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def stages_compiled_once():
    """Programs of stages with the same text are compiled once for all tests, and without optimization: that takes a quarter of the time."""
    from lowbit import _lowbit
    from lowbit.precision.stages import StagedProgram

    compiled = functools.cache(lambda text: _lowbit.Program(text, optimization_level=0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StagedProgram, "_program", property(lambda staged: compiled(staged.text)))
        yield


@pytest.fixture
def exact(monkeypatch):
    """A step "exact" for recipes: no rounding, so that what the steps before have done shows alone."""
    from lowbit.precision import steps, weights

    class Exact(steps.Quantizer):
        name = "exact"

        def encode(self, weight):
            return weights.encode(weight.base, "f32")

    monkeypatch.setitem(steps.REGISTRY, "exact", Exact)


@pytest.fixture
def make_gguf(tmp_path):
    """Writes a GGUF file of arrays; a pair (uint8 rows of blocks, type) is stored as it is."""

    def make(name: str, tensors: dict, **metadata: str) -> Path:
        path = tmp_path / name
        writer = gguf.GGUFWriter(path, "llama")
        for key, value in metadata.items():
            writer.add_string(key.replace("__", "."), value)
        for tensor, data in tensors.items():
            if isinstance(data, tuple):
                writer.add_tensor(tensor, data[0], raw_dtype=data[1])
            else:
                writer.add_tensor(tensor, np.ascontiguousarray(data))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return make
