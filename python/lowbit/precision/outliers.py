"""Steps that take a part of a weight into a term of its own, so that the base has less to represent."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .steps import WeightStep, step
from .weights import HALF, Array, Moments, Weight, damped, encode


@step("sparse-outliers")
@dataclass(frozen=True)
class SparseOutliers(WeightStep):
    """Single weights become a sparse term in f16. by=sensitivity: those whose rounding to nearest would cost most, (w - q)^2 / (H^-1)_jj,
    as SpQR chooses them (Dettmers et al. 2023, arXiv 2306.03078, section 3.1); by=moments: largest w^2 H_jj, close to SqueezeLLM's
    (Kim et al. 2023, arXiv 2306.07629, section 4.2) with the layer's own second moments for the Fisher information; by=fisher: of largest Fisher information,
    which are SqueezeLLM's sensitive values; by=magnitude.
    """

    density: float = 0.01
    by: str = "sensitivity"
    adds_terms = True
    choices = {"by": ("sensitivity", "moments", "fisher", "magnitude")}
    ranges = {"density": (0, 0.5)}

    @property
    def needs_fisher(self) -> bool:
        return self.by == "fisher"

    def apply(self, weight: Weight) -> None:
        count = int(self.density * weight.base.size)
        if count == 0:
            return
        score = self._score(weight)
        chosen = np.argpartition(score.ravel(), -count)[-count:]
        values = np.zeros(weight.base.size, np.float32)
        values[chosen] = weight.base.ravel()[chosen]
        # Half an element more: a product that was cut to an integer comes back as it was.
        density = (count + 0.5) / weight.base.size
        encoding = f"#lowbit.sparse<f16, density = {density:.9f}>"
        weight.take_out(encode(values.reshape(weight.shape), encoding))
        weight.decisions.append(f"{count} outliers by {self.by} in f16")

    def _score(self, weight: Weight) -> Array:
        if self.by == "magnitude":
            return np.abs(weight.base)
        if self.by == "fisher":
            assert weight.fisher is not None
            return weight.fisher
        if self.by == "moments":
            return weight.base**2 * np.diag(weight.moments).astype(np.float32)
        rounded = encode(weight.base, weight.encoding).decode(weight.shape)
        inverse = np.linalg.inv(damped(weight.moments, 0.01))
        return (weight.base - rounded) ** 2 / np.diag(inverse).astype(np.float32)


@step("column-outliers")
@dataclass(frozen=True)
class ColumnOutliers(WeightStep):
    """The weights of some inputs are kept in f16, as whole columns; they are chosen last, by least squares, so that they make up for what the
    base leaves. by=sensitivity: of largest H_jj |w_j - q_j|^2, as OWQ chooses them (Lee et al. 2023, arXiv 2306.02272, equation 5);
    by=range: of largest |x| (LLM.int8(), Dettmers et al. 2022, arXiv 2208.07339; QUIK), all of at least `threshold` times the median
    channel's."""

    density: float = 0.01
    by: str = "sensitivity"
    threshold: float = 0.0
    adds_terms = True
    choices = {"by": ("sensitivity", "range")}
    ranges = {"density": (0, 0.5), "threshold": (0, math.inf)}
    used_by = {"threshold": ("range",)}

    def apply(self, weight: Weight) -> None:
        count = int(np.ceil(self.density * weight.shape[1]))
        diagonal = np.diag(weight.moments)
        if self.by == "range":
            score = weight.ranges
            if self.threshold:
                count = min(count, int((score >= self.threshold * np.median(score)).sum()))
        else:
            rounded = encode(weight.base, weight.encoding).decode(weight.shape)
            score = diagonal * ((weight.base - rounded) ** 2).sum(axis=0, dtype=np.float64)
        if count == 0:
            return
        weight.set_apart(np.sort(np.argsort(-score, kind="stable")[:count]))
        weight.decisions.append(f"{count} columns by {self.by} in f16")


@step("low-rank")
@dataclass(frozen=True)
class LowRank(WeightStep):
    """A branch of low rank in f16, weighted by the inputs' second moments, so that it takes out what matters most of the product. of=weight:
    of the weight itself, before it is quantized (SVDQuant, Li et al. 2024, arXiv 2411.05007, section 4.2); of=error: of what rounding to
    nearest leaves (LoRC of ZeroQuant-V2, Yao et al. 2023, arXiv 2303.08302, section 5)."""

    rank: int = 16
    of: str = "weight"
    adds_terms = True
    choices = {"of": ("weight", "error")}
    ranges = {"rank": (1, 2**31 - 1)}

    def apply(self, weight: Weight) -> None:
        target = weight.base
        if self.of == "error":
            target = target - encode(target, weight.encoding).decode(weight.shape)
        rank = min(self.rank, *weight.shape)
        branch = best_low_rank(target, weight.moments, rank)
        encoding = f"#lowbit.low_rank<rank = {rank}, {HALF}, {HALF}>"
        weight.take_out(encode(branch, encoding))
        weight.decisions.append(f"a branch of rank {rank} in f16, of the {self.of}")


def best_low_rank(matrix: Array, moments: Moments, rank: int) -> Array:
    """The matrix B of this rank for which tr((W - B) H (W - B)^T) is least: the truncated singular values of W C, with H = C C^T, times C^-1."""
    factor = np.linalg.cholesky(damped(moments, 1e-3))
    u, s, v = np.linalg.svd(matrix.astype(np.float64) @ factor, full_matrices=False)
    # B C = U S V, so B^T solves C^T B^T = (U S V)^T.
    product = (u[:, :rank] * s[:rank]) @ v[:rank]
    return np.linalg.solve(factor.T, product.T).T.astype(np.float32)
