"""Text to tokens and back, from the vocabulary that a GGUF file carries.

A model file names its byte-pair vocabulary (`tokenizer.ggml.tokens`, `.merges`, `.token_type`) and
the way text is cut before merging (`tokenizer.ggml.pre`). From these we build a Hugging Face
`tokenizers` object; its ids equal llama.cpp's (test/python/test_tokenizer.py).
"""

from __future__ import annotations

import codecs
from typing import Any, Callable, Iterable, Sequence

from tokenizers import AddedToken, Regex, pre_tokenizers
from tokenizers import Tokenizer as HuggingFaceTokenizer
from tokenizers.models import BPE

from .errors import LowbitError

# GGUF's `tokenizer.ggml.token_type`.
CONTROL = 3
USER_DEFINED = 4

# The pre-tokenizers that cut single digits, then as GPT-2 does; llama.cpp groups these names, too.
_DIGITS_THEN_GPT2 = frozenset(["smollm", "command-r", "refact", "starcoder", "codeshell", "exaone"])
_GPT2 = frozenset(["gpt-2", "gpt2", "phi-2", "mpt", "olmo", "jais", "trillion"])


def _byte_to_character() -> dict[int, str]:
    """GPT-2's stand-in for each byte: itself where it prints, else the next from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {byte: chr(byte) for byte in printable}
    for byte in range(256):
        if byte not in table:
            table[byte] = chr(0x100 + len(table) - len(printable))
    return table


_CHARACTER_TO_BYTE = {character: byte for byte, character in _byte_to_character().items()}


def _pre_tokenizer(name: str) -> pre_tokenizers.PreTokenizer:
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if name in _DIGITS_THEN_GPT2:
        digits = pre_tokenizers.Split(Regex(r"\p{N}"), behavior="isolated")
        return pre_tokenizers.Sequence([digits, byte_level])
    if name in _GPT2:
        return byte_level
    known = ", ".join(sorted(_DIGITS_THEN_GPT2 | _GPT2))
    raise LowbitError(
        f"the model's pre-tokenizer '{name[:80]}' is not supported",
        hint=f"supported values of tokenizer.ggml.pre: {known}",
    )


_KINDS = {str: "text", int: "whole number"}


def _checked(metadata: Callable[[str], Any]) -> Callable[..., Any]:
    """`metadata`, for values of one type, or lists of it: what a file says may be anything."""

    def read(key: str, kind: type, listed: bool = False) -> Any:
        value = metadata(key)
        if value is None:
            return None
        if isinstance(value, list) == listed:
            if all(type(item) is kind for item in (value if listed else [value])):
                return value
        wanted = f"a list of {_KINDS[kind]}s" if listed else f"a {_KINDS[kind]}"
        raise LowbitError(
            f"the model's '{key}' is not {wanted}",
            hint="the file is damaged, or was not written as GGUF asks",
        )

    return read


class Tokenizer:
    """The model's own tokenizer.

    `metadata` gives the value of a GGUF key, or None where the file has no such key.
    """

    def __init__(self, metadata: Callable[[str], Any]):
        read = _checked(metadata)

        def need(key: str, listed: bool = False) -> Any:
            value = read(key, str, listed)
            if (
                key == "tokenizer.ggml.model"
                and value is None
                and metadata("general.architecture") is None
            ):
                raise LowbitError(
                    "the file has tensors and no description of a model",
                    hint="models are GGUF files, or archives that were encoded from one; "
                    "`lowbit inspect` and `lowbit encode` take this file, too",
                )
            if value is None:
                raise LowbitError(
                    f"the model has no '{key}', so text cannot be turned into tokens",
                    hint="`lowbit logits --tokens` takes token ids and needs no tokenizer",
                )
            return value

        kind = need("tokenizer.ggml.model")
        if kind != "gpt2":
            raise LowbitError(
                f"the model's tokenizer is of the kind '{kind[:80]}'",
                hint="only byte-pair encoding ('gpt2') is supported",
            )
        self._tokens: list[str] = need("tokenizer.ggml.tokens", listed=True)
        types = read("tokenizer.ggml.token_type", int, listed=True) or [1] * len(self._tokens)
        if len(types) != len(self._tokens):
            raise LowbitError(
                f"the model has {len(self._tokens)} tokens but {len(types)} token types"
            )
        self._control = {i for i, kind in enumerate(types) if kind == CONTROL}
        user_defined = [i for i, kind in enumerate(types) if kind == USER_DEFINED]

        vocabulary = {token: i for i, token in enumerate(self._tokens)}
        self._tokenizer = HuggingFaceTokenizer(
            BPE(vocab=vocabulary, merges=_merges(need("tokenizer.ggml.merges", listed=True), vocabulary))
        )
        self._tokenizer.pre_tokenizer = _pre_tokenizer(read("tokenizer.ggml.pre", str) or "gpt-2")
        self._tokenizer.add_special_tokens(
            [AddedToken(self._tokens[i], special=True) for i in sorted(self._control)]
        )
        self._tokenizer.add_tokens([AddedToken(self._tokens[i]) for i in user_defined])

        self.bos: int | None = read("tokenizer.ggml.bos_token_id", int)
        self.eos: int | None = read("tokenizer.ggml.eos_token_id", int)
        self.adds_bos = bool(metadata("tokenizer.ggml.add_bos_token")) and self.bos is not None

    def __len__(self) -> int:
        return len(self._tokens)

    def encode(self, text: str, special: bool = False, add_bos: bool | None = None) -> list[int]:
        """The ids of `text`.

        special: read control tokens in the text, as `<|im_start|>`, as themselves, not as text.
        add_bos: put the beginning-of-sequence token first; None: what the file asks for.
        """
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:  # as from a command line in another character set
            raise LowbitError("the text is not valid Unicode", hint="write it in UTF-8") from None
        self._tokenizer.encode_special_tokens = not special
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        if self.adds_bos if add_bos is None else add_bos:
            if self.bos is None:
                raise LowbitError("the model names no beginning-of-sequence token")
            ids.insert(0, self.bos)
        return ids

    def token_bytes(self, token: int) -> bytes:
        """The bytes that one token stands for; nothing for control tokens, and for what fills up a vocabulary.

        A token may end within a UTF-8 sequence: join before decoding, or use `TextStream`.
        """
        if token in self._control or token >= len(self._tokens):
            return b""
        text = self._tokens[token]
        try:
            return bytes(_CHARACTER_TO_BYTE[character] for character in text)
        except KeyError:  # a user-defined token is written as it is
            return text.encode("utf-8")

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of `tokens`; bytes that are no UTF-8 become U+FFFD."""
        return b"".join(self.token_bytes(token) for token in tokens).decode(
            "utf-8", errors="replace"
        )


class TextStream:
    """Text as tokens arrive, holding back a character until its last byte is there."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        return self._decoder.decode(self._tokenizer.token_bytes(token))

    def finish(self) -> str:
        return self._decoder.decode(b"", final=True)


def _merges(lines: Sequence[str], vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    """The merges as pairs, in order of priority."""
    pairs = []
    for number, line in enumerate(lines):
        # A token may begin with the separator, but not be empty: llama.cpp looks from 1, too.
        cut = line.find(" ", 1)
        left, right = line[:cut], line[cut + 1 :]
        if cut < 0 or not right:
            raise LowbitError(f"merge {number} of the model's vocabulary is no pair: {line[:80]!r}")
        for part in (left, right, left + right):
            if part not in vocabulary:
                raise LowbitError(
                    f"merge {number} of the model's vocabulary uses {part[:80]!r}, which is no token"
                )
        pairs.append((left, right))
    return pairs
