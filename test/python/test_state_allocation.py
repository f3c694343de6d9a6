"""lowbit.optim.allocate_states: what states cost a step, plans under a budget, and optimizers that are made by them."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import optimizer_reference
import pytest
from lowbit import _lowbit, cli, optim
from lowbit.errors import LowbitError
from lowbit.precision.allocation import Plan, read_plan, write_plan
from optimizer_reference import gradients, parameters

SHAPES = {"w[0]": (64, 96), "embed": (96, 64), "gain": (64,)}
M8 = "#lowbit.quantized<codebook<dynamic, 8>, scale = f32 per [1, 256]>"
M4 = "#lowbit.quantized<codebook<dynamic, 4>, scale = f32 per [1, 128]>"
ZERO4 = "#lowbit.quantized<int<4>, scale = f32 per [1, 128]>"


def stepped(optimizer: optim.Optimizer, steps: int = 6) -> optim.State:
    params, state = parameters(optimizer.shapes), optimizer.init()
    for step in range(steps):
        optimizer.step(params, gradients(optimizer.shapes, step), state)
    return state


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("states") / "states.safetensors"
    opt = optim.compile("adamw", SHAPES)
    optim.save_state(path, opt, stepped(opt))
    return path


@pytest.fixture(scope="module")
def costs(checkpoint) -> optim.allocation.StateCosts:
    return optim.measure_states(checkpoint)


def test_losses_are_what_numpy_finds(checkpoint, costs):
    """With the momentum for a gradient, the change of AdamW's update, over that of all parameters."""
    state = optim.load_state(checkpoint, optim.compile("adamw", SHAPES))

    def update(name: str, m: np.ndarray, v: np.ndarray) -> np.ndarray:
        states = {"m": m.astype(np.float64), "v": v.astype(np.float64)}
        gradient = state.tensors[name]["m"]["values"].astype(np.float64)
        result = optimizer_reference.adamw(gradient, np.zeros_like(gradient), states, 7)
        return result[0] if isinstance(result, tuple) else result

    def stored(name: str) -> dict[str, np.ndarray]:
        return {key: parts["values"] for key, parts in state.tensors[name].items()}

    exact = {name: update(name, **stored(name)) for name in SHAPES}
    whole = sum(np.square(own).sum() for own in exact.values())
    assert {item.key for item in costs.items} == {f"{n}/{s}" for n in SHAPES for s in "mv"}
    for item in costs.items:
        name, key = item.key.split("/")
        assert item.candidates[0].encoding == "f32" and item.candidates[0].loss == 0
        assert item.candidates[0].bytes == 4 * math.prod(SHAPES[name])
        assert len(item.candidates) == (3 if name == "gain" else 5)
        for candidate in item.candidates[1:]:
            values = stored(name)
            parts = _lowbit.encode(values[key], candidate.encoding)
            assert candidate.bytes == sum(part.nbytes for part in parts.values())
            values[key] = _lowbit.decode(candidate.encoding, list(values[key].shape), parts)
            change = np.square(update(name, **values) - exact[name]).sum() / whole
            assert candidate.loss == pytest.approx(change, rel=1e-2)


@pytest.mark.parametrize("budget", [20_000, 30_000, 60_000])
def test_budgets_are_kept_and_nothing_is_better(checkpoint, budget):
    """Of all choices for the two large parameters."""
    plan, costs = optim.allocate_states(checkpoint, f"{budget}B", candidates=["dynamic8", "int4"])
    table = [[c for c in item.candidates] for item in costs.items]
    best = min(
        math.fsum(c.loss for c in choice)
        for choice in itertools.product(*table)
        if sum(c.bytes for c in choice) <= budget
    )
    chosen = {
        item.key: next(c for c in item.candidates if c.encoding == plan.tensors[item.key])
        for item in costs.items
    }
    assert plan.bytes == sum(c.bytes for c in chosen.values()) <= budget
    assert plan.loss == pytest.approx(best, rel=1e-8) and plan.bound <= plan.loss * (1 + 1e-8)
    assert plan.loss == pytest.approx(math.fsum(c.loss for c in chosen.values()))


def test_plans_make_optimizers_and_can_be_edited(checkpoint, tmp_path):
    plan, _ = optim.allocate_states(checkpoint, "45kB")
    path = tmp_path / "plan.json"
    write_plan(path, plan)
    assert read_plan(path) == plan and plan.budget == "45000B"

    def encodings(opt: optim.Optimizer) -> dict[str, str]:
        return {f"{n}/{s}": e or "f32" for n in SHAPES for s, e in opt.encodings(n).items()}

    opt = optim.compile("adamw", SHAPES, states=str(path))
    assert encodings(opt) == plan.tensors and len(set(plan.tensors.values())) > 2
    state = optim.load_state(checkpoint, opt)
    assert state.bytes == plan.bytes <= 45_000
    # Going on from there is the step with states that are stored so.
    params = parameters(SHAPES)
    opt.step(params, gradients(SHAPES, 6), state)
    assert all(np.isfinite(p).all() for p in params.values())

    edited = plan.tensors | {"w[0]/m": M8, "embed/m": "f32"}
    del edited["gain/v"]
    write_plan(path, Plan(edited))
    found = encodings(optim.compile("adamw", SHAPES, states=str(path)))
    assert found == edited | {"gain/v": "f32"}
    write_plan(path, Plan({"w/m": M8}))
    with pytest.raises(LowbitError, match="'w/m' is of no parameter that is here"):
        optim.compile("adamw", SHAPES, states=str(path))
    write_plan(path, Plan({"embed/m": "int4"}))
    with pytest.raises(LowbitError, match="int4"):
        optim.compile("adamw", SHAPES, states=str(path))


