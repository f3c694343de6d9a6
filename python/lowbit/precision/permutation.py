"""A step that puts channels into another order, so that those of like size share a block of scales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .bases import Basis
from .steps import StageStep, step

if TYPE_CHECKING:
    from .state import StageState


@step("permute-channels")
@dataclass(frozen=True)
class PermuteChannels(StageStep):
    """The inputs of a product are sorted, the largest first, where everything before them can have their order (hidden channels of a feed-forward network, elements of
    value heads): inputs of like size share a block of a row. by=moments: the mean square, so that GPTQ takes them in the order of act_order (Frantar et al. 2022, arXiv
    2210.17323) with blocks of neighbours; by=range: the largest |x|, for blocks of activations (RPTQ, Yuan et al. 2023, arXiv 2304.01089, section 4.1);
    by=weights: the largest |W_j|, for blocks of weights.
    """

    reorders = True
    by: str = "moments"
    choices = {"by": ("moments", "range", "weights")}

    def condition(self, state: StageState) -> None:
        for basis in state.stage.bases:
            feeds = [key for tap in basis.taps for key in state.taps[tap].feeds]
            refusal = basis.reason or state.refuse([*feeds, *basis.keys], "permuted")
            missing = set(feeds) - set(basis.keys)
            if missing and not refusal:
                refusal = f"nothing is computed of the product with '{min(missing)}'"
            if not refusal:
                order = np.argsort(-self._sizes(state, basis), kind="stable")
                apply_order(state, basis, order)
            for key in feeds:
                others = ", ".join(k for k in basis.keys if k not in feeds)
                state.note(
                    key,
                    f"channels not permuted: {refusal}" if refusal
                    else f"channels sorted by {self.by}, {basis.extent} at a time, with {others}",
                )  # fmt: skip

    def _sizes(self, state: StageState, basis: Basis) -> NDArray[np.float64]:
        """[extent], the largest of all blocks of channels and all taps."""
        sizes = []
        for number in basis.taps:
            tap = state.taps[number]
            if self.by == "moments":
                size = np.diag(tap.mean("moments"))
            elif self.by == "range":
                size = tap.largest
            else:
                size = np.max(
                    [np.abs(state.parameters[key]).max(axis=0) for key in tap.feeds], axis=0
                )
            sizes.append(size.reshape(-1, basis.extent).max(axis=0))
        return np.max(sizes, axis=0)


def apply_order(state: StageState, basis: Basis, order: NDArray[np.int64]) -> None:
    """Puts the channels of a basis into an order, in all its parameters and taps."""
    changed = basis.change(state.parameters.__getitem__, lambda values: values[..., order])
    for key, values in changed.items():
        state.parameters[key] = values.astype(np.float32)
    for number in basis.taps:
        tap = state.taps[number]
        blocks = np.arange(len(tap.mean("maxima"))).reshape(-1, basis.extent)
        state.taps[number] = tap.permuted(blocks[:, order].ravel())
