"""A step that fixes the scales of keys and values, so that a cache holds codes and nothing else.

A head's keys K are only ever multiplied with its queries, and its values V with the output matrix behind them: (K / s)(s Q)^T = K Q^T, and rotary embeddings
turn pairs of channels, which one s leaves as they are. So a scale that calibration fixes goes into the weights before and behind: what a cache is given is in
units of its steps already, and its type is `int<8>`, without scales.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _lowbit
from ..errors import LowbitError
from .bounds import BoundOptions
from .caches import METADATA_KEY, Caches
from .histogram import Histogram
from .sources import LanguageModel, Source, Tokens
from .steps import ModelStep, Note, step

_BINS = 1 << 13
"""32 for each factor of 2."""


@step("static-caches")
@dataclass(frozen=True)
class StaticCaches(BoundOptions, ModelStep):
    """Keys and values in the steps of integer codes: one scale for each head of either, as calibration found it, folded into the weights of queries, keys, values and
    attention outputs, so that caches are `int<BITS>` without scales. by=maximum, percentile, mse: as static-activations. Of llamas.
    """

    needs_text = True
    fixes_caches = True

    def transform(
        self, source: Source, path: str, note: Note, sequences: Sequence[Tokens] = ()
    ) -> Source:
        if not isinstance(source, LanguageModel):
            raise LowbitError(
                f"which arguments of '{source.path}' are caches is not known",
                hint="leave the step 'static-caches' out: it is for language models",
            )
        shapes = {tensor.name: tensor.shape for tensor in source.archive.tensors}
        changed: dict[str, NDArray[np.float64]] = {}

        def multiply(key: str, axis: int, factors: NDArray[np.float64]) -> None:
            """Channels of heads, which follow each other, on an axis of a parameter."""
            for name in [key] if axis else [key, key.removesuffix("weight") + "bias"]:
                if name not in shapes:
                    continue
                values = changed.get(name, source.archive.tensor_f32(name))
                spread = np.repeat(factors, shapes[name][axis] // len(factors))
                changed[name] = values * (spread if axis or values.ndim == 1 else spread[:, None])

        for name, heads in _measure(source, sequences).items():
            letter, _, layer = name.partition("_")
            bounds = [self.bound(head) for head in heads]
            scales = np.array([bound / self.codes if bound else 1.0 for bound in bounds])
            before, behind = ("attn_k", "attn_q") if letter == "k" else ("attn_v", "attn_output")
            key = f"blk.{layer}.{before}.weight"
            multiply(key, 0, 1 / scales)
            reads = f"blk.{layer}.{behind}.weight"
            queries = source.archive.metadata("llama.attention.head_count")
            multiply(reads, int(letter == "v"), np.repeat(scales, queries // len(scales)))
            most = max(head.largest for head in heads)
            note(
                key, f"outputs in steps of int<{self.bits}>, up to {max(bounds):.4g} of {most:.4g}"
            )
        type = f"int<{self.bits}>"
        return source.with_values(changed, path, {METADATA_KEY: type})


def _measure(source: LanguageModel, sequences: Sequence[Tokens]) -> dict[str, list[Histogram]]:
    """Of each cache its heads'."""
    found: dict[str, list[Histogram]] = {}
    for name, cache in _fill_caches(source, sequences):
        heads = [Histogram.of(head, _BINS) for head in cache]
        before = found.get(name)
        found[name] = [a + b for a, b in zip(before, heads)] if before else heads
    for name, heads in found.items():
        if not all(head.finite for head in heads):
            raise LowbitError(
                f"what '{source.path}' writes into its cache '{name}' is not finite",
                hint="the weights before it may be damaged (NaN or infinity)",
            )
    return found


def _fill_caches(
    source: LanguageModel, sequences: Sequence[Tokens]
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Each cache [heads, tokens, head size] after each sequence."""
    length = max(map(len, sequences))
    program = _lowbit.Program(source.program(length), [source.archive.path])
    caches = Caches(source, length).shapes
    vocabulary = next(t for t in source.archive.tensors if t.name == "token_embd.weight").shape[0]
    for tokens in sequences:
        empty = [np.zeros(shape, np.float32) for shape in caches.values()]
        logits = np.zeros((1, vocabulary), np.float32)
        *filled, _ = program.run("prefill", [tokens, np.array(0, np.int64), *empty, logits])
        for name, cache in zip(caches, filled):
            yield name, cache[:, : len(tokens)]
