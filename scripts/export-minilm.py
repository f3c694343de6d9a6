#!/usr/bin/env python3
"""Writes models/minilm-l6.mlir: MiniLM-L6 as a linalg program whose weights lie outside of it.

    python3 -m venv export && export/bin/pip install -r scripts/requirements-export.txt
    export/bin/python scripts/export-minilm.py FOLDER models/minilm-l6.mlir

FOLDER holds the model as scripts/get-minilm.sh leaves it (model.safetensors, tokenizer.json,
config.json). Needs build/bin/lowbit-opt and build/bin/lowbit-run; takes a minute.

`transformers` builds the model, torch.export traces it, torch-mlir lowers it to linalg on tensors.
What is ours are small rewrites that make the program a good one to read and to compile:

* every weight is an argument of the traced function and becomes a `lowbit.parameter`, under its name
  in the safetensors file;
* LayerNorm and softmax are decomposed here, since torch-mlir's own compute variances in f64;
* sizes that torch.export knows are written into the graph (a view to [1, n, -1, 32], an expand to the
  same shape), for which torch-mlir would emit computations and checks.

The program is then run, and compared with the model in torch.
"""

import argparse
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors import safe_open
from tokenizers import Tokenizer
from torch_mlir import fx, ir
from torch_mlir.extras.fx_decomp_util import get_decomposition_table

ROOT = Path(__file__).resolve().parents[1]
aten = torch.ops.aten

# Axes of one element vanish, checks of sizes that cannot fail, and what only one op reads is fused.
CLEANUP = (
    "func.func(linalg-fold-unit-extent-dims, int-range-optimizations, canonicalize, cse, "
    "lowbit-fuse-elementwise, canonicalize, cse)"
)

HEADER = """\
// MiniLM-L6 (sentence-transformers/all-MiniLM-L6-v2, Apache 2.0) as a program on tensors, exported by
// scripts/export-minilm.py. docs/MiniLM.md says how to run it.
//
// embed(ids, mask): the embedding [1, 384], of length 1, of one text. ids [1, n] are its tokens, 1 <=
// n <= 512, each in 0 ... 30521; mask [1, n] is 1 for a token that counts, 0 for padding. Parameters
// have the names of the model's safetensors file.
"""


class SentenceEncoder(torch.nn.Module):
    """The mean of the last hidden states, normalized. Weights are arguments."""

    def __init__(self, bert):
        super().__init__()
        self.bert = bert
        self.names = [name for name, _ in bert.named_parameters()]

    def forward(self, ids, mask, *weights):
        hidden = torch.func.functional_call(
            self.bert,
            dict(zip(self.names, weights)),
            (),
            {
                "input_ids": ids,
                # As a sum of scores; a mask of two dimensions would be checked value by value.
                "attention_mask": (1.0 - mask[:, None, None, :]) * torch.finfo(torch.float32).min,
            },
        ).last_hidden_state
        counted = mask[:, :, None].to(hidden.dtype)
        mean = (hidden * counted).sum(1) / counted.sum(1)
        return mean * torch.rsqrt((mean * mean).sum(1, keepdim=True))


def embed(self, input_ids, **_):
    """BertEmbeddings.forward for one text: positions from 0, all of type 0. Look-ups in tables of
    known places are slices."""
    types, positions = self.token_type_embeddings.weight, self.position_embeddings.weight
    hidden = self.word_embeddings(input_ids) + types[0] + positions[: input_ids.shape[1]]
    return self.LayerNorm(hidden)


def load(folder: Path):
    config = transformers.BertConfig.from_json_file(folder / "config.json")
    config._attn_implementation = "eager"
    bert = transformers.BertModel(config, add_pooling_layer=False).eval()
    with safe_open(folder / "model.safetensors", "pt") as file:
        bert.load_state_dict(
            {name: file.get_tensor(name) for name, _ in bert.named_parameters()}, strict=False
        )
    return bert


def layer_norm(x, shape, weight, bias, epsilon):
    axes = list(range(x.dim() - len(shape), x.dim()))
    mean = x.mean(axes, keepdim=True)
    centred = x - mean
    scale = torch.rsqrt((centred * centred).mean(axes, keepdim=True) + epsilon)
    return centred * scale * weight + bias, mean, scale


def softmax(x, axis, half_to_float):
    mass = torch.exp(x - x.amax(axis, keepdim=True))
    return mass / mass.sum(axis, keepdim=True)


