"""lowbit.precision.stages and statistics: what passes through a chain of stages, against numpy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from lowbit import Archive, Model, _lowbit
from lowbit.errors import LowbitError
from lowbit.precision import statistics
from lowbit.precision.sources import EncoderProgram, open_source
from lowbit.precision.stages import Calibration, StagedProgram
from lowbit.precision.statistics import KINDS, Statistics
from reference import GgufFile, Llama
from tiny_llama import TEXT, write_tiny_llama

pytestmark = pytest.mark.usefixtures("stages_compiled_once")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("tiny") / "tiny.gguf", biases=True, head=True)


def write_tokenizer(path: Path, truncation: int | None) -> Path:
    """Words to numbers, as an encoder's tokenizer.json has them."""
    import tokenizers

    words = {word: number for number, word in enumerate(["[UNK]", "light", "and", "darkness"])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    if truncation:
        tokenizer.enable_truncation(truncation)
    tokenizer.save(str(path))
    return path


@pytest.mark.parametrize("truncation, expected", [(None, [300, 3]), (128, [128, 3])])
def test_paragraphs_are_as_long_as_the_tokenizer_cuts_them(tiny, tmp_path, truncation, expected):
    """Longer ones would read positions that the program does not have."""
    program = ROOT / "models/minilm-l6.mlir"
    tokenizer = write_tokenizer(tmp_path / "tokenizer.json", truncation)
    source = EncoderProgram(program, tiny, tokenizer)
    text = "light and darkness " * 100 + "\n\n" + "light\nand light"
    assert [len(tokens) for tokens in source.sequences(text, 1000, 1024)] == expected
    assert [len(tokens) for tokens in source.sequences(text, 1000, 50)] == [50, 3]
    assert [len(tokens) for tokens in source.sequences(text, 130, 129)] == (
        [129, 1] if truncation is None else [128, 2]
    )
    with pytest.raises(LowbitError, match="the calibration text has 1 token"):
        source.sequences("light", 1000, 1024)
