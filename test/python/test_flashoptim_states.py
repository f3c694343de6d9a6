"""Checkpoints of FlashOptim, against what it makes of them itself (test/python/data/flashoptim.pt; scripts/make-flashoptim-fixture.py)."""

from __future__ import annotations

import copy
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from kernels import assert_same_bits
from lowbit import _lowbit, optim
from lowbit.errors import LowbitError

torch = pytest.importorskip("torch", reason="torch is not installed")

FIXTURE = Path(__file__).parent / "data/flashoptim.pt"
SCRIPT = Path(__file__).parents[2] / "scripts/make-flashoptim-fixture.py"
SCHEME = "companded8_flashoptim"
CASES = {
    "adamw24": (optim.AdamW, 8),
    "adamw32": (optim.AdamW, 16),
    "uncompressed": (optim.AdamW, 8),
    "float32": (optim.AdamW, 0),
    "lion24": (optim.Lion, 8),
    "sgd32": (optim.SGD, 16),
}


@pytest.fixture(scope="module")
def saved():
    return torch.load(FIXTURE, weights_only=True)


def load(case, make, bits, states=SCHEME):
    params = [torch.nn.Parameter(p.clone()) for p in case["params"]]
    optimizer = make(params, lr=1.0, states=states, correction_bits=bits)
    optimizer.load_state_dict(copy.deepcopy(case["optimizer"]))
    return params, optimizer


def state_of(optimizer, parameter, name: str) -> np.ndarray:
    """What is stored in FlashOptim's scheme."""
    compiled = optim.compile(optimizer.rule, {"w": parameter.shape}, SCHEME)
    kept = optimizer.state[parameter]
    components = {key: kept[f"{name}.{key}"].numpy() for key in ("codes", "scale")}
    encoding = compiled.encodings("w")[name]
    return _lowbit.decode(encoding, [1, parameter.numel()], components).reshape(parameter.shape)


def weight_of(optimizer, parameter, bits: int) -> np.ndarray:
    """In f32."""
    near = parameter.detach()
    if not bits:
        return near.numpy()
    low = optimizer.state[parameter][f"correction{bits}.codes"].numpy()
    high = near.view(torch.int16).numpy().view(np.uint16).reshape(1, -1)
    parts = {"high": high, "low": low}
    split = _lowbit.decode(f"#lowbit.split<bf16, {bits}>", [1, near.numel()], parts)
    return split.reshape(near.shape)


def steps_of(parameter) -> np.ndarray:
    """Of the exponents of bfloat16."""
    return np.exp2(np.floor(np.log2(np.abs(parameter.detach().float().numpy()))) - 7)


@pytest.mark.parametrize("name", CASES)
def test_codes_and_weights(saved, name):
    """States code for code; weights to the last bit with 32 of them, and to half of ours with 24."""
    case, (make, bits) = saved[name], CASES[name]
    params, optimizer = load(case, make, bits)
    keys = {"lion24": ["exp_avg"], "sgd32": ["momentum_buffer"]}.get(
        name, ["exp_avg", "exp_avg_sq"]
    )
    for number, p in enumerate(params):
        theirs, own = case["optimizer"]["state"][number], optimizer.state[p]
        assert own["step"] == (3 if optimizer.rule.name == "adamw" else 0)
        for key, state, decoded in zip(keys, optimizer.rule.states, case["states"][number]):
            if name != "uncompressed":
                offset = 0 if key == "exp_avg_sq" else 127
                codes = theirs[f"{key}::quantized"].int().reshape(1, -1) + offset
                assert torch.equal(own[f"{state}.codes"].int(), codes)
            np.testing.assert_allclose(state_of(optimizer, p, state), decoded.numpy(), rtol=1e-6)
        ours, expected = weight_of(optimizer, p, bits), case["weights"][number].numpy()
        assert_same_bits(p.detach().float().numpy(), case["params"][number].float().numpy(), name)
        if bits == 8:
            assert np.all(np.abs(ours - expected) <= steps_of(p) / 512)
        else:
            assert_same_bits(ours, expected, name)


@pytest.mark.parametrize("name", CASES)
def test_a_step_more(saved, name):
    """Weights move as FlashOptim's, which stores a 24-bit one to 1/254 of a step of bfloat16, and we to 1/512."""
    case, (make, bits) = saved[name], CASES[name]
    params, optimizer = load(case, make, bits)
    for p, gradient in zip(params, case["gradients"]):
        p.grad = gradient.clone()
    optimizer.step()
    for number, p in enumerate(params):
        before, after = (case[key][number].numpy() for key in ("weights", "weights_after"))
        assert np.all(np.abs(after - before).max() > 5e-4)
        error = np.abs(weight_of(optimizer, p, bits) - after)
        assert np.all(error <= (1 / 128 if bits == 8 else 1e-4) * steps_of(p))


