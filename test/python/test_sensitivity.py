"""lowbit.precision.sensitivity and mixing: what weights cost, and plans under a budget, on a tiny llama."""

from __future__ import annotations

import numpy as np
import pytest
from lowbit import _lowbit
from lowbit.errors import LowbitError
from lowbit.precision.quantize import Options, Quantization
from lowbit.precision.sensitivity import Probe, Sensitivity
from lowbit.precision.sources import open_source
from lowbit.precision.weights import encode
from reference import GgufFile, Llama
from tiny_llama import TEXT, write_tiny_llama

pytestmark = pytest.mark.usefixtures("stages_compiled_once")

INT2, INT4, INT8 = (
    f"#lowbit.quantized<int<{bits}>, scale = f16 per [1, 32]>" for bits in (2, 4, 8)
)


def spoil(name: str, number: float):
    def change(tensors: dict[str, np.ndarray]) -> None:
        tensors[name].flat[5] = number

    return change


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize(
    "name, message",
    [
        ("blk.1.ffn_down.weight", "what the model computes is not finite"),
        ("output_norm.weight", "what the model computes is not finite"),
        ("blk.0.attn_norm.weight", "what the model computes is not finite"),
    ],
)
def test_damaged_models_get_no_plan(tmp_path, name, number, message):
    """Rather than the smallest encodings, with losses of nothing."""
    path = write_tiny_llama(tmp_path / "m.gguf", change=spoil(name, number))
    output = tmp_path / "a.safetensors"
    options = Options(recipe="mixed", budget="4.5bpw", length=64)
    with pytest.raises(LowbitError, match=message) as caught:
        Quantization(open_source(str(path)), str(output), options, TEXT).run()
    assert caught.value.hint and list(tmp_path.iterdir()) == [path]
