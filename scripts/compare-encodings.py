#!/usr/bin/env python3
"""Which encoding to pick at which size: weights of two real models in many encodings, measured.

scripts/compare-encodings.py [--only NAME …] [--output docs/Encodings.md]

SmolLM2-135M-Instruct (scripts/get-smollm2.sh): perplexity of the first tokens of Debian's Artistic licence. The byte model
(scripts/get-byte-model.sh): bits per byte of windows of its held-out text. Every figure is computed twice: by `lowbit encode` and the
compiled model, and (the byte model's on some of the windows) by numpy (test/python/numpy_encodings.py, reference.py), which shares no code with Lowbit. The program fails
where the two differ by more than 0.1 %. About half a minute for each encoding on two cores.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "test/python"), str(ROOT / "build/python")]

from lowbit import Model  # noqa: E402
from lowbit._lowbit import Archive, encode_archive  # noqa: E402
from numpy_encodings import CASES, HighBits, Learned, PartRows, Quantized, Residual  # noqa: E402
from numpy_encodings import SumWithSparse, Tree, per  # noqa: E402
from numpy_formats import BF16, E2M1, E2M3, E3M2, E4M3, E5M2, E8M0, F16, F32, NF4  # noqa: E402
from numpy_formats import Integer, Table, dynamic, levels, lloyd_max  # noqa: E402
from reference import GgufFile, Llama, perplexity  # noqa: E402

# The byte model was trained on windows of this many bytes.
WINDOW = 1024
# How many of them, spread over the held-out text; numpy takes the first ones of these.
WINDOWS, NUMPY_WINDOWS = 24, 4


def quantized(text: str, *arguments, **options) -> tuple[str, Quantized]:
    return f"#lowbit.quantized<{text}>", Quantized(*arguments, **options)


def unsigned(bits: int) -> Integer:
    return Integer(bits, signed=False)


def symmetric(bits: int, block: int) -> tuple[str, Quantized]:
    text = f"int<{bits}>, scale = f16 per [1, {block}]"
    return quantized(text, Integer(bits), per(F16, 1, block))


def with_minimum(bits: int, block: int) -> tuple[str, Quantized]:
    text = f"uint<{bits}>, scale = f16 per [1, {block}], min = f16 per [1, {block}]"
    return quantized(text, unsigned(bits), per(F16, 1, block), "min", per(F16, 1, block))


def mx(name: str, format) -> tuple[str, Quantized]:
    """OCP Microscaling: blocks of 32, a power of two each."""
    return quantized(f"{name}, scale = e8m0 per [1, 32]", format, per(E8M0, 1, 32), is_mx=True)


def codebook(text: str, table: Table, block: int, element: str = "f16") -> tuple[str, Quantized]:
    scale = per({"f16": F16, "bf16": BF16, "f32": F32}[element], 1, block)
    return quantized(f"codebook<{text}>, scale = {element} per [1, {block}]", table, scale)


def sum_of(first: tuple, second: tuple) -> tuple[str, Residual]:
    return f"#lowbit.sum<{first[0]}, {second[0]}>", Residual(first[1], second[1])


def with_outliers(base: tuple, density: float) -> tuple[str, SumWithSparse]:
    text = f"#lowbit.sum<{base[0]}, #lowbit.sparse<f16, density = {density}>>"
    return text, SumWithSparse(base[1], density)


def two_levels(element, outer: int, inner_format, inner: int) -> Tree:
    return Tree(((element, (1, outer)), (inner_format, (1, inner))))


def high_bits(kept: int) -> tuple[str, HighBits]:
    text = "int<8>, scale = f16 per [1, 32], layout = planes<2, 2, 4>"
    return f"#lowbit.quantized<{text}>", HighBits(Quantized(Integer(8), per(F16, 1, 32)), kept)


def least_error(bits: int, block: int) -> tuple[str, Quantized]:
    text = f"int<{bits}>, scale = f16 per [1, {block}], rule = mse"
    return quantized(text, Integer(bits), per(F16, 1, block), steps=16)


def learned(bits: int, block: int | None = None) -> tuple[str, Learned]:
    scale = f", scale = f16 per [1, {block}]" if block else ""
    text = f"#lowbit.quantized<learned<{bits}, f16 per axis 0>{scale}>"
    return text, Learned(bits, per(F16, 1, block) if block else None)


_K4 = two_levels(F16, 256, unsigned(6), 32)
_K4_TEXT = "f16 per [1, 256] * uint<6> per [1, 32]"

# From many bits to few.
ENCODINGS: dict[str, tuple[str, object]] = {
    "int8, a scale for each row": CASES["int8-rows"],
    "int8, blocks of 32": symmetric(8, 32),
    "two int4, the second for the error of the first": sum_of(symmetric(4, 32), symmetric(4, 32)),
    "dynamic exponent, 8 bits": codebook("dynamic, 8", dynamic(True), 256, "f32"),
    "MXFP8 e4m3": mx("e4m3", E4M3),
    "MXFP8 e5m2": mx("e5m2", E5M2),
    "int6, blocks of 32": symmetric(6, 32),
    "int8, blocks of 32: the high 6 bits": high_bits(6),
    "MXFP6 e2m3": mx("e2m3", E2M3),
    "MXFP6 e3m2": mx("e3m2", E3M2),
    "int5, blocks of 32": symmetric(5, 32),
    "learned, 4 bits, for each row; blocks of 32": learned(4, 32),
    "learned, 4 bits, for each row": learned(4),
    "int8, blocks of 32: the high 4 bits": high_bits(4),
    "int4 + minimum, blocks of 32": CASES["uint4-min"],
    "int4 + zero point, blocks of 32": CASES["uint4-zero"],
    "int4 + minimum, nested scales (as Q4_K)": quantized(
        f"uint<4>, scale = {_K4_TEXT}, min = {_K4_TEXT}", unsigned(4), _K4, "min", _K4
    ),
    "rows 0-63 in int8, others in int4": CASES["part-8-4"],
    "int4 + 0.5 % outliers": with_outliers(symmetric(4, 32), 0.005),
    "int4, blocks of 32": CASES["int4"],
    "int4, blocks of 32, least error": least_error(4, 32),
    "NVFP4": quantized(
        "e2m1, scale = f32 per tensor * e4m3 per [1, 16]",
        E2M1,
        Tree(((F32, (None, None)), (E4M3, (1, 16)))),
    ),
    "NF4, blocks of 64": CASES["nf4"],
    "NF4, nested scales": quantized(
        "codebook<nf4>, scale = f32 per [1, 256] * uint<8> per [1, 64]",
        Table(NF4),
        two_levels(F32, 256, unsigned(8), 64),
    ),
    "MXFP4": mx("e2m1", E2M1),
    "Lloyd-Max, 4 bits, blocks of 64": codebook("gaussian, 4", lloyd_max(4), 64),
    "int4, blocks of 128": symmetric(4, 128),
    "int3 + 1 % outliers": CASES["int3-sparse"],
    "int3 + minimum, blocks of 32": with_minimum(3, 32),
    "learned, 3 bits, for each row; blocks of 32": learned(3, 32),
    "int3, blocks of 32": symmetric(3, 32),
    "int3, blocks of 32, least error": least_error(3, 32),
    "Lloyd-Max, 3 bits, blocks of 64": codebook("gaussian, 3", lloyd_max(3), 64),
    "int2 + minimum, blocks of 16": with_minimum(2, 16),
    "Lloyd-Max, 2 bits, blocks of 32": codebook("gaussian, 2", lloyd_max(2), 32),
    "ternary, blocks of 32": codebook("[-1.0, 0.0, 1.0]", levels([-1, 0, 1]), 32),
}


@dataclass
class Subject:
    """A model, and the runs of tokens that it is measured on."""

    path: str
    runs: list[list[int]]
    is_bytes: bool

    def figure(self, bits: np.ndarray) -> float:
        """The perplexity of runs with so many bits per token, or bits per byte where a token is a byte."""
        return float(bits.mean() if self.is_bytes else 2.0 ** bits.mean())

    def encoded(self, text: str | None, folder: str) -> str:
        """The path of the model in an encoding."""
        if not text:
            return self.path
        path = os.path.join(folder, "model.safetensors")
        encode_archive(self.path, path, text, [], lambda *_: None)
        return path

    def by_lowbit(self, path: str, kept: int | None) -> tuple[np.ndarray, float]:
        """Bits per token of each run, and per weight of the matrices; `kept`: high bits of 8 that are read."""
        matrices = [tensor for tensor in Archive(path).tensors if len(tensor.shape) == 2]
        bits = 8 * sum(tensor.bytes for tensor in matrices)
        weights = sum(math.prod(tensor.shape) for tensor in matrices)
        model = Model(path, activations="f32", prefix_bits=kept)
        each = np.log2([model.perplexity(run) for run in self.runs])
        return each, bits / weights - (8 - kept if kept else 0)

    def by_numpy(self, encoding, path: str) -> np.ndarray:
        """Bits per token of the first runs."""
        archive = Archive(path)

        def replace(name, weight):
            if encoding is None or weight.ndim != 2:
                return weight
            names = getattr(encoding, "given", ())
            stored = archive.components(name) if names else {}
            parts = encoding.encode(weight, **{part: stored[part] for part in names})
            return encoding.decode(parts, weight.shape)

        model, perplexities = Llama(GgufFile(self.path), replace), []
        for run in self.runs[:NUMPY_WINDOWS]:
            model.reset()
            perplexities.append(perplexity(model.forward(run), run))
        return np.log2(perplexities)


def script(name: str) -> str:
    done = subprocess.run([ROOT / "scripts" / name], capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


def subjects(length: int) -> dict[str, Subject]:
    smollm2 = script("get-smollm2.sh")
    licence = Path("/usr/share/common-licenses/Artistic").read_text()
    tokens = Model(smollm2).tokenizer.encode(licence, add_bos=False)[:length]
    byte_model = Path(script("get-byte-model.sh"))
    held_out = byte_model.with_name("byte-model-held-out.txt").read_bytes()
    starts = np.arange(WINDOWS) * (len(held_out) // WINDOWS)
    windows = [list(held_out[at : at + WINDOW]) for at in starts]
    return {
        "SmolLM2": Subject(smollm2, [tokens], is_bytes=False),
        "byte model": Subject(str(byte_model), windows, is_bytes=True),
    }


def measure(subject: Subject, text: str | None, encoding) -> tuple[float, np.ndarray, float]:
    """Bits per weight, bits per token of each run, and how far numpy's figure is from that."""
    with tempfile.TemporaryDirectory() as folder:
        path = subject.encoded(text, folder)
        each, bits = subject.by_lowbit(path, getattr(encoding, "kept", None))
        expected = subject.by_numpy(encoding, path)
    ours = subject.figure(each[: len(expected)])
    return bits, each, abs(ours / subject.figure(expected) - 1)


