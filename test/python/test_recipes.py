"""lowbit.precision.steps and recipes: the text of pipelines, and what is said of one that is wrong."""

from __future__ import annotations

import dataclasses

import pytest
from lowbit.errors import LowbitError
from lowbit.precision import recipes
from lowbit.precision.steps import REGISTRY, Quantizer, describe, parse

PIPELINES = [
    *(recipe.pipeline for recipe in recipes.RECIPES.values()),
    "gptq{order=falling damping=0.05}",
    "rotate{stream=false heads=false seed=7},nearest",
    "allocate{rounding=gptq probes=3},gptq",
    "migrate-scales{by=ranges strength=0.75},clip{least=0.3 steps=4},low-rank{rank=4 of=error},nearest",
    "sparse-outliers{density=1e-05 by=magnitude},column-outliers{density=0.125 by=range threshold=2.5},gptq",
]


@pytest.mark.parametrize("text", PIPELINES)
def test_pipelines_print_as_they_are_read(text):
    steps = parse(text)
    assert parse(",".join(map(str, steps))) == steps
    assert [str(step).partition("{")[0] for step in steps] == [
        part.partition("{")[0] for part in text.split(",")
    ]


def test_printed_options_are_those_that_differ():
    assert [
        str(step) for step in parse(" sparse-outliers{by=moments  density=0.01} ,\ngptq{}")
    ] == [
        "sparse-outliers{by=moments}",
        "gptq",
    ]
    assert str(parse("rotate{down=false stream=true},nearest")[0]) == "rotate{down=false}"


@pytest.mark.parametrize("recipe", recipes.RECIPES)
def test_recipes_are_pipelines(recipe):
    found = recipes.find(recipe)
    assert found.steps == parse(found.pipeline) and isinstance(found.steps[-1], Quantizer)
    assert recipes.find(found.pipeline).steps == found.steps


@pytest.mark.parametrize("name", REGISTRY)
def test_steps_describe_their_options(name):
    text = describe(REGISTRY[name])
    for option in dataclasses.fields(REGISTRY[name]):
        assert (
            f"{option.name}={option.default}".replace("True", "true").replace("False", "false")
            in text.splitlines()[0]
        )
    assert len(text.splitlines()) > 1


@pytest.mark.parametrize(
    "text, message, hint",
    [
        ("gptq,", "'gptq,' is not a step", "steps are as in"),
        ("low-rank gptq", "'low-rank gptq' is not a step", "steps are as in"),
        ("clip,,gptq", "',gptq' is not a step", "steps are as in"),
        ("clip{least=0.5,gptq", "is not a step", "steps are as in"),
        ("", "does not end with a step that chooses codes", "one of gptq, kmeans, nearest"),
        ("clip", "does not end with a step that chooses codes", "one of gptq, kmeans, nearest"),
        ("gptq,nearest", "chooses codes before its end", "the last step"),
        ("clip,migrate-scales,nearest", "the step 'migrate-scales' comes too late", "then those for a layer"),
        ("migrate-scales,rotate,gptq", "the step 'rotate' comes too late", "the whole model come first"),
        ("low-rank,allocate,gptq", "the step 'allocate' comes too late", "the whole model come first"),
        ("clamp,gptq", "there is no step 'clamp'", "allocate, clip, column-outliers"),
        ("nearest{a=1}", "step 'nearest' has no option 'a'", "options: none"),
        ("clip{most=1},nearest", "step 'clip' has no option 'most'", "options: by, least, steps"),
        ("low-rank{rank},gptq", "'rank' of step 'low-rank' is not OPTION=VALUE", None),
        ("low-rank{rank=1.5},gptq", "option 'rank' of step 'low-rank' cannot be '1.5'", None),
        ("rotate{down=0},gptq", "option 'down' of step 'rotate' cannot be '0'", None),
        ("gptq{order=up}", "option 'order' of step 'gptq' cannot be 'up'", "one of falling, natural"),
    ],
)  # fmt: skip
def test_says_what_is_wrong(text, message, hint):
    with pytest.raises(LowbitError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert hint is None or hint in caught.value.hint


@pytest.mark.parametrize(
    "option, values, hint",
    [
        ("gptq{damping=%}", ["-0.1", "1.5", "nan", "inf"], "from 0 to 1"),
        ("clip{least=%},gptq", ["-1", "3", "nan"], "from 0 to 1"),
        ("clip{steps=%},gptq", ["0", "-4", "9" * 20], "from 1 to 10000"),
        ("migrate-scales{by=ranges strength=%},gptq", ["-0.5", "7", "nan"], "from 0 to 1"),
        ("migrate-scales{steps=%},gptq", ["0"], "from 1 to 10000"),
        ("sparse-outliers{density=%},gptq", ["-1", "1", "nan"], "from 0 to 0.5"),
        ("column-outliers{density=%},gptq", ["-0.1", "2"], "from 0 to 0.5"),
        ("column-outliers{threshold=%},gptq", ["-1", "nan"], "at least 0"),
        ("low-rank{rank=%},gptq", ["0", "-1"], "from 1 to"),
        ("allocate{probes=%},gptq", ["0"], "at least 1"),
        ("rotate{seed=%},gptq", ["-1"], "from 0"),
    ],
)
def test_numbers_have_ranges(option, values, hint):
    for value in values:
        with pytest.raises(LowbitError, match=f"cannot be '{value}'") as caught:
            parse(option.replace("%", value))
        assert hint in caught.value.hint


@pytest.mark.parametrize(
    "text, message",
    [
        ("gptq{sweeps=1 sweeps=2}", "option 'sweeps' of step 'gptq' is given twice"),
        ("static-caches{percentile=50},gptq", "'percentile' of step 'static-caches' has no use with by=mse"),
        ("migrate-scales{strength=0.9},gptq", "'strength' of step 'migrate-scales' has no use with by=search"),
        ("clip{by=percentile steps=3},gptq", "'steps' of step 'clip' has no use with by=percentile"),
        ("column-outliers{threshold=6},gptq", "'threshold' of step 'column-outliers' has no use with by=sensitivity"),
        ("static-caches,migrate-scales,gptq", "'migrate-scales' makes the static scales of keys and values wrong"),
        ("static-caches,rotate,gptq", "'rotate' makes the static scales of keys and values wrong"),
    ],
)  # fmt: skip
def test_what_would_have_no_effect_or_undo_another_step(text, message):
    with pytest.raises(LowbitError, match=message):
        parse(text)
    parse("rotate,static-caches{by=percentile percentile=99},clip{by=percentile},gptq")


@pytest.mark.parametrize("name", ["", "x", "GPTQ", ",gptq", "low-rank gptq"])
def test_names_of_recipes_are_told(name):
    with pytest.raises(LowbitError, match=f"there is no recipe '{name}'") as caught:
        recipes.find(name)
    assert all(recipe in caught.value.hint for recipe in recipes.RECIPES)


def test_pipelines_of_ones_own_are_checked_at_once():
    with pytest.raises(LowbitError, match="no option 'ranks'"):
        recipes.find("low-rank{ranks=2},gptq")
    assert recipes.find("low-rank{rank=2},gptq").weights == recipes.INT4
