"""The byte model's text, and its files: what its metadata says, how it is packed for git and expanded from there.

models/byte-model.f16.gguf.xz holds the model: matrices in f16, norms in f32. Expanded, every weight
is the same number in f32:

    byte-model.gguf          llama architecture, read by llama.cpp, too
    byte-model.safetensors   the form that `lowbit encode` writes
    byte-model-held-out.txt  the part of the King James text that the model was not trained on

Run as a script it expands into a folder: scripts/get-byte-model.sh does, and checks the result.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGUFValueType as ValueType

PACKED = Path(__file__).resolve().parents[1] / "models"
PACKED_MODEL = PACKED / "byte-model.f16.gguf.xz"
PACKED_HELD_OUT = PACKED / "byte-model-held-out.txt.xz"
PACKED_SUMS = PACKED / "byte-model.sha256"  # of what they expand to

# Rows of 256 and 768 are what K-quants need.
VOCABULARY = 256
WIDTH = 256
HIDDEN = 768
LAYERS = 4
HEADS = 4
KV_HEADS = 2
HEAD_WIDTH = WIDTH // HEADS
ROTARY_BASE = 10000.0
EPSILON = 1e-5
CONTEXT = 1024

# The text: `bible -f` prints "Ge1:1 In the beginning …", a verse a line.
TEXT_SHA256 = "cd45f0c9cedab8e4439bd6486c8952c77cc8b0ecc5d1f6ae3513f2039f47229d"
HELD_OUT_EVERY = 20  # chapters 20, 40, … of 1,189


def read_text() -> tuple[bytes, bytes]:
    """The training text and the held-out text: a verse a line, an empty line after each chapter."""
    try:
        done = subprocess.run(
            ["bible", "-f", "-l100000", "Gen1:1-Rev22:21"], capture_output=True, check=True
        )
    except FileNotFoundError:
        raise RuntimeError(
            "no program `bible`: install Debian's bible-kjv and bible-kjv-text"
        ) from None
    if hashlib.sha256(done.stdout).hexdigest() != TEXT_SHA256:
        raise RuntimeError("`bible` prints another text than that of version 4.38")
    chapters: dict[bytes, list[bytes]] = {}
    for line in done.stdout.splitlines():
        reference, verse = line.split(b" ", 1)
        chapters.setdefault(reference.split(b":")[0], []).append(verse)
    train, held_out = [], []
    for number, verses in enumerate(chapters.values(), 1):
        part = held_out if number % HELD_OUT_EVERY == 0 else train
        part.append(b"\n".join(verses) + b"\n\n")
    return b"".join(train), b"".join(held_out)


def byte_tokens() -> list[str]:
    """GPT-2's stand-in for each byte: itself where it prints, else the next from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


# Key, type ("[x]": an array of x), value.
METADATA: list[tuple[str, str, Any]] = [
    ("general.architecture", "string", "llama"),
    ("general.name", "string", "Lowbit byte model"),
    ("llama.vocab_size", "u32", VOCABULARY),
    ("llama.context_length", "u32", CONTEXT),
    ("llama.embedding_length", "u32", WIDTH),
    ("llama.block_count", "u32", LAYERS),
    ("llama.feed_forward_length", "u32", HIDDEN),
    ("llama.attention.head_count", "u32", HEADS),
    ("llama.attention.head_count_kv", "u32", KV_HEADS),
    ("llama.attention.layer_norm_rms_epsilon", "f32", float(np.float32(EPSILON))),
    ("llama.rope.dimension_count", "u32", HEAD_WIDTH),
    ("llama.rope.freq_base", "f32", ROTARY_BASE),
    # Byte-pair encoding without pairs: token i is byte i. llama.cpp wants the key of the merges.
    ("tokenizer.ggml.model", "string", "gpt2"),
    ("tokenizer.ggml.pre", "string", "gpt-2"),
    ("tokenizer.ggml.tokens", "[string]", byte_tokens()),
    ("tokenizer.ggml.token_type", "[i32]", [1] * VOCABULARY),
    ("tokenizer.ggml.merges", "[string]", []),
    # No text has the byte 0. Without these keys llama.cpp takes byte 11 for both.
    ("tokenizer.ggml.bos_token_id", "u32", 0),
    ("tokenizer.ggml.eos_token_id", "u32", 0),
    ("tokenizer.ggml.add_bos_token", "bool", False),
]

_TYPES = {
    "string": ValueType.STRING,
    "u32": ValueType.UINT32,
    "i32": ValueType.INT32,
    "f32": ValueType.FLOAT32,
    "bool": ValueType.BOOL,
}


