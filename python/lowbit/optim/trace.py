"""rule(): a rule from a Python function on single elements, which is called once to see what it computes."""

from __future__ import annotations

import inspect
from numbers import Real
from typing import Any, Callable, Iterable

from ..errors import LowbitError
from .rule import Rule, load

_BINARY = {"add": "arith.addf", "sub": "arith.subf", "mul": "arith.mulf", "div": "arith.divf"}
_UNARY = {
    "neg": "arith.negf",
    "sqrt": "math.sqrt",
    "exp": "math.exp",
    "log": "math.log",
    "abs": "math.absf",
}


class _Trace:
    """What is written down: operations on numbers, once for all elements, and those on elements."""

    def __init__(self) -> None:
        self.numbers: list[str] = []
        self.elements: list[str] = []
        self._known: dict[str, str] = {}
        self._count = 0

    def emit(self, operation: str, type: str, result: str | None = None) -> Value:
        """What was computed before is not computed again."""
        result = result or type
        key = f"{operation} : {type}"
        if key not in self._known:
            self._count += 1
            self._known[key] = f"%{self._count}"
            # Constants belong before the loop, too.
            lines = self.elements if type != "f64" and "truncf" not in operation else self.numbers
            lines.append(
                f"%{self._count} = {key}" + (f" to {result}" if "truncf" in operation else "")
            )
        return Value(self, self._known[key], result)

    def value(self, x: Any) -> Value:
        if isinstance(x, Value):
            if x.trace is not self:
                raise LowbitError("a value of another rule was used")
            return x
        if isinstance(x, bool) or not isinstance(x, Real):
            raise LowbitError(f"a rule computes with numbers, not with {type(x).__name__}")
        return self.emit(f"arith.constant {float(x):.17e}", "f64")

    def element(self, x: Any) -> Value:
        """As float32."""
        x = self.value(x)
        return x if x.type != "f64" else self._truncated(x)

    def _truncated(self, x: Value) -> Value:
        return self.emit(f"arith.truncf {x.name}", "f64", "f32")

    def together(self, *given: Any) -> list[Value]:
        """Numbers stay float64 among themselves; beside an element they are rounded to float32."""
        values = [self.value(x) for x in given]
        return values if all(v.type == "f64" for v in values) else [self.element(v) for v in values]


class Value:
    """A number (float64, the same for all elements) or an element's value (float32)."""

    def __init__(self, trace: _Trace, name: str, type: str):
        self.trace, self.name, self.type = trace, name, type

    def _binary(self, operation: str, x: Any, y: Any) -> Value:
        a, b = self.trace.together(x, y)
        return self.trace.emit(f"{operation} {a.name}, {b.name}", a.type)

    def _unary(self, operation: str) -> Value:
        return self.trace.emit(f"{operation} {self.name}", self.type)

    def _compared(self, predicate: str, other: Any) -> Value:
        a, b = self.trace.together(self, other)
        return self.trace.emit(f"arith.cmpf {predicate}, {a.name}, {b.name}", a.type, "i1")

    def __add__(self, other: Any) -> Value:
        return self._binary(_BINARY["add"], self, other)

    def __radd__(self, other: Any) -> Value:
        return self._binary(_BINARY["add"], other, self)

    def __sub__(self, other: Any) -> Value:
        return self._binary(_BINARY["sub"], self, other)

    def __rsub__(self, other: Any) -> Value:
        return self._binary(_BINARY["sub"], other, self)

    def __mul__(self, other: Any) -> Value:
        return self._binary(_BINARY["mul"], self, other)

    def __rmul__(self, other: Any) -> Value:
        return self._binary(_BINARY["mul"], other, self)

    def __truediv__(self, other: Any) -> Value:
        return self._binary(_BINARY["div"], self, other)

    def __rtruediv__(self, other: Any) -> Value:
        return self._binary(_BINARY["div"], other, self)

    def __pow__(self, exponent: Any) -> Value:
        if exponent == 2 and not isinstance(exponent, Value):
            return self * self
        return self._binary("math.powf", self, exponent)

    def __rpow__(self, base: Any) -> Value:
        return self._binary("math.powf", base, self)

    def __neg__(self) -> Value:
        return self._unary(_UNARY["neg"])

    def __abs__(self) -> Value:
        return self._unary(_UNARY["abs"])

    def __lt__(self, other: Any) -> Value:
        return self._compared("olt", other)

    def __le__(self, other: Any) -> Value:
        return self._compared("ole", other)

    def __gt__(self, other: Any) -> Value:
        return self._compared("ogt", other)

    def __ge__(self, other: Any) -> Value:
        return self._compared("oge", other)

    def __bool__(self) -> bool:
        raise LowbitError("a rule has no branches: write where(condition, a, b)")


def sqrt(x: Value) -> Value:
    return x._unary(_UNARY["sqrt"])


def exp(x: Value) -> Value:
    return x._unary(_UNARY["exp"])


def log(x: Value) -> Value:
    return x._unary(_UNARY["log"])


