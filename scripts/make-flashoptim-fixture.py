#!/usr/bin/env python3
"""Writes test/python/data/flashoptim.pt: small checkpoints of FlashOptim's optimizers, and what FlashOptim makes of them.

    pip install torch flashoptim==0.1.4
    scripts/make-flashoptim-fixture.py test/python/data/flashoptim.pt

No GPU is needed: its steps are done in torch's operations, and its kernels for states and corrections are interpreted by Triton.
"""

import os
import sys
from copy import deepcopy
from unittest import mock

os.environ["TRITON_INTERPRET"] = "1"

import torch  # noqa: E402
from flashoptim import optimizers as flash  # noqa: E402

CASES = {
    "adamw24": (flash.FlashAdamW, dict(master_weight_bits=24)),
    "adamw32": (flash.FlashAdamW, dict(master_weight_bits=32)),
    "uncompressed": (
        flash.FlashAdamW,
        dict(master_weight_bits=24, compress_state_dict=False),
    ),
    "float32": (flash.FlashAdamW, dict(master_weight_bits=None)),
    "lion24": (flash.FlashLion, dict(master_weight_bits=24)),
    "sgd32": (flash.FlashSGD, dict(master_weight_bits=32, momentum=0.9)),
}
STEPS = 3


def quantize(state, data):
    """In the place of set_data, which insists on a GPU."""
    codes = dict(signed=state._signed, sqrt=state._sqrt, softsign=state._softsign)
    state._data = None
    state._quantized, state._scales = flash.quantize(data, **codes)


def weights(params, optimizer):
    """In f32."""
    out = []
    for p in params:
        errors = optimizer.state[p].get("error_bits")
        near = p.detach().clone()
        out.append(near if errors is None else flash.reconstruct_fp32_param(near, errors))
    return out


def case(make, options):
    """What is saved after some steps, what the states and weights are then, and weights after one step more."""
    generator = torch.Generator().manual_seed(0)
    dtype = torch.bfloat16 if options["master_weight_bits"] else torch.float32

    def random(shape):
        return torch.randn(shape, generator=generator)

    params = [torch.nn.Parameter(random(shape).to(dtype)) for shape in [(7, 13), (5,)]]
    optimizer = make(params, lr=1e-3, fused=False, **options)

    def step():
        for p in params:
            p.grad = (random(p.shape) * 10 ** random(p.shape)).to(dtype)
        optimizer.step()

    for _ in range(STEPS):
        step()
    made = {
        "params": [p.detach().clone() for p in params],
        "optimizer": deepcopy(optimizer.state_dict()),
    }
    states = [[optimizer.state[p][key] for key in optimizer.quantized_state_spec] for p in params]
    made["states"] = [[state.materialize().clone() for state in each] for each in states]
    made["weights"] = weights(params, optimizer)
    step()
    made["gradients"] = [p.grad for p in params]
    made["weights_after"] = weights(params, optimizer)
    return made


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    # Interpreted kernels are not tuned, and lack this function.
    for kernel in (flash._triton_quantize_kernel, flash._triton_dequantize_kernel):
        kernel.configs = kernel.configs[:1]
    flash.libdevice.copysign = lambda x, sign: flash.tl.where(sign < 0, -x, x)
    flash._get_sm_count = lambda device=None: 1
    with (
        mock.patch.object(torch.cuda, "is_available", lambda: True),
        mock.patch.object(flash._MaybeQuantizedTensor, "set_data", quantize),
    ):
        torch.save({name: case(*how) for name, how in CASES.items()}, sys.argv[1])


if __name__ == "__main__":
    main()
