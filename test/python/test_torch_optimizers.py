"""Drop-in optimizers for torch, where it is installed (an extra of a user's own; the tests of this repository do not need it)."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
from kernels import assert_same_bits
from lowbit import optim
from lowbit.errors import LowbitError

torch = pytest.importorskip("torch", reason="torch is not installed")


def model(seed: int = 0, dtype=torch.float32):
    torch.manual_seed(seed)
    layers = torch.nn.Sequential(torch.nn.Linear(64, 96), torch.nn.Tanh(), torch.nn.Linear(96, 8))
    return layers.to(dtype)


def train(layers, optimizer, steps: int, first: int = 0) -> float:
    for step in range(first, first + steps):
        generator = torch.Generator().manual_seed(step % 4)
        x = torch.randn(32, 64, generator=generator).to(next(layers.parameters()).dtype)
        y = torch.sin(x[:, :8] * 2)
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(layers(x), y)
        loss.backward()
        optimizer.step()
    return float(loss.detach())


PAIRS = {
    "AdamW": (torch.optim.AdamW, dict(lr=1e-2, betas=(0.8, 0.99), weight_decay=0.1)),
    "Adam": (torch.optim.Adam, dict(lr=1e-2, weight_decay=0.01)),
    "SGD": (torch.optim.SGD, dict(lr=1e-2, momentum=0.9, weight_decay=0.01)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_f32_states_are_torchs(name):
    theirs, options = PAIRS[name]
    ours, reference = model(), model()
    train(ours, getattr(optim, name)(ours.parameters(), states="f32", **options), 20)
    train(reference, theirs(reference.parameters(), **options), 20)
    for p, q in zip(ours.parameters(), reference.parameters()):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("states", ["dynamic8", "int4", "int4_rank1", "fp8", "companded8"])
def test_it_trains(states):
    """About as far as torch's own does."""
    layers, reference = model(), model()
    first = train(layers, optimizer := optim.AdamW(layers.parameters(), lr=3e-3, states=states), 1)
    last = train(layers, optimizer, 200, 1)
    theirs = train(reference, torch.optim.AdamW(reference.parameters(), lr=3e-3), 201)
    assert last < 0.1 * first and last < (3 if "int4" in states else 1.5) * theirs
    state = optimizer.state[layers[0].weight]  # 6,144 elements
    assert state["m.codes"].dtype == torch.uint8 and state["step"] == 201
    if states != "companded8":
        assert optimizer.state[layers[0].bias]["m"].dtype == torch.float32


def test_groups_and_schedules():
    layers = model()
    groups = [
        {"params": [layers[0].weight], "lr": 0.0},
        {"params": list(layers[2].parameters()), "weight_decay": 0.5},
    ]
    before = copy.deepcopy(layers.state_dict())
    optimizer = optim.AdamW(groups, lr=1e-2)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    train(layers, optimizer, 2)
    scheduler.step()
    assert [g["lr"] for g in optimizer.param_groups] == [0.0, 5e-3]
    after = layers.state_dict()
    assert torch.equal(before["0.weight"], after["0.weight"]) and torch.equal(
        before["0.bias"], after["0.bias"]
    )
    assert not torch.equal(before["2.weight"], after["2.weight"])
    optimizer.add_param_group({"params": [layers[0].bias]})
    train(layers, optimizer, 1)
    assert not torch.equal(before["0.bias"], layers.state_dict()["0.bias"])


def test_closures():
    layers = model()
    x, y = torch.ones(4, 64), torch.zeros(4, 8)
    optimizer = optim.AdamW(layers.parameters(), lr=1e-3)

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(layers(x), y)
        loss.backward()
        return loss

    assert optimizer.step(closure).item() > optimizer.step(closure).item()


