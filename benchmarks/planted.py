"""Outlier channels, planted in a language model that computes the same with them.

Large models have a few channels of the residual stream that are tens of times larger than others (Dettmers et al. 2022, arXiv 2208.07339); small ones
have none. Here some gains of each RMS norm are multiplied by a factor, and the columns of the weights that read them divided by it: the activations have
outliers then, always in the same channels, and the float model is what it was.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lowbit import _lowbit

Array = NDArray[np.float32]

PART = 0.005
"""Of the channels of a norm; at least one."""
LEAST, LARGEST = 20.0, 100.0
"""Factors, even on a scale of logarithms."""
SEED = 1611

# The weights that read a norm's output, by the names of GGUF. The last norm's only reader may be the embedding, which others look up.
READERS = {
    "attn_norm.weight": ("attn_q.weight", "attn_k.weight", "attn_v.weight"),
    "ffn_norm.weight": ("ffn_gate.weight", "ffn_up.weight"),
    "output_norm.weight": ("output.weight",),
}


@dataclass(frozen=True)
class Outlier:
    gain: str
    channel: int
    factor: float


def readers(gain: str, names: Sequence[str]) -> list[str]:
    """The weights that a gain can be undone in; none where one of them is missing."""
    for kind, weights in READERS.items():
        if gain == kind or gain.endswith("." + kind):
            prefix = gain.removesuffix(kind)
            wanted = [prefix + weight for weight in weights]
            return wanted if all(weight in names for weight in wanted) else []
    return []


def choose(gains: Mapping[str, int], seed: int = SEED) -> list[Outlier]:
    """For gains with so many channels."""
    generator = np.random.default_rng(seed)
    return [
        Outlier(gain, int(channel), float(np.exp(generator.uniform(*np.log([LEAST, LARGEST])))))
        for gain, channels in gains.items()
        for channel in generator.choice(channels, max(1, round(PART * channels)), replace=False)
    ]


def planted_tensors(
    archive: _lowbit.Archive, outliers: Sequence[Outlier]
) -> Iterator[tuple[str, Array]]:
    """Every gain and weight that changes, by name, in f32."""
    names = [tensor.name for tensor in archive.tensors]
    for gain in dict.fromkeys(outlier.gain for outlier in outliers):
        here = [outlier for outlier in outliers if outlier.gain == gain]
        values = archive.tensor_f32(gain).copy()
        for outlier in here:
            values[outlier.channel] *= np.float32(outlier.factor)
        yield gain, values
        for name in readers(gain, names):
            weight = archive.tensor_f32(name).copy()
            for outlier in here:
                weight[:, outlier.channel] /= np.float32(outlier.factor)
            yield name, weight


def plant(model: str, output: Path) -> list[Outlier]:
    """Writes the model of an archive with outliers; the tensors that change are f32 in it."""
    archive = _lowbit.Archive(model)
    names = [tensor.name for tensor in archive.tensors]
    gains = {t.name: t.shape[0] for t in archive.tensors if readers(t.name, names)}
    if not gains:
        raise ValueError(f"{model} has no norms with the names of a llama model")
    outliers = choose(gains)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        changed = str(Path(folder) / "changed.safetensors")
        tensors = [
            (name, list(values.shape), "", {"values": values})
            for name, values in planted_tensors(archive, outliers)
        ]
        _lowbit.write_archive(changed, {}, tensors)
        _lowbit.merge_archives(archive, [changed], {}, str(output))
    return outliers
