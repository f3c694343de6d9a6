"""Compiled code finds its way by what an archive stores: rows of entries, columns, orders, cuts. Where that is wrong, loading
the parameter is an error that names the file and the tensor, as decoding it by the reference is; never a wrong access. The same of arguments.
"""

from __future__ import annotations

import lowbit
import numpy as np
import pytest
from archives import write_archive
from kernels import tensor_type
from lowbit import _lowbit

SHAPE = (8, 64)
INT4 = "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>"
SPARSE = "#lowbit.sparse<f16, density = 0.1>"
BLOCKS = f"#lowbit.block_sparse<[2, 16], density = 0.5, {INT4.replace('32', '16')}>"
OUTLIERS = f"#lowbit.outlier_columns<density = 0.1, {INT4}, #lowbit.quantized<f16>>"
PERMUTED = f"#lowbit.permuted<axis = 1, {INT4}>"
GROUPS = f"#lowbit.permuted<axis = 1, block = 16, {INT4}>"
CUT_LATER = (
    f"#lowbit.part<axis = 0, at = [?], #lowbit.quantized<int<8>, scale = f32 per axis 0>, {INT4}>"
)
CUT_COLUMNS = f"#lowbit.part<axis = 1, at = [?], {INT4}, {INT4}>"

# Each row: an encoding, a component, what is written over which of its elements, and what the error says.
CASES = {
    "column-beyond": (SPARSE, "columns", 5, 64, "CSR column 64 in row 1 lies outside 64 columns"),
    "column-negative": (SPARSE, "columns", 0, -1, "CSR column -1 in row 0"),
    "column-repeated": (SPARSE, "columns", 1, 0, "CSR columns of row 0 do not increase"),
    "position-beyond": (SPARSE, "positions", 8, 1 << 20, "CSR positions must run from 0 to the number of entries"),
    "position-falls": (SPARSE, "positions", 4, 1 << 20, "CSR positions fall after row 4"),
    "position-negative": (SPARSE, "positions", 3, -7, "CSR positions fall after row 2"),
    "in-a-sum": (f"#lowbit.sum<{INT4}, {SPARSE}>", "1.columns", 5, 1 << 30, "CSR column 1073741824 in row 1"),
    "in-a-part": (f"#lowbit.part<axis = 0, at = [3], {INT4}, {SPARSE}>", "1.columns", 0, 64, "CSR column 64 in row 0"),
    "in-another-order": (f"#lowbit.permuted<axis = 0, {SPARSE}>", "term.columns", 0, 64, "CSR column 64"),
    "block-column": (BLOCKS, "columns", 0, 4, "of blocks: CSR column 4 in row 0 lies outside 4 columns"),
    "block-position": (BLOCKS, "positions", 4, 9, "of blocks: CSR positions must run from 0"),
    "in-blocks": (f"#lowbit.block_sparse<[2, 16], density = 0.5, {SPARSE}>", "term.columns", 0, 16, "CSR column 16 in row 0"),
    "in-groups": (f"#lowbit.n_m<2, 4, {SPARSE}>", "term.columns", 0, 32, "CSR column 32 in row 0"),
    "order-beyond": (PERMUTED, "position", 7, 64, "positions are each of 0 to 63 once, but 64"),
    "order-negative": (PERMUTED, "position", 7, -1, "positions are each of 0 to 63 once, but -1"),
    "order-repeats": (GROUPS, "position", [0, 1], 2, "positions are each of 0 to 3 once, but 2 is repeated"),
    "order-in-a-sum": (f"#lowbit.sum<{INT4}, {GROUPS}>", "1.position", 0, 4, "positions are each of 0 to 3 once, but 4"),
    "order-of-a-row": (f"#lowbit.flattened<#lowbit.permuted<axis = 0, {INT4.replace('1, 32', '32')}>>", "position", 511, 512, "but 512"),
    "order-of-a-factor": (f"#lowbit.low_rank<rank = 4, {INT4}, {PERMUTED}>", "right.position", 0, 64, "but 64"),
    "outlier-column-beyond": (OUTLIERS, "columns", 5, 64, "columns rise and are below 64, but 64 comes after"),
    "outlier-column-negative": (OUTLIERS, "columns", 0, -1, "but -1 comes after -1"),
    "outlier-column-repeated": (OUTLIERS, "columns", [0, 1], 3, "but 3 comes after 3"),
    "cut-beyond": (CUT_LATER, "cut.0", 0, 9, "a cut at 9 lies outside the axis"),
    "cut-negative": (CUT_LATER, "cut.0", 0, -1, "a cut at -1 lies outside the axis"),
    "cut-elsewhere": (CUT_LATER, "cut.0", 0, 4, "component codes has"),
    "extent": (CUT_COLUMNS, "0.extent", 0, 64, "the last axis has 32 elements, but its stored extent is 64"),
}  # fmt: skip


