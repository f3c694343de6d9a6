"""What a quantized model is measured by: real models, texts that nothing was calibrated on, and errors of the figures.

- The byte model (scripts/get-byte-model.sh): bits per byte of windows of its held-out text, each alone, its first byte not scored. It is calibrated on
  chapters that it was trained on (Debian's bible-kjv and bible-kjv-text).
- SmolLM2-135M-Instruct (scripts/get-smollm2.sh): perplexity of windows of Debian's debian-handbook.
- MiniLM-L6 (scripts/get-minilm.sh) embeds paragraphs of the handbook: the cosine with the float embedding, and how many of a paragraph's ten nearest stay.

The handbook's chapters take turns: of two, one is for calibration, the other is measured.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Callable, Iterable, Protocol, Sequence

import numpy as np
from numpy.typing import NDArray

from lowbit import Archive, Model, _lowbit
from lowbit.precision.sources import Source, open_source
from lowbit.tokenizer import Tokenizer
from machine import ROOT
from rounded import Rounded

HANDBOOK = Path("/usr/share/doc/debian-handbook/html/en-US")
SHORTEST_PARAGRAPH = 80
NEIGHBOURS = 10
RESAMPLES = 1000
SEED = 1611

Array = NDArray[np.float64]
Scores = dict[str, list[float]]
"""By metric: of each window or paragraph."""


def bootstrap_error(statistic: Callable[..., float], *samples: Array) -> float:
    """The standard error of a statistic of samples [items] that are resampled together, item by item (Efron 1979): what is paired stays so."""
    generator = np.random.default_rng(SEED)
    size = len(samples[0])
    draws = (generator.integers(size, size=size) for _ in range(RESAMPLES))
    return float(np.std([statistic(*(s[draw] for s in samples)) for draw in draws], ddof=1))


# Texts
# -----


class _Page(HTMLParser):
    """The paragraphs of a page that publican made, and which page its chapter begins on."""

    def __init__(self) -> None:
        super().__init__()
        self.paragraphs: list[str] = []
        self.chapter = ""
        self._open: list[list[str] | None] = []  # divisions; of a paragraph its text

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "link" and attributes.get("rel") == "up":
            self.chapter = attributes.get("href") or ""
        elif tag == "div":
            self._open.append([] if attributes.get("class") == "para" else None)

    def handle_endtag(self, tag: str) -> None:
        if tag == "div" and self._open:
            text = self._open.pop()
            if text is not None:
                paragraph = " ".join("".join(text).split())
                if len(paragraph) >= SHORTEST_PARAGRAPH:
                    self.paragraphs.append(paragraph)

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] is not None:
            self._open[-1].append(data)


def paragraphs_of(html: str) -> tuple[str, list[str]]:
    """The page that a page's chapter begins on, and its paragraphs of at least SHORTEST_PARAGRAPH characters."""
    page = _Page()
    page.feed(html)
    return page.chapter, page.paragraphs


def handbook() -> tuple[list[str], list[str]]:
    """Paragraphs to calibrate on, and others to measure: of other chapters. In an order that mixes chapters, always the same."""
    if not HANDBOOK.is_dir():
        raise RuntimeError(f"no {HANDBOOK}: install Debian's debian-handbook")
    chapters: dict[str, list[str]] = {}
    for path in sorted(HANDBOOK.glob("*.html")):
        chapter, paragraphs = paragraphs_of(path.read_text(encoding="utf-8"))
        if path.name.startswith("sect."):
            chapters.setdefault(chapter, []).extend(paragraphs)
        else:
            chapters.setdefault(path.name, []).extend(paragraphs)
    parts: tuple[list[str], list[str]] = ([], [])
    for number, name in enumerate(sorted(chapters)):
        parts[number % 2].extend(chapters[name])
    seen: set[str] = set()
    unique = [[p for p in part if not (p in seen or seen.add(p))] for part in parts]
    generator = np.random.default_rng(SEED)
    calibration, test = ([part[i] for i in generator.permutation(len(part))] for part in unique)
    return calibration, test


def bible_chapters(count: int) -> str:
    """Of those that the byte model was trained on."""
    sys.path.append(str(ROOT / "scripts"))
    import byte_model

    chapters = byte_model.read_text()[0].decode().split("\n\n")[:-1]
    chosen = np.random.default_rng(SEED).permutation(len(chapters))[:count]
    return "\n\n".join(chapters[i] for i in sorted(chosen)) + "\n"


