"""Rules: what a step computes from gradient, parameter and states, as MLIR."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .. import _lowbit
from ..errors import LowbitError

_FOLDER = Path(__file__).parent / "rules"


@dataclass(frozen=True)
class Argument:
    """Of the function `step`, in its order."""

    name: str
    tensor: bool
    updated: bool
    nonnegative: bool
    shape: tuple[int, ...]
    """Of a tensor: -1 for an extent of the parameter, or a fixed one."""
    axes: tuple[int, ...]
    """Of a tensor: of which axes of the parameter its extents are."""
    dtype: str
    """Of a scalar: 'F64', 'F32', 'I64', …"""
    default: float | None
    """Of a scalar; None: each step must be given one."""

    def view(self, parameter: tuple[int, int]) -> tuple[int, int]:
        """The extents for a parameter that is seen so."""
        rows, columns = (
            own if own >= 0 else parameter[axis] for own, axis in zip(self.shape, self.axes)
        )
        return rows, columns


@dataclass(frozen=True)
class Rule:
    name: str
    text: str
    arguments: tuple[Argument, ...]
    elementwise: bool
    """Every element is updated by itself: a parameter may have any shape."""
    schemes: dict[str, str]
    """By the names of schemes: assignments of its states that come before the scheme's own."""

    @property
    def tensors(self) -> list[Argument]:
        return [argument for argument in self.arguments if argument.tensor]

    @property
    def scalars(self) -> list[Argument]:
        return [argument for argument in self.arguments if not argument.tensor]

    @property
    def states(self) -> list[str]:
        return [a.name for a in self.tensors if a.name not in ("gradient", "parameter")]


def names() -> list[str]:
    """Of the rules that come with Lowbit."""
    return sorted(path.stem for path in _FOLDER.glob("*.mlir"))


def load(rule: str | Path) -> Rule:
    """A rule by its name, by the path of an .mlir file, or as MLIR text."""
    text = str(rule)
    if "\n" in text:
        name = "rule"
    elif text.endswith(".mlir"):
        name = text
        try:
            text = Path(rule).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise LowbitError(f"{name}: {error}") from None
    else:
        path = _FOLDER / f"{text}.mlir"
        if not path.is_file():
            raise LowbitError(
                f"there is no rule '{text}'",
                hint=f"known are {', '.join(names())}; a file of your own ends in .mlir",
            )
        name, text = text, path.read_text(encoding="utf-8")
    try:
        found = _lowbit.rule(text, name)
    except RuntimeError as error:
        raise LowbitError(str(error)) from None
    arguments = tuple(
        Argument(**fields | {key: tuple(fields[key]) for key in ("shape", "axes")})
        for fields in found["arguments"]
    )
    return Rule(name, text, arguments, found["elementwise"], found["schemes"])
