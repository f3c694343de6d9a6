"""States in shards: training on any number of them, and checkpoints that are saved on some and loaded on others."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from kernels import assert_same_bits
from lowbit import _lowbit, optim
from lowbit.errors import LowbitError
from optimizer_reference import STATES, assert_same_states, gradients, parameters

# Blocks of 256 and 128 divide rows of 2,048, not those of 2,000, nor of 33; the last shards are smaller.
SHAPES = {"matrix": (24, 2000), "tall": (1000, 33), "vector": (40001,), "small": (7, 5)}


@pytest.fixture(autouse=True)
def programs(monkeypatch):
    """Equal programs are compiled once."""
    monkeypatch.setattr(_lowbit, "Program", functools.cache(_lowbit.Program))


def boxes(count: int, axis: int, flat: bool) -> list[dict[str, optim.Shard]]:
    """What each process holds: shards at blocks of 256 elements; what has no such axis is cut on its first one, 'small' is everybody's."""
    held: list[dict[str, optim.Shard]] = [{} for _ in range(count)]
    for name, shape in SHAPES.items():
        if name == "small":
            continue
        along = min(axis, len(shape) - 1) if name != "tall" else 0
        inner = math.prod(shape[along + 1 :])
        multiple = 256 // math.gcd(256, inner) if flat or along or len(shape) == 1 else 1
        for own, shard in zip(held, optim.split(shape, count, along, multiple)):
            own[name] = shard
    return held


class Processes:
    """Each with an optimizer of its own for its shards."""

    def __init__(self, count: int, axis: int, flat: bool, rule: str, states: str) -> None:
        self.shards = boxes(count, axis, flat) if count > 1 else [{}]
        self.optimizers = [
            optim.compile(rule, SHAPES, states, flatten=flat, shards=held) for held in self.shards
        ]
        self.states = [optimizer.init() for optimizer in self.optimizers]
        self.params = self.cut(parameters(SHAPES))

    def cut(self, arrays) -> list[dict[str, np.ndarray]]:
        return [
            {
                name: (
                    array[
                        tuple(slice(o, e) for o, e in zip(held[name].offset, held[name].end))
                    ].copy()
                    if name in held
                    else array.copy()
                )
                for name, array in arrays.items()
            }
            for held in self.shards
        ]

    def train(self, first: int, steps: int) -> None:
        for step in range(first, first + steps):
            given = self.cut(gradients(SHAPES, step))
            for optimizer, state, params, grads in zip(
                self.optimizers, self.states, self.params, given
            ):
                optimizer.step(params, grads, state, decay=0.1)

    def save(self, folder) -> None:
        names = [
            optim.save_shards(folder, optimizer, state)
            for optimizer, state in zip(self.optimizers, self.states)
        ]
        optim.commit_shards(folder, names)

    def load(self, folder, **options) -> None:
        self.states = [optim.load_state(folder, o, **options) for o in self.optimizers]

    def whole(self) -> dict[str, np.ndarray]:
        """The parameters."""
        found = {name: np.full(shape, np.nan, np.float32) for name, shape in SHAPES.items()}
        for held, params in zip(self.shards, self.params):
            for name, array in params.items():
                place = held.get(name, optim.Shard((0,) * array.ndim, array.shape))
                found[name][tuple(map(slice, place.offset, place.end))] = array
        return found


@pytest.mark.parametrize(
    "axis, flat", [(0, True), (0, False), (1, False)], ids=["flat", "rows", "columns"]
)
@pytest.mark.parametrize("states", STATES)
def test_four_shards_then_three_then_one(states, axis, flat, tmp_path):
    """Training on shards, saving, and going on on others is, bit for bit, to never have had any."""
    rule = "adamw" if states in ("dynamic8", "int4") else "lion"
    whole, four, three = (Processes(n, axis, flat, rule, states) for n in (1, 4, 3))
    whole.train(0, 2)
    four.train(0, 2)
    four.save(tmp_path / "4")
    one = optim.load_state(tmp_path / "4", whole.optimizers[0])
    assert_same_states(one, whole.states[0])
    three.load(tmp_path / "4")
    three.params = three.cut(four.whole())
    whole.train(2, 2)
    three.train(2, 2)
    three.save(tmp_path / "3")
    assert_same_states(optim.load_state(tmp_path / "3", whole.optimizers[0]), whole.states[0])
    for name, array in three.whole().items():
        assert_same_bits(array, whole.params[0][name], name)
    # From one file to shards.
    optim.save_state(tmp_path / "1", whole.optimizers[0], whole.states[0])
    for optimizer, state in zip(three.optimizers, three.states):
        assert_same_states(optim.load_state(tmp_path / "1", optimizer), state)


