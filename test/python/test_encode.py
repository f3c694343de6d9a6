"""`lowbit encode` on the real model: the perplexity of every encoding equals numpy's."""

import pytest
from numpy_encodings import CASES
from reference import Llama, perplexity

LENGTH = 256


@pytest.mark.parametrize("name", CASES)
def test_perplexity_of_an_encoded_model(
    name, model_path, gguf_file, artistic_tokens, run_lowbit, tmp_path
):
    from lowbit import Model

    text, encoding = CASES[name]
    tokens = artistic_tokens[:LENGTH]

    def replace(name, weight):
        return (
            encoding.decode(encoding.encode(weight), weight.shape) if weight.ndim == 2 else weight
        )

    expected = perplexity(Llama(gguf_file, replace).forward(tokens), tokens)

    out = tmp_path / "model.safetensors"
    run_lowbit("encode", model_path, "--weights", text, "--output", out)
    measured = Model(out).perplexity(tokens)
    out.unlink()  # a hundred megabytes, which pytest would keep
    assert measured == pytest.approx(expected, rel=1e-3)
