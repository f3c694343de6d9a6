"""lowbit.precision.kernel_times: what is measured is kept, and candidates get it."""

from __future__ import annotations

import json

import pytest

from lowbit import cache
from lowbit.precision import kernel_times
from lowbit.precision.allocation import Candidate, Item

ENCODINGS = [
    "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>",
    "#lowbit.sum<#lowbit.quantized<int<4>, scale = f16 per [1, 32]>, #lowbit.low_rank<rank = 2, #lowbit.quantized<f16>, #lowbit.quantized<f16>>>",
]


@pytest.fixture
def items(monkeypatch, tmp_path) -> list[Item]:
    monkeypatch.setattr(cache, "folder", lambda: str(tmp_path))
    candidates = tuple(Candidate(e, bytes=100, loss=1.0) for e in ENCODINGS)
    return [Item(key, candidates, weights=32 * 64) for key in ("a", "b")]


def test_measures_once_for_each_shape_and_encoding(items, tmp_path, monkeypatch):
    told = []
    timed = kernel_times.with_times(
        items, {"a": [32, 64], "b": [32, 64]}, lambda *what: told.append(what)
    )
    assert told == [(0, 2, "timing kernels"), (1, 2, "timing kernels")]
    seconds = [c.seconds for c in timed[0].candidates]
    assert all(0 < s < 1 for s in seconds) and seconds == [c.seconds for c in timed[1].candidates]
    assert [c.loss for c in timed[0].candidates] == [1.0, 1.0]
    table = json.loads((tmp_path / "kernel-times.json").read_text())
    assert sorted(table.values()) == sorted(seconds)

    def refuse(*arguments):
        raise AssertionError("measured again")

    monkeypatch.setattr(kernel_times, "measure", refuse)
    again = kernel_times.with_times(items, {"a": [32, 64], "b": [32, 64]}, print)
    assert again == timed


def test_a_damaged_table_is_measured_anew(items, tmp_path, monkeypatch):
    (tmp_path / "kernel-times.json").write_text("{")
    monkeypatch.setattr(kernel_times, "measure", lambda shape, encoding, folder: 0.25)
    timed = kernel_times.with_times(items[:1], {"a": [32, 64]}, lambda *what: None)
    assert [c.seconds for c in timed[0].candidates] == [0.25, 0.25]
    assert set(json.loads((tmp_path / "kernel-times.json").read_text()).values()) == {0.25}
