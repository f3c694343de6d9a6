"""Steps of optimizers in numpy: float32, one operation after the other as the rules have them, states through the scalar reference."""

from __future__ import annotations

import re

import numpy as np
from kernels import assert_same_bits
from lowbit import _lowbit, optim

f = np.float32


def _powers(beta: float, step: int) -> float:
    return 1.0 - beta**step


def adamw(g, p, s, step, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=1e-2):
    m = f(beta1) * s["m"] + f(1 - beta1) * g
    v = f(beta2) * s["v"] + f(1 - beta2) * (g * g)
    denominator = np.sqrt(v) * f(1 / np.sqrt(_powers(beta2, step))) + f(eps)
    change = f(lr / _powers(beta1, step)) * (m / denominator)
    return f(1 - lr * decay) * p - change, {"m": m, "v": v}


def adam(g, p, s, step, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.0):
    return adamw(g + f(decay) * p, p, s, step, lr, beta1, beta2, eps, 0.0)


def ademamix(
    g, p, s, step, lr=1e-3, beta1=0.9, beta2=0.999, beta3=0.9999, alpha=5.0, eps=1e-8, decay=1e-2
):
    m1 = f(beta1) * s["m1"] + f(1 - beta1) * g
    m2 = f(beta3) * s["m2"] + f(1 - beta3) * g
    v = f(beta2) * s["v"] + f(1 - beta2) * (g * g)
    denominator = np.sqrt(v) * f(1 / np.sqrt(_powers(beta2, step))) + f(eps)
    numerator = f(1 / _powers(beta1, step)) * m1 + f(alpha) * m2
    p = f(1 - lr * decay) * p - f(lr) * (numerator / denominator)
    return p, {"m1": m1, "m2": m2, "v": v}


def sgd(g, p, s, step, lr=1e-3, momentum=0.9, decay=0.0):
    m = f(momentum) * s["m"] + (g + f(decay) * p)
    return p - f(lr) * m, {"m": m}


def lion(g, p, s, step, lr=1e-4, beta1=0.9, beta2=0.99, decay=0.0):
    c = f(beta1) * s["m"] + f(1 - beta1) * g
    p = f(1 - lr * decay) * p - f(lr) * np.sign(c)
    return p, {"m": f(beta2) * s["m"] + f(1 - beta2) * g}


def adagrad(g, p, s, step, lr=1e-2, eps=1e-10, decay=0.0):
    g = g + f(decay) * p
    total = s["s"] + g * g
    return p - f(lr) * (g / (np.sqrt(total) + f(eps))), {"s": total}


def rmsprop(g, p, s, step, lr=1e-2, alpha=0.99, eps=1e-8, decay=0.0):
    g = g + f(decay) * p
    average = f(alpha) * s["s"] + f(1 - alpha) * (g * g)
    return p - f(lr) * (g / (np.sqrt(average) + f(eps))), {"s": average}


def _norm(x: np.ndarray) -> float:
    return float(np.sqrt(np.sum(x.astype(np.float64) ** 2)))


def _rms(x: np.ndarray) -> float:
    return _norm(x) / np.sqrt(x.size)


def lamb(g, p, s, step, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-6, decay=1e-2):
    m = beta1 * s["m"] + (1 - beta1) * g
    v = beta2 * s["v"] + (1 - beta2) * g * g
    u = m / _powers(beta1, step) / (np.sqrt(v) / np.sqrt(_powers(beta2, step)) + eps) + decay * p
    ratio = _norm(p) / _norm(u) if _norm(p) and _norm(u) else 1.0
    return p - lr * ratio * u, {"m": m, "v": v}


def adafactor(g, p, s, step, lr=1e-2, decay_rate=-0.8, eps1=1e-30, eps2=1e-3, clip=1.0, decay=0.0):
    beta = 1 - step**decay_rate
    r = beta * s["r"] + (1 - beta) * np.mean(g * g + eps1, 1, keepdims=True)
    c = beta * s["c"] + (1 - beta) * np.mean(g * g + eps1, 0, keepdims=True)
    u = g / np.sqrt(r * c / np.mean(r))
    size = lr * max(eps2, _rms(p)) / max(1.0, _rms(u) / clip)
    return (1 - lr * decay) * p - size * u, {"r": r, "c": c}


