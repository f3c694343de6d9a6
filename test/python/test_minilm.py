"""MiniLM-L6, exported by torch-mlir (models/minilm-l6.mlir), against numpy: as its file has it, and encoded."""

from pathlib import Path

import numpy as np
import pytest
from bert import Bert, read_safetensors
from numpy_encodings import CASES
from tokenizers import Tokenizer

PROGRAM = Path(__file__).resolve().parents[2] / "models" / "minilm-l6.mlir"

SENTENCES = [
    "A man is eating a piece of bread.",
    "A man is eating food.",
    "The girl is carrying a baby on her back.",
    "Two men pushed carts through the woods until it got dark.",
    "Quantization maps a large set of values to a small one, and so it loses information.",
    "How do I install the printer driver on Debian?",
    "The stock market fell sharply on Monday after the central bank had raised its interest rate for "
    "the third time in a row, which nobody had expected.",
    "Zwei Zeilen: naïve café, 東京; ids 1234567890 & <tags>!",
]


@pytest.fixture(scope="module")
def weights(minilm_path) -> dict[str, np.ndarray]:
    return read_safetensors(minilm_path / "model.safetensors")


@pytest.fixture(scope="module")
def sentences(minilm_path) -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(minilm_path / "tokenizer.json"))
    tokenizer.no_padding()
    return [tokenizer.encode(sentence).ids for sentence in SENTENCES]


@pytest.fixture(scope="module")
def program(minilm_path):
    return load(minilm_path / "model.safetensors")


def load(archive: Path):
    from lowbit._lowbit import Program

    return Program(PROGRAM.read_text(), [str(archive)], name=str(PROGRAM))


def embed(program, tokens: list[int], padding: int = 0) -> np.ndarray:
    ids = np.array([tokens + [0] * padding], np.int64)
    mask = np.array([[1] * len(tokens) + [0] * padding], np.int64)
    (result,) = program.run("embed", [ids, mask])
    assert result.shape == (1, 384) and result.dtype == np.float32
    return result[0]


def test_embeddings_equal_numpy(program, weights, sentences):
    reference = Bert(weights)
    for tokens in sentences:
        measured, expected = embed(program, tokens), reference.embed(tokens)
        assert np.abs(measured - expected).max() < 2e-5
        assert measured @ expected > 1 - 1e-5


def test_similar_sentences_are_near(program, sentences):
    embeddings = np.stack([embed(program, tokens) for tokens in sentences])
    similar = embeddings @ embeddings.T
    np.testing.assert_allclose(similar.diagonal(), 1, atol=1e-5)
    assert similar[0, 1] > 0.7 and np.delete(similar[0], [0, 1]).max() < 0.3


def test_padding_does_not_count(program, sentences):
    for tokens in sentences[:2]:
        np.testing.assert_allclose(embed(program, tokens, 5), embed(program, tokens), atol=2e-6)


def test_the_same_program_on_encoded_weights(minilm_path, weights, sentences, run_lowbit, tmp_path):
    text, encoding = CASES["int8-rows"]
    archive = tmp_path / "int8.safetensors"
    run_lowbit("encode", minilm_path / "model.safetensors", "--weights", text, "--output", archive)
    program = load(archive)
    archive.unlink()  # 23 MB, which pytest would keep; the program has it mapped

    floats = Bert(weights)
    simulated = Bert(
        {
            name: (
                encoding.decode(encoding.encode(weight), weight.shape)
                if weight.ndim == 2 and weight.dtype == np.float32
                else weight
            )
            for name, weight in weights.items()
        }
    )
    for tokens in sentences:
        measured = embed(program, tokens)
        assert np.abs(measured - simulated.embed(tokens)).max() < 2e-5
        assert 0.999 < measured @ floats.embed(tokens) < 0.99999


def test_a_program_without_its_archive_says_so(minilm_path):
    from lowbit._lowbit import Error, Program

    with pytest.raises(Error, match="no archive was given"):
        Program(PROGRAM.read_text(), [], pipeline="reference")