def where(condition: Value, a: Any, b: Any) -> Value:
    """a where the condition holds, else b."""
    trace = condition.trace
    x, y = (trace.element(v) for v in (a, b))
    operation = f"arith.select {condition.name}, {x.name}, {y.name}"
    return trace.emit(operation, "f32")


def sign(x: Value) -> Value:
    """-1, 0 or 1."""
    return where(x > 0, 1.0, where(x < 0, -1.0, 0.0))


def maximum(x: Any, y: Any) -> Value:
    trace = (x if isinstance(x, Value) else y).trace
    a, b = trace.together(x, y)
    return trace.emit(f"arith.maximumf {a.name}, {b.name}", a.type)


def minimum(x: Any, y: Any) -> Value:
    trace = (x if isinstance(x, Value) else y).trace
    a, b = trace.together(x, y)
    return trace.emit(f"arith.minimumf {a.name}, {b.name}", a.type)


def rule(function: Callable[..., Any], nonnegative: Iterable[str] = ()) -> Rule:
    """The rule that `function(gradient, parameter, state, ..., *, number=default, ...)` computes for every element.

    It returns the new parameter and the new states, in order. Its positional arguments after the second are states, by their
    names; those after `*` are numbers that each step is given, float64, with their defaults; `step` is the number of the step,
    from 1. Numbers are computed once, in float64, and rounded where they meet an element, which is float32.
    nonnegative: states that have no sign, for encodings without one.

    >>> def momentum(g, p, m, *, lr=1e-3, beta=0.9):
    ...     m = beta * m + g
    ...     return p - lr * m, m
    >>> lowbit.optim.compile(lowbit.optim.rule(momentum), shapes, states="int4")
    """
    parameters = list(inspect.signature(function).parameters.values())
    tensors = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    numbers = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    if len(tensors) < 2 or len(tensors) + len(numbers) != len(parameters):
        raise LowbitError("a rule is f(gradient, parameter, state, ..., *, number=default, ...)")
    states, nonnegative = tensors[2:], set(nonnegative)
    if unknown := nonnegative - set(states):
        raise LowbitError(f"{', '.join(sorted(unknown))} is no state of the rule")
    trace = _Trace()
    results = function(
        *(Value(trace, f"%{name}.i", "f32") for name in tensors),
        **{p.name: Value(trace, f"%{p.name}", "f64") for p in numbers},
    )
    results = list(results) if isinstance(results, (tuple, list)) else [results]
    if len(results) != 1 + len(states):
        raise LowbitError(
            f"the rule returns {len(results)} values, not the parameter and {len(states)} states"
        )
    return load(
        _text(
            function.__name__,
            trace,
            [trace.element(r) for r in results],
            tensors,
            numbers,
            nonnegative,
        )
    )


def _text(
    name: str,
    trace: _Trace,
    results: list[Value],
    tensors: list[str],
    numbers: list[Any],
    nonnegative: set[str],
) -> str:
    def argument(i: int, tensor: str) -> str:
        named = ("gradient", "parameter")[i] if i < 2 else tensor
        flag = ", lowbit.nonnegative" if tensor in nonnegative else ""
        return f'%{tensor}: !T {{lowbit.name = "{named}"{flag}}}'

    def number(p: Any) -> str:
        default = "" if p.default is p.empty else f", lowbit.default = {float(p.default):.17e}"
        return f'%{p.name}: f64 {{lowbit.name = "{p.name}"{default}}}'

    outs = tensors[1:]
    types = ", ".join("!T" for _ in outs)
    arguments = [argument(i, t) for i, t in enumerate(tensors)] + [number(p) for p in numbers]
    elements = ", ".join(f"%{t}.i: f32" for t in tensors)
    updates = ", ".join(str(i + 1) for i in range(len(outs)))
    several = len(outs) > 1
    result = f"%new:{len(outs)}" if several else "%new"
    returned = ", ".join(f"%new#{i}" for i in range(len(outs))) if several else "%new"
    lines = [
        f"// {name}",
        "#e = affine_map<(i, j) -> (i, j)>",
        "!T = tensor<?x?xf32>",
        f"func.func @step({', '.join(arguments)}) -> ({types})",
        f"    attributes {{lowbit.entry, lowbit.updates = array<i64: {updates}>}} {{",
        *(f"  {line}" for line in trace.numbers),
        f"  {result} = linalg.generic {{indexing_maps = [{', '.join('#e' for _ in tensors)}], "
        'iterator_types = ["parallel", "parallel"]}',
        f"      ins(%{tensors[0]} : !T) outs({', '.join(f'%{t}' for t in outs)} : {types}) {{",
        f"    ^bb0({elements}):",
        *(f"      {line}" for line in trace.elements),
        f"      linalg.yield {', '.join(r.name for r in results)} : {', '.join('f32' for _ in outs)}",
        f"  }} -> ({types})" if several else f"  }} -> {types}",
        f"  return {returned} : {types}",
        "}",
        "",
    ]
    return "\n".join(lines)