@pytest.mark.parametrize("name", ["a*", "a?", "[a]", "{a,b}", "a\\b", 'a"b', "ä", "!a^"])
def test_names_are_no_patterns(tmp_path, name):
    """Of what they would match as patterns nothing gets an encoding."""
    path = tmp_path / "plan.json"
    write_plan(path, Plan({f"{name}/m": M8}))
    others = {"aa", "a", "b", "ab", "a,b"} - {name}
    opt = optim.compile("sgd", {n: (8, 8) for n in [name, *others]}, states=str(path))
    assert opt.encodings(name) == {"m": M8}
    assert all(opt.encodings(other) == {"m": ""} for other in others)


def test_zeros_of_second_moments_are_not_chosen(checkpoint):
    """What is stored as 0 makes steps far too long, which is measured."""
    candidates = [f'[{{names = "v", encoding = {ZERO4}}}]', "int4"]
    plan, costs = optim.allocate_states(checkpoint, "14kB", candidates=candidates)
    losses = {c.encoding: c.loss for i in costs.items if i.key == "embed/v" for c in i.candidates}
    (without,) = [loss for encoding, loss in losses.items() if "linear_nonzero" in encoding]
    assert losses[ZERO4] > 100 * without
    assert "linear_nonzero" in plan.tensors["embed/v"]


def test_shards_are_one_checkpoint(checkpoint, costs, tmp_path):
    parts = [
        optim.compile("adamw", SHAPES, shards={"embed": shard})
        for shard in optim.split(SHAPES["embed"], 2)
    ]
    states = [optim.load_state(checkpoint, part) for part in parts]
    names = [optim.save_shards(tmp_path / "folder", *pair) for pair in zip(parts, states)]
    optim.commit_shards(tmp_path / "folder", names)
    assert optim.measure_states(tmp_path / "folder").items == costs.items


def test_matrices_and_gradients(tmp_path):
    """Of a rule that looks at rows and columns, and has no momentum."""
    shapes = {"w": (96, 64)}
    opt = optim.compile("adafactor", shapes)
    path = tmp_path / "states.safetensors"
    optim.save_state(path, opt, stepped(opt))
    with pytest.raises(LowbitError, match="has no momentum that could be taken") as caught:
        optim.measure_states(path)
    assert caught.value.hint == "give gradients"
    with pytest.raises(LowbitError, match="there is no gradient of w"):
        optim.measure_states(path, gradients={})
    found = optim.measure_states(path, gradients=gradients(shapes, 9), candidates=["bf16"])
    assert {item.key: item.weights for item in found.items} == {"w/r": 96, "w/c": 64}
    assert all(0 < item.candidates[1].loss < 1e-4 for item in found.items)


def test_what_the_update_does_not_read_stays(tmp_path):
    """Its loss is not measured by one step: no encoding is a candidate."""

    def counting(g, p, m, seen, *, lr=1e-3):
        m = 0.9 * m + g
        return p - lr * m, m, seen + abs(g)

    rule = optim.rule(counting, nonnegative=["seen"])
    opt = optim.compile(rule, SHAPES)
    path = tmp_path / "states.safetensors"
    optim.save_state(path, opt, stepped(opt))
    found = optim.measure_states(path, rule=rule, candidates=["dynamic8"])
    items = {item.key: [c.encoding for c in item.candidates] for item in found.items}
    assert items["embed/m"] == ["f32", M8] and items["embed/seen"] == ["f32"]
    assert {r.tensor for r in found.rejected} == {"embed/seen", "w[0]/seen"}
    assert all("does not depend on the state" in r.reason for r in found.rejected)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(candidates=["#lowbit.none"]), "the candidate '#lowbit.none' fits no parameter"),
        (dict(candidates=["int3"]), "states 'int3' are no scheme"),
        (dict(budget="1kB"), "no choice of encodings is within 1000B: the smallest takes"),
        (dict(budget="4ms"), "the budget 4ms has a time"),
        (dict(rule="lion"), "states of rule 'adamw', not 'lion'"),
        (dict(gradients={n: np.zeros(s, np.float32) for n, s in SHAPES.items()}, beta1=0.0), "the step updates nothing"),
    ],
)  # fmt: skip
def test_says_what_is_wrong(checkpoint, options, message):
    with pytest.raises(LowbitError) as caught:
        optim.allocate_states(checkpoint, **{"budget": "45kB", **options})
    assert message in str(caught.value)


def test_command(checkpoint, tmp_path, capsys):
    path = tmp_path / "plan.json"
    command = ["allocate-states", checkpoint, "--budget", "6bpw", "--output", path]
    assert cli.main([*map(str, command), "--candidates", "int4", "--candidates", "dynamic8"]) == 0
    plan = json.loads(path.read_text())
    elements = 2 * sum(math.prod(shape) for shape in SHAPES.values())
    assert 8 * plan["bytes"] <= 6 * elements and plan["budget"] == "6bpw"
    *lines, last = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and f"{plan['bytes']:,}" in last
    assert sum(int(line.split()[0].replace(",", "")) for line in lines) == plan["bytes"]
    assert (
        cli.main(
            ["allocate-states", str(tmp_path / "none"), "--budget", "1MB", "--output", str(path)]
        )
        == 1
    )
    assert "none" in capsys.readouterr().err
