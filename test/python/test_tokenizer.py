"""The tokenizer against llama.cpp's ids, and its way back to text."""

import json
from pathlib import Path

import pytest
from lowbit.errors import LowbitError
from lowbit.tokenizer import TextStream, Tokenizer

CASES = json.loads((Path(__file__).parent / "data/tokenization.json").read_text())["cases"]


def test_ids_equal_those_of_llama_cpp(tokenizer):
    assert len(CASES) == 200
    wrong = [case["text"] for case in CASES if tokenizer.encode(case["text"]) != case["ids"]]
    assert wrong == []


def test_decode_gives_the_text_back(tokenizer):
    wrong = [case["text"] for case in CASES if tokenizer.decode(case["ids"]) != case["text"]]
    assert wrong == []


def test_stream_never_shows_half_a_character(tokenizer):
    text = "naïve 👩‍👩‍👧‍👦 中文 🗽!"
    tokens = tokenizer.encode(text)
    stream = TextStream(tokenizer)
    pieces = [stream.push(token) for token in tokens]
    # At least one character must be cut by a token boundary, or this proves nothing.
    assert "" in pieces
    assert "\ufffd" not in "".join(pieces)
    assert "".join(pieces) + stream.finish() == text


def test_stream_replaces_a_character_that_never_ends(tokenizer):
    tokens = tokenizer.encode("👩")
    assert len(tokens) > 1
    stream = TextStream(tokenizer)
    assert stream.push(tokens[0]) + stream.finish() == "\ufffd"


def test_control_tokens_are_text_unless_asked_for(tokenizer):
    text = "<|im_start|>user"
    assert 1 not in tokenizer.encode(text)
    assert tokenizer.encode(text, special=True) == [1, *tokenizer.encode("user")]
    assert 1 not in tokenizer.encode(text)  # the switch does not stick


def test_control_tokens_decode_to_nothing(tokenizer):
    assert tokenizer.decode([1, *tokenizer.encode("user"), 2]) == "user"


def test_text_that_is_no_unicode_is_refused(tokenizer):
    with pytest.raises(LowbitError, match="not valid Unicode"):
        tokenizer.encode("caf\udce9")


def test_bos_is_added_only_on_request(tokenizer):
    assert tokenizer.encode("a", add_bos=True) == [tokenizer.bos, *tokenizer.encode("a")]
    assert tokenizer.encode("a", add_bos=False) == tokenizer.encode("a")


SMALL = {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": ["a", "b", "Ġ", "ab", "<s>"],
    "tokenizer.ggml.token_type": [1, 1, 1, 1, 3],
    "tokenizer.ggml.merges": ["a b"],
    "tokenizer.ggml.bos_token_id": 4,
    "tokenizer.ggml.add_bos_token": True,
}


def test_bos_is_added_when_the_file_asks_for_it():
    assert Tokenizer(SMALL.get).encode("ab a") == [4, 3, 2, 0]


def test_a_vocabulary_of_bytes_has_no_merges():
    unmerged = Tokenizer((SMALL | {"tokenizer.ggml.merges": []}).get)
    assert unmerged.encode("ab a") == [4, 0, 1, 2, 0]
    assert unmerged.decode([4, 0, 1, 2, 0]) == "ab a"


def test_a_vocabulary_that_is_filled_up_has_no_text_there():
    assert Tokenizer(SMALL.get).decode([0, 5, 1, 1 << 40]) == "ab"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"tokenizer.ggml.tokens": None}, "has no 'tokenizer.ggml.tokens'"),
        ({"tokenizer.ggml.merges": None}, "has no 'tokenizer.ggml.merges'"),
        ({"tokenizer.ggml.model": "llama"}, "of the kind 'llama'"),
        ({"tokenizer.ggml.pre": "unheard-of"}, "pre-tokenizer 'unheard-of' is not supported"),
        ({"tokenizer.ggml.token_type": [1]}, "5 tokens but 1 token types"),
        ({"tokenizer.ggml.merges": ["ab"]}, "merge 0 of the model's vocabulary is no pair"),
        ({"tokenizer.ggml.merges": ["a b", "a c"]}, "merge 1 of the model's vocabulary uses 'c'"),
        ({"tokenizer.ggml.model": ["gpt2"]}, "'tokenizer.ggml.model' is not a text"),
        ({"tokenizer.ggml.pre": 5}, "'tokenizer.ggml.pre' is not a text"),
        ({"tokenizer.ggml.tokens": "abcde"}, "'tokenizer.ggml.tokens' is not a list of texts"),
        ({"tokenizer.ggml.tokens": ["a", "b", "Ġ", ["ab"], 4]}, "tokens' is not a list of texts"),
        ({"tokenizer.ggml.token_type": [1, 1, 1, 1, "3"]}, "token_type' is not a list of whole"),
        ({"tokenizer.ggml.token_type": 3}, "token_type' is not a list of whole numbers"),
        ({"tokenizer.ggml.merges": [1]}, "'tokenizer.ggml.merges' is not a list of texts"),
        ({"tokenizer.ggml.bos_token_id": "<s>"}, "bos_token_id' is not a whole number"),
        ({"tokenizer.ggml.eos_token_id": True}, "eos_token_id' is not a whole number"),
        ({"tokenizer.ggml.pre": "x" * 100_000}, "pre-tokenizer 'x{80}' is not supported"),
    ],
)
def test_a_broken_vocabulary_is_named(change, message):
    with pytest.raises(LowbitError, match=message):
        Tokenizer((SMALL | change).get)