def script(name: str) -> str:
    """The last thing that a script prints."""
    done = subprocess.run([ROOT / "scripts" / name], capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


def cut(tokens: Sequence[int], count: int, length: int) -> list[list[int]]:
    """Windows spread evenly over tokens."""
    starts = np.arange(count) * (len(tokens) // count)
    return [list(tokens[start : start + length]) for start in starts]


# Models
# ------


class Subject(Protocol):
    """A model with its texts."""

    tokens: int
    """To calibrate on, at most."""
    length: int
    """Of a sequence, at most."""

    def source(self) -> Source: ...

    def calibration(self) -> str: ...

    def evaluate(
        self, path: str, activations: str | None = None, kv_cache: str | None = None
    ) -> Scores:
        """Of the model's archive at `path`. activations: what inputs of all products with weights are rounded to; kv_cache: what keys and values are
        stored as (f32). Both within the brackets of #lowbit.quantized."""

    @property
    def settings(self) -> dict[str, Any]:
        """What its figures depend on besides the model."""


@dataclass
class LanguageSubject:
    path: str
    calibration: Callable[[], str]
    windows: Callable[[], list[list[int]]]
    unit: str
    """ "bits" for bits per token; "nats"."""
    tokens: int
    length: int
    settings: dict[str, Any]

    def source(self) -> Source:
        return open_source(self.path)

    def spread(self, count: int | None) -> None:
        """Leaves about so many windows, from all over the text; None: all."""
        windows = self.windows()
        kept = windows[:: len(windows) // (count or len(windows))]
        self.windows = lambda: kept

    def evaluate(
        self, path: str, activations: str | None = None, kv_cache: str | None = None
    ) -> Scores:
        windows = self.windows()
        if activations and kv_cache:
            model: Any = Model(
                path,
                activations=activations,
                kv_cache=kv_cache,
                context_length=len(windows[0]),
                use_cache=False,
            )
        elif activations:
            model = Rounded(path, activations, len(windows[0]))
        else:
            model = Model(
                path,
                activations="f32",
                kv_cache=kv_cache or "f32",
                context_length=len(windows[0]),
                use_cache=False,
            )
        scale = np.log(2) if self.unit == "bits" else 1.0
        return {"cost": [float(model.nll(window) / scale) for window in windows]}


@dataclass
class EncoderSubject:
    program: Path
    folder: Path
    """With model.safetensors and tokenizer.json."""
    cache: Path
    """Where embeddings of the float model are kept."""
    paragraphs: int
    tokens: int
    length: int
    settings: dict[str, Any] = field(default_factory=dict)

    def source(self) -> Source:
        return open_source(str(self.program), [str(self.folder / "model.safetensors")])

    def calibration(self) -> str:
        return "\n\n".join(handbook()[0])

    @cached_property
    def _ids(self) -> list[NDArray[np.int64]]:
        source = self.source()
        source.tokenizer.enable_truncation(self.length)
        encoded = source.tokenizer.encode_batch(handbook()[1][: self.paragraphs])
        return [np.asarray([e.ids], np.int64) for e in encoded]

    def _embed(self, archive: str, activations: str | None = None) -> Array:
        pipeline = f"cpu{{activations='{activations}'}}" if activations else "cpu"
        program = _lowbit.Program(self.program.read_text(), [archive], pipeline)
        return np.concatenate(
            [program.run("embed", [ids, np.ones_like(ids)])[0] for ids in self._ids]
        ).astype(np.float64)

    @cached_property
    def _float(self) -> Array:
        digest = hashlib.sha256(b"".join(ids.tobytes() for ids in self._ids)).hexdigest()[:12]
        path = self.cache / f"embeddings-{digest}.npy"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, self._embed(str(self.folder / "model.safetensors")))
        return np.load(path)

    def evaluate(
        self, path: str, activations: str | None = None, kv_cache: str | None = None
    ) -> Scores:
        if kv_cache:
            raise ValueError("an encoder keeps no keys and values")
        embedded, reference = self._embed(path, activations), self._float
        return {
            "distance": distances(embedded, reference).tolist(),
            "overlap": overlaps(embedded, reference, NEIGHBOURS).tolist(),
        }


def distances(a: Array, b: Array) -> Array:
    """1 - cosine of each row of a [texts, width] with that of b."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return 1 - (a * b).sum(axis=1) / norms


def _nearest(embeddings: Array, count: int) -> NDArray[np.int64]:
    """Of each text the `count` others of largest cosine, [texts, count]."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    return np.argsort(-cosines, axis=1, kind="stable")[:, :count]


def overlaps(a: Array, b: Array, count: int) -> Array:
    """Of each text's `count` nearest in b, the part that is among its nearest in a."""
    pairs: Iterable[tuple[Any, Any]] = zip(_nearest(a, count), _nearest(b, count))
    return np.array([len(np.intersect1d(x, y)) / count for x, y in pairs])


def _byte_model() -> LanguageSubject:
    path = Path(script("get-byte-model.sh"))
    held_out = path.with_name("byte-model-held-out.txt")
    settings = {"tokens": 16384, "length": 1024, "windows": 48, "window": 1024}
    return LanguageSubject(
        str(path),
        lambda: bible_chapters(40),
        lambda: cut(held_out.read_bytes(), settings["windows"], settings["window"]),
        "bits",
        settings["tokens"],
        settings["length"],
        settings,
    )


def _smollm2() -> LanguageSubject:
    path = script("get-smollm2.sh")
    settings = {"tokens": 4096, "length": 512, "windows": 10, "window": 512}

    def windows() -> list[list[int]]:
        tokenizer = Tokenizer(Archive(path).metadata)
        tokens = tokenizer.encode("\n\n".join(handbook()[1]), add_bos=False)
        return cut(tokens, settings["windows"], settings["window"])

    return LanguageSubject(
        path,
        lambda: "\n\n".join(handbook()[0]),
        windows,
        "nats",
        settings["tokens"],
        settings["length"],
        settings,
    )


def _minilm(cache: Path) -> EncoderSubject:
    settings = {"tokens": 8192, "length": 128, "paragraphs": 300}
    return EncoderSubject(
        ROOT / "models/minilm-l6.mlir",
        Path(script("get-minilm.sh")),
        cache,
        settings["paragraphs"],
        settings["tokens"],
        settings["length"],
        settings,
    )


def open_subject(name: str, cache: Path) -> Subject:
    """byte, smollm2 or minilm. cache: a folder for what is computed once."""
    if name == "byte":
        return _byte_model()
    return _smollm2() if name == "smollm2" else _minilm(cache)
