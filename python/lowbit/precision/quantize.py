"""A model, a recipe and a text in; the model with its precision decided out.

Layer by layer: what a stage's inputs are with everything before it quantized already, what that says about its weights, their codes, and
on to the next stage with these. Between two stages the state lies in a folder beside the output (journal.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import cached_property
from typing import Any, Iterator, Mapping, Sequence

import numpy as np

from .. import _lowbit
from ..errors import LowbitError
from ..files import check_folder, check_not_model, is_gguf
from . import activations, recipes
from .caches import METADATA_KEY, Caches
from .choices import KEEP, Choices
from .fisher import KeptFisher, conditioned_fisher
from .gradients import Gradients
from .journal import Journal, Stored, check_format, origin_of, remove_folder
from .options import Options, check_plan
from .others import Others
from .records import describe_site, describe_tensor, ratio, totals
from .sources import LanguageModel, Source, Tokens, load_parameters, read_text
from .stages import Calibration, Progress, Stage
from .state import StageState
from .statistics import Statistics
from .steps import ModelStep, PlanStep, Quantizer, StageStep, WeightStep
from .weights import Array, Term, Weight, encode, output_error


class Quantization:
    """One run.

    text: to calibrate on; None where the recipe needs none.
    progress: called with (done, total, what is being done).
    """

    def __init__(
        self,
        source: Source,
        output: str,
        options: Options = Options(),
        text: str | None = None,
        progress: Progress = lambda done, total, what: None,
    ):
        check_folder(output)
        check_not_model(output, source.archive.path)
        self.original, self.output, self.options, self.progress = source, output, options, progress
        self.recipe = recipes.find(options.recipe)
        self.allocation: dict[str, Any] | None = None
        self.sequences = self._read_text(text)
        self.caches = Caches(source, options.context)
        check_plan(options, self.recipe, source)
        self._is_new = not os.path.exists(self.folder)
        self._decisions: dict[str, list[str]] = {}
        with self._leaving_nothing():
            self.source = self._transform(source)
            self.calibration = Calibration(
                self.source.program(options.length),
                ["moments", "maxima", "minima"],
                self.sequences,
                source.path,
                self._report,
            )
            self.choices = Choices(self.source.archive, self.calibration.stages, options.keep)
            self._adopt(options.plan or {})
            self.others = Others(source.archive, self.source.archive, self.choices)
            self.others.check(self._quantized)

    def _adopt(self, plan: Mapping[str, str]) -> None:
        """What a plan says, checked: encodings of weights, types of caches."""
        caches = {key: type for key, type in plan.items() if key in self.caches.shapes}
        inputs = {key: type for key, type in plan.items() if activations.is_input(key)}
        weights = {k: e for k, e in plan.items() if k not in caches and k not in inputs}
        self.encodings = self.choices.complete(
            weights, self.recipe.weights if self.options.weights is None else self.options.weights
        )
        self.cache_types = self.caches.complete(caches)
        self.input_types = activations.complete(inputs, self.choices.products)
        if inputs and not isinstance(self.original, LanguageModel):
            raise LowbitError(
                "the plan has inputs of weights, which only the program of a language model takes from its archive",
                hint="write the attribute lowbit.activations on the program's parameters, and take them out of the plan",
            )

    @property
    def _quantized(self) -> set[str]:
        """Weights of products that do not stay as they are stored."""
        return {key for key, encoding in self.encodings.items() if encoding != KEEP}

    @contextlib.contextmanager
    def _leaving_nothing(self, journal: Journal | None = None) -> Iterator[None]:
        """What is refused will be refused again: nothing of it is left, but what another run left stays."""
        try:
            yield
        except LowbitError:
            if self._is_new or (journal and journal.done):
                remove_folder(self.folder)
            raise

    @cached_property
    def shared(self) -> frozenset[str]:
        uses = Counter(key for stage in self.calibration.stages for key in stage.weights)
        shared = {key for key, count in uses.items() if count > 1}
        text = self.source.program(self.options.length)
        # Of a language model all entries are one model; of a program of one's own they may be anything.
        if not isinstance(self.original, LanguageModel) and text.count("lowbit.entry") > 1:
            for parameters, *_ in _lowbit.describe_entries(text, self.source.path)[1:]:
                shared.update(parameters)
        return frozenset(shared)

    @cached_property
    def factors(self) -> frozenset[str]:
        taps = [set(feeds) for stage in self.calibration.stages for feeds in stage.feeds]
        uses = Counter(key for feeds in taps for key in feeds)
        return frozenset(key for key, count in uses.items() if count > 1)

    def _read_text(self, text: str | None) -> list[Tokens]:
        if text is None:
            if any(step.needs_text for step in self.recipe.steps):
                raise LowbitError(
                    f"recipe '{self.recipe.name}' needs a text to calibrate on",
                    hint="give --calibration FILE, some ten thousand words of what the model will read",
                )
            return []
        return read_text(self.original, text, self.options.tokens, self.options.length)

    def _allocate(self, journal: Journal) -> None:
        """Encodings by the recipe's plan, measured once for a run and its resumptions."""
        for step in self.recipe.steps:
            if isinstance(step, PlanStep) and self.options.plan is None:
                self.allocation = journal.load_note("allocation")
                if self.allocation is None:
                    plan, record = step.plan(self)
                    self.allocation = {"plan": plan, "record": record}
                    journal.save_note("allocation", self.allocation)
                self._adopt(self.allocation["plan"])

    @cached_property
    def gradients(self) -> Gradients:
        """Of the float model, on the text."""
        return Gradients(self.source, self.options.length, self.sequences, progress=self.progress)

    @cached_property
    def _fisher(self) -> KeptFisher:
        return KeptFisher(self.gradients.fisher, self._journal)

    def fisher(self, key: str) -> Array:
        """Of a weight of the float model, as stored: the diagonal of its Fisher information. Computed for all when it is first asked for, and kept for a run and its
        resumptions."""
        return self._fisher.load(key)

    def _transform(self, source: Source) -> Source:
        """By the steps that change the whole model, in archives beside what the run has done."""
        for number, step in enumerate(self.recipe.steps):
            if isinstance(step, ModelStep):
                self.progress(0, 1, step.name)
                os.makedirs(self.folder, exist_ok=True)
                path = os.path.join(self.folder, f"model-{number}.safetensors")
                source = step.transform(source, path, self._note, self.sequences)
        added = [t.name for t in source.archive.tensors if t.name.startswith("rotation.")]
        if added and is_gguf(self.output):
            raise LowbitError(
                f"other programs that read GGUF do not know '{added[0]}', a rotation while the model runs",
                hint="give --output a name that ends in .safetensors, or the step's options heads=false down=false",
            )
        return source

    def _note(self, key: str, text: str) -> None:
        self._decisions.setdefault(key, []).append(text)

    @property
    def folder(self) -> str:
        return self.output + ".partial"

    def _report(self, sequence: int) -> None:
        position, stages = self.calibration.position, self.calibration.stages
        each = max(len(self.sequences), 1)
        name = stages[position].name if position < len(stages) else "writing"
        self.progress(position * each + min(sequence, each), len(stages) * each, name)

    def _settings(self) -> dict[str, Any]:
        """What a run must have in common with an interrupted one to go on from there."""
        return {
            **origin_of(self.original, self.sequences),
            "options": asdict(self.options),
            "recipe": [self.recipe.pipeline, self.recipe.weights],
        }

    def run(self) -> dict[str, Any]:
        """Writes the output, and gives the record for a report."""
        journal = Journal(self.folder, self._settings())
        with self._leaving_nothing(journal):
            return self._run(journal)

    def _run(self, journal: Journal) -> dict[str, Any]:
        start = time.perf_counter()
        record: dict[str, Any] = journal.record or {"tensors": [], "sites": [], "steps": []}
        self._journal = journal
        self._allocate(journal)
        if self.allocation:
            record["allocation"] = self.allocation["record"]
        self.calibration.resume(journal.done, journal.load_values())
        while self.calibration.position < len(self.calibration.stages):
            began = time.perf_counter()
            self._report(0)
            stage = self.calibration.stages[self.calibration.position]
            stored, after = self._quantize_stage(stage, record)
            check_format(self.output, stored)
            self.calibration.advance(after)
            record["steps"].append({"name": stage.name, "seconds": time.perf_counter() - began})
            journal.save(stored, self.calibration.values, record)
        if journal.done == len(self.calibration.stages):
            others = self._store_others(record, journal)
            check_format(self.output, others)
            journal.save(others, self.calibration.values, record)
        self._report(0)
        self._summarize(record, time.perf_counter() - start)
        _lowbit.merge_archives(
            self.source.archive, journal.archives, self._metadata(record), self.output
        )
        journal.remove()
        return record

    # One stage
    # ---------

    def _load(self, keys: Sequence[str]) -> dict[str, Array]:
        return load_parameters(self.source.archive, keys)

    def _quantize_stage(
        self, stage: Stage, record: dict[str, Any]
    ) -> tuple[Stored, dict[str, Array]]:
        """What its tensors are stored as, and all its parameters as they decode."""
        stage_steps = [step for step in self.recipe.steps if isinstance(step, StageStep)]
        if not any(step.keeps_every_input for step in stage_steps) and all(
            self.encodings[key] == KEEP for feeds in stage.feeds for key in feeds
        ):
            return {}, self._load(stage.parameters) if self.sequences else {}
        original = self._load(stage.weights)
        taps = self.calibration.observe(original) if self.sequences else []
        chosen = {k: e for feeds in stage.feeds for k in feeds if (e := self.encodings[k]) != KEEP}
        decisions = {key: list(self._decisions.get(key, [])) for key in chosen}
        state = StageState(
            stage,
            dict(original),
            list(taps),
            chosen,
            decisions,
            self.shared,
            self.factors,
            self.calibration.measure,
        )
        for step in stage_steps:
            step.condition(state)
        by_key: dict[str, tuple[Statistics, Statistics]] = {}
        for both in zip(taps, state.taps):
            for key in both[0].feeds:
                pair = by_key.get(key)
                by_key[key] = (pair[0] + both[0], pair[1] + both[1]) if pair else both

        needs_fisher = any(step.needs_fisher for step in self.recipe.steps)
        fisher = {key: self.fisher(key) for key in chosen if needs_fisher}

        def quantize(key: str) -> tuple[Term, Array, dict[str, Any]]:
            before, after = by_key.get(key, (None, None))
            try:
                return self._quantize_weight(
                    key, state, original[key], before, after, fisher.get(key)
                )
            except RuntimeError as error:  # an encoding that does not serve
                raise LowbitError(
                    f"tensor '{key}': {error}",
                    hint=f"choose another encoding, or leave it as it is: --keep '{key}={KEEP}'",
                ) from None

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            results = dict(zip(chosen, pool.map(quantize, chosen)))
        if state.added and is_gguf(self.output):
            raise LowbitError(
                f"a GGUF file has no place for '{next(iter(state.added))}'",
                hint="give --output a name that ends in .safetensors",
            )
        stored: Stored = {
            key: (values.shape, Term("", {"values": values})) for key, values in state.added.items()
        }
        for key, values in state.parameters.items():
            if key in results:
                term, state.parameters[key], entry = results[key]
                stored[key] = (values.shape, term)
                record["tensors"].append(entry)
            elif values is not original[key]:  # a gain that was conditioned
                term = self._store_other(key, values, record)
                stored[key] = (values.shape, term)
                state.parameters[key] = term.decode(values.shape)
        record["sites"] += [describe_site(old, new) for old, new in zip(taps, state.taps)]
        return stored, state.parameters

    def _quantize_weight(
        self,
        key: str,
        state: StageState,
        original: Array,
        before: Statistics | None,
        after: Statistics | None,
        fisher: Array | None,
    ) -> tuple[Term, Array, dict[str, Any]]:
        began = time.perf_counter()
        values = np.ascontiguousarray(state.parameters[key])
        moments = after.mean("moments") if after else np.eye(values.shape[1])
        weight = Weight(key, values, state.encodings[key], moments, after and after.largest)
        if fisher is not None:
            weight.fisher = conditioned_fisher(fisher, original, values)
        weight.decisions += state.decisions.get(key, [])
        *steps, quantizer = self.recipe.steps
        for step in steps:
            if isinstance(step, WeightStep):
                step.apply(weight)
        assert isinstance(quantizer, Quantizer)
        term = weight.finish(quantizer.encode(weight))
        decoded = term.decode(values.shape)
        entry = describe_tensor(key, values.shape, term)
        entry["base"] = weight.encoding
        entry["weight_error"] = ratio(
            float(((decoded - values) ** 2).sum(dtype=np.float64)),
            float((values**2).sum(dtype=np.float64)),
        )
        if before and after:
            entry["error"] = ratio(
                output_error(decoded - values, moments), output_error(values, moments)
            )
            nearest = encode(original, state.encodings[key]).decode(original.shape)
            unconditioned = before.mean("moments")
            entry["error_nearest"] = ratio(
                output_error(nearest - original, unconditioned),
                output_error(original, unconditioned),
            )
        entry["decisions"] = weight.decisions
        entry["seconds"] = time.perf_counter() - began
        return term, decoded, entry

    def _store_other(self, key: str, values: Array, record: dict[str, Any]) -> Term:
        term, entry = self.others.store(key, values)
        if entry:
            record["tensors"].append(entry)
        return term

    def _store_others(self, record: dict[str, Any], journal: Journal) -> Stored:
        """What no stage has stored."""
        done = {t.name for path in journal.archives for t in _lowbit.Archive(path).tensors}
        return {
            key: (values.shape, self._store_other(key, values, record))
            for key, values in self.others.left(done | self._quantized)
        }

    # What is told of it
    # ------------------

    def _metadata(self, record: Mapping[str, Any]) -> dict[str, str]:
        texts = {"lowbit.quantization": json.dumps(self._provenance())}
        if self.cache_types:
            texts[METADATA_KEY] = json.dumps(self.cache_types)
        is_model = isinstance(self.original, LanguageModel)
        kept = activations.of_archive(self.source.archive) if is_model else {}
        if self.input_types or kept:
            # What was chosen for an encoding that a weight had before is chosen no more.
            for tensor in record["tensors"]:
                kept.pop(tensor["key"], None)
            chosen = activations.as_encodings(self.input_types)
            texts[activations.METADATA_KEY] = json.dumps({**kept, **chosen})
        return texts

    def _provenance(self) -> dict[str, Any]:
        """How the output was made, in its metadata."""
        steps = self.recipe.pipeline
        provenance: dict[str, Any] = {"schema": 1, "recipe": self.recipe.name, "pipeline": steps}
        if self.sequences:
            provenance["tokens"] = sum(map(len, self.sequences))
        return provenance

    def _summarize(self, record: dict[str, Any], seconds: float) -> None:
        record.update(
            schema=1,
            model=os.path.basename(self.original.path),
            budget=self.options.budget,
            recipe=self.recipe.name,
            description=f"{self.recipe.description} Steps: {self.recipe.pipeline}.",
            totals=totals(record["tensors"], self.original.archive, seconds),
        )
        if self.cache_types:
            record["context"] = self.caches.context
            record["caches"] = self.caches.describe(self.cache_types)
        for tensor in record["tensors"]:
            if tensor["key"] in self.input_types:
                tensor["activations"] = self.input_types[tensor["key"]]
        if self.sequences:
            record["calibration"] = {
                "tokens": sum(map(len, self.sequences)),
                "sequences": len(self.sequences),
                "length": max(map(len, self.sequences)),
            }
