"""torch's optimizers on shards of parameters: steps, checkpoints, and other shards of the same parameters."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from kernels import assert_same_bits
from lowbit import optim
from lowbit.errors import LowbitError

torch = pytest.importorskip("torch", reason="torch is not installed")

SHAPES = {"matrix": (96, 64), "bias": (96,)}


class Process:
    """With parameters of its own: rows of 'matrix', all of 'bias', in another group."""

    def __init__(self, shard: optim.Shard, named: bool = True, **options) -> None:
        self.rows = slice(shard.offset[0], shard.end[0])
        values = torch.randn(SHAPES["matrix"], generator=torch.Generator().manual_seed(0))
        self.matrix = torch.nn.Parameter(values[self.rows].clone())
        self.bias = torch.nn.Parameter(torch.zeros(SHAPES["bias"]))
        groups = [{"params": [self.matrix]}, {"params": [self.bias], "weight_decay": 0.0}]
        if named:
            groups[0]["params"], groups[1]["params"] = (
                [("matrix", self.matrix)],
                [("bias", self.bias)],
            )
        self.optimizer = optim.AdamW(
            groups, lr=1e-2, shards={self.matrix: (SHAPES["matrix"], shard)}, **options
        )

    def train(self, steps: range) -> None:
        for step in steps:
            generator = torch.Generator().manual_seed(100 + step)
            self.matrix.grad = torch.randn(SHAPES["matrix"], generator=generator)[self.rows].clone()
            self.bias.grad = torch.randn(SHAPES["bias"], generator=generator)
            self.optimizer.step()


def processes(count: int, **options) -> list[Process]:
    return [Process(shard, **options) for shard in optim.split(SHAPES["matrix"], count, multiple=4)]


def matrix(several: list[Process]) -> np.ndarray:
    return np.concatenate([own.matrix.detach().numpy() for own in several])


DRAWN = {
    "m": "#lowbit.quantized<int<8>, scale = f32 per [1, 256], rounding = stochastic<3>>",
    "v": "#lowbit.quantized<bf16>",
}


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("states", ["dynamic8", DRAWN], ids=["dynamic8", "drawn"])
def test_four_shards_then_three_then_one(states, named, tmp_path):
    """Going on on others is, bit for bit, to never have had any."""
    whole, four, three, again = (processes(n, states=states, named=named) for n in (1, 4, 3, 1))
    for own in whole + four:
        own.train(range(2))
    optim.commit_shards(tmp_path / "4", [own.optimizer.save_shards(tmp_path / "4") for own in four])
    rest = matrix(four)
    for own in three:
        own.optimizer.load_shards(tmp_path / "4")
        own.matrix.data = torch.from_numpy(rest[own.rows].copy())
        own.bias.data = four[0].bias.data.clone()
    for own in whole + three:
        own.train(range(2, 4))
    assert_same_bits(matrix(three), matrix(whole), "matrix")
    assert_same_bits(three[1].bias.detach().numpy(), whole[0].bias.detach().numpy(), "bias")
    optim.commit_shards(
        tmp_path / "3", [own.optimizer.save_shards(tmp_path / "3") for own in three]
    )
    again[0].optimizer.load_shards(tmp_path / "3")
    for p, q in ((again[0].matrix, whole[0].matrix), (again[0].bias, whole[0].bias)):
        mine, theirs = again[0].optimizer.state[p], whole[0].optimizer.state[q]
        assert mine.keys() == theirs.keys() and mine["step"] == 4
        for key in mine.keys() - {"step"}:
            assert_same_bits(mine[key].numpy(), theirs[key].numpy(), key)


def test_state_dicts_and_copies_keep_to_their_shard():
    one, other = processes(2)[1], processes(2)[1]
    one.train(range(2))
    other.optimizer.load_state_dict(copy.deepcopy(one.optimizer.state_dict()))
    other.matrix.data, other.bias.data = one.matrix.data.clone(), one.bias.data.clone()
    twin = copy.deepcopy(one)
    for own in (one, other, twin):
        own.train(range(2, 3))
    for own in (other, twin):
        assert_same_bits(own.matrix.detach().numpy(), one.matrix.detach().numpy(), "matrix")


def test_mistakes(tmp_path):
    matrix = torch.nn.Parameter(torch.zeros(5, 64))
    shard = optim.Shard((0, 0), (4, 64))
    with pytest.raises(
        LowbitError, match=r"shape \[5, 64\] is no shard \[0:4, 0:64\] of \[96, 64\]"
    ):
        optim.AdamW([matrix], shards={matrix: ((96, 64), shard)})
    own = processes(2)[0]
    own.train(range(1))
    own.bias.grad = None
    own.optimizer.step()
    with pytest.raises(LowbitError, match="different numbers of steps, 1, 2: a checkpoint"):
        own.optimizer.save_shards(tmp_path)
    assert not list(tmp_path.iterdir())
