"""Which tensor is stored in which encoding: candidates with their costs in a table, and the choice among them under budgets."""
