#!/usr/bin/env python3
"""Speed of AdamW steps with states in several encodings, against torch's and other libraries' on the CPU, and against what the
machine can read and write.

Peers are those of torch (fused), torchao and bitsandbytes that are installed beside lowbit and benchmarks/requirements.txt; none
is needed. All states are in memory at once: of many parameters choose few --states and --peers. docs/Benchmarks.md tells what the
columns mean.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import time
from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path
from typing import Any, Iterator, NamedTuple

import machine
import numpy as np
from commandline import Run, number, numbers, say, write_runs
from probe import compile_probe
from report import Spread

try:
    from lowbit import optim
except ModuleNotFoundError as error:
    sys.exit(f"optimizers: error: {error}: run .venv/bin/python, which scripts/setup.sh makes")

Shapes = list[int]
Arrays = dict[str, dict[str, np.ndarray]]
"""Parameters and gradients."""
APPROXIMATE = "-approximate"
"""After the name of a scheme: quotients and roots are estimates."""
STATES = ["f32", "bf16", "dynamic8", "companded8", "fp8", "int4", "int4" + APPROXIMATE]
PAUSE = 0.25
"""Seconds after which the threads of another library have gone to sleep."""


class Workload(ABC):
    name: str
    bytes: float
    """Read and written by a step: gradient, parameter twice, states twice."""

    @abstractmethod
    def run(self) -> None: ...


class Ours(Workload):
    def __init__(self, states: str, arrays: Arrays, threads: int) -> None:
        self.name = f"lowbit {states}"
        self.params, self.grads = arrays["params"], arrays["grads"]
        shapes = {name: array.shape for name, array in self.params.items()}
        self.optimizer = optim.compile(
            "adamw",
            shapes,
            states.removesuffix(APPROXIMATE),
            threads=threads,
            approximate=states.endswith(APPROXIMATE),
        )
        self.state = self.optimizer.init()
        self.bytes = 3 * sum(array.nbytes for array in self.params.values()) + 2 * self.state.bytes

    def run(self) -> None:
        self.optimizer.step(self.params, self.grads, self.state, lr=1e-4)


class Peer(NamedTuple):
    """An optimizer with the interface of torch's."""

    title: str
    module: str
    optimizer: str
    state: float
    """Bytes a parameter."""
    options: dict[str, Any] = {}


PEERS = {
    "torch": Peer("torch fused f32", "torch.optim", "AdamW", 8, {"fused": True}),
    "torchao8": Peer("torchao 8-bit", "torchao.optim", "AdamW8bit", 2 + 8 / 256),
    "torchao4": Peer("torchao 4-bit", "torchao.optim", "AdamW4bit", 1 + 8 / 128),
    "torchaofp8": Peer("torchao fp8", "torchao.optim", "AdamWFp8", 2 + 8 / 256),
    "bitsandbytes8": Peer("bitsandbytes 8-bit", "bitsandbytes.optim", "AdamW8bit", 2 + 8 / 256),
}
NONE = "none"


class Theirs(Workload):
    def __init__(self, peer: Peer, arrays: Arrays, threads: int) -> None:
        import torch

        self.name = peer.title
        make = getattr(import_module(peer.module), peer.optimizer)
        torch.set_num_threads(threads)
        params = [torch.nn.Parameter(torch.from_numpy(a)) for a in arrays["params"].values()]
        for parameter, gradient in zip(params, arrays["grads"].values()):
            parameter.grad = torch.from_numpy(gradient)
        self.optimizer = make(params, lr=1e-4, **peer.options)
        self.bytes = sum(p.numel() for p in params) * (12 + 2 * peer.state)

    def run(self) -> None:
        self.optimizer.step()


def installed(names: list[str]) -> list[Peer]:
    """Those that can be imported."""
    found = []
    for name in names:
        try:
            import_module(PEERS[name].module)
        except ImportError as error:
            say(f"no {name}: {error}")
        else:
            found.append(PEERS[name])
    return found


class Probe:
    """The rate of a step that only moves memory."""

    def __init__(self) -> None:
        self.library = compile_probe()
        self.count = 32 << 20
        self.memory = machine.Memory(4 * 4 * self.count, huge_pages=True)
        self.memory.bytes.view(np.float32)[:] = 1

    def rate(self, threads: int) -> float:
        address = self.memory.bytes.ctypes.data
        return self.library.probe_update(address, self.count, threads)


def make_arrays(sizes: Shapes) -> Arrays:
    """Of all workloads: each has states of its own, but how long a step takes does not depend on what the parameters are."""
    generator = np.random.default_rng(0)
    block = generator.normal(size=1 << 20).astype(np.float32)

    def tensors(scale: float) -> dict[str, np.ndarray]:
        return {str(i): np.resize(block, size) * np.float32(scale) for i, size in enumerate(sizes)}

    return {"params": tensors(0.02), "grads": tensors(1e-3)}


