"""Which tensor is stored in what."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Sequence

from .. import _lowbit
from ..errors import LowbitError
from .stages import Stage

if TYPE_CHECKING:
    from .quantize import Options


def match(key: str, patterns: Sequence[tuple[str, str]]) -> str | None:
    """The encoding of the first pattern that a name matches."""
    return next((e for pattern, e in patterns if fnmatch.fnmatchcase(key, pattern)), None)


def choose_encodings(
    archive: _lowbit.Archive, stages: Sequence[Stage], options: Options, default: str
) -> dict[str, str]:
    """For each weight that a product multiplies with the encoding of its base, or "same" to leave it. Checked: each fits its tensor.

    A table that is looked up as well (an embedding that is the head, too) is left unless something names it: its other readers are
    nothing that calibration sees.
    """
    infos = {tensor.name: tensor for tensor in archive.tensors}
    looked_up = {
        key
        for stage in stages
        for key in stage.parameters
        if key not in {key for feeds in stage.feeds for key in feeds}
    }
    chosen: dict[str, str] = {}
    for key in [key for stage in stages for feeds in stage.feeds for key in feeds]:
        usual = "same" if key in looked_up else options.weights or default
        chosen[key] = match(key, options.keep) or (options.plan or {}).get(key, usual)
    for key in options.plan or {}:
        if key not in chosen:
            raise LowbitError(f"the plan names '{key}', which no product multiplies with")
    for pattern, _ in options.keep:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in infos):
            raise LowbitError(f"no tensor has a name like '{pattern}'")
    for key, encoding in chosen.items():
        if encoding == "same":
            continue
        try:
            _lowbit.encoded_bytes(encoding, infos[key].shape)
        except RuntimeError as error:
            raise LowbitError(
                f"tensor '{key}': {error}", hint=f"leave it as it is: --keep '{key}=same'"
            ) from None
    if all(encoding == "same" for encoding in chosen.values()):
        raise LowbitError(
            "no weight is left to quantize", hint="--keep leaves all of them as they are"
        )
    return chosen
