#!/usr/bin/env python3
"""Writes test/python/data/checkpoints: small GPTQ, AWQ and bitsandbytes checkpoints, packed and decoded by the published code.

    git clone -b v0.7.1 https://github.com/AutoGPTQ/AutoGPTQ
    git clone -b v7.3.4 https://github.com/ModelCloud/GPTQModel
    git clone -b v0.2.9 https://github.com/casper-hansen/AutoAWQ
    pip install torch transformers safetensors bitsandbytes==0.50.2
    scripts/make-checkpoint-fixtures.py AutoGPTQ GPTQModel AutoAWQ test/python/data/checkpoints

Only the modules that pack and decode are imported: a CPU will do, and no kernel is built. Each folder gets a
`model.safetensors` with the configuration that its project writes beside it; `values.json` has the SHA-256 of the f32
values of every tensor (little-endian, row-major) as the project's own code decodes them.
"""

import ast
import hashlib
import importlib
import json
import os
import sys
import types
from pathlib import Path

import bitsandbytes
import numpy as np
import torch
import transformers
from safetensors.torch import save_file

VALUES = {}


def note_values(name, values):
    assert values.dtype == torch.float32
    data = values.contiguous().numpy().astype("<f4")
    VALUES[name] = {"shape": list(data.shape), "sha256": hashlib.sha256(data.tobytes()).hexdigest()}


def package(name, folder):
    """A package whose __init__.py, which imports whole models, is not run."""
    module = types.ModuleType(name)
    module.__path__ = [str(folder)]
    sys.modules[name] = module


def quantize(linear, bits, g_idx, symmetric):
    """Scales and zero points [outputs, groups] as the projects' quantizers give them."""
    weight = linear.weight.data.float()
    scales, zeros = [], []
    for number in range(int(g_idx.max()) + 1):
        part = weight[:, g_idx == number]
        low, high = part.min(1).values.clamp(max=0), part.max(1).values.clamp(min=0)
        scale = ((high - low) / (2**bits - 1)).clamp(min=1e-5).half()
        zero = (
            torch.full_like(low, 2 ** (bits - 1))
            if symmetric
            else torch.round(-low / scale.float())
        )
        scales.append(scale)
        zeros.append(zero.clamp(1, 2**bits - 1))  # less 1, a zero point of 0 has no code
    return torch.stack(scales, 1).float(), torch.stack(zeros, 1)


def make_linear(inputs, outputs, bits, g_idx, symmetric=False):
    """A layer whose weights lie on the grid of its scales and zero points, which packing therefore finds again."""
    linear = torch.nn.Linear(inputs, outputs, bias=False)
    scales, zeros = quantize(linear, bits, g_idx, symmetric)
    codes = torch.randint(0, 2**bits, (outputs, inputs)).float()
    linear.weight.data = (codes - zeros[:, g_idx.long()]) * scales[:, g_idx.long()]
    return linear, scales, zeros


def gptq(checkout, folder):
    """auto_gptq.nn_modules.qlinear.qlinear_cuda: pack(), and the decoding half of forward() on the CPU."""
    for name in ("auto_gptq", "auto_gptq.nn_modules", "auto_gptq.nn_modules.qlinear"):
        package(name, checkout / name.replace(".", "/"))
    linear_class = importlib.import_module("auto_gptq.nn_modules.qlinear.qlinear_cuda").QuantLinear
    tensors = {"norm.weight": torch.ones(32, dtype=torch.float16)}
    cases = {f"bits{bits}": (bits, 32, False) for bits in (2, 3, 4, 8)}
    cases |= {"ragged": (4, 24, False), "act_order": (4, 16, True), "act_order3": (3, 8, True)}
    for name, (bits, group, act_order) in cases.items():
        inputs, outputs = 32 if act_order else 64, 32
        g_idx = torch.arange(inputs, dtype=torch.int32) // group
        if act_order:
            g_idx = g_idx[torch.randperm(inputs)]
        linear, scales, zeros = make_linear(inputs, outputs, bits, g_idx)
        layer = linear_class(bits, group, inputs, outputs, bias=False)
        layer.pack(linear, scales, zeros.clone(), g_idx)
        for key, tensor in layer.state_dict().items():
            tensors[f"{name}.{key}"] = tensor.half() if key == "scales" else tensor
        layer.scales = layer.scales.half().float()
        note_values(f"gptq/{name}.qweight", layer(torch.eye(inputs)))
    config = {"bits": 4, "group_size": 32, "desc_act": True, "sym": False}
    config |= {"quant_method": "gptq", "checkpoint_format": "gptq"}
    write(folder / "gptq", tensors, {"quantize_config.json": config})


