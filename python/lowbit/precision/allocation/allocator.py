"""Chooses an encoding for every item: the least loss within a budget, by the multiple-choice knapsack of lowbit.precision.allocation.knapsack.

>>> from lowbit.precision.allocation import allocator
>>> found = allocator.allocate(allocator.read_table("table.json"), "3.5bpw")
>>> found.choice["blk.0.ffn_up.weight"], found.gap
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ...errors import LowbitError
from . import knapsack
from .budget import Budget, weights_of
from .table import Candidate, Item, read_table, write_table

__all__ = [
    "Allocation",
    "Budget",
    "Candidate",
    "Item",
    "allocate",
    "dynamic_programming",
    "evaluate",
    "greedy",
    "linear_bound",
    "pareto_front",
    "read_table",
    "write_table",
]

_LOSS, _BYTES, _SECONDS = range(3)

TIE = 10**9
"""Losses that differ by less than a part in 10^9 are a tie: no measured loss is that precise, and sums of doubles in another order would decide."""

_FEMTO = 10**15
"""Times are added as whole femtoseconds: forty times 0.1 ms are 4 ms, which doubles do not promise."""


@dataclass(frozen=True)
class Allocation:
    """An encoding for each item, and what all of them cost together."""

    choice: dict[str, str]
    """Item to encoding, in the order of keys."""
    loss: float
    bytes: int
    seconds: float
    weights: int | None
    """Of all items; None where an item does not say."""
    status: str
    """'optimal': proven; 'limit': the search ended at its limit of nodes; or the method that promises no optimum."""
    bound: float | None = None
    """No choice within the budget has less loss, as far as HiGHS proves."""

    @property
    def gap(self) -> float | None:
        """(loss - bound) / loss."""
        if self.bound is None:
            return None
        return (self.loss - self.bound) / self.loss if self.loss > 0 else 0.0

    @property
    def bits_per_weight(self) -> float | None:
        return 8 * self.bytes / self.weights if self.weights else None

    def __str__(self) -> str:
        bits = "" if self.bits_per_weight is None else f" ({self.bits_per_weight:.4f} bpw)"
        time = f", {self.seconds * 1e3:.6g} ms" if self.seconds else ""
        proven = self.status
        if self.bound is not None:
            proven += f", proven gap {100 * self.gap:.2g} % (bound {self.bound:.6g})"
        return f"loss {self.loss:.6g}, {self.bytes} bytes{bits}{time}: {proven}"


class _Problem:
    """Rows of the knapsack: an item or a group each, in the order of keys; columns in the order of their values and names. Losses are integers in
    units of a power of two that leaves every double exact, times are femtoseconds."""

    def __init__(self, items: Iterable[Item], budget: Budget):
        self.items = sorted(items, key=lambda item: item.key)
        if not self.items:
            raise LowbitError("there are no items to choose encodings for")
        for item, after in zip(self.items, self.items[1:]):
            if item.key == after.key:
                raise LowbitError(f"item '{item.key}' is there twice")
        self.weights = weights_of(self.items)
        candidates = [c for item in self.items for c in item.candidates]
        self._loss_bits = max(_fraction_bits(c.loss) for c in candidates)
        self.names: list[list[str]] = []
        """Of each row the items."""
        self.encodings: list[list[str]] = []
        self.rows: list[list[knapsack.Values]] = []
        for members in _groups(self.items):
            columns = sorted(_undominated(self._merged(members)))
            self.names.append([item.key for item in members])
            self.rows.append([values for values, _ in columns])
            self.encodings.append([encoding for _, encoding in columns])
        self.limits: list[int | None] = [None, budget.byte_limit(self.items), None]
        if budget.seconds is not None:
            limit = _femtoseconds(budget.seconds)
            self.limits[_SECONDS] = limit if limit / _FEMTO <= budget.seconds else limit - 1

    def _values(self, candidate: Candidate) -> knapsack.Values:
        loss = _exact(candidate.loss, self._loss_bits)
        return loss, candidate.bytes, _femtoseconds(candidate.seconds)

    def _merged(self, members: Sequence[Item]) -> dict[str, knapsack.Values]:
        tables = [{c.encoding: self._values(c) for c in item.candidates} for item in members]
        common = set(tables[0]).intersection(*tables[1:])
        if not common:
            keys = ", ".join(f"'{item.key}'" for item in members)
            raise LowbitError(
                f"group '{members[0].group}': no encoding is a candidate of all of {keys}",
                hint="give them one, or take an item out of the group",
            )
        return {e: tuple(map(sum, zip(*(table[e] for table in tables)))) for e in common}

    def loss(self, value: int) -> float:
        return value / (1 << self._loss_bits)

    def allocation(
        self, choice: Sequence[int], status: str, bound: int | None = None
    ) -> Allocation:
        sums = [knapsack.total(self.rows, choice, k) for k in range(3)]
        found = {
            name: encodings[j]
            for names, encodings, j in zip(self.names, self.encodings, choice)
            for name in names
        }
        return Allocation(
            dict(sorted(found.items())),
            self.loss(sums[_LOSS]),
            sums[_BYTES],
            sums[_SECONDS] / _FEMTO,
            self.weights,
            status,
            None if bound is None else max(self.loss(bound), 0.0),
        )

    def solve(self, nodes: int) -> Allocation | None:
        """None where nothing is within the limits."""
        first = knapsack.minimize(self.rows, _LOSS, self.limits, nodes=nodes)
        if first is None:
            return None
        choice, limits = first.choice, list(self.limits)
        proven = first.bound
        for k in (_LOSS, _BYTES, _SECONDS):
            least = knapsack.total(self.rows, choice, k)
            if k != _LOSS:
                found = knapsack.minimize(self.rows, k, limits, choice, nodes)
                choice = choice if found is None else found.choice
                least = knapsack.total(self.rows, choice, k)
            slack = least // TIE if k == _LOSS else 0
            limits[k] = least + slack
        loss = knapsack.total(self.rows, choice, _LOSS)
        optimal = loss - proven <= 2 * (loss // TIE)
        return self.allocation(self._ordered(choice), "optimal" if optimal else "limit", proven)

    def _ordered(self, choice: Sequence[int]) -> list[int]:
        """Of rows with the same columns, the first by name takes the most bytes: it is the same to the sums, and here to the reader."""
        alike: dict[tuple, list[int]] = {}
        for i in range(len(self.rows)):
            alike.setdefault((tuple(self.rows[i]), tuple(self.encodings[i])), []).append(i)
        ordered = list(choice)
        for places in alike.values():
            row = self.rows[places[0]]
            taken = sorted((choice[i] for i in places), key=lambda j: (-row[j][_BYTES], j))
            for i, j in zip(places, taken):
                ordered[i] = j
        return ordered

    def impossible(self, budget: Budget) -> LowbitError:
        """The error that says what would be possible."""
        message = f"no choice of encodings is within {budget}"
        limits = [None, None, self.limits[_SECONDS]]
        smallest = sum(min(v[_BYTES] for v in row) for row in self.rows)
        fastest = sum(min(v[_SECONDS] for v in row) for row in self.rows)
        if self.limits[_BYTES] is not None and smallest > self.limits[_BYTES]:
            message += f": the smallest takes {self._size(smallest)}"
        elif self.limits[_SECONDS] is not None and fastest > self.limits[_SECONDS]:
            message += f": the fastest takes {fastest / _FEMTO * 1e3:.9g} ms"
        else:
            within = knapsack.minimize(self.rows, _BYTES, limits)
            size = knapsack.total(self.rows, within.choice, _BYTES)
            message += f": the smallest within the time takes {self._size(size)}"
        return LowbitError(message, hint="raise the budget, or add smaller or faster candidates")

    def _size(self, size: int) -> str:
        bits = f" ({8 * size / self.weights:.6g}bpw)" if self.weights else ""
        return f"{size} bytes{bits}"


def _fraction_bits(value: float) -> int:
    return value.as_integer_ratio()[1].bit_length() - 1


def _exact(value: float, bits: int) -> int:
    numerator, denominator = value.as_integer_ratio()
    return numerator * ((1 << bits) // denominator)


def _femtoseconds(seconds: float) -> int:
    return round(Fraction(seconds) * _FEMTO)


def _groups(items: Sequence[Item]) -> list[list[Item]]:
    rows: dict[tuple[str, bool], list[Item]] = {}
    for item in items:
        rows.setdefault((item.group or item.key, item.group is not None), []).append(item)
    return list(rows.values())


def _undominated(columns: Mapping[str, knapsack.Values]) -> list[tuple[knapsack.Values, str]]:
    """Without those that another one equals or betters in loss, bytes and seconds. Of equals the first by name stays."""
    kept: list[tuple[knapsack.Values, str]] = []
    for values, encoding in sorted((v, e) for e, v in columns.items()):
        if not any(all(a <= b for a, b in zip(other, values)) for other, _ in kept):
            kept.append((values, encoding))
    return kept


def _posed(items: Iterable[Item], budget: Budget | str) -> tuple[_Problem, Budget]:
    budget = Budget.parse(budget) if isinstance(budget, str) else budget
    return _Problem(items, budget), budget


def allocate(
    items: Iterable[Item], budget: Budget | str = Budget(), nodes: int = 100_000
) -> Allocation:
    """The least loss within the budget; among losses within a part in 10^9 of it the fewest bytes, then the fewest seconds; items with equal
    candidates take the larger encodings in the order of keys.

    Candidates that another one equals or betters in every respect are never chosen. The answer depends on neither the order of the items and candidates nor on time: HiGHS
    runs on one thread, and gives up after `nodes` nodes ('limit'; the gap says what is left open).

    Raises LowbitError where nothing is within the budget (it says what is the least), and for budgets that are none.
    """
    problem, budget = _posed(items, budget)
    found = problem.solve(nodes)
    if found is None:
        raise problem.impossible(budget)
    return found


def linear_bound(items: Iterable[Item], budget: Budget | str) -> float:
    """The loss that the linear relaxation (tensors in parts of several encodings) reaches; no choice has less. Raises as allocate() does."""
    problem, budget = _posed(items, budget)
    relaxed = knapsack.relax(problem.rows, _LOSS, problem.limits)
    if relaxed is None:
        raise problem.impossible(budget)
    return max(problem.loss(relaxed[0]), 0.0)


def greedy(items: Iterable[Item], budget: Budget | str) -> Allocation:
    """A baseline: from the cheapest candidates by steps along the convex hull of loss over cost, as knapsack.greedy() describes.

    Under two limits it may find nothing where allocate() does. Raises LowbitError then.
    """
    problem, budget = _posed(items, budget)
    choice = knapsack.greedy(problem.rows, _LOSS, problem.limits)
    if choice is None:
        if knapsack.minimize(problem.rows, _LOSS, problem.limits) is None:
            raise problem.impossible(budget)
        raise LowbitError(f"the greedy method finds nothing within {budget}", hint="use allocate()")
    return problem.allocation(choice, "greedy")


def dynamic_programming(
    items: Iterable[Item], budget: Budget | str, buckets: int = 1 << 16
) -> Allocation:
    """A baseline for a size alone: tables of the least loss by bytes (Dudzinski and Walukiewicz 1987).

    Exact ('optimal', up to the rounding of sums) where the limit is at most `buckets` times what divides all sizes; else sizes are rounded up to
    buckets ('rounded'), so that the budget is kept and may be left unused in part. It takes time and memory of items times buckets.
    Raises LowbitError where nothing is within the budget, or, rounded, nothing is found.
    """
    import numpy as np

    problem, budget = _posed(items, budget)
    limit = problem.limits[_BYTES]
    if limit is None or budget.seconds is not None:
        raise LowbitError("dynamic programming takes a budget of one size", hint="use allocate()")
    least = [min(v[_BYTES] for v in row) for row in problem.rows]
    room = limit - sum(least)
    if room < 0:
        raise problem.impossible(budget)
    over = [[v[_BYTES] - low for v in row] for row, low in zip(problem.rows, least)]
    unit = math.gcd(*(size for sizes in over for size in sizes)) or 1
    exact = room // unit <= buckets
    if not exact:
        unit = -(-room // buckets)
    places = room // unit
    losses = np.zeros(places + 1)
    steps = []
    for row, sizes in zip(problem.rows, over):
        following = np.full(places + 1, np.inf)
        taken = np.zeros(places + 1, np.int16)
        for j in sorted(range(len(row)), key=lambda j: sizes[j]):
            size = -(-sizes[j] // unit)
            if size > places:
                continue
            reached = losses[: places + 1 - size] + problem.loss(row[j][_LOSS])
            better = reached < following[size:]
            following[size:][better] = reached[better]
            taken[size:][better] = j
        losses = following
        steps.append(taken)
    at, choice = int(np.argmin(losses)), []  # the fewest bytes that reach it
    for taken, sizes in zip(reversed(steps), reversed(over)):
        choice.append(int(taken[at]))
        at -= -(-sizes[choice[-1]] // unit)
    return problem.allocation(choice[::-1], "optimal" if exact else "rounded")


def evaluate(items: Iterable[Item], choice: Mapping[str, str]) -> Allocation:
    """What a given choice costs, as one of an edited plan. Raises LowbitError where it and the items are not of each other."""
    items = sorted(items, key=lambda item: item.key)
    keys = {item.key for item in items}
    for key in choice:
        if key not in keys:
            raise LowbitError(f"the choice has '{key}', which is no item of the table")
    chosen, groups = [], {}
    for item in items:
        if item.key not in choice:
            raise LowbitError(f"the choice has no encoding for '{item.key}'")
        encoding = choice[item.key]
        found = [c for c in item.candidates if c.encoding == encoding]
        if not found:
            names = ", ".join(f"'{c.encoding}'" for c in item.candidates)
            raise LowbitError(
                f"item '{item.key}' has no candidate '{encoding}'", hint=f"it has {names}"
            )
        if item.group is not None and groups.setdefault(item.group, encoding) != encoding:
            raise LowbitError(
                f"group '{item.group}' has two encodings, '{groups[item.group]}' and '{encoding}'"
            )
        chosen += found
    return Allocation(
        {item.key: choice[item.key] for item in items},
        math.fsum(c.loss for c in chosen),
        sum(c.bytes for c in chosen),
        sum(_femtoseconds(c.seconds) for c in chosen) / _FEMTO,
        weights_of(items),
        "given",
    )


def pareto_front(
    items: Iterable[Item],
    points: int = 16,
    seconds: float | None = None,
    nodes: int = 100_000,
) -> list[Allocation]:
    """Allocations from the smallest to that of the least loss, each with fewer bytes than the next and more loss, by exact solutions for `points`
    sizes at even distances; `seconds` limits the time of each. Bounds are those under the size that was asked for. Raises LowbitError where the time is too short.
    """
    if points < 2:
        raise LowbitError(f"a front of {points} points is none", hint="ask for 2 or more")
    items, budget = list(items), Budget(seconds=seconds)
    largest = allocate(items, budget, nodes)
    problem = _Problem(items, budget)
    smallest = knapsack.minimize(problem.rows, _BYTES, problem.limits, nodes=nodes)
    least = knapsack.total(problem.rows, smallest.choice, _BYTES)
    front: list[Allocation] = []
    for i in range(points):
        problem.limits[_BYTES] = least + (largest.bytes - least) * i // (points - 1)
        found = problem.solve(nodes)
        if found is not None and (not front or found.loss < front[-1].loss):
            front.append(found)
    return front
