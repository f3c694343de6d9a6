"""The compiled model against the numpy reference."""

import numpy as np
import pytest
from lowbit.errors import LowbitError

# The reference's margins on these are all above 0.02, so all 48 tokens of each are compared.
PROMPTS = [
    "The capital of France is",
    "Once upon a time",
    "def fibonacci(n):",
    "Water boils at",
    "List three colours:",
]
MARGIN = 0.005


def test_logits_of_a_prefill(model, reference, artistic_tokens):
    tokens = artistic_tokens[:300]  # more than one chunk
    reference.reset()
    expected = reference.forward(tokens)
    chunks = list(model.logits(tokens))
    assert len(chunks) > 1
    np.testing.assert_allclose(np.concatenate(chunks), expected, rtol=0, atol=2e-3)


def test_logits_of_decode_steps(model_path, reference, artistic_tokens):
    from lowbit._lowbit import Session

    tokens = artistic_tokens[:24]
    reference.reset()
    expected = reference.forward(tokens)
    session = Session(str(model_path), {"activations": "f32"})
    for _ in range(2):  # after a reset everything is as at first
        session.reset()
        assert session.position == 0
        logits = [session.prefill(np.array(tokens[:8], np.int64), 3)]
        assert logits[0].shape == (3, session.vocabulary)
        logits += [session.decode(token)[None] for token in tokens[8:]]
        assert session.position == len(tokens)
        np.testing.assert_allclose(np.concatenate(logits), expected[5:], rtol=0, atol=2e-3)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_tokens(prompt, model, reference, tokenizer):
    ids = tokenizer.encode(prompt)
    tokens = model.generate(ids, 48).tokens
    assert len(tokens) == 48
    # One pass over prompt and answer gives, by induction, what greedy decoding would have chosen.
    reference.reset()
    logits = reference.forward(ids + tokens[:-1])[len(ids) - 1 :]
    second, first = np.sort(logits, axis=1)[:, -2:].T
    unsure = np.flatnonzero(first - second < MARGIN)
    sure = int(unsure[0]) if len(unsure) else 48
    assert sure >= 40, "the prompt compares too few tokens"
    assert tokens[:sure] == logits.argmax(axis=1)[:sure].tolist()


def test_tokenizer_comes_from_the_model_file(model, tokenizer):
    text = "I'm 42 years old, <|im_end|> 中文!"
    assert model.tokenizer.encode(text) == tokenizer.encode(text)


def test_generation_reports_what_it_did(model, tokenizer):
    ids = tokenizer.encode(PROMPTS[0])
    seen = []
    result = model.generate(ids, 5, on_token=seen.append)
    assert result.prompt_tokens == ids and result.tokens == seen and len(seen) == 5
    assert result.tokens_per_second > 0 and result.prefill_tokens_per_second > 0
    stopped = model.generate(ids, 5, stop=frozenset([seen[2]]))
    assert stopped.tokens == seen[: seen.index(seen[2]) + 1]
    assert model.generate(ids, 1).tokens_per_second is None


@pytest.mark.parametrize(
    "tokens, message",
    [
        ([], "there are no tokens"),
        ([5, 49152], "token 49152 is not in the vocabulary"),
        ([-1], "token -1 is not in the vocabulary"),
        ([0] * 8193, "8193 tokens do not fit the context of 8192"),
    ],
)
def test_tokens_that_cannot_be_read(tokens, message, model):
    with pytest.raises(LowbitError, match=message):
        next(model.logits(tokens))


def test_generation_longer_than_the_context(model):
    with pytest.raises(LowbitError, match="10 prompt tokens and 8184 new ones do not fit"):
        model.generate([5] * 10, 8184)


def test_sampler():
    from lowbit import Sampler

    logits = np.log(np.array([0.1, 0.5, 0.15, 0.25], np.float32))
    assert Sampler()(logits) == 1

    def drawn(**options) -> list[int]:
        sampler = Sampler(temperature=1.0, seed=5, **options)
        return [sampler(logits) for _ in range(4000)]

    assert drawn() == drawn()  # a seed repeats
    shares = np.bincount(drawn(), minlength=4) / 4000
    np.testing.assert_allclose(shares, [0.1, 0.5, 0.15, 0.25], atol=0.03)
    assert set(drawn(top_k=2)) == {1, 3}
    assert set(drawn(top_p=0.7)) == {1, 3}  # 0.5 alone falls short
    assert set(drawn(top_p=0.1)) == {1}
    assert set(drawn(top_k=3, top_p=0.99)) == {1, 3, 2}
    cold = Sampler(temperature=0.01, seed=1)
    assert {cold(logits) for _ in range(100)} == {1}
