#!/usr/bin/env python3
"""Tables and a plot of what a benchmark measured, from the file that it wrote."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any, NamedTuple

from commandline import show_runs

Run = dict[str, Any]  # of one shape and number of threads, as gemv.py writes it


class Spread(NamedTuple):
    """A median with the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        if len(values) < 2:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    def format(self, digits: int) -> str:
        return f"{self.median:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def share_of_bound(workload: dict[str, Any], operations: int) -> Spread:
    """Of the time that reading the weights and computing take at the rates that the probe found just before."""
    shares = []
    for seconds, bandwidth, peak in zip(
        workload["seconds"], workload["bandwidth"], workload["peak"]
    ):
        shortest = max(workload["bytes"] / bandwidth, operations / peak if peak else 0)
        shares.append(shortest / seconds)
    return Spread.of(shares)


def bound_by(workload: dict[str, Any], operations: int) -> str:
    read = workload["bytes"] / statistics.median(workload["bandwidth"])
    peak = statistics.median(workload["peak"])
    return workload["arithmetic"] if peak and operations / peak > read else "memory"


def ratios(run: Run, workload: dict[str, Any]) -> dict[str, Spread]:
    """For each peer type the times of its fastest kernel over ours, from the same rounds, by the kernel's name."""
    found = {}
    for type in workload["peers"]:
        kernels = [other for other in run["workloads"] if other["type"] == type]
        if kernels:
            best = min(kernels, key=lambda kernel: statistics.median(kernel["seconds"]))
            pairs = zip(best["seconds"], workload["seconds"])
            found[best["name"]] = Spread.of([theirs / ours for theirs, ours in pairs])
    return found


def title(run: Run) -> str:
    threads = f"{run['threads']} thread{'s' if run['threads'] > 1 else ''}"
    where = "resident in a cache" if run["resident"] else "from memory"
    return f"{run['n']} x {run['k']}, batch {run['batch']}, {threads}, weights {where}"


def table(run: Run) -> str:
    best = run["reads"][0]
    peaks = ", ".join(
        f"{name} {rate / 1e9:.0f} Gop/s" for name, rate in run["peaks"].items() if rate
    )
    lines = [
        title(run),
        f"  most that was read: {best['rate'] / 1e9:.1f} GB/s ({best['variant']}); computed: {peaks}",
        f"  {'':19}{'bits':>7}{'µs':>10}{'GB/s':>7}{'Gop/s':>8}"
        f"   {'% of bound':24}{'error':>6}   times as fast as ggml's",
    ]
    for workload in run["workloads"]:
        seconds = statistics.median(workload["seconds"])
        share = share_of_bound(workload, run["operations"])
        percent = Spread(*(100 * value for value in share)).format(0)
        bound = bound_by(workload, run["operations"])
        against = "; ".join(
            f"{name.removeprefix('ggml ')} {ratio.format(2)}"
            for name, ratio in ratios(run, workload).items()
        )
        lines.append(
            f"  {workload['name']:19}{workload['bits']:7.3f}{seconds * 1e6:10.1f}"
            f"{workload['bytes'] / seconds / 1e9:7.1f}{run['operations'] / seconds / 1e9:8.0f}"
            f"   {percent:16}{bound:8}{workload['error']:6.0e}   {against}".rstrip()
        )
    return "\n".join(lines)


def plot(data: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    runs = data["runs"]
    most = max(len(run["workloads"]) for run in runs)
    figure, panels = pyplot.subplots(
        1, len(runs), squeeze=False, figsize=(5.5 * len(runs), 1.5 + 0.24 * most)
    )
    for run, panel in zip(runs, panels[0]):
        workloads = run["workloads"]
        memory = run["batch"] == 1
        amounts = [each["bytes"] if memory else run["operations"] for each in workloads]
        rates = [
            Spread.of([amount / seconds / 1e9 for seconds in each["seconds"]])
            for amount, each in zip(amounts, workloads)
        ]
        medians = [rate.median for rate in rates]
        errors = [
            [rate.median - rate.low for rate in rates],
            [rate.high - rate.median for rate in rates],
        ]
        colors = ["tab:gray" if each["type"] else "tab:blue" for each in workloads]
        places = range(len(workloads))
        panel.barh(places, medians, xerr=errors, color=colors, ecolor="black")
        panel.set_yticks(places, [each["name"] for each in workloads])
        panel.margins(y=0.01)
        panel.invert_yaxis()
        panel.set_xlabel("GB/s of encoded weights" if memory else "Gop/s")
        if memory:
            bandwidth = statistics.median(b for each in workloads for b in each["bandwidth"])
            panel.axvline(bandwidth / 1e9, color="tab:red", label="read by the probe")
        else:
            for style, (name, rate) in zip(("-", "--"), run["peaks"].items()):
                panel.axvline(rate / 1e9, color="tab:red", linestyle=style, label=f"{name} peak")
        panel.legend(loc="lower right")
        panel.set_title(title(run), fontsize="medium")
    figure.suptitle(f"Lowbit (blue) and ggml (gray) on {data['machine']['cpu']}")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    show_runs(__doc__, table, plot)