def write_known_sizes(graph: torch.fx.Graph) -> None:
    for node in list(graph.nodes):
        if node.target not in (aten.view.default, aten._unsafe_view.default, aten.expand.default):
            continue
        source, shape = node.args[0], tuple(node.meta["val"].shape)
        old = tuple(source.meta["val"].shape)
        if old == shape:
            node.replace_all_uses_with(source)
            graph.erase_node(node)
        elif node.target is aten.expand.default:
            continue
        elif shape == (1, *old):
            node.target, node.args = aten.unsqueeze.default, (source, 0)
        elif old == (1, *shape):
            node.target, node.args = aten.squeeze.dim, (source, 0)
        else:
            sizes = [n if isinstance(n, int) else size for size, n in zip(node.args[1], shape)]
            node.args = (source, sizes)


def trace(bert) -> ir.Module:
    encoder = SentenceEncoder(bert)
    weights = tuple(weight.detach() for _, weight in bert.named_parameters())
    example = torch.full((1, 7), 1000), torch.ones(1, 7, dtype=torch.int64)
    length = {1: torch.export.Dim("length", min=1, max=bert.config.max_position_embeddings)}
    shapes = {"ids": length, "mask": length, "weights": tuple({} for _ in weights)}
    bert.embeddings.forward = types.MethodType(embed, bert.embeddings)
    bert.embeddings._buffers.clear()  # unused now; and what is not in the file cannot be imported
    with torch.no_grad():
        program = torch.export.export(encoder, (*example, *weights), dynamic_shapes=shapes)
    table = get_decomposition_table()
    table[aten.native_layer_norm.default] = layer_norm
    table[aten._softmax.default] = softmax
    program = program.run_decompositions(table)
    write_known_sizes(program.graph_module.graph)
    return fx.export_and_import(
        program, output_type="linalg-on-tensors", func_name="embed", decomposition_table={}
    )


def move_weights_outside(text: str, names: list[str]) -> str:
    """The last arguments of @embed become `lowbit.parameter` ops."""
    with ir.Context() as context, ir.Location.unknown():
        context.allow_unregistered_dialects = True
        module = ir.Module.parse(text)
        (function,) = module.body.operations
        (block,) = function.regions[0].blocks
        kept = len(block.arguments) - len(names)
        start = ir.InsertionPoint(block.operations[0])
        for argument, name in zip(list(block.arguments)[kept:], names):
            parameter = ir.Operation.create(
                "lowbit.parameter",
                results=[argument.type],
                attributes={"key": ir.StringAttr.get(name)},
                ip=start,
            )
            argument.replace_all_uses_with(parameter.result)
        for number in reversed(range(kept, len(block.arguments))):
            block.erase_argument(number)
        old = ir.FunctionType(ir.TypeAttr(function.attributes["function_type"]).value)
        new = ir.FunctionType.get(old.inputs[:kept], old.results)
        function.attributes["function_type"] = ir.TypeAttr.get(new)
        function.attributes["lowbit.entry"] = ir.UnitAttr.get()
        return str(module)


def tidy(text: str) -> str:
    command = [ROOT / "build/bin/lowbit-opt", f"--pass-pipeline=builtin.module({CLEANUP})"]
    return subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=True).stdout


SENTENCES = [
    "A man is eating food.",
    "The girl is carrying a baby.",
    "Quantization is the process of mapping a large set of values to a small one.",
    "Hi",
]


def compare(path: Path, folder: Path, bert) -> float:
    """The largest difference of an element between the program and torch."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    worst = 0.0
    for sentence in SENTENCES:
        ids = torch.tensor([tokenizer.encode(sentence).ids])
        with torch.no_grad():
            states = bert(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
            expected = torch.nn.functional.normalize(states.mean(1)).numpy()
        with tempfile.TemporaryDirectory() as scratch:
            np.save(f"{scratch}/ids.npy", ids.numpy())
            command = [ROOT / "build/bin/lowbit-run", path, "--entry", "embed"]
            command += ["--parameters", folder / "model.safetensors"]
            command += ["--input", f"{scratch}/ids.npy", "--input", f"1:1x{ids.shape[1]}xi64"]
            command += ["--output", f"{scratch}/out.npy", "--pipeline", "reference"]
            subprocess.run(command, check=True)
            worst = max(worst, float(np.abs(np.load(f"{scratch}/out.npy") - expected).max()))
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the model's files")
    parser.add_argument("output", type=Path, help="the program to write")
    options = parser.parse_args()
    bert = load(options.folder)
    names = [name for name, _ in bert.named_parameters()]
    text = tidy(move_weights_outside(str(trace(load(options.folder))), names))
    temporary = options.output.with_suffix(".partial.mlir")
    temporary.write_text(HEADER + text)
    worst = compare(temporary, options.folder, bert)
    print(f"largest difference to torch, over {len(SENTENCES)} sentences: {worst:.2e}")
    if not worst < 1e-6:
        sys.exit(
            "export-minilm: error: the program is not the model; it is left in " + str(temporary)
        )
    temporary.replace(options.output)


if __name__ == "__main__":
    main()
