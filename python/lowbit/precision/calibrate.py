"""Statistics of a model's inputs as an archive, without quantizing anything: `lowbit calibrate`."""

from __future__ import annotations

import json
from typing import Sequence

import numpy as np

from .. import _lowbit
from ..errors import LowbitError
from ..files import check_folder, check_not_model, is_gguf
from .fisher import KeptFisher
from .gradients import Gradients
from .journal import Journal, origin_of
from .sources import Source, load_parameters, read_text
from .stages import Calibration, Progress
from .statistics import FISHER, KINDS, Statistics, describe, tensors_of
from .weights import Term


def calibrate(
    source: Source,
    output: str,
    text: str,
    statistics: Sequence[str] = ("moments", "sums", "maxima", "minima"),
    tokens: int = 32768,
    length: int = 1024,
    progress: Progress = lambda done, total, what: None,
) -> list[Statistics]:
    """Runs the float model on a text, layer by layer, and writes what its taps kept (statistics.py has the schema). An interrupted run goes
    on where it was. What it gives has everything but the numbers.

    statistics: of statistics.KINDS, and FISHER. tokens: of the text, at most. length: of a sequence, at most.
    """
    check_folder(output)
    check_not_model(output, source.archive.path)
    if is_gguf(output):
        raise LowbitError(
            f"'{output}': a GGUF file has no place for statistics",
            hint="give --output a name that ends in .safetensors",
        )
    unknown = [kind for kind in statistics if kind not in (*KINDS, FISHER)]
    if unknown or not statistics:
        raise LowbitError(
            f"'{unknown[0]}' is not a statistic" if unknown else "no statistics are asked for",
            hint=f"some of {', '.join((*KINDS, FISHER))}",
        )
    sequences = read_text(source, text, tokens, length)

    def report(sequence: int) -> None:
        position, stages = calibration.position, calibration.stages
        progress(
            position * len(sequences) + sequence,
            len(stages) * len(sequences),
            stages[min(position, len(stages) - 1)].name,
        )

    kinds = [kind for kind in dict.fromkeys(statistics) if kind != FISHER]
    calibration = Calibration(
        source.program(length), kinds or ["sums"], sequences, source.path, report
    )
    settings = {**origin_of(source, sequences), "calibrate": [list(statistics), tokens, length]}
    journal = Journal(output + ".partial", settings)
    taps = [Statistics(t["feeds"], t["rows"]) for t in journal.record.get("taps", [])]
    calibration.resume(journal.done, journal.load_values())
    while calibration.position < len(calibration.stages):
        stage = calibration.stages[calibration.position]
        weights = load_parameters(source.archive, stage.weights)
        found = calibration.observe(weights)
        calibration.advance(weights)
        stored = {
            name: (value.shape, Term("", {"values": np.ascontiguousarray(value)}))
            for tap in found
            for name, value in tensors_of(tap)
        }
        taps += [Statistics(tap.feeds, tap.rows) for tap in found]
        record = {"taps": [{"feeds": tap.feeds, "rows": tap.rows} for tap in taps]}
        journal.save(stored, calibration.values, record)
    archives = journal.archives if kinds else []
    if FISHER in statistics:
        gradients = Gradients(source, length, sequences, progress=progress)
        archives += KeptFisher(gradients.fisher, journal).archives
    first, *others = archives
    metadata = {"lowbit.statistics": json.dumps(describe(taps))}
    _lowbit.merge_archives(_lowbit.Archive(first), others, metadata, output)
    journal.remove()
    return taps
