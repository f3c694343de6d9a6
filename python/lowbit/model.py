"""A compiled language model: logits, perplexity, generation."""

from __future__ import annotations

import contextlib
import math
import operator
import os
import threading
import time
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import Callable, Iterator, Sequence

import numpy as np

from . import cache, tuning
from ._runtime import Archive, Artifact, Session
from .errors import LowbitError
from .tokenizer import Tokenizer

# Positions for which all logits are held at once: 256 rows of 49,152 take 50 MB.
CHUNK = 256

_NOT_FINITE = "its weights may be damaged, or encoded with scales that overflow"


def open_archive(path: str | os.PathLike) -> Archive:
    """The archive at `path`; a LowbitError says what is wrong with it."""
    path = os.fspath(path)
    if os.path.isdir(path):
        raise LowbitError(
            f"'{path}' is a folder", hint="name the model file in it (.gguf or .safetensors)"
        )
    if not os.path.exists(path):
        raise LowbitError(
            f"there is no file '{path}'", hint="a model is a .gguf, .safetensors or .lbm file"
        )
    return Archive(path)


def _whole_number(name: str, value: object) -> int:
    try:
        return operator.index(value)  # of numpy, too
    except TypeError:
        raise LowbitError(f"{name} is a whole number, not {value!r}") from None


def bits_per_byte(nll: float, tokens: Sequence[int], tokenizer: Tokenizer) -> float:
    """What the text of tokens[1:] costs, given `Model.nll` of `tokens`: comparable across vocabularies.

    Only bytes of scored tokens count, as only they are paid for: not those of the first token.
    """
    scored = tokens[1:]
    size = sum(len(tokenizer.token_bytes(token)) for token in scored)
    if size == 0:
        raise LowbitError("the tokens that are scored stand for no text")
    return nll * len(scored) / math.log(2) / size


