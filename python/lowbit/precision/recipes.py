"""Systems of the literature as pipelines of steps.

A recipe is a name for a pipeline (steps.py) and for what weights, activations and caches are stored in unless one says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import LowbitError
from . import (
    migration,
    mixing,
    outliers,
    permutation,
    quantizers,
    rotation,
    shifting,
    static_activations,
    static_caches,
)  # noqa: F401 (their steps register themselves)
from .steps import REGISTRY, Quantizer, Step, parse

INT4 = "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>"
INT4_MSE = "#lowbit.quantized<int<4>, scale = f16 per [1, 32], rule = mse>"
INT8 = "#lowbit.quantized<int<8>, scale = f16 per [1, 32]>"
INT8_ROWS = "#lowbit.quantized<int<8>, scale = f32 per axis 0>"


@dataclass(frozen=True)
class Recipe:
    name: str
    pipeline: str
    weights: str
    """Encoding of the weights, unless one is given."""
    description: str
    activations: str | None = None
    """What to run the result with, where it is made for something else than the default (`--activations`)."""
    kv_cache: str | None = None

    @property
    def steps(self) -> list[Step]:
        return parse(self.pipeline)


_ALL = [
    Recipe("rtn", "nearest", INT4, "Every weight to its nearest code. Needs no calibration."),
    Recipe(
        "gptq",
        "gptq",
        INT4_MSE,
        "Codes that make up for one another (GPTQ), with scales of least squared error.",
    ),
    Recipe(
        "awq",
        "migrate-scales,clip,nearest",
        INT4,
        "Inputs of large activations get finer weights, blocks are clipped; nearest codes (AWQ).",
    ),
    Recipe(
        "smoothquant",
        "migrate-scales{by=ranges},gptq",
        INT8,
        "Outliers of activations migrate into weights, so that both fit 8 bits (SmoothQuant).",
        activations="int<8>, scale = f32 per [1, 64]",
    ),
    Recipe(
        "static",
        "migrate-scales{by=ranges},static-activations{by=maximum},gptq",
        INT8_ROWS,
        "As smoothquant, with one scale for the inputs of each product, which calibration fixes.",
        activations="int<8>, scale = f32 per tensor, rule = given",
    ),
    Recipe(
        "spqr",
        "sparse-outliers{density=0.01},gptq",
        "#lowbit.quantized<int<3>, scale = f16 per [1, 32], rule = mse>",
        "The 1 % of weights that cost most stay in f16 as a sparse term, GPTQ for the rest (SpQR).",
    ),
    Recipe(
        "owq",
        "column-outliers{density=0.01},gptq",
        "#lowbit.quantized<int<3>, scale = f16 per [1, 32], rule = mse>",
        "The inputs that weak columns hurt most keep f16 weights, GPTQ for the rest (OWQ).",
    ),
    Recipe(
        "squeezellm",
        "sparse-outliers{density=0.0005 by=fisher},sparse-outliers{density=0.004 by=magnitude},kmeans",
        "#lowbit.quantized<learned<3, f16 per axis 0>>",
        "Levels of each row's own, where the loss is sensitive; outliers stay in f16 (SqueezeLLM).",
    ),
    Recipe(
        "llm-int8",
        "column-outliers{by=range threshold=6},nearest",
        INT8,
        "Inputs with outliers, 6 times the median range and at most 1 % of them, keep f16 weights (LLM.int8()).",
        activations="int<8>, scale = f32 per [1, 64]",
    ),
    Recipe(
        "rotate",
        "rotate,gptq",
        INT4_MSE,
        "Hadamard rotations spread outliers over all channels, for weights, activations and caches of 4 bits (QuaRot).",
        activations="int<4>, scale = f32 per [1, 64]",
        kv_cache="int4",
    ),
    Recipe(
        "mixed",
        "allocate,gptq",
        INT4_MSE,
        "Each tensor gets the bits that it needs, for the least loss under --budget; GPTQ's codes.",
    ),
    Recipe(
        "svdquant",
        "low-rank{rank=16},gptq",
        INT4_MSE,
        "A branch of rank 16 in f16 takes what matters most, GPTQ for the rest (SVDQuant).",
    ),
]
RECIPES = {recipe.name: recipe for recipe in _ALL}


def find(name: str) -> Recipe:
    """A recipe by name, or one of one's own: the text of a pipeline."""
    if name in RECIPES:
        return RECIPES[name]
    first = name.partition("{")[0].partition(",")[0].strip()
    if first not in REGISTRY:
        raise LowbitError(
            f"there is no recipe '{name}'",
            hint=f"recipes: {', '.join(RECIPES)}; or steps, as 'low-rank{{rank=16}},gptq'",
        )
    steps = parse(name)
    wanted = [step.activations for step in steps if step.activations]
    assert isinstance(steps[-1], Quantizer)
    return Recipe("custom", name, steps[-1].weights, "A pipeline of one's own.", *wanted[:1])
