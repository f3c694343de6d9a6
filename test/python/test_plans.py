"""What the allocator reads and writes: tables of candidates, budgets, and plans that a person edits."""

from __future__ import annotations

import json
import math
import os
import stat
from fractions import Fraction

import numpy as np
import pytest
from lowbit.errors import LowbitError
from lowbit.precision.allocation.allocator import Budget, Candidate, Item, allocate, evaluate
from lowbit.precision.allocation.plan import Plan, read_plan, write_plan
from lowbit.precision.allocation.table import read_table, write_table

ITEMS = [
    Item("b.weight", (Candidate("f16", 200, 0.0), Candidate("int4", 50, 0.1, 1e-5)), 100, "pair"),
    Item("a.weight", (Candidate("f16", 200, 0.0), Candidate("int4", 50, 0.2, 1e-5)), 100, "pair"),
    Item("kv cache", (Candidate("int8", 64, 1e-12), Candidate("int4", 32, 1e-3))),
]


def test_a_table_comes_back(tmp_path):
    path = tmp_path / "table.json"
    write_table(path, ITEMS)
    assert read_table(path) == ITEMS
    assert json.loads(path.read_text())["items"]["kv cache"] == {
        "candidates": {"int8": {"bytes": 64, "loss": 1e-12}, "int4": {"bytes": 32, "loss": 1e-3}}
    }


def test_numbers_of_numpy_are_numbers(tmp_path):
    made = Candidate("x", np.int64(2**40), np.float32(0.5), np.float64(0.25))
    item = Item("k", [made], weights=np.int32(7))
    assert item == Item("k", (Candidate("x", 2**40, 0.5, 0.25),), 7)
    write_table(tmp_path / "table.json", [item])
    assert read_table(tmp_path / "table.json") == [item]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "table.json"
    path.write_text("kept")
    with pytest.raises(LowbitError, match="item 'kv cache' is there twice"):
        write_table(path, [ITEMS[2], ITEMS[2]])

    def fail(*arguments):
        raise OSError("the disk is full")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="the disk is full"):
        patch.setattr(os, "replace", fail)
        write_table(path, ITEMS)
    assert path.read_text() == "kept" and os.listdir(tmp_path) == ["table.json"]
    link = tmp_path / "link.json"
    link.symlink_to(path)
    write_table(link, ITEMS)
    assert link.is_symlink() and read_table(path) == ITEMS
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    assert sorted(os.listdir(tmp_path)) == ["link.json", "table.json"]


def table(**fields) -> str:
    candidate = {"bytes": 1, "loss": 0.5} | fields
    return json.dumps({"schema": 1, "items": {"k": {"candidates": {"x": candidate}}}})


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "line 1, column 1: this is no JSON: Expecting value"),
        ('{"schema": 1,\n "items" {}}', "line 2, column 10: this is no JSON"),
        ("[" * 100000, "this is no JSON"),
        ("[]", "this is not a table: it has no schema"),
        ('{"items": {}}', "this is not a table: it has no schema"),
        ('{"schema": 2, "items": {}}', "schema is 2, but this version reads 1"),
        ('{"schema": true, "items": {}}', "schema is True, but this version reads 1"),
        ('{"schema": 1}', "items is missing: it must be an object"),
        ('{"schema": 1, "items": []}', r"items is \[\]: it must be an object"),
        ('{"schema": 1, "items": {}, "x": 1}', "a table: no field is named 'x'"),
        ('{"schema": 1, "items": {"k": {}, "k": {}}}', "'k' is there twice"),
        ('{"schema": 1, "items": {"k": 3}}', "item 'k' is 3: it must be an object"),
        ('{"schema": 1, "items": {"k": {}}}', "item 'k': candidates is missing"),
        ('{"schema": 1, "items": {"k": {"wights": 1}}}', "item 'k': no field is named 'wights'"),
        ('{"schema": 1, "items": {"k": {"candidates": {}}}}', "item 'k' has no candidates"),
        ('{"schema": 1, "items": {"k": {"candidates": {"x": 1}}}}', "candidate 'x' is 1: it must"),
        (table(lost=1), "item 'k', candidate 'x': no field is named 'lost'"),
        (table(bytes=None).replace('"bytes": null, ', ""), "candidate 'x': bytes is missing"),
        (table(bytes=1.5), "item 'k', candidate 'x': bytes is 1.5: it must be a whole number"),
        (table(bytes=-1), "item 'k', candidate 'x': bytes is -1"),
        (table(bytes=True), "item 'k', candidate 'x': bytes is True"),
        (table(bytes="1"), "item 'k', candidate 'x': bytes is '1'"),
        (table(loss=math.nan), "item 'k', candidate 'x': loss is nan: it must be a finite number"),
        (table(loss=math.inf), "item 'k', candidate 'x': loss is inf"),
        (table(loss=-1e-9), "item 'k', candidate 'x': loss is -1e-09"),
        (table(loss=10**400), "item 'k', candidate 'x': loss is 1000"),
        (table(loss=None), "item 'k', candidate 'x': loss is None"),
        (table(seconds=-1), "item 'k', candidate 'x': seconds is -1"),
        ("\udcff", "this is no JSON"),
    ],
)
def test_tables_that_are_wrong(tmp_path, text, message):
    path = tmp_path / "table.json"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(LowbitError, match=message) as caught:
        read_table(path)
    assert str(caught.value).startswith(f"'{path}': ")


def test_items_that_are_wrong():
    good = (Candidate("x", 1, 1.0),)
    for fields, message in [
        (("", good), "an item's key is ''"),
        (("k", good, 0), "item 'k': weights is 0"),
        (("k", good, -3), "item 'k': weights is -3"),
        (("k", good, 3, ""), "item 'k': group is ''"),
        (("k", good * 2), "item 'k', candidate 'x': it is there twice"),
        (("k", (Candidate("", 1, 1.0),)), "item 'k': encoding is ''"),
    ]:
        with pytest.raises(LowbitError, match=message):
            Item(*fields)


