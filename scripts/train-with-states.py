#!/usr/bin/env python3
"""Trains three small models on real data with AdamW whose states are stored in several encodings, and compares their held-out losses.

Gradients come from JAX, steps from lowbit.optim; training.py has the models, the data and the encodings. Runs of one seed start
from the same weights and see the same batches, so what differs is what the encoding does. Some of them are made a second time by numpy
(test/python/numpy_optimizer.py), which shares no code with the compiled step: it must find the same parameters, bit for bit, and the
program fails where it does not. docs/Optimizers.md has a table of it.

Needs benchmarks/requirements.txt (matplotlib) and, for the byte model, Debian's bible-kjv and bible-kjv-text. About an hour on one core.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any, Iterator

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / folder) for folder in ("benchmarks", "test/python", "build/python")]

try:
    import byte_model
    import training
    from commandline import Run, number, say, write_runs
    from numpy_optimizer import NumpyAdamW
except ModuleNotFoundError as error:
    sys.exit(
        f"train-with-states: error: {error}: run .venv/bin/python, which scripts/setup.sh makes"
    )

TASKS = ["perceptron", "convolutional", "byte-model"]
CURVE = 20
"""Points of a curve."""


def load(name: str) -> training.Task:
    if name == "byte-model":
        return training.byte_model(*byte_model.read_text())
    return getattr(training, name)()


def digest(params: training.Arrays) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in params.values())).hexdigest()


def compare(
    name: str, task: training.Task, schemes: list[str], numpy: list[str], seeds: int, steps: int
) -> Run:
    trainer = training.Trainer(task)
    size = sum(np.size(weight) for weight in task.start(0).values())
    makers = [(scheme, scheme, training.Compiled) for scheme in schemes]
    makers += [(f"{scheme} in numpy", scheme, NumpyAdamW) for scheme in numpy]
    run: Run = {"task": name, "parameters": size, "steps": steps, "schemes": []}
    with tqdm(total=len(makers) * seeds, unit="run", desc=name, disable=None) as progress:
        for label, scheme, make in makers:
            found: dict[str, Any] = {"name": label, "losses": [], "digests": []}
            for seed in range(seeds):
                done = trainer.run(
                    seed,
                    lambda params: make(scheme, params),
                    steps,
                    every=max(1, steps // CURVE),
                )
                found |= {"bytes": done.bytes_per_parameter, "steps": done.steps}
                found["losses"].append(done.losses)
                found["digests"].append(digest(done.params))
                progress.update()
            run["schemes"].append(found)
            say(f"{name}, {label}: {', '.join(f'{losses[-1]:.4f}' for losses in found['losses'])}")
    return run


# --------------------------------------------------------------------------------------------------
# What came of it
# --------------------------------------------------------------------------------------------------


def fell_apart(losses: list[list[float]]) -> np.ndarray:
    """Which seeds' runs ended above nine tenths of the loss that they began with; NaN too."""
    return np.array([not each[-1] < 0.9 * each[0] for each in losses])


def pairs(run: Run) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """What numpy found, and what the compiled step of the same scheme did."""
    by_name = {scheme["name"]: scheme for scheme in run["schemes"]}
    for name, scheme in by_name.items():
        if name.endswith(" in numpy"):
            yield scheme, by_name[name.removesuffix(" in numpy")]


