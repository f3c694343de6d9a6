"""The multiple-choice knapsack: of each row one column, the least sum of one value while sums of others stay within limits.

Values are integers in exact arithmetic; HiGHS computes in doubles with tolerances. So HiGHS is asked, and never believed about
feasibility: a choice that breaks a limit is cut off, and the rest is asked for again. Bounds are Lagrangian ones, computed exactly
from HiGHS's multipliers, or what HiGHS proves of the integer problem (Sinha and Zoltners 1979; Kellerer, Pferschy and Pisinger 2004, chapter 11).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import highspy
import numpy as np

Values = tuple[int, ...]
"""Of one column, all at least 0."""
Rows = Sequence[Sequence[Values]]
Limits = Sequence["int | None"]
"""For each value the largest sum; None where it has no limit."""

_BITS = 10
"""Limits and the ranges of objectives are scaled to about 2^10: HiGHS's tolerances are absolute."""
_TOLERANCE = 1e-9
_CUTS = 30
"""As often is a choice that breaks a limit by a rounding cut off, before the limit is tightened."""


@dataclass
class Solution:
    choice: list[int]
    """Of each row the column."""
    bound: int
    """No choice within the limits has a smaller sum, as far as HiGHS proves."""


def total(rows: Rows, choice: Sequence[int], k: int) -> int:
    return sum(row[j][k] for row, j in zip(rows, choice))


def feasible(rows: Rows, choice: Sequence[int], limits: Limits) -> bool:
    return all(limit is None or total(rows, choice, k) <= limit for k, limit in enumerate(limits))