@pytest.mark.parametrize(
    "text, budget",
    [
        ("3.5bpw", Budget(bits_per_weight=Fraction(7, 2))),
        ("60MB", Budget(bytes=60_000_000)),
        ("57.2 MiB", Budget(bytes=59978547)),
        ("1.5KiB", Budget(bytes=1536)),
        (".5GB", Budget(bytes=500_000_000)),
        ("2.GiB", Budget(bytes=2**31)),
        ("12B", Budget(bytes=12)),
        ("3kB", Budget(bytes=3000)),
        ("4ms", Budget(seconds=0.004)),
        ("250us", Budget(seconds=250e-6)),
        ("250µs", Budget(seconds=250e-6)),
        ("70ns", Budget(seconds=70e-9)),
        ("1.25s", Budget(seconds=1.25)),
        ("3.5bpw,4ms", Budget(bits_per_weight=Fraction(7, 2), seconds=0.004)),
        (" 4ms , 60MB ", Budget(bytes=60_000_000, seconds=0.004)),
    ],
)
def test_budgets(text, budget):
    assert Budget.parse(text) == budget == Budget.parse(str(budget))


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "'' is no budget"),
        ("3.5", "'3.5' is no budget"),
        ("3.5bits", "'3.5bits' is no budget"),
        ("60mb", "'60mb' is no budget"),
        ("-1MB", "'-1MB' is no budget"),
        ("1e3MB", "'1e3MB' is no budget"),
        ("4bpw,", "'' is no budget"),
        ("9" * 400 + "s", "9s' is no budget"),
        ("4ms,1s", "the budget '4ms,1s' has two limits of seconds"),
        ("4bpw,60MB", "a budget has two sizes"),
        ("0MB", "the budget's limit 0 is not above 0"),
        ("0.5B", "the budget's limit 0 is not above 0"),
    ],
)
def test_budgets_that_are_none(text, message):
    with pytest.raises(LowbitError, match=message) as caught:
        Budget.parse(text)
    for said in ("bpw", "MiB", "ms", "3.5bpw,4ms"):
        assert said in caught.value.hint
    with pytest.raises(LowbitError, match="limit nan is not above 0"):
        Budget(seconds=math.nan)


def test_bits_per_weight_are_whole_bytes_below():
    assert Budget.parse("3.5bpw").byte_limit(ITEMS[:2]) == 87  # 87.5
    assert Budget(bits_per_weight=3.5).byte_limit(ITEMS[:2]) == 87
    with pytest.raises(LowbitError, match="needs the number of weights of item 'kv cache'"):
        allocate(ITEMS, "3.5bpw")
    assert allocate(ITEMS, "460B").weights is None


def test_a_plan_is_written_edited_and_read(tmp_path):
    path = tmp_path / "plan.json"
    found = allocate(ITEMS, "140B")
    write_plan(path, Plan.of(found, Budget.parse("140B")))
    plan = read_plan(path)
    assert plan.tensors == found.choice
    assert (plan.budget, plan.bytes, plan.loss) == ("140B", found.bytes, found.loss)
    assert (plan.bound, plan.seconds) == (found.bound, found.seconds) == (found.bound, 2e-5)

    text = json.loads(path.read_text())
    assert text["schema"] == 1 and text["tensors"]["kv cache"] == "int4"
    path.write_text(json.dumps({"schema": 1, "tensors": text["tensors"] | {"kv cache": "int8"}}))
    edited = read_plan(path)
    assert edited == Plan(found.choice | {"kv cache": "int8"})
    again = evaluate(ITEMS, edited.tensors)
    assert again.bytes == 164 and again.loss == 0.1 + 0.2 + 1e-12 and again.bound is None


@pytest.mark.parametrize(
    "text, message",
    [
        ('{"tensors": {"a": "x"}}', "this is not a plan: it has no schema"),
        ('{"schema": "1", "tensors": {"a": "x"}}', "schema is '1', but this version reads 1"),
        ('{"schema": 1}', "tensors is missing"),
        ('{"schema": 1, "tensors": {}}', "tensors is empty"),
        ('{"schema": 1, "tensors": {"": "x"}}', "tensors: a name is empty"),
        ('{"schema": 1, "tensors": {"a": 4}}', "tensor 'a': the encoding is 4: it must be a text"),
        ('{"schema": 1, "tensors": {"a": " "}}', "tensor 'a': the encoding is ' '"),
        ('{"schema": 1, "tensors": {"a": "x", "a": "y"}}', "'a' is there twice"),
        ('{"schema": 1, "tensor": {"a": "x"}}', "a plan: no field is named 'tensor'"),
        ('{"schema": 1, "tensors": {"a": "x"}, "bytes": 1.5}', "bytes is 1.5: it must be a whole"),
        ('{"schema": 1, "tensors": {"a": "x"}, "loss": "1"}', "loss is '1': it must be a finite"),
        ('{"schema": 1, "tensors": {"a": "x"}, "budget": 4}', "budget is 4: it must be a text"),
    ],
)
def test_plans_that_are_wrong(tmp_path, text, message):
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(LowbitError, match=message) as caught:
        read_plan(path)
    assert str(caught.value).startswith(f"'{path}': ")


def test_a_plan_that_says_nothing_is_not_written(tmp_path):
    with pytest.raises(LowbitError, match="tensors is empty"):
        write_plan(tmp_path / "plan.json", Plan({}))
    assert os.listdir(tmp_path) == []