def gptq_v2(checkout, folder):
    """gptqmodel.nn_modules.qlinear: PackableQuantLinear.pack_block() and dequantize_weight(), cut out of their module, which
    imports the kernels of all projects."""
    path = checkout / "gptqmodel/nn_modules/qlinear/__init__.py"
    wanted = {
        "pack_block",
        "dequantize_weight",
        "_dequantize_from_codes",
        "_init_wf_unsqueeze_buffers",
    }
    wanted |= {"_torch_right_shift", "_torch_left_shift"}
    functions = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name in wanted:
            functions.append(node)
    assert {node.name for node in functions} == wanted
    scope = {"t": torch, "np": np, "os": os, "nn": torch.nn, "transformers": transformers}
    scope |= {"_ConvNd": torch.nn.modules.conv._ConvNd, "log": types.SimpleNamespace(debug=print)}
    scope["env_flag"] = lambda name: name == "GPTQMODEL_DISABLE_PACK_EXT"
    exec(compile(ast.Module(functions, []), str(path), "exec"), scope)
    members = {name: scope[name] for name in wanted}
    layer_class = type("Layer", (torch.nn.Module,), members | {"_wf_device": lambda self: "cpu"})
    tensors = {}
    for name, bits, symmetric in (("bits3", 3, False), ("bits4", 4, False), ("sym", 8, True)):
        g_idx = torch.arange(64, dtype=torch.int32) // 32
        linear, scales, zeros = make_linear(64, 32, bits, g_idx, symmetric)
        layer = layer_class()
        layer.bits, layer.maxq, layer.planar = bits, 2**bits - 1, False
        layer.pack_dtype, layer.pack_dtype_bits, layer.pack_factor = torch.int32, 32, 32 // bits
        layer.pack_np_dtype, layer.pack_np_math_dtype = np.int32, np.uint32
        layer.enable_wf_unsqueeze, layer.dequant_dtype = True, (
            torch.int16 if bits == 8 else torch.int8
        )
        layer.pack_block(linear, scales, zeros, g_idx)
        for key in ("qweight", "qzeros", "scales", "g_idx"):
            tensors[f"{name}.{key}"] = getattr(layer, key).clone()
        layer.scales = layer.scales.float()
        note_values(f"gptq_v2/{name}.qweight", layer.dequantize_weight())
    config = {"bits": 4, "group_size": 32, "desc_act": False, "sym": False, "format": "gptq_v2"}
    config |= {"quant_method": "gptq", "checkpoint_format": "gptq_v2"}
    write(folder / "gptq_v2", tensors, {"config.json": {"quantization_config": config}})


def awq(checkout, folder):
    """awq.modules.linear.gemm: WQLinear_GEMM.from_linear(), and awq.utils.packing_utils.dequantize_gemm()."""
    for name in ("awq", "awq.utils", "awq.modules", "awq.modules.linear"):
        package(name, checkout / name.replace(".", "/"))
    sys.modules.setdefault("accelerate", types.ModuleType("accelerate"))  # of other functions
    gemm = importlib.import_module("awq.modules.linear.gemm")
    g_idx = torch.arange(64, dtype=torch.int32) // 32
    linear, scales, zeros = make_linear(64, 32, 4, g_idx)
    layer = gemm.WQLinear_GEMM.from_linear(
        linear, 4, 32, scales=scales.t().contiguous(), zeros=zeros.t().contiguous()
    )
    tensors = {f"layer.{key}": tensor for key, tensor in layer.state_dict().items()}
    values = gemm.dequantize_gemm(layer.qweight, layer.qzeros, layer.scales.float(), 4, 32)
    note_values("awq/layer.qweight", values)
    config = {"quant_method": "awq", "zero_point": True, "group_size": 32, "bits": 4}
    config["version"] = "gemm"
    write(folder / "awq", tensors, {"config.json": {"quantization_config": config}})


def bnb(folder):
    """bitsandbytes.functional: quantize_4bit(), QuantState.as_dict(), dequantize_4bit()."""
    tensors = {}
    cases = {
        "plain": ((16, 128), "nf4", 64, False),
        "fp4": ((8, 128), "fp4", 32, False),
        "double": ((68, 128), "nf4", 32, True),  # 272 blocks: two of the outer ones
        "flat": (
            (20, 100),
            "nf4",
            64,
            True,
        ),  # blocks run on from row to row, the last one is partial
        "odd": ((5, 27), "fp4", 64, False),
    }
    for name, (shape, kind, block, double) in cases.items():
        codes, state = bitsandbytes.functional.quantize_4bit(
            torch.randn(shape), blocksize=block, quant_type=kind, compress_statistics=double
        )
        tensors[f"{name}.weight"] = codes
        for key, tensor in state.as_dict(packed=True).items():
            tensors[f"{name}.weight.{key}"] = tensor
        note_values(f"bnb/{name}.weight", bitsandbytes.functional.dequantize_4bit(codes, state))
    config = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    write(folder / "bnb", tensors, {"config.json": {"quantization_config": config}})


def write(folder, tensors, configurations):
    folder.mkdir(parents=True, exist_ok=True)
    contiguous = {key: tensor.contiguous() for key, tensor in tensors.items()}
    save_file(contiguous, folder / "model.safetensors", metadata={"format": "pt"})
    for name, configuration in configurations.items():
        (folder / name).write_text(json.dumps(configuration, indent=1) + "\n")


def main():
    auto_gptq, gptq_model, auto_awq, folder = map(Path, sys.argv[1:])
    torch.manual_seed(0)
    with torch.no_grad():
        gptq(auto_gptq, folder)
        gptq_v2(gptq_model, folder)
        awq(auto_awq, folder)
        bnb(folder)
    (folder / "values.json").write_text(json.dumps(VALUES, indent=1) + "\n")


main()
