"""Draws how many times longer each peer takes than fastnn.

    python -P benchmarks/plot.py peers.json docs/peers.png

It needs matplotlib (the extra `plot`). Rows are called as in the table of `peers.py`, with their shapes below.
"""

import json
import sys
from pathlib import Path

COLOURS = {"jax": "tab:blue", "torch": "tab:orange", "keras": "tab:red", "sklearn": "tab:green",
           "numpy": "tab:brown"}  # fmt: skip


def label(name, result):
    """The row's name in the table of `peers.py`, and its shape."""
    return f"{name}\n{result['shape']}" if result.get("shape") else name


def main(source, target):
    from matplotlib.figure import Figure

    found = json.loads(Path(source).read_text())
    figure = Figure(figsize=(8, 0.42 * len(rows_of(found)) + 1.4), layout="constrained")
    draw(found, figure.subplots())
    figure.savefig(target, dpi=110)


def rows_of(found):
    """{row: {peer: ratio}} of a run, rows without peers left out."""
    rows = {name: result["summary"]["by_peer"] for name, result in found["results"].items()}
    return {name: peers for name, peers in rows.items() if peers}


def draw(found, ax=None):
    """Draw a run of `peers.py` on axes, or on pyplot's current ones; returns them."""
    axes = ax
    if ax is None:
        from matplotlib import pyplot

        axes = pyplot.gca()
    rows = rows_of(found)
    for y, peers in enumerate(reversed(rows.values())):
        for peer, ratio in peers.items():
            axes.plot(ratio, y, "o", color=COLOURS[peer], label=peer, markersize=8)
        axes.axhline(y, color="0.9", zorder=0)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    ticks = [t for t in (0.5, 1, 2, 5, 10, 20, 50, 100) if t <= 1.5 * max(max(p.values()) for p in rows.values())]
    axes.set_xticks(ticks, [f"{t:g}×" for t in ticks])
    axes.minorticks_off()
    labels = [label(name, found["results"][name]) for name in reversed(rows)]
    axes.set_yticks(range(len(rows)), labels, fontsize=8)
    where = f"median of {found['repeats']}, {found['cpu']}, {found['cpus']} cores"
    axes.set_xlabel(f"time of the peer ÷ time of fastnn ({where})")
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    axes.legend(handles.values(), handles.keys(), loc="lower left", bbox_to_anchor=(0, 1), ncols=5, frameon=False)
    return axes


if __name__ == "__main__":
    main(*sys.argv[1:])
