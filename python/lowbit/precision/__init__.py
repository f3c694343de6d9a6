"""How many bits which weights get: what `lowbit quantize` chooses, measures and reports."""
