"""Steps that choose the codes of a weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _lowbit
from .layouts import convert, in_planes
from .refit import refit
from .steps import Quantizer, WeightStep, step
from .weights import Array, Term, Weight, encode, finest_width


@step("nearest")
@dataclass(frozen=True)
class Nearest(Quantizer):
    """Each code by itself, with the scales that the encoding's rule gives."""

    needs_text = False

    def encode(self, weight: Weight) -> Term:
        base = encode(weight.base, weight.encoding)
        weight.make_up(base)
        return base


@step("gptq")
@dataclass(frozen=True)
class GPTQ(Quantizer):
    """Column by column; the error of each is carried to those after it, so that the product with inputs of the calibration's second moments changes
    least (Frantar et al. 2022, arXiv 2210.17323). order=falling: columns of large inputs first (act_order), with the scales of the weight as
    it came; natural: from left to right, with scales of what each block has by then. damping: added to the diagonal of the second moments, as a part of its mean; raised until they are positive definite. sweeps: afterwards
    each code is chosen anew that often with all others as they are (coordinate descent: QuantEase, Behdin et al. 2023, arXiv 2309.01885).
    refit: then scales and minima are chosen anew by least squares. Codes where single weights are stored apart are chosen, too, for what they make up for.
    """

    order: str = "falling"
    damping: float = 0.01
    sweeps: int = 0
    refit: bool = False
    choices = {"order": ("falling", "natural")}
    ranges = {"damping": (0, 1), "sweeps": (0, 10_000)}

    def encode(self, weight: Weight) -> Term:
        # Blocks of ggml hold the codes of several columns: they are chosen in planes.
        encoding = in_planes(weight.encoding)
        components, _ = _lowbit.encode_with_feedback(
            np.ascontiguousarray(weight.base),
            encoding,
            np.ascontiguousarray(weight.base_moments),
            self.damping,
            self.order == "falling",
            self.sweeps,
        )
        term = Term(encoding, components)
        if self.refit:
            term = refit(term, weight.base, weight.base_moments)
        return convert(term, weight.encoding, weight.shape)


@step("kmeans")
@dataclass(frozen=True)
class KMeans(Quantizer):
    """Levels of their own for each row or tensor (learned<BITS, f16 per axis 0>), of least weighted squared error: optimal k-means in one dimension. by=fisher: as SqueezeLLM
    weighs it, by the diagonal of the Fisher information (Kim et al. 2023, arXiv 2306.07629, equation 4); by=moments: by the second moment of each weight's input;
    by=none: all alike. What is stored apart, as outliers, has no say. A weight with levels that are given, as --keep may say, gets nearest codes.
    """

    weights = "#lowbit.quantized<learned<3, f16 per axis 0>>"
    by: str = "fisher"
    choices = {"by": ("fisher", "moments", "none")}

    @property
    def needs_fisher(self) -> bool:
        return self.by == "fisher"

    @property
    def needs_text(self) -> bool:
        return self.by != "none"

    def encode(self, weight: Weight) -> Term:
        if "<learned<" not in weight.encoding:
            weight.decisions.append("nearest codes: its levels are given")
            return encode(weight.base, weight.encoding)
        components = _lowbit.encode_weighted(
            np.ascontiguousarray(weight.base), weight.encoding, self._importance(weight)
        )
        base = Term(weight.encoding, components)
        weight.make_up(base)
        return base

    def _importance(self, weight: Weight) -> Array:
        importance = np.ones(weight.shape, np.float32)
        if self.by == "fisher":
            assert weight.fisher is not None
            importance[:] = weight.fisher
        elif self.by == "moments":
            importance[:] = np.diag(weight.moments)
        importance[:, weight.free_columns] = 0
        importance[weight.find_sparse()] = 0
        return importance


@step("clip")
@dataclass(frozen=True)
class Clip(WeightStep):
    """Cuts the largest weights of each block: scales become smaller where outliers cost more than they are worth. by=error: to the part of its range, of
    `steps` down to `least`, at which the rounding error, weighted by the second moment of each input, is least, as AWQ searches it (Lin et al. 2023,
    arXiv 2306.00978, auto_clip). by=mse: the same with all inputs alike. by=percentile: to that percentile of the magnitudes of the block, by nearest rank.
    """

    by: str = "error"
    least: float = 0.5
    steps: int = 10
    percentile: float = 99.0
    choices = {"by": ("error", "mse", "percentile")}
    ranges = {"least": (0, 1), "steps": (1, 10_000), "percentile": (0, 100)}
    used_by = {"least": ("error", "mse"), "steps": ("error", "mse"), "percentile": ("percentile",)}

    def apply(self, weight: Weight) -> None:
        columns = weight.shape[1]
        width = finest_width(weight.encoding, columns)
        if not width:
            weight.decisions.append("not clipped: no ranges of a row share a scale")
            return
        starts = np.arange(0, columns, width)
        original = weight.base
        largest = np.maximum.reduceat(np.abs(original), starts, axis=1)
        lengths = np.diff(np.append(starts, columns))
        if self.by == "percentile":
            limits = [
                np.percentile(block, self.percentile, axis=1, method="inverted_cdf")
                for block in np.split(np.abs(original), starts[1:], axis=1)
            ]
            self._clip(weight, np.stack(limits, axis=1), largest, lengths)
            return
        importance = np.float32(1) if self.by == "mse" else np.float32(np.diag(weight.moments))
        best = np.full(largest.shape, np.inf)
        ratio = np.ones(largest.shape, np.float32)
        for part in np.linspace(1, self.least, self.steps + 1, dtype=np.float32):
            cut = self._cut(original, largest * part, lengths)
            error = (encode(cut, weight.encoding).decode(weight.shape) - original) ** 2
            cost = np.add.reduceat(error * importance, starts, axis=1)
            better = cost < best
            best[better], ratio[better] = cost[better], part
        self._clip(weight, largest * ratio, largest, lengths)

    def _clip(self, weight: Weight, limits: Array, largest: Array, lengths: np.ndarray) -> None:
        weight.base = self._cut(weight.base, limits, lengths)
        weight.decisions.append(f"{(limits < largest).mean():.0%} of the blocks clipped")

    @staticmethod
    def _cut(values: Array, limits: Array, lengths: np.ndarray) -> Array:
        wide = np.repeat(limits, lengths, axis=1)
        return np.clip(values, -wide, wide)