DRAWN = {
    "int8": "#lowbit.quantized<int<8>, scale = f32 per [1, 256], rounding = stochastic<3>>",
    "bf16": "#lowbit.quantized<bf16, rounding = stochastic<5>>",
    "twice": "#lowbit.sum<#lowbit.quantized<int<4>, scale = f32 per [1, 256], rounding = stochastic<7>>, "
    "#lowbit.quantized<int<4>, scale = f32 per [1, 256], rounding = stochastic<8>>>",
}


@pytest.mark.parametrize(
    "axis, flat", [(0, True), (0, False), (1, False)], ids=["flat", "rows", "columns"]
)
@pytest.mark.parametrize("states", DRAWN.values(), ids=DRAWN)
def test_draws_go_by_the_place_in_the_whole(states, axis, flat):
    whole, three = (Processes(n, axis, flat, "adamw", states) for n in (1, 3))
    whole.train(0, 2)
    three.train(0, 2)
    for name, array in three.whole().items():
        assert_same_bits(array, whole.params[0][name], name)


def test_parameters_draw_by_the_place_in_the_whole():
    """Each element by itself: any cut will do."""
    shape = (40, 250)
    p = (parameters({"w": shape})["w"].view(np.uint32) >> 16).astype(np.uint16)
    g = gradients({"w": shape}, 0)["w"]
    for flat, axis in [(True, 0), (False, 0), (False, 1)]:
        updated = []
        for count in (1, 3):
            parts = optim.split(shape, count, axis)
            for part in parts:
                here = tuple(map(slice, part.offset, part.end))
                optimizer = optim.compile(
                    "sgd",
                    {"w": shape},
                    parameters="bf16_stochastic",
                    flatten=flat,
                    shards={"w": part},
                )
                own = {"w": p[here].copy()}
                optimizer.step(own, {"w": g[here].copy()}, optimizer.init())
                updated.append(own["w"])
        joined = np.concatenate(updated[1:], axis)
        assert_same_bits(joined, updated[0], f"{flat} {axis}")
        assert (joined != p).any()


def test_encodings_do_not_depend_on_shards():
    """What is small as a whole stays f32, and nothing else."""
    shard = optim.Shard((0, 0), (4, 2000))
    optimizer = optim.compile("adamw", SHAPES, "dynamic8", shards={"matrix": shard})
    whole = optim.compile("adamw", SHAPES, "dynamic8")
    assert optimizer.shapes["matrix"] == (4, 2000)
    for name in SHAPES:
        assert optimizer.encodings(name) == whole.encodings(name)


@pytest.mark.parametrize("states", ["dynamic8", "int4"])
def test_another_encoding_is_a_conversion(states, tmp_path):
    four = Processes(4, 0, True, "adamw", "f32")
    four.train(0, 2)
    four.save(tmp_path)
    one = optim.compile("adamw", SHAPES, states)
    loaded = optim.load_state(tmp_path, one)
    plain = optim.load_state(tmp_path, optim.compile("adamw", SHAPES))
    for name in SHAPES:
        for of, encoding in one.encodings(name).items():
            expected = _lowbit.encode(plain.tensors[name][of]["values"], encoding)
            for component, array in expected.items():
                assert_same_bits(loaded.tensors[name][of][component], array, f"{name} {of}")


def saved(folder, shape, states, held: list[optim.Shard], flat: bool = True):
    """A step of lion on shards of one parameter, saved."""
    names = []
    for shard in held:
        optimizer = optim.compile("lion", {"w": shape}, states, flatten=flat, shards={"w": shard})
        p, g = (
            make({"w": shape})["w"][tuple(map(slice, shard.offset, shard.end))]
            for make in (parameters, lambda shapes: gradients(shapes, 0))
        )
        state = optimizer.init()
        optimizer.step({"w": p.copy()}, {"w": g.copy()}, state)
        names.append(optim.save_shards(folder, optimizer, state))
    optim.commit_shards(folder, names)


