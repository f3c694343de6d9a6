"""Deciding precision: calibrate, condition, quantize, allocate bits.

`lowbit.precision.quantize()` is the command `lowbit quantize`; the other modules are its parts.
"""
