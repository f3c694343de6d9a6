"""The byte model: its files, its tokens, and its figure of docs/ByteModel.md."""

import json
import math

import gguf
import numpy as np
import pytest
from lowbit import Archive, Model, Tokenizer
from lowbit.errors import LowbitError
from lowbit.model import bits_per_byte
from reference import GgufFile, Llama, log_softmax

# Of the first four windows of 1,024 bytes, each on its own, its first byte not scored: computed by
# scripts/train-byte-model.py, in JAX.
HELD_OUT_BITS = 1.757046
CONTEXT = 1024


@pytest.fixture(scope="module")
def byte_gguf(byte_model_path) -> GgufFile:
    return GgufFile(byte_model_path)


@pytest.fixture(scope="module")
def byte_model(byte_model_path) -> Model:
    return Model(byte_model_path, activations="f32", kv_cache="f32")


def test_logits_equal_the_reference(byte_model, byte_gguf, byte_model_held_out):
    tokens = list(byte_model_held_out[:300])  # more than one chunk
    chunks = list(byte_model.logits(tokens))
    assert len(chunks) > 1
    expected = Llama(byte_gguf).forward(tokens)
    np.testing.assert_allclose(np.concatenate(chunks), expected, rtol=0, atol=1e-4)


def test_held_out_bits_per_byte(byte_model, byte_gguf, byte_model_held_out):
    reference = Llama(byte_gguf)
    compiled, expected = [], []
    for start in range(0, 4 * CONTEXT, CONTEXT):
        tokens = list(byte_model_held_out[start : start + CONTEXT])
        nll = byte_model.nll(tokens)
        compiled.append(bits_per_byte(nll, tokens, byte_model.tokenizer))
        assert compiled[-1] == pytest.approx(nll / math.log(2))  # a token is a byte
        reference.reset()
        scores = log_softmax(reference.forward(tokens)[:-1])
        expected.append(-scores[np.arange(CONTEXT - 1), tokens[1:]].mean() / math.log(2))
    np.testing.assert_allclose(compiled, expected, rtol=0, atol=1e-5)
    assert np.mean(compiled) == pytest.approx(HELD_OUT_BITS, abs=1e-4)


def test_perplexity_of_the_command_line(run_lowbit, byte_model, byte_model_path, tmp_path):
    text = "In the beginning was the Word.\n"
    (tmp_path / "text.txt").write_text(text)
    done = run_lowbit(
        *("perplexity", byte_model_path, "--text", tmp_path / "text.txt", "--json"),
        *("--activations", "f32", "--kv-cache", "f32"),
    )
    result = json.loads(done.stdout)
    assert result["tokens"] == len(text)
    assert result["nll"] == pytest.approx(byte_model.nll(list(text.encode())))
    assert result["bits_per_byte"] == pytest.approx(result["nll"] / math.log(2))


def test_bits_per_byte_counts_the_bytes_of_scored_tokens():
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": ["a", "ab", "Ã", "©", "é", "<s>"],  # é is é's two bytes
        "tokenizer.ggml.token_type": [1, 1, 1, 1, 1, 3],
        "tokenizer.ggml.merges": [],
    }
    tokenizer = Tokenizer(metadata.get)
    bit = math.log(2)
    assert bits_per_byte(bit, [0, 0, 0], tokenizer) == pytest.approx(1)
    assert bits_per_byte(3 * bit, [1, 0, 1], tokenizer) == pytest.approx(2)  # 6 bits for 3 bytes
    assert bits_per_byte(bit, [0, 2, 3], tokenizer) == pytest.approx(1)
    with pytest.raises(LowbitError, match="stand for no text"):
        bits_per_byte(bit, [0, 5], tokenizer)


def test_every_byte_is_a_token(byte_gguf):
    tokenizer = Tokenizer(byte_gguf.metadata)
    assert len(tokenizer) == 256
    assert [tokenizer.token_bytes(token) for token in range(256)] == [
        bytes([byte]) for byte in range(256)
    ]
    for text in [
        "".join(map(chr, range(128))),
        "".join(chr(code) for code in range(0x80, 0x800)),
        "And  God said,\n\n  Let there be 'light': 1611 — 中 🗽 <s> <|im_end|>\x00",
    ]:
        assert tokenizer.encode(text) == list(text.encode())
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_safetensors_is_the_same_model(byte_model, byte_model_path):
    gguf_archive = Archive(str(byte_model_path))
    path = byte_model_path.with_suffix(".safetensors")
    archive = Archive(str(path))

    def listed(archive):
        return [(tensor.name, tensor.shape, tensor.encoding) for tensor in archive.tensors]

    assert listed(archive) == listed(gguf_archive)
    keys = [key for key in gguf.GGUFReader(byte_model_path).fields if not key.startswith("GGUF.")]
    assert "tokenizer.ggml.merges" in keys
    for key in keys:
        assert archive.metadata(key) == gguf_archive.metadata(key), key
    tokens = list(b"And God said")
    np.testing.assert_array_equal(*(list(m.logits(tokens))[0] for m in (byte_model, Model(path, activations="f32", kv_cache="f32"))))


def test_the_weights_lie_on_no_grid(byte_gguf):
    for name in byte_gguf.names():
        weight = byte_gguf.tensor(name)
        if weight.ndim == 2:
            rows = np.sort(weight.reshape(-1, 32), axis=1)
            distinct = 1 + np.count_nonzero(np.diff(rows, axis=1), axis=1)
            assert np.median(distinct) >= 30, name  # a 4-bit grid has at most 16
