"""Figures of matplotlib as SVG elements of an HTML page.

matplotlib is imported inside of functions: only a report needs it, and it takes a while. The same figure gives the same text each time.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Iterator, Sequence
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE, NARROW = 9.0, 4.7
"""Widths of figures in inches, of 72 units of the drawing each: for desks and for phones. The page has both, and shows one."""

# The page chooses its colours by light or dark (report.css). matplotlib gets a stand-in for each, which becomes a variable.
INK, MUTED, GRID, PAPER, MARK = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04", "#0a0b05"
_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper", MARK: "mark"}
SERIES = [f"#0a0c{index:02x}" for index in range(8)]
"""Colours that are told apart; the last one is for "others"."""
_VARIABLES |= {colour: f"series{index}" for index, colour in enumerate(SERIES)}

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 9,
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "font.size": 8.5,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",  # text remains text: small, and legible to who cannot see
    "svg.hashsalt": "lowbit",  # identifiers that are the same in each run
    "svg.image_inline": True,
    "text.color": INK,
    "text.parse_math": False,  # a name with two dollars is no formula
    "xtick.color": MUTED,
    "xtick.major.size": 3,
    "ytick.color": MUTED,
    "ytick.major.size": 3,
}


@dataclass(frozen=True)
class Key:
    """An entry of a legend: a mark's shape ("dot", "ring", "bar", "star", "line" or "dashes"), the name of its colour, and what it means."""

    shape: str
    colour: str
    text: str


@dataclass(frozen=True)
class Chart:
    svg: str
    keys: tuple[Key, ...] = ()
    notes: tuple[str, ...] = ()
    """What the chart leaves out, in sentences."""


def variable(colour: str) -> str:
    """The name of the page's variable that a stand-in becomes."""
    return _VARIABLES[colour]


def printable(text: str) -> str:
    """Without the characters that SVG or a font cannot have."""
    return "".join(
        c if c.isprintable() and not "\ud800" <= c <= "\udfff" else "\ufffd" for c in text
    )


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Figures are made and written inside of this: in our style, whatever a user's own settings are."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        # Names may have characters that matplotlib's font lacks. The page's font may have them.
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def figure(width: float, height: float) -> "Figure":
    """An empty one of so many inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _colours(style: str) -> str:
    def named(match: re.Match) -> str:
        name = _VARIABLES.get(match[2])
        return f"{match[1]}: var(--{name})" if name else match[0]

    return re.sub(r"\b(fill|stroke): (#[0-9a-f]{6})", named, style)


def to_svg(
    made: "Figure", name: str, title: str, tooltips: dict[str, Sequence[str]] | None = None
) -> str:
    """An <svg> element with a title for who cannot see it.

    `name` is a word, with which the element's identifiers begin. `tooltips` has, by the gid of a collection, a text for each of its marks.
    """
    if made.get_figwidth() != WIDE:
        # No pointer rests on marks on a phone.
        name, tooltips = f"{name}-narrow", None
    file = io.BytesIO()
    absent = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    made.savefig(file, format="svg", metadata=absent)
    root = ElementTree.fromstring(file.getvalue())

    for element in root.iter():
        element.tag = _local(element.tag)
        for key in list(element.attrib):
            if key != _local(key):
                element.set(_local(key), element.attrib.pop(key))
    for parent in list(root.iter()):
        for child in list(parent):
            # Of the whole page's elements, or without meaning here.
            if child.tag in ("metadata", "style") or (child.tag == "defs" and len(child) == 0):
                parent.remove(child)

    for gid, texts in (tooltips or {}).items():
        group = next(element for element in root.iter("g") if element.get("id") == gid)
        defined = {child for definitions in group.iter("defs") for child in definitions}
        marks = [e for e in group.iter() if e.tag in ("use", "path") and e not in defined]
        assert len(marks) == len(texts)
        for mark, text in zip(marks, texts):
            ElementTree.SubElement(mark, "title").text = printable(text)

    text = ElementTree.tostring(root, encoding="unicode")
    used = set(re.findall(r'(?:url\(#|href="#)([\w.-]+)', text))
    for element in root.iter():
        element.tail = None
        element.text = (element.text or "").strip() or None
        identifier = element.attrib.pop("id", None)
        if identifier in used:
            element.set("id", f"{name}-{identifier}")
        for key, value in element.attrib.items():
            if key == "href" and value.startswith("#"):
                element.set(key, f"#{name}-{value[1:]}")
            elif key in ("x", "y", "d"):  # a hundredth of a unit is not seen
                element.set(key, re.sub(r"(\.\d\d)\d+", r"\1", " ".join(value.split())))
            elif "url(#" in value:
                element.set(key, value.replace("url(#", f"url(#{name}-"))
        if element.get("style"):
            style = re.sub(r"font-family: [^;]*;? ?", "", _colours(element.get("style")))
            element.set("style", re.sub(r"font: ([\d.]+px)[^;]*", r"font-size: \1", style))
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.attrib |= {"role": "img", "aria-labelledby": f"{name}-title"}
    head = ElementTree.Element("title", id=f"{name}-title")
    head.text = printable(title)
    root.insert(0, head)
    return ElementTree.tostring(root, encoding="unicode")