def measure(workloads: list[Workload], probe: Probe, threads: int, rounds: int) -> list[dict]:
    """In turns, so all are held at once."""
    records = [{"name": w.name, "bytes": w.bytes, "seconds": [], "rate": []} for w in workloads]
    for workload in workloads:
        workload.run()
    for _ in range(rounds):
        for workload, record in zip(workloads, records):
            time.sleep(PAUSE)
            record["rate"].append(probe.rate(threads))
            time.sleep(PAUSE)
            start = time.perf_counter()
            workload.run()
            record["seconds"].append(time.perf_counter() - start)
    return records


def table(run: Run) -> str:
    count = run["parameters"]
    rates = Spread.of([rate / 1e9 for w in run["workloads"] for rate in w["rate"]])
    lines = [
        f"{count / 1e6:.1f} M parameters in {run['tensors']} tensors, {run['threads']} threads; "
        f"read and written by a plain step: {rates.format(1)} GB/s",
        f"  {'':23}{'bytes':>7}{'ms':>9}{'M/s':>8}{'GB/s':>7}   {'% of bound':16}"
        "times as fast as f32, as torch fused",
    ]
    by_name = {w["name"]: w for w in run["workloads"]}
    for w in run["workloads"]:
        seconds = statistics.median(w["seconds"])
        share = Spread.of([100 * w["bytes"] / r / s for r, s in zip(w["rate"], w["seconds"])])
        ratios = [
            Spread.of([a / b for a, b in zip(by_name[other]["seconds"], w["seconds"])]).format(2)
            for other in ("lowbit f32", "torch fused f32")
            if other in by_name
        ]
        lines.append(
            f"  {w['name']:23}{w['bytes'] / count:7.2f}{seconds * 1e3:9.1f}{count / seconds / 1e6:8.0f}"
            f"{w['bytes'] / seconds / 1e9:7.1f}   {share.format(0):16}{', '.join(ratios)}"
        )
    return "\n".join(lines)


def plot(data: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as pyplot

    figure, axes = pyplot.subplots(
        len(data["runs"]), squeeze=False, figsize=(8, 4 * len(data["runs"]))
    )
    for axis, run in zip(axes[:, 0], data["runs"]):
        names = [w["name"] for w in run["workloads"]]
        speeds = [
            run["parameters"] / statistics.median(w["seconds"]) / 1e6 for w in run["workloads"]
        ]
        axis.barh(names, speeds)
        axis.invert_yaxis()
        axis.set_xlabel("million parameters a second")
        axis.set_title(f"{run['tensors']} tensors, {run['threads']} threads")
    figure.tight_layout()
    figure.savefig(path)


def peers(text: str) -> list[str]:
    names = [] if text == NONE else text.split(",")
    if unknown := [name for name in names if name not in PEERS]:
        raise argparse.ArgumentTypeError(
            f"there is no {', '.join(unknown)}; known are {', '.join(PEERS)}, or {NONE}"
        )
    return names


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--parameters",
        type=number,
        default=32 << 20,
        metavar="N",
        help="of one tensor (%(default)s)",
    )
    parser.add_argument(
        "--small", action="store_true", help="5,000 tensors of 1 to 100,000 elements instead"
    )
    parser.add_argument(
        "--threads", type=numbers, metavar="N,...", help="(1 and one for each core)"
    )
    parser.add_argument(
        "--states",
        default=",".join(STATES),
        metavar="NAME,...",
        help="of ours (%(default)s); NAME-approximate: with approximate quotients and roots",
    )
    parser.add_argument(
        "--peers",
        type=peers,
        default=",".join(PEERS),
        metavar="NAME,...",
        help=f"(%(default)s); {NONE}: ours alone",
    )
    parser.add_argument("--rounds", type=number, default=7, metavar="N", help="(%(default)s)")
    output = machine.BUILD / "optimizers"
    parser.add_argument(
        "--output",
        type=Path,
        default=output,
        metavar="PATH",
        help=f"PATH.json and PATH.png ({output})",
    )
    arguments = parser.parse_args()
    others = installed(arguments.peers)
    sizes = [arguments.parameters]
    if arguments.small:
        sizes = np.random.default_rng(1).integers(1, 100_001, 5_000).tolist()

    def workloads(arrays: Arrays, threads: int) -> list[Workload]:
        ours = [Ours(states, arrays, threads) for states in arguments.states.split(",")]
        return ours + [Theirs(peer, arrays, threads) for peer in others]

    def runs() -> Iterator[Run]:
        arrays, probe = make_arrays(sizes), Probe()
        for threads in arguments.threads or sorted({1, os.cpu_count() or 1}):
            say(f"compiling; threads: {threads}, rounds: {arguments.rounds}")
            # No name keeps the states of one run while those of the next are made.
            records = measure(workloads(arrays, threads), probe, threads, arguments.rounds)
            gc.collect()
            yield {
                "parameters": sum(sizes),
                "tensors": len(sizes),
                "threads": threads,
                "workloads": records,
            }

    write_runs(runs(), arguments.output, table, plot)


if __name__ == "__main__":
    main()
