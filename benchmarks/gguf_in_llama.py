#!/usr/bin/env python3
"""Whether llama.cpp computes with our GGUF files what we do.

    .venv/bin/python benchmarks/gguf_in_llama.py

The byte model, as it is and with GPTQ's codes in ggml's blocks, in files that `lowbit quantize` writes; held-out text, predicted by our compiled model with
activations in f32 and by llama.cpp, which rounds activations to 8 bits for quantized weights. Nats for each byte. scripts/get-ggml.sh --llama, which
is called, builds llama.cpp; needs Debian's bible-kjv and bible-kjv-text.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np

from lowbit import Model
from lowbit.precision.quantize import Options, Quantization
from machine import ROOT
from quality import LanguageSubject, open_subject

_K = "{0} = f16 per [1, 256] * uint<{1}> per [1, {2}]"
ENCODINGS = {
    "f32": "",
    "Q8_0": "int<8>, scale = f16 per [1, 32], layout = ggml<q8_0>",
    "Q4_0": "int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>",
    "Q4_K": f"uint<4>, {_K.format('scale', 6, 32)}, {_K.format('min', 6, 32)}, layout = ggml<q4_k>",
    "Q3_K": "int<3>, scale = f16 per [1, 256] * int<6> per [1, 16], layout = ggml<q3_k>",
    "Q2_K": f"uint<2>, {_K.format('scale', 4, 16)}, {_K.format('min', 4, 16)}, layout = ggml<q2_k>",
}
WINDOWS = 4


def build(folder: Path) -> Path:
    """llama_likelihood.c, linked with llama.cpp."""
    done = subprocess.run(
        [ROOT / "scripts/get-ggml.sh", "--llama"], capture_output=True, text=True, check=True
    )
    llama = done.stdout.split()[-1]
    program = folder / "llama_likelihood"
    source = ROOT / "benchmarks/llama_likelihood.c"
    libraries = [f"-L{llama}", "-lllama", "-lggml", "-lggml-base", "-lggml-cpu", "-lm"]
    subprocess.run(
        ["clang-22", "-O2", source, f"-I{llama}/include", *libraries]
        + [f"-Wl,-rpath,{llama}", "-o", program],
        check=True,
    )
    return program


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subject = open_subject("byte", folder)
        assert isinstance(subject, LanguageSubject)
        program, windows = build(folder), subject.windows()[:WINDOWS]
        print("| type | ours | llama.cpp | bytes |\n|---|--:|--:|--:|")
        for name, encoding in ENCODINGS.items():
            path = Path(subject.path)
            if encoding:
                path = folder / f"{name}.gguf"
                options = Options("gptq", f"#lowbit.quantized<{encoding}>", tokens=8192)
                run = Quantization(subject.source(), str(path), options, subject.calibration())
                run.run()
            model = Model(
                str(path),
                activations="f32",
                kv_cache="f32",
                context_length=len(windows[0]),
                use_cache=False,
            )
            theirs = []
            for window in windows:
                tokens = folder / "tokens"
                np.asarray(window, np.int32).tofile(tokens)
                done = subprocess.run(
                    [program, path, tokens], stdout=subprocess.PIPE, text=True, check=True
                )
                theirs.append(float(done.stdout))
            ours = np.mean([model.nll(window) for window in windows])
            print(f"| {name} | {ours:.5f} | {np.mean(theirs):.5f} | {path.stat().st_size} |")


if __name__ == "__main__":
    main()
