"""Draws what was measured: rates on the warm page, and how rate and latency go with the number of connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.peers import contenders as peers

if TYPE_CHECKING:
    from pathlib import Path

    from bench.peers.measured import Figure as Quantity
    from bench.peers.measured import Measured

_SCENARIO, _CONNECTIONS = "page", 64
_COLOURS = {
    "graph": "#d7263d",
    "bare": "#b8b8b8",
    "mercurius": "#1b6ca8",
    "apollo": "#5d3fa0",
    "yoga": "#2a9d6f",
    "strawberry": "#e39c1f",
    "ariadne": "#8a6d3b",
}


def draw(measured: Measured, path: Path) -> None:
    """Write the plot to `path`."""
    mpl.rcParams["font.size"] = 9
    figure = Figure(figsize=(10, 3.4), layout="constrained", dpi=150)
    bars, lines, tails = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
    _bars(bars, measured)
    _lines(lines, measured, "rate", "requests/s")
    _lines(tails, measured, "p99", "99th percentile, ms")
    tails.set_yscale("log")
    for axes in (bars, lines, tails):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(str(path))  # pyright: ignore[reportUnknownMemberType] - untyped upstream


def _bars(axes: Any, measured: Measured) -> None:
    rates = {
        one: measured.median(_SCENARIO, _CONNECTIONS, one.name, "rate")
        for one in peers.CONTENDERS
        if (_SCENARIO, _CONNECTIONS, one.name) in measured.bursts
    }
    order = sorted(rates, key=lambda one: rates[one])
    drawn = axes.barh(
        [one.title for one in order], [rates[one] for one in order], color=[_COLOURS[o.name] for o in order]
    )
    axes.bar_label(drawn, [f" {rates[one]:,.0f}" for one in order])
    axes.set_title("Warm catalog page: requests/s on one core")
    axes.set_xlim(0, max(rates.values()) * 1.2)
    axes.xaxis.set_visible(False)


def _lines(axes: Any, measured: Measured, what: Quantity, label: str) -> None:
    for one in peers.CONTENDERS:
        scale = sorted(n for scenario, n, name in measured.bursts if scenario == _SCENARIO and name == one.name)
        if len(scale) > 1:
            values = [measured.median(_SCENARIO, n, one.name, what) for n in scale]
            axes.plot(scale, values, marker="o", markersize=3, color=_COLOURS[one.name], label=one.title)
    axes.set_xscale("log", base=2)
    axes.set_xticks([1, 16, 64, 256], ["1", "16", "64", "256"])
    axes.set_xlabel("connections")
    axes.set_title(label)
    axes.grid(alpha=0.25)
    if what == "rate":
        axes.set_ylim(0, 1.6 * axes.get_ylim()[1])  # room for the legend
        axes.legend(frameon=False, fontsize=7, loc="upper left")
