"""What benchmarks/precision.py measures: which model, which recipe, which encodings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

from lowbit.precision.recipes import RECIPES

MODELS = ("byte", "minilm", "smollm2")
PLANTED = "+outliers"
"""After the name of a language model: with the outliers of planted.py."""

NEAREST, NEAREST_MSE, CLIP = "rtn", "rtn, mse", "clip,nearest"
GPTQ_PLAIN = "gptq, plain scales"
GPTQ_SWEPT = "gptq, swept"
GPTQ_NATURAL = "gptq, natural order"

# llama.cpp's types of files (llama_ftype), and what they are called.
LLAMA_TYPES = {7: "Q8_0", 8: "Q5_0", 15: "Q4_K_M", 3: "Q4_1", 2: "Q4_0", 12: "Q3_K_M", 10: "Q2_K"}

# What K-quants store codes and scales as (without the bytes' order in a file): encoding, bits of codes, group.
_MIN = "scale = f16 per [1, 256] * {0} per [1, {1}], min = f16 per [1, 256] * {0} per [1, {1}]"
K_QUANTS = {
    "Q4_K": ("uint<4>, " + _MIN.format("uint<6>", 32), 4, 32),
    "Q3_K": ("int<3>, scale = f16 per [1, 256] * int<6> per [1, 16]", 3, 16),
    "Q2_K": ("uint<2>, " + _MIN.format("uint<4>", 16), 2, 16),
}

TOKEN, GROUPS = "per axis 0", "per [1, 64]"
"""Scales of activations: one for each token; one for each 64 channels of it."""


@dataclass(frozen=True)
class Quantized:
    """A model in other weights."""

    model: str
    recipe: str
    """What it is called in tables; "float" for the model itself, "llama.cpp TYPE" for the peer's."""
    pipeline: str = ""
    weights: str = ""
    """Encoding of what products multiply with."""
    bits: int = 32
    group: int = 0
    budget: str = ""
    """For recipes that allocate."""

    @property
    def key(self) -> str:
        kind = f"w{self.bits}g{self.group}" if self.group else ""
        return " | ".join(filter(None, [self.model, self.recipe, kind]))


@dataclass(frozen=True)
class Job:
    """A quantized model, and what its activations, keys and values are stored in."""

    quantized: Quantized
    activations: str | None = None
    kv_cache: str | None = None

    @property
    def key(self) -> str:
        parts = [self.quantized.key]
        if self.activations:
            parts.append(f"a: {self.activations}")
        if self.kv_cache:
            parts.append(f"kv: {self.kv_cache}")
        return " | ".join(parts)


def integers(bits: int, group: int, least_error: bool = False) -> str:
    rule = ", rule = mse" if least_error else ""
    return f"#lowbit.quantized<int<{bits}>, scale = f16 per [1, {group}]{rule}>"


def activations(bits: int, scale: str) -> str:
    return f"int<{bits}>, scale = f32 {scale}"


@dataclass(frozen=True)
class Row:
    """A recipe of the table, at any number of bits."""

    recipe: str
    pipeline: str
    least_error: bool
    """Whether scales are those of least squared error, not those that fit the largest weight."""

    def quantized(self, model: str, bits: int, group: int = 32) -> Quantized:
        weights = integers(bits, group, self.least_error)
        # What the others take: the codes, and their scales.
        budget = f"{bits + 16 / group}bpw" if self.pipeline.startswith("allocate") else ""
        return Quantized(model, self.recipe, self.pipeline, weights, bits, group, budget)


def _row(name: str) -> Row:
    recipe = RECIPES[name]
    return Row(name, recipe.pipeline, "rule = mse" in recipe.weights)


EXTRA = {
    row.recipe: row
    for row in (
        Row(NEAREST_MSE, "nearest", True),
        Row(CLIP, "clip,nearest", False),
        Row(GPTQ_PLAIN, "gptq", False),
        Row(GPTQ_SWEPT, "gptq{sweeps=3 refit=true}", True),
        Row(GPTQ_NATURAL, "gptq{order=natural}", True),
    )
}