@pytest.mark.parametrize("states", ["f32", "int4_rank1"])
def test_states_in_other_encodings(saved, states):
    """Both have f32 for tensors as small as these; the second sees them as matrices."""
    params, optimizer = load(saved["adamw24"], optim.AdamW, 16, states)
    for p, (m, v) in zip(params, saved["adamw24"]["states"]):
        for state, expected in (("m", m), ("v", v)):
            values = optimizer.state[p][state].reshape(p.shape)
            np.testing.assert_allclose(values.numpy(), expected.numpy(), rtol=1e-6)


def test_corrections_beside_borders():
    """Of powers of two, the smallest numbers, zero and the largest, with the largest errors of either sign."""
    from lowbit.optim import peers

    numbers = torch.tensor([1.0, -1.0, 2.0**-126, 1e-40, 0.0, -0.0, 3.38e38]).bfloat16()
    for bits, dtype, width in ((8, torch.int8, 3), (16, torch.int16, 4)):
        top = torch.iinfo(dtype).max
        # Below a power of two steps are half as long, and so are errors.
        errors = torch.tensor([-top // 2, top // 2, top, -top, top, -top, top]).to(dtype)
        exponent = (numbers.view(torch.int16).int() >> 7 & 255).clamp(min=1) - 135
        expected = torch.ldexp(errors.double() / top, exponent) + numbers.double()
        for stored in (errors, errors.bfloat16() if bits == 8 else errors.view(torch.bfloat16)):
            given = {"error_bits": stored}, {"master_bytewidth": width}
            encoding, values = peers.correction(*given, numbers, bits)
            low = _lowbit.encode(values["values"], f"#lowbit.quantized<int<{bits}>>")["codes"]
            high = numbers.view(torch.int16).numpy().view(np.uint16).reshape(1, -1)
            decoded = _lowbit.decode(
                f"#lowbit.split<bf16, {bits}>", [1, 7], {"high": high, "low": low}
            )
            # A whole half step up is one more than the largest correction; across zero there is none.
            allowed = torch.exp2(exponent.double()) * (1.01 / 2 ** (bits - 1))
            assert np.all(np.abs(decoded[0] - expected.numpy()) <= allowed.numpy() + 2.0**-133)


def broken(case, number=0, **changes):
    found = copy.deepcopy(case)
    found["optimizer"]["state"][number].update(changes)
    return found


def test_what_does_not_fit(saved):
    case = saved["adamw24"]
    with pytest.raises(LowbitError, match="corrections of a parameter in torch.bfloat16") as error:
        load(case, optim.AdamW, 0)
    assert "correction_bits=8 or 16" in error.value.hint
    halves = {**case, "params": [p.half() for p in case["params"]]}
    with pytest.raises(LowbitError, match="corrections of a parameter in torch.float16"):
        load(halves, optim.AdamW, 8)
    codes = case["optimizer"]["state"][0]["exp_avg::quantized"].clone()
    codes[3, 2] = -128
    with pytest.raises(LowbitError, match="codes of exp_avg that FlashOptim does not write"):
        load(broken(case, **{"exp_avg::quantized": codes}), optim.AdamW, 8)
    with pytest.raises(LowbitError, match="2 scales of 91 elements fit no block size"):
        load(broken(case, **{"exp_avg::scales": torch.ones(2)}), optim.AdamW, 8)
    with pytest.raises(LowbitError, match="12 saved corrections .* of 91 elements"):
        load(broken(case, error_bits=torch.zeros(12)), optim.AdamW, 8)
    with pytest.raises(LowbitError, match="1 kinds are none of rule 'adamw'"):
        load(saved["lion24"], optim.AdamW, 8)
    stateless = copy.deepcopy(saved["sgd32"])
    del stateless["optimizer"]["state"][0]["momentum_buffer::quantized"]
    with pytest.raises(LowbitError, match="0 kinds are none of rule 'sgd', which has m"):
        load(stateless, optim.SGD, 16)
    stepless = copy.deepcopy(case)
    del stepless["optimizer"]["state"][1]["step"]
    with pytest.raises(LowbitError, match="how many steps were taken, as rule 'adamw' needs"):
        load(stepless, optim.AdamW, 8)


def same(a, b) -> bool:
    if torch.is_tensor(a):
        # Corrections of 16 bits may be the bits of a NaN.
        return (
            a.dtype == b.dtype
            and a.shape == b.shape
            and torch.equal(*(x.reshape(-1).view(torch.uint8) for x in (a, b)))
        )
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.skipif(
    not importlib.util.find_spec("flashoptim"), reason="flashoptim is not installed"
)
def test_the_fixture_is_what_flashoptim_writes(saved, tmp_path):
    """In a process of its own: there all kernels are interpreted."""
    path = tmp_path / "made.pt"
    subprocess.run([sys.executable, SCRIPT, path], check=True)
    assert same(torch.load(path, weights_only=True), saved)
