"""Which tensor gets which encoding under a budget: an exact multiple-choice knapsack on a table of candidates."""

from .allocator import Allocation, allocate, pareto_front
from .budget import Budget
from .plan import Plan, read_plan, write_plan
from .table import Candidate, Item, read_table, write_table

__all__ = [
    "Allocation",
    "Budget",
    "Candidate",
    "Item",
    "Plan",
    "allocate",
    "pareto_front",
    "read_plan",
    "read_table",
    "write_plan",
    "write_table",
]
