"""Draws how many times longer each peer takes than fastnn: `python benchmarks/plot.py peers.json picture.png`."""

import json
import sys
from pathlib import Path

COLOURS = {"jax": "tab:blue", "torch": "tab:orange", "keras": "tab:red", "sklearn": "tab:green",
           "numpy": "tab:brown"}  # fmt: skip


def main(source, target):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    found = json.loads(Path(source).read_text())
    rows = {name: result["summary"]["by_peer"] for name, result in found["results"].items()}
    rows = {name: peers for name, peers in rows.items() if peers}
    figure, axes = plt.subplots(figsize=(8, 0.42 * len(rows) + 1.2), layout="constrained")
    for y, peers in enumerate(reversed(rows.values())):
        for peer, ratio in peers.items():
            axes.plot(ratio, y, "o", color=COLOURS[peer], label=peer, markersize=8)
        axes.axhline(y, color="0.9", zorder=0)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    ticks = [t for t in (0.5, 1, 2, 5, 10, 20, 50, 100) if t <= 1.5 * max(max(p.values()) for p in rows.values())]
    axes.set_xticks(ticks, [f"{t:g}×" for t in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(rows)), list(reversed(rows)))
    where = f"median of {found['repeats']}, {found['cpu']}, {found['cpus']} cores"
    axes.set_xlabel(f"time of the peer ÷ time of fastnn ({where})")
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    axes.legend(handles.values(), handles.keys(), loc="center right")
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
