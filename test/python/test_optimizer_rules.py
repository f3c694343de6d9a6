"""Rules: from Python functions, from files, and those of docs/Optimizers.md."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from kernels import assert_same_bits
from lowbit import optim
from lowbit.errors import LowbitError

PAGE = (Path(__file__).resolve().parents[2] / "docs/Optimizers.md").read_text()
SHAPES = {"w": (41, 131)}


def run(rule, states: str, steps: int = 3, **scalars) -> tuple[np.ndarray, dict]:
    optimizer, generator = optim.compile(rule, SHAPES, states), np.random.default_rng(0)
    params = {"w": generator.normal(size=SHAPES["w"]).astype(np.float32)}
    state = optimizer.init()
    for _ in range(steps):
        grads = {"w": generator.normal(size=SHAPES["w"]).astype(np.float32)}
        optimizer.step(params, grads, state, **scalars)
    return params["w"], state.tensors["w"]


def adamw(g, p, m, v, *, step, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=1e-2):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    direction = m / (optim.sqrt(v) * (1 / optim.sqrt(1 - beta2**step)) + eps)
    return (1 - lr * decay) * p - lr / (1 - beta1**step) * direction, m, v


def lion(g, p, m, *, lr=1e-4, beta1=0.9, beta2=0.99, decay=0.0):
    change = lr * optim.sign(beta1 * m + (1 - beta1) * g)
    return (1 - lr * decay) * p - change, beta2 * m + (1 - beta2) * g


def sgd(g, p, m, *, lr=1e-3, momentum=0.9, decay=0.0):
    m = momentum * m + (g + decay * p)
    return p - lr * m, m


@pytest.mark.parametrize("states", ["f32", "dynamic8", "int4"])
@pytest.mark.parametrize("function, nonnegative", [(adamw, ["v"]), (lion, []), (sgd, [])])
def test_a_function_is_the_program_that_comes_with_lowbit(function, nonnegative, states):
    traced = optim.rule(function, nonnegative)
    shipped = optim.load(function.__name__)
    assert traced.states == shipped.states and traced.elementwise
    assert {(a.name, a.default) for a in traced.scalars} == {
        (a.name, a.default) for a in shipped.scalars
    }
    (ours, ours_state), (theirs, theirs_state) = (
        run(r, states, decay=0.1) for r in (traced, shipped)
    )
    assert_same_bits(ours, theirs, "parameter")
    for name, components in theirs_state.items():
        for component, array in components.items():
            assert_same_bits(ours_state[name][component], array, f"{name} {component}")


def test_every_operation():
    def everything(g, p, a, *, x=0.5, y=2):
        number = optim.maximum(x, y) ** 0.5 + optim.exp(-x) / 2 - optim.log(y + 1.0)
        first = optim.where(g >= a, optim.minimum(g, x), -g) + optim.where(p < 0, 1.0, y)
        second = abs(g) ** 2 / (1 + optim.exp(optim.sign(a))) + optim.where(p <= g, 0.25, a)
        return first * number, 3 - second

    w, state = run(optim.rule(everything), "f32", 1)
    generator, f = np.random.default_rng(0), np.float32
    p = generator.normal(size=SHAPES["w"]).astype(f)
    g, a, x, y = generator.normal(size=SHAPES["w"]).astype(f), np.zeros_like(p), f(0.5), f(2)
    number = f(2**0.5 + np.exp(-0.5) / 2 - np.log(3.0))
    first = np.where(g >= a, np.minimum(g, x), -g) + np.where(p < 0, f(1), y)
    second = np.abs(g) ** 2 / (1 + np.exp(np.sign(a))) + np.where(p <= g, f(0.25), a)
    np.testing.assert_allclose(w, first * number, rtol=1e-6)
    np.testing.assert_allclose(state["a"]["values"].reshape(SHAPES["w"]), 3 - second, rtol=1e-6)


@pytest.mark.parametrize(
    "function, message",
    [
        (lambda g: g, "a rule is f"),
        (lambda g, p, *rest: p, "a rule is f"),
        (lambda g, p, m: p, "returns 1 values, not the parameter and 1 states"),
        (lambda g, p: p if g > 0 else g, "no branches"),
        (lambda g, p: p + "1", "computes with numbers, not with str"),
    ],
)
def test_what_is_no_rule(function, message):
    with pytest.raises(LowbitError, match=message):
        optim.rule(function)


def test_unknown_states_are_not_nonnegative():
    with pytest.raises(LowbitError, match="u is no state"):
        optim.rule(sgd, ["u"])


def test_a_number_without_a_default_is_needed():
    def plain(g, p, *, lr):
        return p - lr * g

    with pytest.raises(LowbitError, match="needs a value for lr"):
        run(optim.rule(plain), "f32")
    run(optim.rule(plain), "f32", lr=0.1)


STEP = "func.func @step({}) -> !T attributes {{lowbit.entry, lowbit.updates = array<i64: 1>}} {{ return %p : !T }}"
GRADIENT, PARAMETER = '%g: !T {lowbit.name = "gradient"}', '%p: !T {lowbit.name = "parameter"}'


@pytest.mark.parametrize(
    "text, message",
    [
        ("func.func @step() {\n return\n", r"rule:\d+:\d+: "),
        (STEP.format(f"{GRADIENT}, %p: !T"), "argument 1 of the rule has no name"),
        (
            STEP.format(f"{GRADIENT}, {PARAMETER}, {GRADIENT.replace('%g', '%h')}"),
            "two arguments .* are named 'gradient'",
        ),
        (STEP.format(f'%g: !T {{lowbit.name = "grad"}}, {PARAMETER}'), "does not update 'grad'"),
        (
            STEP.format(f'%g: f32 {{lowbit.name = "x"}}, {PARAMETER}'),
            "has no argument named 'gradient'",
        ),
        (
            STEP.format(f"{GRADIENT}, {PARAMETER}").replace("!T", "tensor<?xf32>"),
            "no tensor of f32 with two axes",
        ),
        (
            STEP.format(f"{GRADIENT}, {PARAMETER}").replace("i64: 1", "i64: -1"),
            "lowbit.updates says which",
        ),
        (
            STEP.format(
                f'{GRADIENT}, {PARAMETER}, %x: f32 {{lowbit.name = "x", lowbit.default = "y"}}'
            ),
            "a default that is no number",
        ),
        *(
            (STEP.format(f"{GRADIENT}, {PARAMETER}, {argument}"), message)
            for argument, message in [
                (
                    '%x: !T {lowbit.name = "x", lowbit.axes = array<i64: 0, 2>}',
                    r"rule:2:\d+: argument 2 of the rule has an axis of the parameter, 0 or 1, for each",
                ),
                (
                    '%x: !T {lowbit.name = "x", lowbit.axes = array<i64: 0>}',
                    "not array<i64: 0>",
                ),
                ('%x: f32 {lowbit.name = "x", lowbit.axes = array<i64: 0, 0>}', "is a number"),
                (
                    '%x: f32 {lowbit.name = "x", lowbit.extents = array<i64: 0, 9>}',
                    r"rule:2:\d+: 'lowbit.extents' is written on the parameter",
                ),
            ]
        ),
        (
            STEP.format(
                f'{GRADIENT}, {PARAMETER.replace("}", ", lowbit.axes = array<i64: 0, 0>}")}'
            ),
            "has the parameter's axes",
        ),
        (
            STEP.format(
                f'{GRADIENT}, {PARAMETER.replace("}", ", lowbit.extents = array<i64: -1, 9>}")}'
            ),
            "with the least and the most rows and columns",
        ),
        *(
            (
                STEP.format(f"{GRADIENT}, {PARAMETER}").replace(
                    "lowbit.entry", f"lowbit.entry, lowbit.schemes = {schemes}"
                ),
                message,
            )
            for schemes, message in [
                ("1", r"rule:2:\d+: 'lowbit.schemes': lists of assignments by the names"),
                ("{int4 = [{name = 1}]}", "'lowbit.schemes': unknown field 'name'"),
                ("{int4 = 4}", "'lowbit.schemes': assignments are a list"),
            ]
        ),
    ],
)
def test_what_is_no_rule_in_mlir(text, message):
    with pytest.raises(LowbitError, match=message):
        optim.load(f"!T = tensor<?x?xf32>\n{text}")


SQUARES = """
!T = tensor<?x?xf32>
#e = affine_map<(i, j) -> (i, j)>
#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
func.func @step(%g: !T {lowbit.name = "gradient"}, %p: !T {lowbit.name = "parameter", lowbit.extents = array<i64: 1, 100>},
                %l: !T {lowbit.name = "l", lowbit.axes = array<i64: 0, 0>}, %t: !T {lowbit.name = "t", lowbit.axes = array<i64: 1, 0>})
    -> (!T, !T, !T) attributes {lowbit.entry, lowbit.updates = array<i64: 1, 2, 3>,
        lowbit.schemes = {own = [{names = "l", encoding = #lowbit.quantized<int<8>, scale = f32 per [1, 4]>}], bf16 = [{names = "l"}]}} {
  %p1 = linalg.add ins(%p, %g : !T, !T) outs(%p : !T) -> !T
  %l1 = linalg.matmul indexing_maps = [#mk, #nk, #e_] ins(%g, %g : !T, !T) outs(%l : !T) -> !T
  %t1 = linalg.transpose ins(%g : !T) outs(%t : !T) permutation = [1, 0]
  return %p1, %l1, %t1 : !T, !T, !T
}""".replace("#e_", "affine_map<(m, n, k) -> (m, n)>")


def test_states_of_other_extents():
    """Rows by rows, columns by rows; each in its own encoding, under the rule's scheme or one of all rules."""
    generator = np.random.default_rng(0)
    g = generator.integers(-4, 5, (5, 7)).astype(np.float32)
    for states, encoded in (("own", ["l"]), ("bf16", ["t"]), ("f32", [])):
        optimizer = optim.compile(SQUARES, {"w": g.shape}, states)
        assert [s for s, e in optimizer.encodings("w").items() if e] == encoded
        assert (optimizer.view("w", "l"), optimizer.view("w", "t")) == ((5, 5), (7, 5))
    state, params = optimizer.init(), {"w": np.zeros_like(g)}
    optimizer.step(params, {"w": g}, state)
    assert_same_bits(state.tensors["w"]["l"]["values"], g @ g.T, "l")
    assert_same_bits(state.tensors["w"]["t"]["values"], np.ascontiguousarray(g.T), "t")


def test_a_parameter_that_a_rule_is_not_for():
    with pytest.raises(LowbitError, match="'b': rule 'rule' is for 1 to 100 rows and columns, not"):
        optim.compile(SQUARES, {"w": (5, 7), "b": (101,)})


def test_the_page(tmp_path, monkeypatch):
    """The tutorial, from top to bottom."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    assert len(blocks) >= 3
    monkeypatch.chdir(tmp_path)
    exec("\n".join(blocks), {})
    name, text = re.search(r"^```mlir\n// (\S+)\n(.*?)^```", PAGE, re.M | re.S).groups()
    (tmp_path / name).write_text(text)
    run(name, "int4")


def test_the_page_lists_all_rules_and_schemes():
    rules, schemes = (
        re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", part, re.M)))
        for part in PAGE.split("## Training with few bits")[0].split("## What states are stored in")
    )
    assert sorted(rules) == optim.names()
    assert schemes == list(optim.NAMED)