def table(run: Run) -> str:
    plain = np.array([losses[-1] for losses in run["schemes"][0]["losses"]])
    noise = plain.std(ddof=1)
    lines = [
        f"{run['task']}: {run['parameters']:,} parameters, {run['steps']} steps, {len(plain)} seeds; "
        f"noise of a seed: {noise:.4f}",
        f"  {'states':24}{'bytes':>7}   {'held-out loss':18}{'more than f32':20}{'in noise':>9}",
    ]
    for scheme in run["schemes"]:
        final, apart = np.array([l[-1] for l in scheme["losses"]]), fell_apart(scheme["losses"])
        size = "" if "numpy" in scheme["name"] else f"{scheme['bytes']:.2f}"
        line = f"  {scheme['name']:24}{size:>7}   "
        if apart.all():
            line += "fell apart with every seed"
        else:
            good = final[~apart]
            gaps = good - plain[~apart]
            spread = [x.std(ddof=1) if len(x) > 1 else np.nan for x in (good, gaps)]
            error = spread[1] / np.sqrt(len(gaps))
            line += f"{good.mean():.4f} ± {spread[0]:.4f}   {gaps.mean():+.4f} ± {error:.4f}   "
            line += f"{gaps.mean() / noise:+9.2f}"
            line += f"   fell apart with {apart.sum()} of {len(apart)} seeds" * bool(apart.any())
        lines.append(line)
    for numpy, compiled in pairs(run):
        same = sum(a == b for a, b in zip(numpy["digests"], compiled["digests"]))
        lines.append(f"  {numpy['name']}: {same} of {len(plain)} runs with the same bits")
    return "\n".join(lines)


def plot(data: dict[str, Any], path: Path) -> None:
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        1, len(data["runs"]), squeeze=False, figsize=(6 * len(data["runs"]), 4.5)
    )
    for run, panel in zip(data["runs"], panels[0]):
        shown = [scheme for scheme in run["schemes"] if "numpy" not in scheme["name"]]
        for scheme in shown:
            losses = np.array(scheme["losses"])
            (line,) = panel.plot(scheme["steps"], np.median(losses, axis=0), label=scheme["name"])
            panel.fill_between(
                scheme["steps"], losses.min(0), losses.max(0), color=line.get_color(), alpha=0.15
            )
        plain = np.array(shown[0]["losses"])
        panel.set_yscale("log")
        panel.set_ylim(plain.min() * 0.8, plain.max() * 2)
        panel.set_title(f"{run['task']}, {len(plain)} seeds: median and range")
        panel.set_xlabel("step")
        panel.set_ylabel("held-out loss, nats")
    panels[0][0].legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def names(known: list[str]):
    """The type of an option: names of a list, with commas."""

    def parse(text: str) -> list[str]:
        chosen = [name for name in text.split(",") if name]
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(
                f"there is no {', '.join(unknown)}; known are {', '.join(known)}"
            )
        return chosen

    return parse


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    lists = {"metavar": "NAME,..."}
    parser.add_argument("--tasks", type=names(TASKS), default=TASKS, help="(all)", **lists)
    schemes = list(training.SCHEMES)
    parser.add_argument(
        "--states", type=names(schemes), default=schemes, help="beside f32 (all)", **lists
    )
    parser.add_argument(
        "--numpy",
        type=names(schemes),
        default=["fp8_torchao", "int4"],
        help="those of --states that numpy makes again (fp8_torchao,int4)",
        **lists,
    )
    parser.add_argument("--seeds", type=number, default=5, metavar="N", help="(%(default)s)")
    parser.add_argument("--steps", type=number, metavar="N", help="(each task's own)")
    output = ROOT / "build" / "training" / "states"
    parser.add_argument(
        "--output", type=Path, default=output, metavar="PATH", help=f"PATH.json, .png ({output})"
    )
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error("--seeds: the noise of a seed needs two at least")
    chosen = ["f32"] + [name for name in options.states if name != "f32"]
    again = [name for name in options.numpy if name in chosen]
    runs = []

    def compared() -> Iterator[Run]:
        # All data is there before hours of work begin.
        for name, task in {name: load(name) for name in options.tasks}.items():
            steps = options.steps or task.steps
            runs.append(compare(name, task, chosen, again, options.seeds, steps))
            yield runs[-1]

    try:
        import matplotlib

        matplotlib.use("Agg")
        write_runs(compared(), options.output, table, plot)
    except ModuleNotFoundError as error:
        sys.exit(f"train-with-states: error: {error}: install benchmarks/requirements.txt")
    except (RuntimeError, OSError) as error:
        sys.exit(f"train-with-states: error: {error}")
    wrong = [
        f"{numpy['name']} ({run['task']})"
        for run in runs
        for numpy, compiled in pairs(run)
        if numpy["digests"] != compiled["digests"]
    ]
    if wrong:
        sys.exit(f"train-with-states: error: other bits: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