def momentum(optimizer, state) -> np.ndarray:
    shape = list(optimizer.view("w", "m"))
    return _lowbit.decode(optimizer.encodings("w")["m"], shape, state.tensors["w"]["m"])


@pytest.mark.parametrize("states, block", [("dynamic8", 256), ("int4", 128)])
def test_blocks_that_are_cut(states, block, tmp_path):
    """Shards of 250 rows of 33 elements: an error, or what is cut is decoded and encoded again; whole blocks stay as they are."""
    shape, rows = (1000, 33), 250
    saved(tmp_path, shape, states, optim.split(shape, 4))
    one = optim.compile("lion", {"w": shape}, states)
    with pytest.raises(LowbitError, match=rf"'w/m' \[0:1, 0:33000\] cannot be .* \[1, {block}\]"):
        optim.load_state(tmp_path, one)
    loaded = optim.load_state(tmp_path, one, allow_rounding=True)
    pieces = []
    for shard in optim.split(shape, 4):
        own = optim.compile("lion", {"w": shape}, states, shards={"w": shard})
        # The same shards are the same bits.
        pieces.append(optim.load_state(tmp_path, own).tensors["w"]["m"])
    values = np.concatenate(
        [
            _lowbit.decode(one.encodings("w")["m"], [1, 33 * rows], components)
            for components in pieces
        ],
        axis=1,
    )
    found = loaded.tensors["w"]["m"]
    # Of the first shard all but the last block, which is partial, are blocks of the whole; 8,250 is no multiple, so no others are.
    kept = 33 * rows // block
    assert_same_bits(found["scale"][:, :kept], pieces[0]["scale"][:, :kept], "scales")
    width = kept * pieces[0]["codes"].shape[1] // math.ceil(33 * rows)
    assert_same_bits(found["codes"][:, :width], pieces[0]["codes"][:, :width], "codes")
    expected = _lowbit.encode(values[:, kept * block :], one.encodings("w")["m"])
    assert_same_bits(found["scale"][:, kept:], expected["scale"], "scales of cut blocks")
    first = kept * block * found["codes"].shape[1] // 33000
    assert_same_bits(found["codes"][:, first:], expected["codes"], "codes of cut blocks")


@pytest.mark.parametrize(
    "encoding",
    [
        "#lowbit.quantized<codebook<dynamic, 8>, scale = f32 rank1<min>>",
        "#lowbit.quantized<int<8>, scale = f32 per tensor>",
    ],
)
def test_scales_of_a_whole_shard(encoding, tmp_path):
    """Scales that span an axis are a shard's own: the same shard finds them again, others have to round."""
    shape, held = (60, 64), optim.split((60, 64), 3)
    saved(tmp_path, shape, encoding, held, flat=False)
    values = []
    for shard in held:
        own = optim.compile("lion", {"w": shape}, encoding, flatten=False, shards={"w": shard})
        values.append(momentum(own, optim.load_state(tmp_path, own)))
    one = optim.compile("lion", {"w": shape}, encoding, flatten=False)
    with pytest.raises(LowbitError, match="the whole axis"):
        optim.load_state(tmp_path, one)
    loaded = optim.load_state(tmp_path, one, allow_rounding=True)
    for component, array in _lowbit.encode(np.concatenate(values), encoding).items():
        assert_same_bits(loaded.tensors["w"]["m"][component], array, component)


