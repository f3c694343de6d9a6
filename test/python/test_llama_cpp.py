"""llama.cpp reads the GGUF files that `lowbit encode` writes, and continues texts as we do."""

import pytest
from reference import greedy

llama_cpp = pytest.importorskip(
    "llama_cpp", reason="needs llama.cpp: pip install llama-cpp-python (it is built from source)"
)

PROMPTS = ["Water boils at", "The capital of France is"]
COUNT = 16


def continuation(path, prompt: list[int]) -> list[int]:
    """The COUNT tokens that llama.cpp finds likeliest after `prompt`."""
    model = llama_cpp.Llama(str(path), n_ctx=256, verbose=False)
    tokens = []
    for token in model.generate(prompt, temp=0.0, top_k=1):
        tokens.append(token)
        if len(tokens) == COUNT:
            model.close()
            return tokens
    raise AssertionError("llama.cpp stopped early")


@pytest.mark.parametrize("text", PROMPTS)
def test_the_same_model_continues_alike(text, model_path, run_lowbit, tokenizer, tmp_path):
    out = tmp_path / "model.gguf"
    run_lowbit("encode", model_path, "--weights", "same", "--output", out)
    prompt = tokenizer.encode(text)
    assert continuation(out, prompt) == continuation(model_path, prompt)
    out.unlink()


@pytest.mark.parametrize("text", PROMPTS)
def test_plain_weights_continue_as_our_own_arithmetic(
    text, model_path, run_lowbit, reference, tokenizer, tmp_path
):
    """With f32 weights llama.cpp rounds no activations, so that it computes what numpy and we do."""
    out = tmp_path / "model.gguf"
    run_lowbit("encode", model_path, "--weights", "f32", "--output", out)
    prompt = tokenizer.encode(text)
    tokens, _ = greedy(reference, prompt, COUNT)
    assert continuation(out, prompt) == tokens
    out.unlink()  # half a gigabyte, which pytest would keep


def test_blocks_are_read(model_path, run_lowbit, tokenizer, tmp_path):
    """Its own arithmetic rounds activations to 8 bits: compared is what is beyond doubt."""
    out = tmp_path / "model.gguf"
    text = "#lowbit.quantized<int<8>, scale = f16 per [1, 32], layout = ggml<q8_0>>"
    run_lowbit("encode", model_path, "--weights", text, "--output", out)
    tokens = continuation(out, tokenizer.encode("The capital of France is"))
    assert tokenizer.decode(tokens).startswith(" Paris")
    out.unlink()
