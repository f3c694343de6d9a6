#!/usr/bin/env python3
"""Tables and a plot of what decode.py measured, from the file that it wrote."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any, Iterator

from commandline import show_runs
from report import Spread

Run = dict[str, Any]  # of one model and number of threads, as decode.py writes it


def title(run: Run) -> str:
    return f"{run['model']}, {run['threads']} thread{'s' if run['threads'] > 1 else ''}"


def bandwidth(run: Run) -> float:
    """Bytes per second, the median of all looks at the machine."""
    return statistics.median(
        sample["bandwidth"]
        for workload in run["workloads"].values()
        for samples in workload["tasks"].values()
        for sample in samples
    )


def tokens_per_second(run: Run, name: str, task: str) -> Spread:
    counts = run["tasks"][task]
    tokens = counts["decoded"] or counts["prompt"]
    samples = run["workloads"][name]["tasks"][task]
    return Spread.of([tokens / sample["seconds"] for sample in samples])


def share_of_bound(run: Run, name: str, task: str) -> Spread:
    """Of the time that reading the weights takes, for each token, at the rate that the probe found just before."""
    tokens = run["tasks"][task]["decoded"]
    samples = run["workloads"][name]["tasks"][task]
    return Spread.of(
        [
            tokens * run["weight_bytes"] / sample["bandwidth"] / sample["seconds"]
            for sample in samples
        ]
    )


def peers(run: Run) -> list[str]:
    return [name for name, workload in run["workloads"].items() if workload["peer"]]


def ratio(run: Run, name: str, task: str) -> Spread:
    """The time of the peer that is fastest at this task over ours, from the same rounds."""
    best = max(peers(run), key=lambda peer: tokens_per_second(run, peer, task).median)
    pairs = zip(run["workloads"][best]["tasks"][task], run["workloads"][name]["tasks"][task])
    return Spread.of([theirs["seconds"] / ours["seconds"] for theirs, ours in pairs])


def common_tokens(tokens: list[int], others: list[int]) -> int:
    """How many tokens two texts have in common before they part."""
    pairs = enumerate(zip(tokens, others))
    return next((place for place, (one, other) in pairs if one != other), len(tokens))


def start_lines(run: Run) -> Iterator[str]:
    yield f"  {'':20}{'start s':>8}{'compile s':>11}{'MB opened':>11}{'MB used':>9}{'same tokens':>13}"
    for name, workload in run["workloads"].items():
        text, same = workload["text"]["tokens"], ""
        if peers(run) and not workload["peer"]:
            theirs = run["workloads"][peers(run)[0]]["text"]["tokens"]
            same = f"{common_tokens(text, theirs)} of {len(text)}"
        yield (
            f"  {name:20}{workload['seconds']:8.2f}{workload['compile_seconds']:11.2f}"
            f"{workload['memory'] / 1e6:11.1f}{workload['memory_used'] / 1e6:9.1f}{same:>13}".rstrip()
        )


def task_lines(run: Run, task: str) -> Iterator[str]:
    decodes = run["tasks"][task]["decoded"] > 0
    share = "% of bound" if decodes else ""
    faster = "times as fast as llama.cpp" if peers(run) else ""
    yield f"  {task:20}{'tokens/s':23}{share:16}{faster}".rstrip()
    for name, workload in run["workloads"].items():
        speed, share, faster = tokens_per_second(run, name, task).format(1), "", ""
        if decodes:
            percent = share_of_bound(run, name, task)
            share = Spread(*(100 * value for value in percent)).format(0)
        if peers(run) and not workload["peer"]:
            faster = ratio(run, name, task).format(2)
        yield f"  {name:20}{speed:23}{share:16}{faster}".rstrip()


def table(run: Run) -> str:
    size, rate = run["weight_bytes"], bandwidth(run)
    lines = [
        title(run),
        f"  weights of a token: {size / 1e6:.1f} MB, read at {rate / 1e9:.1f} GB/s: "
        f"at most {rate / size:.0f} tokens/s",
        *start_lines(run),
    ]
    for task in run["tasks"]:
        lines += ["", *task_lines(run, task)]
    return "\n".join(lines)


def plot(data: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    runs = data["runs"]
    tasks = list(runs[0]["tasks"])
    figure, panels = pyplot.subplots(
        len(runs), len(tasks), squeeze=False, figsize=(5 * len(tasks), 2.2 * len(runs))
    )
    for run, row in zip(runs, panels):
        names = list(run["workloads"])
        for task, panel in zip(tasks, row):
            speeds = [tokens_per_second(run, name, task) for name in names]
            medians = [speed.median for speed in speeds]
            errors = [
                [speed.median - speed.low for speed in speeds],
                [speed.high - speed.median for speed in speeds],
            ]
            colors = ["tab:gray" if name in peers(run) else "tab:blue" for name in names]
            panel.barh(names, medians, xerr=errors, color=colors, ecolor="black")
            panel.invert_yaxis()
            panel.set_xlabel("tokens/s")
            panel.set_title(f"{title(run)}: {task}", fontsize="small")
            if run["tasks"][task]["decoded"]:
                bound = bandwidth(run) / run["weight_bytes"]
                panel.axvline(bound, color="tab:red")
    figure.suptitle(
        f"Lowbit (blue) and llama.cpp (gray) on {data['machine']['cpu']}; red: reading the weights at the probe's rate"
    )
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    show_runs(__doc__, table, plot)
