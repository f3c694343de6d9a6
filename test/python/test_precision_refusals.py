"""What cannot be right together is refused before anything is measured."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from lowbit.errors import LowbitError
from lowbit.optim.states import of_plan
from lowbit.precision import activations, recipes
from lowbit.precision.options import Options, check_plan
from lowbit.precision.outliers import ColumnOutliers, SparseOutliers
from lowbit.precision.quantizers import KMeans
from lowbit.precision.steps import parse
from lowbit.precision.weights import Weight, output_error


@pytest.mark.parametrize(
    "pipeline, message",
    [
        ("static-activations,migrate-scales,gptq", "'static-activations' comes too early"),
        ("permute-channels,kmeans", "'permute-channels' does not permute with the weights"),
        ("permute-channels,sparse-outliers{by=fisher},gptq", "does not permute with the weights"),
    ],
)
def test_steps_that_undo_what_others_know(pipeline, message):
    with pytest.raises(LowbitError, match=message):
        parse(pipeline)


def test_steps_that_go_together():
    for pipeline in ("migrate-scales,static-activations,gptq", "permute-channels,kmeans{by=none}"):
        assert parse(pipeline)


def test_kmeans_brings_levels_that_are_learned():
    assert "learned<3" in recipes.find("kmeans{by=none}").weights
    assert "int<4>" in recipes.find("migrate-scales,nearest").weights


@pytest.mark.parametrize(
    "options, message",
    [
        (Options("gptq", candidates=["x"]), "nothing chooses from them"),
        (Options("gptq", activation_candidates=["int8"]), "nothing chooses from them"),
        (Options("mixed", budget="60MB", cache_candidates=["int8"]), "nothing chooses from them"),
    ],
)
def test_options_that_nothing_reads(options, message):
    source = SimpleNamespace(archive=SimpleNamespace(tensors=[]))
    with pytest.raises(LowbitError, match=message):
        check_plan(options, recipes.find(options.recipe), source)


def test_static_scales_of_another_model():
    scale = SimpleNamespace(name="blk.0.ffn_up.weight.input_scale")
    source = SimpleNamespace(archive=SimpleNamespace(tensors=[scale], metadata=lambda key: None))
    with pytest.raises(LowbitError, match="static scales of inputs"):
        check_plan(Options("gptq"), recipes.find("gptq"), source)
    check_plan(Options("static"), recipes.find("static"), source)


@pytest.mark.parametrize(
    "type", ["int<8>, scale = f32 per tensor, rule = given", "learned<3, f16 per axis 0>"]
)
def test_inputs_that_no_program_can_round(type):
    with pytest.raises(LowbitError, match="the plan: activations of"):
        activations.check(type, "the plan")


def test_a_plan_with_a_state_that_the_rule_has_not(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"schema": 1, "tensors": {"embed/mm": "f32"}}))
    with pytest.raises(LowbitError, match="'embed/mm' is no state of the rule"):
        of_plan(str(path), ["embed"], ["m", "v"])


def test_columns_make_up_for_what_is_left_beside_outliers():
    """Single weights and columns apart, with levels that have no 0: what the sparse term takes over is no error for the columns."""
    generator = np.random.default_rng(7)
    mixing = generator.standard_normal((64, 64))
    moments = mixing @ mixing.T / 64
    values = generator.standard_normal((32, 64)).astype(np.float32)
    encoding = "#lowbit.quantized<learned<2, f16 per axis 0>>"
    ranges = np.sqrt(np.diag(moments))
    weight = Weight("w", values, encoding, moments, ranges)
    SparseOutliers(density=0.02, by="magnitude").apply(weight)
    ColumnOutliers(density=0.05).apply(weight)
    columns = weight.free_columns
    term = weight.finish(KMeans(by="none").encode(weight))
    decoded = term.decode(values.shape)
    # No other columns are better.
    rest = values - decoded
    rest[:, columns] = 0
    best = np.linalg.solve(moments[np.ix_(columns, columns)], moments[columns] @ rest.T).T
    optimum = decoded.copy()
    optimum[:, columns] = values[:, columns] + best
    assert output_error(decoded - values, moments) == pytest.approx(
        output_error(optimum - values, moments), rel=1e-3
    )