def _all_metadata(is_f16: bool) -> list[tuple[str, str, Any]]:
    file_type = gguf.LlamaFileType.MOSTLY_F16 if is_f16 else gguf.LlamaFileType.ALL_F32
    return [*METADATA, ("general.file_type", "u32", int(file_type))]


class _Writer(gguf.GGUFWriter):
    """The format allows empty arrays, gguf's writer does not."""

    def _pack_val(self, val, vtype, add_vtype, sub_type=None):
        if vtype == ValueType.ARRAY and not val:
            type_of_value = self._pack("I", vtype) if add_vtype else b""
            return type_of_value + self._pack("I", sub_type) + self._pack("Q", 0)
        return super()._pack_val(val, vtype, add_vtype, sub_type)


def write_gguf(path: Path, weights: dict[str, np.ndarray]) -> None:
    """`weights` as they are: all f32, or matrices in f16 and the rest f32."""
    is_f16 = any(weight.dtype == np.float16 for weight in weights.values())
    writer = _Writer(path, "llama")  # adds general.architecture itself
    for key, kind, value in _all_metadata(is_f16)[1:]:
        if kind.startswith("["):
            writer.add_key_value(key, value, ValueType.ARRAY, sub_type=_TYPES[kind[1:-1]])
        else:
            writer.add_key_value(key, value, _TYPES[kind])
    for name, weight in weights.items():
        writer.add_tensor(name, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_safetensors(path: Path, weights: dict[str, np.ndarray]) -> None:
    """A Lowbit archive (include/lowbit/Archive/Archive.h) of f32 weights."""

    def text(value: Any) -> str:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)

    directory = {
        name: {"shape": weight.shape, "encoding": "", "components": ["values"]}
        for name, weight in weights.items()
    }
    header: dict[str, Any] = {
        "__metadata__": {
            "lowbit.version": "1",
            "lowbit.tensors": text(directory),
            "lowbit.model": text(
                {key: {kind: value} for key, kind, value in sorted(_all_metadata(is_f16=False))}
            ),
        }
    }
    end = 0
    for name, weight in weights.items():
        offsets = [end, end + weight.nbytes]
        header[name] = {"dtype": "F32", "shape": weight.shape, "data_offsets": offsets}
        end += weight.nbytes
    encoded = text(header).encode()
    encoded += b" " * (-(8 + len(encoded)) % 64)  # the data begins on a cache line
    with open(path, "wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for weight in weights.values():
            file.write(weight.astype("<f4").tobytes())


def pack(weights: dict[str, np.ndarray], held_out: bytes) -> None:
    """Writes the three committed files; matrices are rounded to f16."""
    rounded = {
        name: weight.astype(np.float16 if weight.ndim == 2 else np.float32)
        for name, weight in weights.items()
    }
    PACKED.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PACKED) as folder:
        plain, model, text = (Path(folder) / name for name in ("plain", "model", "text"))
        write_gguf(plain, rounded)
        model.write_bytes(lzma.compress(plain.read_bytes(), preset=9 | lzma.PRESET_EXTREME))
        text.write_bytes(lzma.compress(held_out, preset=9 | lzma.PRESET_EXTREME))
        os.replace(model, PACKED_MODEL)
        os.replace(text, PACKED_HELD_OUT)
    with tempfile.TemporaryDirectory() as folder:
        expand(Path(folder))
        PACKED_SUMS.write_text(
            "".join(
                f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
                for path in sorted(Path(folder).iterdir())
            )
        )


def read_weights() -> dict[str, np.ndarray]:
    """The packed weights, in f32."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(lzma.decompress(PACKED_MODEL.read_bytes()))
        file.flush()
        return {
            # GGUF counts axes from the last one; the data is row-major as numpy's.
            tensor.name: tensor.data.astype(np.float32).reshape(tensor.shape[::-1].tolist())
            for tensor in gguf.GGUFReader(file.name).tensors
        }


def expand(folder: Path) -> None:
    """Writes the three files that the head of this page names into `folder`."""
    weights = read_weights()
    write_gguf(folder / "byte-model.gguf", weights)
    write_safetensors(folder / "byte-model.safetensors", weights)
    (folder / "byte-model-held-out.txt").write_bytes(lzma.decompress(PACKED_HELD_OUT.read_bytes()))


if __name__ == "__main__":
    if len(sys.argv) != 2 or not os.path.isdir(sys.argv[1]):
        sys.exit("usage: byte_model.py FOLDER")
    expand(Path(sys.argv[1]))