@pytest.mark.parametrize(
    "encoding, multiple",
    [
        ("#lowbit.quantized<int<8>, scale = f32 per [4, 32]>", (4, 32)),
        ("#lowbit.quantized<int<3>, scale = f32 per [1, 96] * e4m3 per [1, 32]>", (1, 96)),
        ("#lowbit.quantized<uint<4>, scale = bf16 per [2, 64], min = bf16 per [2, 64]>", (2, 64)),
        ("#lowbit.quantized<int<8>, scale = f32 per axis 0>", (1, 0)),
    ],
)
def test_boxes_of_both_axes(encoding, multiple, tmp_path):
    """Any cut into boxes at blocks, and any other one."""
    shape = (30, 500)

    def grid(rows: int, columns: int) -> list[optim.Shard]:
        return [
            optim.Shard((r.offset[0], c.offset[1]), (r.shape[0], c.shape[1]))
            for r in optim.split(shape, rows, 0, multiple[0])
            for c in optim.split(shape, columns if multiple[1] else 1, 1, multiple[1] or 1)
        ]

    saved(tmp_path, shape, encoding, grid(2, 3), flat=False)
    one = optim.compile("lion", {"w": shape}, encoding, flatten=False)
    state = one.init()
    one.step(parameters({"w": shape}), gradients({"w": shape}, 0), state)
    assert_same_states(optim.load_state(tmp_path, one), state)
    whole = momentum(one, state)
    for shard in grid(3, 2):
        if not math.prod(shard.shape):
            continue
        own = optim.compile("lion", {"w": shape}, encoding, flatten=False, shards={"w": shard})
        expected = whole[tuple(map(slice, shard.offset, shard.end))]
        assert_same_bits(momentum(own, optim.load_state(tmp_path, own)), expected, str(shard))


@pytest.mark.parametrize(
    "shape, count, axis, multiple, extents",
    [
        ((10,), 4, 0, 1, [3, 3, 3, 1]),
        ((5, 3), 4, 0, 1, [2, 2, 1, 0]),
        ((3, 1000), 3, 1, 256, [512, 488, 0]),
        ((0, 4), 2, 0, 1, [0, 0]),
    ],
)
def test_even_shards(shape, count, axis, multiple, extents):
    shards = optim.split(shape, count, axis, multiple)
    assert [shard.shape[axis] for shard in shards] == extents
    assert shards[0].offset[axis] == 0 and shards[-1].end == shape
    for one, other in zip(shards, shards[1:]):
        assert one.end[axis] == other.offset[axis]


@pytest.mark.parametrize(
    "rule, shards, flatten, message",
    [
        ("adamw", {"v": ((0,), (1,))}, None, "shard of 'v', which is no parameter"),
        ("adamw", {"w": ((0,), (1,))}, None, "'w' has other axes than its shape"),
        ("adamw", {"w": ((60, 0), (5, 10))}, None, r"\[60:65, 0:10\] of 'w' reaches over"),
        ("adamw", {"w": ((0, 5), (64, 5))}, None, "is no range of what is seen as 640 elements"),
        ("adamw", {"c": ((0, 0, 1), (3, 2, 1))}, False, "is no range .* rows of 8 elements"),
        ("lamb", {"w": ((0, 0), (32, 10))}, None, "'w' cannot be held in shards"),
    ],
)
def test_shards_that_cannot_be(rule, shards, flatten, message):
    held = {name: optim.Shard(*box) for name, box in shards.items()}
    with pytest.raises(LowbitError, match=message):
        optim.compile(rule, {"w": (64, 10), "c": (3, 2, 4)}, shards=held, flatten=flatten)


def test_axes_of_a_view():
    """Ranges of rows: of [3, 2, 4] seen as [3, 8]."""
    for shard, flatten in [
        (optim.Shard((1, 0, 0), (2, 2, 4)), None),
        (optim.Shard((1, 1, 0), (1, 1, 4)), None),
        (optim.Shard((1, 1, 2), (1, 1, 2)), None),
        (optim.Shard((0, 1, 0), (3, 1, 4)), False),
        (optim.Shard((0, 1, 1), (3, 1, 2)), False),
    ]:
        optimizer = optim.compile("sgd", {"c": (3, 2, 4)}, shards={"c": shard}, flatten=flatten)
        params = {"c": np.zeros(shard.shape, np.float32)}
        optimizer.step(params, {"c": np.ones(shard.shape, np.float32)}, optimizer.init())
        assert (params["c"] < 0).all()
        whole, box = optimizer.part("c", "m")
        elements = np.arange(24).reshape(3, 2, 4)[tuple(map(slice, shard.offset, shard.end))]
        viewed = np.arange(24).reshape(whole)[tuple(map(slice, box.offset, box.end))]
        assert np.array_equal(elements.reshape(-1), viewed.reshape(-1))