def cut_at(encoding: str) -> int:
    return 3 if "axis = 0" in encoding else 32


def storage_of(encoding: str, values: np.ndarray) -> dict:
    """A part that is cut at run time is that of a fixed cut, and where it is cut."""
    if "[?]" not in encoding:
        return _lowbit.encode(values, encoding)
    stored = _lowbit.encode(values, encoding.replace("?", str(cut_at(encoding))))
    numbers = {
        "cut.0": cut_at(encoding),
        "0.extent": cut_at(encoding),
        "1.extent": SHAPE[1] - cut_at(encoding),
    }
    names = _lowbit.component_names(encoding, list(SHAPE))
    return {name: stored[name] if name in stored else np.int64(numbers[name]) for name in names}


def load(path, encoding: str, shape=SHAPE) -> np.ndarray:
    encoded, plain = tensor_type(shape, encoding), tensor_type(shape)
    text = f"""
func.func @main() -> {plain} attributes {{lowbit.entry}} {{
  %w = lowbit.parameter "w" : {encoded}
  %d = lowbit.decode %w : {encoded}
  return %d : {plain}
}}"""
    return _lowbit.Program(text, [str(path)]).run("main", [])[0]


@pytest.mark.parametrize(
    "encoding, component, at, value, message", CASES.values(), ids=CASES.keys()
)
def test_damaged_structure(encoding, component, at, value, message, tmp_path):
    values = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    components = storage_of(encoding, values)
    path = tmp_path / "w.safetensors"
    write_archive(path, encoding, SHAPE, components)
    expected = lowbit.Archive(str(path)).tensor_f32("w")
    assert np.array_equal(load(path, encoding), expected), "undamaged"

    damaged = np.atleast_1d(components[component]).copy()
    damaged[at] = value
    write_archive(
        path,
        encoding,
        SHAPE,
        {**components, component: damaged.reshape(np.shape(components[component]))},
    )
    with pytest.raises(RuntimeError) as error:
        load(path, encoding)
    assert f"{path}: tensor 'w': " in str(error.value) and message in str(error.value)
    assert "the file is damaged" in str(error.value)
    if component != "0.extent":  # which the reference has no use for
        with pytest.raises(RuntimeError, match="tensor 'w'"):
            lowbit.Archive(str(path)).tensor_f32("w")


@pytest.mark.parametrize(
    "encoding, component, at, value, message", CASES.values(), ids=CASES.keys()
)
def test_damaged_arguments(encoding, component, at, value, message):
    encoded, plain = tensor_type(SHAPE, encoding), tensor_type(SHAPE)
    program = _lowbit.Program(f"""
func.func @main(%x: {plain}, %w: {encoded}) -> {plain} attributes {{lowbit.entry}} {{
  %d = lowbit.decode %w : {encoded}
  return %d : {plain}
}}""")
    values = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    components = {k: np.asarray(v) for k, v in storage_of(encoding, values).items()}
    found = program.run("main", [values, *components.values()])[0]
    assert np.array_equal(found, _lowbit.decode(encoding, list(SHAPE), components)), "undamaged"
    damaged = components[component].copy()
    damaged.reshape(-1)[at] = value
    with pytest.raises(RuntimeError) as error:
        program.run("main", [values, *{**components, component: damaged}.values()])
    assert "from input 1 of entry 'main' on: " in str(error.value) and message in str(error.value)


def test_another_width_is_another_tensor(tmp_path):
    """No component of a sparse tensor says how many columns there are."""
    path = tmp_path / "w.safetensors"
    write_archive(path, SPARSE, SHAPE, _lowbit.encode(np.ones(SHAPE, np.float32), SPARSE))
    with pytest.raises(
        RuntimeError, match=r"tensor 'w': a tensor of shape \[8, 64\] is not one of \[8, 32\]"
    ):
        load(path, SPARSE, (8, 32))