@dataclass
class Sampler:
    """Chooses a token from logits: the highest, unless `temperature` is above 0.

    top_k keeps the k likeliest tokens (0: all), then top_p the fewest whose probabilities reach p.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int | None = None
    _random: np.random.Generator = field(init=False, repr=False)

    def __post_init__(self):
        self._random = np.random.default_rng(self.seed)

    def __call__(self, logits: np.ndarray) -> int:
        if self.temperature <= 0:
            return int(logits.argmax())
        order = np.argsort(-logits, kind="stable")
        if self.top_k > 0:
            order = order[: self.top_k]
        # The difference first: a tiny temperature would overflow the logits themselves.
        scaled = (
            logits[order].astype(np.float64) - np.float64(logits[order[0]])
        ) / self.temperature
        probability = np.exp(scaled)
        probability /= probability.sum()
        if self.top_p < 1:
            count = int(np.searchsorted(np.cumsum(probability), self.top_p)) + 1
            order, probability = order[:count], probability[:count]
            probability /= probability.sum()
        return int(self._random.choice(order, p=probability))


@dataclass
class Generation:
    """Tokens that a model produced, and how fast. Speeds are None where nothing was timed."""

    prompt_tokens: list[int]
    tokens: list[int]
    tokens_per_second: float | None
    """Decode only: the first token comes from the prefill and is not counted."""
    prefill_tokens_per_second: float | None


class Model:
    """A model file, compiled for this machine when it is first needed, or one that `lowbit compile` made (.lbm).

    activations: how activations are multiplied with encoded weights: 'f32'; rounded in blocks of 32 to 'int15' (the
        same perplexity) or 'int8' (faster at large batches); or what they are rounded to, as "int<8>, scale = f32 per [1, 64]"; by the scales that
        the step static-activations of `lowbit quantize` left in the file: "int<8>, scale = f32 per tensor, rule = given". None is what the file says, of models whose activations were chosen with their weights, and else int15.
    outlier_threshold: elements of activations from this size on are not rounded, but multiplied in f32 (LLM.int8(), arXiv 2208.07339; its 6 is usual).
    context_length: positions to reserve in the key-value cache; None reserves the model's own.
    kv_cache: what keys and values are stored as: 'f32', 'f16', 'int8' or 'int4' (in blocks of 32), or an encoding whose blocks span no
        positions, as "int<8>, scale = f16 per [1, 1, 64]"; or one for each, as '{"k": "int8", "v_0": "f16", "v": "int4"}'. None is what the
        file says, of models whose caches were chosen with their weights, and else f16.
    prefix_bits: of weights whose planes allow it ("layout = planes<4, 4>"), read that many high bits of each code alone.
    use_cache: keep what was compiled on disk, and take it from there (see lowbit.cache).
    target_cpu: the processor to compile for, as LLVM names it ("x86-64-v3", "znver4", "neoverse-n1+i8mm"); None is this
        machine's. Code that this machine cannot run can be written to files.
        Of this machine, what `lowbit tune` has measured is used (lowbit.tuning).
    parallel: False for code that computes on one thread and needs no OpenMP.

    What a compiled model was compiled with is settled: of these options it takes none.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        activations: str | None = None,
        context_length: int | None = None,
        prefix_bits: int | None = None,
        use_cache: bool = True,
        kv_cache: str | None = None,
        target_cpu: str | None = None,
        parallel: bool | None = None,
        outlier_threshold: float | None = None,
    ):
        self.path = os.fsdecode(path)
        self.use_cache = use_cache
        self.compile_times: dict[str, float] = {}
        """Seconds of each step of compiling; empty where nothing had to be compiled."""
        self.is_compiled = self.path.endswith(".lbm")
        self.archive = None if self.is_compiled else open_archive(path)
        if context_length is not None:
            context_length = _whole_number("context_length", context_length)
        given = {
            "activations": activations,
            "outlier_threshold": outlier_threshold,
            "context_length": context_length,
            "kv_cache": kv_cache,
            "prefix_bits": prefix_bits,
            "target_cpu": target_cpu,
            "parallel": parallel,
        }
        self._options = {key: value for key, value in given.items() if value is not None}
        if self.is_compiled and self._options:
            raise LowbitError(
                f"'{self.path}' is compiled already: {', '.join(self._options)} cannot be chosen any more",
                hint="compile the model again with `lowbit compile`",
            )
        if prefix_bits is not None:
            if not isinstance(prefix_bits, int) or not 1 <= prefix_bits <= 8:
                raise LowbitError(f"prefix_bits is a whole number from 1 to 8, not {prefix_bits!r}")
        if outlier_threshold is not None:
            if not 0 < outlier_threshold < math.inf:
                raise LowbitError(
                    f"outlier_threshold is a positive number, not {outlier_threshold!r}"
                )
            if activations == "f32":
                raise LowbitError(
                    "outlier_threshold is of activations that are rounded, and these stay f32",
                    hint="choose others, as 'int8'",
                )
        # An archive may say it of each weight and each cache.
        for name, default in (("activations", "int15"), ("kv_cache", "f16")):
            if self.archive is None or self.archive.metadata(f"lowbit.{name}") is None:
                self._options.setdefault(name, default)
        if chosen := {} if self.is_compiled else tuning.options(target_cpu):
            self._options["pipeline"] = tuning.pipeline(chosen)
        self._in_use = threading.Lock()

    @cached_property
    def tokenizer(self) -> Tokenizer:
        return Tokenizer(self._metadata)

    @property
    def _metadata(self) -> Callable[[str], object]:
        return self.archive.metadata if self.archive else Artifact(self.path).metadata

    def compile(self, output: str) -> None:
        """Writes the compiled model, with its weights, to a file that runs without the compiler."""
        from ._lowbit import compile_model

        origin = cache.describe(self.path, self._options)
        self.compile_times = compile_model(self.path, output, origin, self._options)

    def emit(self, stem: str, object: bool = True, header: bool = True) -> None:
        """Writes the compiled model for programs in C: stem.o, stem.h and stem.weights (docs/Embedding.md)."""
        from ._lowbit import emit_model

        self.compile_times = emit_model(self.path, stem, object, header, self._options)

    @cached_property
    def _session(self) -> Session:
        if self.is_compiled:
            return Session(self.path)
        if target_cpu := self._options.get("target_cpu"):
            from ._lowbit import target

            if not target(target_cpu)["runs-here"]:
                raise LowbitError(
                    f"this machine cannot run code for '{target_cpu}'",
                    hint="`lowbit compile` writes it to a file",
                )
        if self.use_cache:
            if path := cache.find(self.path, self._options):
                with contextlib.suppress(RuntimeError):  # damaged, or just removed
                    return Session(path)
            if session := self._compile_to_cache():
                return session
        from ._lowbit import Session as CompilingSession

        session = CompilingSession(self.path, self._options)
        self.compile_times = session.compile_times
        return session

    def _compile_to_cache(self) -> Session | None:
        """None where nothing can be kept: the disk may be full."""
        try:
            path = cache.add(self.path, self._options, self.compile)
            return Session(path) if path else None
        except (OSError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and cache.folder() not in str(error):
                raise  # not about the file
            warnings.warn(f"the compiled model is not kept: {error}", RuntimeWarning, stacklevel=4)
            return None

    def load(self) -> None:
        """Compiles if that is needed, and loads, now: the first use does it otherwise."""
        self._session

    @property
    def compile_seconds(self) -> float:
        """What compiling took; 0 where it had been done before."""
        self.load()
        return sum(self.compile_times.values())

    @property
    def context_length(self) -> int:
        return self._session.context_length

    @property
    def vocabulary(self) -> int:
        return self._session.vocabulary

    def logits(self, tokens: Sequence[int]) -> Iterator[np.ndarray]:
        """The logits after each of `tokens`, as chunks float32 [≤ CHUNK, vocabulary] in order."""
        checked = self._check(tokens)
        self._session.reset()
        for start in range(0, len(checked), CHUNK):
            chunk = checked[start : start + CHUNK]
            yield self._session.prefill(chunk, len(chunk))

    def nll(
        self, tokens: Sequence[int], progress: Callable[[int], None] = lambda count: None
    ) -> float:
        """The mean negative log likelihood of tokens[1:], each given all before it.

        progress is called with the number of tokens just read.
        """
        if len(tokens) < 2:
            raise LowbitError(
                f"perplexity needs at least 2 tokens, the text has {len(tokens)}",
                hint="the first token is not scored",
            )
        targets = np.asarray(tokens, np.int64)[1:]
        total, position = 0.0, 0
        for logits in self.logits(tokens):
            target = targets[position : position + len(logits)]
            scored = logits[: len(target)]
            largest = scored.max(axis=1, keepdims=True)
            normalizer = (
                np.log(np.exp(scored - largest).sum(axis=1, dtype=np.float64)) + largest[:, 0]
            )
            total += float((normalizer - scored[np.arange(len(target)), target]).sum())
            position += len(logits)
            progress(len(logits))
        if not math.isfinite(total):
            raise LowbitError("the model's logits are not finite", hint=_NOT_FINITE)
        return total / len(targets)

    def perplexity(self, tokens: Sequence[int]) -> float:
        return math.exp(self.nll(tokens))

    def generate(
        self,
        prompt: Sequence[int],
        count: int,
        sampler: Callable[[np.ndarray], int] = Sampler(),
        on_token: Callable[[int], None] = lambda token: None,
        stop: frozenset[int] = frozenset(),
    ) -> Generation:
        """`count` tokens after `prompt`, or fewer if one of `stop` comes up: then it is the last.

        on_token is called with each token as soon as it is known.
        """
        checked = self._check(prompt)
        # The last token is produced, but not read again.
        if len(checked) + count - 1 > self.context_length:
            raise LowbitError(
                f"{len(checked)} prompt tokens and {count} new ones do not fit the context of "
                f"{self.context_length} tokens",
                hint=f"ask for at most {max(self.context_length - len(checked) + 1, 0)} tokens",
            )
        if not self._in_use.acquire(blocking=False):
            raise LowbitError(
                "the model is generating in another thread", hint="open a Model for each thread"
            )
        try:
            return self._generate(checked, count, sampler, on_token, stop)
        finally:
            self._in_use.release()

    def _generate(self, checked, count, sampler, on_token, stop) -> Generation:
        tokens: list[int] = []
        self._session.reset()
        start = time.perf_counter()
        logits = self._session.prefill(checked, 1)[0]
        prefill_seconds = time.perf_counter() - start
        decode_seconds = 0.0
        while len(tokens) < count:
            if not np.isfinite(logits).all():
                raise LowbitError("the model's logits are not finite", hint=_NOT_FINITE)
            tokens.append(sampler(logits))
            on_token(tokens[-1])
            if len(tokens) == count or tokens[-1] in stop:
                break
            start = time.perf_counter()
            logits = self._session.decode(tokens[-1])
            decode_seconds += time.perf_counter() - start
        return Generation(
            prompt_tokens=[int(token) for token in checked],
            tokens=tokens,
            tokens_per_second=(len(tokens) - 1) / decode_seconds if len(tokens) > 1 else None,
            prefill_tokens_per_second=len(checked) / prefill_seconds,
        )

    def _check(self, tokens: Sequence[int]) -> np.ndarray:
        if len(tokens) == 0:
            raise LowbitError("there are no tokens to read", hint="give a prompt that is not empty")
        for token in tokens:  # before numpy: an int64 does not hold every integer
            if not 0 <= token < self.vocabulary:
                raise LowbitError(
                    f"token {token} is not in the vocabulary",
                    hint=f"this model's tokens are 0 to {self.vocabulary - 1}",
                )
        checked = np.asarray(tokens, dtype=np.int64)
        if checked.size > self.context_length:
            raise LowbitError(
                f"{checked.size} tokens do not fit the context of {self.context_length} tokens",
                hint="give fewer tokens (`lowbit perplexity` has --max-tokens)",
            )
        return checked