def muon(g, p, s, step, lr=0.02, beta=0.95, decay=0.0):
    m = beta * s["m"] + (1 - beta) * g
    u = beta * m + (1 - beta) * g
    x = u / (_norm(u) + 1e-7)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    scale = np.sqrt(max(1.0, p.shape[0] / p.shape[1]))
    return (1 - lr * decay) * p - lr * scale * x, {"m": m}


MATRIX_RULES = {rule.__name__: rule for rule in (adafactor, lamb, muon)}
"""In whatever precision they are given: sums have no order of their own."""

RULES = {rule.__name__: rule for rule in (adam, adamw, ademamix, adagrad, lion, rmsprop, sgd)}


def keyed(encoding: str, step: int) -> str:
    """With the seed that the draws of a step have: its number is added to the upper half."""

    def seed(match: re.Match) -> str:
        return f"stochastic<{(int(match[1]) + (step << 32)) % 2**64}>"

    return re.sub(r"stochastic<(\d+)>", seed, encoding)


class Reference:
    """One parameter, its states in the encodings that `optimizer` chose for it; flat, float32."""

    def __init__(self, optimizer, name: str, parameter: np.ndarray):
        self.rule = RULES[optimizer.rule.name]
        self.encodings = optimizer.encodings(name)
        self.p = parameter.reshape(1, -1).astype(f)
        zero = np.zeros_like(self.p)
        self.states = {
            state: _lowbit.encode(zero, encoding) for state, encoding in self.encodings.items()
        }
        self.steps = 0

    def step(self, gradient: np.ndarray, **scalars: float) -> None:
        self.steps += 1
        shape = list(self.p.shape)
        decoded = {
            state: _lowbit.decode(encoding, shape, self.states[state])
            for state, encoding in self.encodings.items()
        }
        with np.errstate(all="ignore"):
            self.p, states = self.rule(
                gradient.reshape(1, -1).astype(f), self.p, decoded, self.steps, **scalars
            )
        self.states = {
            state: _lowbit.encode(states[state], keyed(encoding, self.steps))
            for state, encoding in self.encodings.items()
        }


STATES = ["f32", "bf16", "dynamic8", "companded8", "fp8", "int4"]
# Whole pieces and blocks, parts of both; small ones stay f32.
SHAPES = {
    "matrix": (96, 512),
    "ragged": (67, 83),
    "vector": (4097,),
    "small": (33,),
    "one": (1,),
    "none": (0, 4),
}


def gradients(shapes, seed: int) -> dict[str, np.ndarray]:
    """Of sizes that differ by decades from element to element and from step to step."""
    generator = np.random.default_rng(seed)
    return {
        name: (generator.normal(size=shape) * 10.0 ** generator.uniform(-4, 0, shape)).astype(
            np.float32
        )
        for name, shape in shapes.items()
    }


def parameters(shapes) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def assert_same_states(one: optim.State, other: optim.State) -> None:
    assert one.step == other.step and one.tensors.keys() == other.tensors.keys()
    for name, states in one.tensors.items():
        for of, components in states.items():
            assert components.keys() == other.tensors[name][of].keys()
            for component, array in components.items():
                found = other.tensors[name][of][component]
                assert found.dtype == array.dtype
                assert_same_bits(found, array, f"{name} {of} {component}")


def check(optimizer, steps: int, grads=gradients, **scalars) -> tuple[dict, optim.State]:
    params, state = parameters(optimizer.shapes), optimizer.init()
    references = {name: Reference(optimizer, name, p) for name, p in params.items()}
    for step in range(steps):
        given = grads(optimizer.shapes, step)
        optimizer.step(params, given, state, **scalars)
        for name, reference in references.items():
            reference.step(given[name], **scalars)
    for name, reference in references.items():
        assert_same_bits(params[name].reshape(1, -1), reference.p, f"{name} after {steps} steps")
        for of, components in reference.states.items():
            for component, expected in components.items():
                assert_same_bits(
                    state.tensors[name][of][component], expected, f"{name}: {of} {component}"
                )
    return params, state
