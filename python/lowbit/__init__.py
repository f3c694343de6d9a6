"""Lowbit: language models from their file to text, through encoded tensor types.

>>> import lowbit
>>> model = lowbit.Model("SmolLM2-135M-Instruct.Q4_1.gguf")
>>> model.tokenizer.decode(model.generate(model.tokenizer.encode("Water boils at"), 8).tokens)
"""

from .errors import LowbitError

__all__ = [
    "Archive",
    "Generation",
    "LowbitError",
    "Model",
    "Sampler",
    "Tokenizer",
    "decode",
    "decode_ggml",
    "encode",
    "optim",
]


def __getattr__(name: str):
    # On demand: `lowbit --help` and the tokenizer need no compiler in memory.
    if name in ("Generation", "Model", "Sampler"):
        from . import model

        return getattr(model, name)
    if name in ("decode", "decode_ggml", "encode"):
        from . import arrays

        return getattr(arrays, name)
    if name == "optim":
        import importlib

        return importlib.import_module(".optim", __name__)
    if name == "Tokenizer":
        from .tokenizer import Tokenizer

        return Tokenizer
    if name == "Archive":
        from ._lowbit import Archive

        return Archive
    raise AttributeError(f"module 'lowbit' has no attribute '{name}'")