@pytest.mark.parametrize("states", ["dynamic8", "int4"])
def test_a_loaded_state_goes_on_bit_for_bit(states):
    layers = model()
    optimizer = optim.AdamW(layers.parameters(), lr=1e-2, states=states)
    train(layers, optimizer, 5)
    file = io.BytesIO()
    torch.save({"model": layers.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    kept = torch.load(file, weights_only=True)
    train(layers, optimizer, 5, 5)
    other = model(1)
    other.load_state_dict(kept["model"])
    resumed = optim.AdamW(other.parameters(), lr=1.0, states=states)
    resumed.load_state_dict(kept["optimizer"])
    train(other, resumed, 5, 5)
    for p, q in zip(layers.parameters(), other.parameters()):
        assert_same_bits(p.detach().numpy(), q.detach().numpy(), "parameters")
        for name, value in optimizer.state[p].items():
            if name != "step":
                assert_same_bits(value.numpy(), resumed.state[q][name].numpy(), name)


def test_scales_smaller_than_f16_has():
    """torch makes floats of the parameter's type of a loaded state; scales stay what they are."""
    parameter = torch.nn.Parameter(torch.ones(80, 70, dtype=torch.float16))
    parameter.grad = torch.full_like(parameter, 1e-5)
    optimizer = optim.AdamW([parameter], states="int4")
    optimizer.step()
    scale = optimizer.state[parameter]["v.scale"]
    assert (scale > 0).all() and not scale.half().any()
    resumed = optim.AdamW([parameter], states="int4")
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert torch.equal(resumed.state[parameter]["v.scale"], scale)


def test_copies_and_pickles():
    layers = model()
    optimizer = optim.AdamW(layers.parameters())
    train(layers, optimizer, 2)
    again = copy.deepcopy(optimizer)
    assert again.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]
    again.step()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_16_bits(dtype):
    layers = model(dtype=dtype)
    before = copy.deepcopy(layers[0].weight)
    train(layers, optim.AdamW(layers.parameters(), lr=1e-2), 3)
    assert layers[0].weight.dtype == dtype and not torch.equal(before, layers[0].weight)
    assert torch.isfinite(layers[0].weight).all()


@pytest.mark.parametrize("bits", [8, 16])
def test_what_bfloat16_leaves(bits):
    """Steps too small for a bfloat16 add up; a loaded state goes on bit for bit; float32 beside it is float32."""
    parameter = torch.nn.Parameter(torch.full((64, 64), 1.25, dtype=torch.bfloat16))
    plain = torch.nn.Parameter(torch.ones(8))

    def steps(parameters, optimizer, number):
        for p in parameters:
            p.grad = torch.ones_like(p)
        for _ in range(number):
            optimizer.step()

    optimizer = optim.Lion([parameter, plain], lr=1e-4, correction_bits=bits)
    steps([parameter, plain], optimizer, 20)
    assert torch.all(parameter == 1.25)
    kept = copy.deepcopy(optimizer.state_dict())
    state = optimizer.state[parameter]
    assert state[f"correction{bits}.codes"].element_size() == bits // 8
    assert "correction" not in " ".join(optimizer.state[plain])
    again = [torch.nn.Parameter(p.detach().clone()) for p in (parameter, plain)]
    resumed = optim.Lion(again, lr=1.0, correction_bits=bits)
    resumed.load_state_dict(kept)
    steps([parameter, plain], optimizer, 100)
    steps(again, resumed, 100)
    assert torch.all(parameter < 1.25) and torch.equal(parameter, again[0])
    assert torch.equal(
        state[f"correction{bits}.codes"], resumed.state[again[0]][f"correction{bits}.codes"]
    )
    unsplit = torch.nn.Parameter(torch.full((64, 64), 1.25, dtype=torch.bfloat16))
    steps([unsplit], optim.Lion([unsplit], lr=1e-4), 120)
    assert torch.all(unsplit == 1.25)
    with pytest.raises(LowbitError, match="a correction has 8 or 16 bits"):
        optim.Lion([parameter], correction_bits=4)


def test_parameters_without_gradients_and_views():
    base = torch.zeros(20, 10)
    used = torch.nn.Parameter(base.t())  # not contiguous
    unused = torch.nn.Parameter(torch.ones(5))
    optimizer = optim.SGD([used, unused], lr=1.0, momentum=0.0)
    (used * torch.arange(20.0)).sum().backward()
    optimizer.step()
    assert torch.equal(used.detach()[0], -torch.arange(20.0)) and torch.equal(
        base[:, 3], -torch.arange(20.0)
    )
    assert torch.equal(unused.detach(), torch.ones(5)) and unused not in optimizer.state


def test_a_rule_of_ones_own():
    layers = model()

    def signs(g, p, m, *, lr=1e-3, beta=0.9):
        m = beta * m + (1 - beta) * optim.sign(g)
        return p - lr * m, m

    optimizer = optim.RuleOptimizer(layers.parameters(), optim.rule(signs), "int4", lr=3e-3)
    first = train(layers, optimizer, 1)
    assert train(layers, optimizer, 100, 1) < first


def test_mistakes():
    layers = model()
    with pytest.raises(LowbitError, match="has no rho"):
        optim.RuleOptimizer(layers.parameters(), "sgd", rho=1)
    double = torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))
    double.grad = torch.zeros_like(double)
    with pytest.raises(LowbitError, match="not dense float32"):
        optim.AdamW([double]).step()
    with pytest.raises(LowbitError, match="no scheme"):
        train(layers, optim.AdamW(layers.parameters(), states="int5"), 1)