def frontier(rows: list[dict]) -> set[str]:
    """The encodings that no other one of as few bits betters on the byte model."""
    best, names = math.inf, set()
    for row in sorted(rows, key=lambda row: (row["bits"], row["byte model"])):
        if row["byte model"] < best:
            best = row["byte model"]
            names.add(row["name"])
    return names


def page(rows: list[dict], length: int) -> str:
    processor = platform.processor() or platform.machine()
    file, rows = rows[0], sorted(rows[1:], key=lambda row: (-row["bits"], row["byte model"]))
    best = frontier(rows)
    lines = [
        "# Which encoding to pick",
        "",
        f"Written by `scripts/compare-encodings.py` on {time.strftime('%Y-%m-%d')} ({processor}). All matrices of two models (the embedding too) in one",
        "encoding each, rounded to nearest, without calibration; by size. **Bold**: no other one of as few bits is better on the byte model.",
        "",
        f"- *Byte model*: bits per byte of {WINDOWS} windows of {WINDOW} bytes, spread over its held-out text; its weights lie on no grid. *Costs*: more than in f32, with the standard",
        "  error of the paired differences; less than twice that is no difference.",
        f"- *SmolLM2-135M-Instruct*: perplexity of the first {length} tokens of Debian's `Artistic` licence. The weights that we have of it, all but its embedding, lie on",
        "  the grid of Q4_1 already, which favours encodings of that grid.",
        "- *From numpy by*: each figure was computed twice, by the compiled model and by numpy (`test/python/numpy_encodings.py`), which shares no code with Lowbit (of",
        f"  learned levels, which it takes from the file, it checks the use; of the byte model it takes {NUMPY_WINDOWS} windows). The larger relative difference.",
        "- *The high 6 bits* and *4 bits*: one file, read with `--prefix-bits`.",
        "",
        "| encoding | bits/weight | byte model | costs | SmolLM2 | from numpy by |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for row in [file, *rows]:
        name = f"**{row['name']}**" if row["name"] in best else row["name"]
        cost = "" if row is file else f"{row['cost']:+.4f} ± {row['error']:.4f}"
        perplexity = f"{row['SmolLM2']:.2f}" if row["SmolLM2"] < 1000 else "> 1000"
        lines.append(
            f"| {name} | {row['bits']:.3f} | {row['byte model']:.4f} | {cost} | {perplexity} | {row['difference']:.0e} |"
        )
    lines += ["", "The attributes, to copy:", ""]
    lines += ["| encoding | attribute |", "|---|---|"]
    lines += [f"| {row['name']} | `{row['text']}` |" for row in rows if row["text"]]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=list(ENCODINGS), metavar="NAME")
    parser.add_argument("--tokens", type=int, default=512, help="of SmolLM2's text")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/Encodings.md")
    options = parser.parse_args()

    chosen = {"as in the file": (None, None)}
    chosen |= {name: ENCODINGS[name] for name in options.only or ENCODINGS}
    measured = subjects(options.tokens)
    rows = []
    for name, (text, encoding) in tqdm(chosen.items(), unit="encoding", disable=None):
        row = {"name": name, "text": text, "difference": 0.0}
        for model, subject in measured.items():
            bits, each, difference = measure(subject, text, encoding)
            row |= {model: subject.figure(each), "bits": row.get("bits", bits)}
            row["difference"] = max(row["difference"], difference)
            if subject.is_bytes:
                in_file = each if text is None else in_file
                row["cost"] = float((each - in_file).mean())
                row["error"] = float((each - in_file).std(ddof=1) / math.sqrt(len(each)))
        rows.append(row)
        tqdm.write(f"{name}: {row}")
    if options.only is None:
        options.output.write_text(page(rows, options.tokens))
    wrong = [row["name"] for row in rows if row["difference"] > 1e-3]
    if wrong:
        print(f"differ from numpy: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