def find(name: str) -> Row:
    return EXTRA[name] if name in EXTRA else _row(name)


def weight_rows() -> list[Row]:
    """Recipes for weights alone: those of lowbit.precision that are made for integers and no rounded activations, and some more."""
    named = [
        _row(name)
        for name, recipe in RECIPES.items()
        if recipe.activations is None and "<learned<" not in recipe.weights
    ]
    return [*named, EXTRA[NEAREST_MSE], EXTRA[CLIP], EXTRA[GPTQ_SWEPT], EXTRA[GPTQ_NATURAL]]


def activation_rows() -> list[Row]:
    """Recipes to compare under rounded activations: those made for them, and what others do there. Static scales have a benchmark of their own
    (static_activations.py)."""
    wanted = {name: recipe.activations or "" for name, recipe in RECIPES.items()}
    made = [
        name for name, activations in wanted.items() if activations and "given" not in activations
    ]
    others = [name for name in ("rtn", "gptq", "awq", "rotate", "svdquant") if name in RECIPES]
    return [_row(name) for name in [*others, *(n for n in made if n not in others)]]


def _weights_only(model: str) -> Iterator[Job]:
    # SmolLM2's weights lie on a grid of 4 bits already.
    for bits in (3,) if model == "smollm2" else (4, 3) if PLANTED in model else (4, 3, 2):
        for row in weight_rows():
            yield Job(row.quantized(model, bits))
    if model == "smollm2":
        yield Job(find(NEAREST).quantized(model, 4))
        yield Job(find("gptq").quantized(model, 4))
    if model in ("byte", "minilm"):  # the ladder's step between 2 and 3 bits in groups of 32
        for name in ("gptq", "mixed"):
            yield Job(find(name).quantized(model, 2, 16))
    if model == "minilm":
        yield Job(find(GPTQ_PLAIN).quantized(model, 3))
        for name in (NEAREST, NEAREST_MSE, "gptq", GPTQ_PLAIN):
            yield Job(find(name).quantized(model, 3, 64))


def _peers() -> Iterator[Job]:
    """Of the byte model: llama.cpp's quantizer, and ours at its sizes and in its formats."""
    for number, name in LLAMA_TYPES.items():
        yield Job(Quantized("byte", f"llama.cpp {name}", f"llama.cpp {number}"))
    for bits in (8, 5):
        for name in (NEAREST, "gptq"):
            yield Job(find(name).quantized("byte", bits))
    for name, (encoding, bits, group) in K_QUANTS.items():
        weights = f"#lowbit.quantized<{encoding}>"
        yield Job(Quantized("byte", f"gptq in {name}", "gptq", weights, bits, group))


def _activations(model: str) -> Iterator[Job]:
    for row in activation_rows():
        for bits, rounded in ((8, 8), (4, 8), (4, 4)):
            for scale in (TOKEN, GROUPS) if model == "byte" else (TOKEN,):
                yield Job(row.quantized(model, bits), activations(rounded, scale))


def _caches(model: str) -> Iterator[Job]:
    float_model, gptq = Quantized(model, "float"), find("gptq").quantized(model, 4)
    for cache in ("int8", "int4"):
        yield Job(float_model, None, cache)
        yield Job(gptq, None, cache)
    for cache in ("int8", "int4"):
        yield Job(gptq, activations(8, GROUPS), cache)


def jobs(models: list[str]) -> list[Job]:
    """All of them; those of one quantized model stand together."""
    listed: list[Job] = []
    for model in models:
        listed += [Job(Quantized(model, "float")), *_weights_only(model)]
    if "byte" in models:
        listed += _peers()
    for model in models:
        if model != "minilm":
            planted = model + PLANTED
            listed += [*_activations(model), *_caches(model)]
            listed += [Job(Quantized(planted, "float"))]
            listed += _weights_only(planted) if model == "byte" else []
            listed += _activations(planted)
    order = {
        quantized: n for n, quantized in reversed(list(enumerate(j.quantized for j in listed)))
    }
    return sorted(dict.fromkeys(listed), key=lambda job: order[job.quantized])