def states_of(library: str):
    """Optimizers of a library, by the scheme that stores what they do."""
    if library == "torch":
        return {"f32": torch.optim.AdamW}
    if library == "bitsandbytes":
        return {"dynamic8": pytest.importorskip("bitsandbytes").optim.AdamW8bit}
    ao = pytest.importorskip("torchao").optim
    return {"dynamic8": ao.AdamW8bit, "int4": ao.AdamW4bit, "fp8_torchao": ao.AdamWFp8}


@pytest.mark.parametrize("states", ["int4_rank1", "fp8"])
def test_states_of_torch_in_other_encodings(states):
    """Of matrices as such, and with blocks along their rows."""
    layers = model()
    reference = torch.optim.AdamW(layers.parameters(), lr=3e-3)
    train(layers, reference, 20)
    ours = copy.deepcopy(layers)
    optimizer = optim.AdamW(ours.parameters(), lr=3e-3, states=states)
    optimizer.load_state_dict(reference.state_dict())
    a, b = train(layers, reference, 40, 20), train(ours, optimizer, 40, 20)
    assert b < 1.5 * a


@pytest.mark.parametrize("library", ["torch", "bitsandbytes", "torchao"])
def test_states_of_other_libraries(library):
    """Code for code; training goes on as far as theirs does."""
    for scheme, theirs in states_of(library).items():
        layers = model()
        reference = theirs(layers.parameters(), lr=3e-3)
        train(layers, reference, 20)
        ours = copy.deepcopy(layers)
        optimizer = optim.AdamW(ours.parameters(), lr=3e-3, states=scheme)
        optimizer.load_state_dict(reference.state_dict())
        saved, own = reference.state[layers[0].weight], optimizer.state[ours[0].weight]
        assert own["step"] == 20
        if library == "bitsandbytes":
            pairs = [(saved["state1"], own["m.codes"]), (saved["absmax2"], own["v.scale"])]
        elif library == "torch":
            pairs = [(saved["exp_avg"], own["m"]), (saved["exp_avg_sq"], own["v"])]
        else:
            pairs = [(saved["exp_avg"].scale, own["m.scale"])]
            if scheme == "dynamic8":
                pairs.append((saved["exp_avg_sq"].codes, own["v.codes"]))
            decoded = saved["exp_avg"].dequantize().reshape(1, -1).numpy()
            from lowbit import _lowbit

            compiled = optim.compile("adamw", {"w": layers[0].weight.shape}, scheme)
            ours_decoded = _lowbit.decode(
                compiled.encodings("w")["m"],
                list(decoded.shape),
                {"codes": own["m.codes"].numpy(), "scale": own["m.scale"].numpy()},
            )
            np.testing.assert_allclose(ours_decoded, decoded, rtol=1e-6)
        for given, taken in pairs:
            assert torch.equal(given.reshape(-1), taken.reshape(-1))
        a, b = train(layers, reference, 40, 20), train(ours, optimizer, 40, 20)
        assert b < 1.3 * a


def test_states_of_torchs_momentum():
    """They have no number of the step."""
    layers = model()
    reference = torch.optim.SGD(layers.parameters(), lr=1e-2, momentum=0.9)
    train(layers, reference, 5)
    ours = copy.deepcopy(layers)
    optimizer = optim.SGD(ours.parameters(), lr=1.0, states="f32")
    optimizer.load_state_dict(reference.state_dict())
    train(layers, reference, 5, 5)
    train(ours, optimizer, 5, 5)
    for p, q in zip(ours.parameters(), layers.parameters()):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-4, atol=1e-6)
