"""Writes a llama-like GGUF model with two small layers and random weights.

The weights depend on nothing but the tensors' names. Options break or vary the model:

    make_tiny_llama.py OUT --weights Q4_1 --biases --head
    make_tiny_llama.py OUT --set llama.block_count=3 --without output_norm.weight --tensor more=4,32
"""

from __future__ import annotations

import argparse
import zlib

import gguf
import numpy as np

METADATA = {
    "llama.context_length": 64,
    "llama.embedding_length": 64,
    "llama.feed_forward_length": 96,
    "llama.block_count": 2,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
    "llama.rope.freq_base": 10000.0,
    "llama.rope.dimension_count": 16,
}
VOCABULARY = 80


def shapes(metadata: dict, biases: bool, head: bool) -> dict[str, tuple[int, ...]]:
    """Row-major, as numpy has them: a weight is [out, in]."""
    width, hidden = metadata["llama.embedding_length"], metadata["llama.feed_forward_length"]
    heads = metadata["llama.attention.head_count"]
    size = metadata.get("llama.attention.key_length", width // heads)
    queries, keys = heads * size, metadata.get("llama.attention.head_count_kv", heads) * size
    result = {"token_embd.weight": (VOCABULARY, width)}
    for layer in range(2):
        for name, shape in {
            "attn_norm": (width,),
            "attn_q": (queries, width),
            "attn_k": (keys, width),
            "attn_v": (keys, width),
            "attn_output": (width, queries),
            "ffn_norm": (width,),
            "ffn_gate": (hidden, width),
            "ffn_up": (hidden, width),
            "ffn_down": (width, hidden),
        }.items():
            result[f"blk.{layer}.{name}.weight"] = shape
            if biases and name.startswith("attn_") and name != "attn_norm":
                result[f"blk.{layer}.{name}.bias"] = shape[:1]
    result["output_norm.weight"] = (width,)
    if head:
        result["output.weight"] = (VOCABULARY, width)
    return result


def values(name: str, shape: tuple[int, ...]) -> np.ndarray:
    random = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("norm.weight"):
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    if name == "token_embd.weight":
        return random.standard_normal(shape, np.float32)
    return random.standard_normal(shape, np.float32) * np.float32(1.5 / shape[-1] ** 0.5)


def parse_value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("out")
    parser.add_argument("--weights", default="F32", help="type of the matrices, as ggml names it")
    parser.add_argument("--last", help="type of the last layer's matrices, where it differs")
    parser.add_argument("--biases", action="store_true", help="for the four attention matrices")
    parser.add_argument("--head", action="store_true", help="a head of its own")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--without", action="append", default=[], metavar="KEY or TENSOR")
    parser.add_argument(
        "--tensor",
        action="append",
        default=[],
        metavar="NAME=N,M",
        help="one more, or in another shape",
    )
    options = parser.parse_args()

    changes = {
        key: parse_value(value) for key, value in (text.split("=", 1) for text in options.set)
    }
    metadata = {k: v for k, v in (METADATA | changes).items() if k not in options.without}
    # Tensors are those of the whole metadata, but without a number of key heads there is one for
    # each query head.
    sizes = METADATA | changes
    if "llama.attention.head_count_kv" in options.without:
        del sizes["llama.attention.head_count_kv"]
    tensors = shapes(sizes, options.biases, options.head)
    for text in options.tensor:
        name, shape = text.split("=")
        tensors[name] = tuple(int(extent) for extent in shape.split(","))

    writer = gguf.GGUFWriter(options.out, metadata.pop("general.architecture", "llama"))
    for key, value in metadata.items():
        add = {int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}[
            type(value)
        ]
        add(key, value)
    for name, shape in tensors.items():
        if name in options.without:
            continue
        matrix = len(shape) == 2
        kind = options.last if options.last and name.startswith("blk.1.") else options.weights
        kind = gguf.GGMLQuantizationType[kind if matrix else "F32"]
        writer.add_tensor(name, gguf.quants.quantize(values(name, shape), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