def greedy(rows: Rows, k: int, limits: Limits) -> list[int] | None:
    """Starts from each row's cheapest column and takes steps along the lower convex hull of value k over cost, the largest decrease for its cost
    first, where they fit; a row whose step does not fit stays where it is. With several limits the cost is the sum of parts of the limits,
    and the start may be outside of them: then there is no answer."""
    active = [m for m, limit in enumerate(limits) if limit is not None]
    product = 1
    for m in active:
        product *= max(limits[m], 1)
    weight = {m: product // max(limits[m], 1) for m in active}
    choice, steps = [], []
    for i, row in enumerate(rows):
        cost = [sum(v[m] * weight[m] for m in active) for v in row]
        at = min(range(len(row)), key=lambda j: (cost[j], row[j][k], row[j]))
        choice.append(at)
        while True:
            lower = [j for j in range(len(row)) if row[j][k] < row[at][k]]
            if not lower:
                break
            # Costs are above that of `at`: it is on the hull, and the least value for its cost.
            slope = lambda j: Fraction(row[at][k] - row[j][k], cost[j] - cost[at])  # noqa: E731
            after = max(lower, key=lambda j: (slope(j), -cost[j]))
            steps.append((-slope(after), i, len(steps), at, after))
            at = after
    sums = {m: total(rows, choice, m) for m in active}
    if any(sums[m] > limits[m] for m in active):
        return None
    for _, i, _, at, after in sorted(steps):
        if choice[i] != at:
            continue
        moved = {m: sums[m] + rows[i][after][m] - rows[i][at][m] for m in active}
        if all(moved[m] <= limits[m] for m in active):
            choice[i], sums = after, moved
    return choice


def relax(rows: Rows, k: int, limits: Limits) -> tuple[int, list[Fraction]] | None:
    """The bound of the linear relaxation, and the multiplier of each limit; None where even it has no solution.

    The bound is computed exactly from the multipliers, so it holds whatever the rounding in HiGHS.
    """
    multipliers = [Fraction(0)] * len(limits)
    model = _Model(rows, k, limits)
    if model.rows:
        if model.infeasible:
            return None
        highs = _highs(model.linear_program())
        highs.run()
        if highs.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
            return None
        duals = highs.getSolution().row_dual[len(model.rows) :]
        for m, dual in zip(model.active, duals):
            if np.isfinite(dual) and dual < 0:
                shift = model.shift[k] - model.shift[m]
                multipliers[m] = Fraction(-float(dual)) * Fraction(2) ** shift
    return _lagrangian(rows, k, limits, multipliers), multipliers


def _common(multipliers: Sequence[Fraction]) -> tuple[list[int], int]:
    """Numerators over the one denominator."""
    denominator = max((x.denominator for x in multipliers), default=1)  # powers of two
    return [x.numerator * (denominator // x.denominator) for x in multipliers], denominator


def _priced(row: Sequence[Values], k: int, prices: Sequence[int], denominator: int) -> list[int]:
    used = [(m, price) for m, price in enumerate(prices) if price]
    return [v[k] * denominator + sum(price * v[m] for m, price in used) for v in row]


def _lagrangian(rows: Rows, k: int, limits: Limits, multipliers: Sequence[Fraction]) -> int:
    prices, denominator = _common(multipliers)
    least = sum(min(_priced(row, k, prices, denominator)) for row in rows)
    least -= sum(price * limits[m] for m, price in enumerate(prices) if price)
    return -(-least // denominator)  # sums are integers


def minimize(
    rows: Rows, k: int, limits: Limits, start: Sequence[int] | None = None, nodes: int = 100_000
) -> Solution | None:
    """The least sum of value k within the limits; None where nothing is within them. `start` is a choice within them, if one is known.

    HiGHS looks at no more than `nodes` nodes; the bound says what is left open. Deterministic: one thread, no clock.
    """
    limit, limits = limits[k], list(limits)
    limits[k] = None  # that is for the least sum itself to keep
    best = list(start) if start is not None else greedy(rows, k, limits)
    kept = [list(range(len(row))) for row in rows]
    bound = _least(rows, k)
    if best is not None and total(rows, best, k) == bound:
        return Solution(best, bound) if limit is None or bound <= limit else None
    while True:
        if not _reduce(rows, kept, k, limits, [Fraction(0)] * len(limits), best):
            break
        sub = [[rows[i][j] for j in columns] for i, columns in enumerate(kept)]
        relaxed = relax(sub, k, limits)
        if relaxed is None:
            break
        bound = max(bound, relaxed[0])
        before = _Model(sub, k, limits).shift[k]
        if not _reduce(rows, kept, k, limits, relaxed[1], best):
            break
        sub = [[rows[i][j] for j in columns] for i, columns in enumerate(kept)]
        # Much smaller numbers are left: HiGHS sees them better by themselves.
        if _Model(sub, k, limits).shift[k] < before - 2:
            continue
        found = _branch(sub, k, limits, best and _indices(kept, best), nodes)
        if found is not None:
            choice = [columns[j] for columns, j in zip(kept, found.choice)]
            if best is None or total(rows, choice, k) < total(rows, best, k):
                best = choice
            bound = max(bound, found.bound)
        break
    if best is None:
        return None
    value = total(rows, best, k)
    return Solution(best, min(bound, value)) if limit is None or value <= limit else None


def _indices(kept: list[list[int]], choice: Sequence[int]) -> list[int]:
    return [columns.index(j) for columns, j in zip(kept, choice)]


def _reduce(
    rows: Rows,
    kept: list[list[int]],
    k: int,
    limits: Limits,
    multipliers: Sequence[Fraction],
    best: Sequence[int] | None,
) -> bool:
    """Removes columns that no choice within the limits has, or none as good as `best`; `best` itself stays. False where nothing is left."""
    for m, limit in enumerate(limits):
        if limit is None:
            continue
        least = [min(rows[i][j][m] for j in columns) for i, columns in enumerate(kept)]
        room = limit - sum(least)
        if room < 0:
            return False
        for i, columns in enumerate(kept):
            columns[:] = [j for j in columns if rows[i][j][m] - least[i] <= room]
    if best is not None:
        prices, denominator = _common(multipliers)
        priced = [_priced(row, k, prices, denominator) for row in rows]
        least = [min(priced[i][j] for j in columns) for i, columns in enumerate(kept)]
        room = total(rows, best, k) * denominator - sum(least)
        room += sum(price * limits[m] for m, price in enumerate(prices) if price)
        for i, columns in enumerate(kept):
            columns[:] = [j for j in columns if priced[i][j] - least[i] <= room or j == best[i]]
    return True


def _branch(
    rows: Rows, k: int, limits: Limits, start: Sequence[int] | None, nodes: int
) -> Solution | None:
    """By HiGHS's branch and cut."""
    limits = list(limits)
    cuts: list[list[int]] = []
    bound, tightened = _least(rows, k), False
    while True:
        model = _Model(rows, k, limits)
        if model.infeasible:
            return None
        if not model.rows:
            return Solution([0] * len(rows), bound)
        highs = _highs(model.linear_program(integer=True, cuts=cuts))
        highs.setOptionValue("mip_max_nodes", nodes)
        if start is not None:
            ones = model.variables(start)
            highs.setSolution(len(ones), np.array(ones, np.int32), np.ones(len(ones)))
        highs.run()
        info = highs.getInfo()
        values = np.asarray(highs.getSolution().col_value)
        if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return None
        choice = model.choice(values)
        value = total(rows, choice, k)
        gap = max(info.objective_function_value - info.mip_dual_bound, 0.0)
        if np.isfinite(gap) and not tightened:  # what a tightened limit leaves out may be better
            bound = value - model.unscaled(gap)
        if feasible(rows, choice, limits):
            return Solution(choice, bound)
        if len(cuts) < _CUTS:
            cuts.append(model.variables(choice))
        else:
            for m in model.active:
                limits[m] -= max(total(rows, choice, m) - limits[m], 0)
            start, tightened = None, True


def _least(rows: Rows, k: int) -> int:
    return sum(min(v[k] for v in row) for row in rows)


class _Model:
    """The problem in doubles: only rows with several columns are variables, each value counts from its row's least one and is scaled by a power
    of two."""

    def __init__(self, rows: Rows, k: int, limits: Limits):
        self._all, self._k = rows, k
        self.rows = [i for i, row in enumerate(rows) if len(row) > 1]
        self.active = [m for m, limit in enumerate(limits) if limit is not None]
        self._first = dict(zip(self.rows, np.cumsum([0] + [len(rows[i]) for i in self.rows])))
        self._room, self.shift = {}, {}
        for m in self.active:
            self._room[m] = limits[m] - _least(rows, m)
            self.shift[m] = max(self._room[m], 1).bit_length() - _BITS
        spread = [max(v[k] for v in row) - min(v[k] for v in row) for row in rows]
        self.shift[k] = max(max(spread, default=0), 1).bit_length() - _BITS
        self.infeasible = any(room < 0 for room in self._room.values())

    def _scaled(self, value: int, m: int) -> float:
        shift = self.shift[m]
        return value / (1 << shift) if shift > 0 else float(value << -shift)

    def unscaled(self, value: float) -> int:
        """A gap of the objective, downwards: sums are integers."""
        exact = Fraction(value) * Fraction(2) ** self.shift[self._k]
        return exact.numerator // exact.denominator

    def _columns(self, m: int) -> list[float]:
        scaled = []
        for i in self.rows:
            least = min(v[m] for v in self._all[i])
            scaled += [self._scaled(v[m] - least, m) for v in self._all[i]]
        return scaled

    def variables(self, choice: Sequence[int]) -> list[int]:
        return [int(self._first[i]) + choice[i] for i in self.rows]

    def choice(self, values: np.ndarray) -> list[int]:
        chosen = [0] * len(self._all)
        for i in self.rows:
            first = self._first[i]
            chosen[i] = int(np.argmax(values[first : first + len(self._all[i])]))
        return chosen

    def linear_program(
        self, integer: bool = False, cuts: Sequence[Sequence[int]] = ()
    ) -> highspy.HighsLp:
        starts, index, value, lower, upper = [0], [], [], [], []

        def add(columns, coefficients, least, most):
            index.extend(columns)
            value.extend(coefficients)
            starts.append(len(index))
            lower.append(least)
            upper.append(most)

        for i in self.rows:
            first, count = int(self._first[i]), len(self._all[i])
            add(range(first, first + count), [1.0] * count, 1.0, 1.0)
        cost = self._columns(self._k)
        for m in self.active:
            terms = [(j, x) for j, x in enumerate(self._columns(m)) if x]
            room = self._scaled(self._room[m], m)
            add([j for j, _ in terms], [x for _, x in terms], -highspy.kHighsInf, room)
        for cut in cuts:
            add(cut, [1.0] * len(cut), -highspy.kHighsInf, len(cut) - 1.0)
        program = highspy.HighsLp()
        program.num_col_, program.num_row_ = len(cost), len(lower)
        program.col_cost_ = np.array(cost)
        program.col_lower_, program.col_upper_ = np.zeros(len(cost)), np.ones(len(cost))
        program.row_lower_, program.row_upper_ = np.array(lower), np.array(upper)
        program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        program.a_matrix_.start_ = np.array(starts, np.int32)
        program.a_matrix_.index_ = np.array(index, np.int32)
        program.a_matrix_.value_ = np.array(value, np.float64)
        if integer:
            program.integrality_ = [highspy.HighsVarType.kInteger] * len(cost)
        return program


def _highs(program: highspy.HighsLp) -> highspy.Highs:
    highs = highspy.Highs.__base__()  # highspy.Highs prints a banner before one can silence it
    for name, value in {
        "output_flag": False,
        "threads": 1,
        "presolve": "off",  # that of 1.16.0 loses optima (test_an_optimum_that_presolve_loses)
        "random_seed": 0,
        "mip_rel_gap": 0.0,
        "mip_abs_gap": 0.0,
        "mip_feasibility_tolerance": _TOLERANCE,
        "primal_feasibility_tolerance": _TOLERANCE,
        "dual_feasibility_tolerance": _TOLERANCE,
        "small_matrix_value": 1e-12,
    }.items():
        highs.setOptionValue(name, value)
    highs.passModel(program)
    return highs
