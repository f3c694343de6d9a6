"""Deciding precision: calibrate, condition, quantize, allocate bits.

`quantize.Quantization` is what the command `lowbit quantize` runs; the other modules are its parts.
"""
