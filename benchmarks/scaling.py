"""How the cost of a training step grows with width, depth, batch and threads.

    python -P benchmarks/scaling.py docs/scaling.md docs/scaling.png

The picture needs matplotlib (the extra `plot`).
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))
from peers import cpus, processor  # noqa: E402
from suite import peak  # noqa: E402
from tasks import the_fastnn  # noqa: E402

BASE = {"width": 128, "depth": 3, "batch": 64}
VARIED = {
    "width": [16, 32, 64, 128, 256, 512, 1024],
    "depth": [1, 2, 4, 8, 16, 32],
    "batch": [1, 4, 16, 64, 256, 1024, 4096],
}
SECONDS, REPEATS = 0.05, 7


def network(fastnn, width, depth, threads):
    layers = [fastnn.layers.Input((width,)), *(fastnn.layers.Dense(width, "relu") for _ in range(depth))]
    model = fastnn.Sequential(layers)
    model.compile("adam", "mse", seed=0, threads=threads)
    return model


def flops(width, depth, batch):
    return 2 * batch * width * width * (3 * depth - 1)


def measure(fastnn, cases):
    """{case: least seconds of a step}, all cases in turn."""
    import numpy as np

    rng, jobs = np.random.default_rng(0), {}
    for case in cases:
        width, depth, batch, threads = case
        guess = flops(width, depth, batch) / 5e10 + 5e-6
        steps = max(1, min(2000, int(SECONDS / guess)))
        x = rng.standard_normal((steps * batch, width), dtype=np.float32)
        jobs[case] = network(fastnn, width, depth, threads), x, steps
    least = dict.fromkeys(cases, float("inf"))
    for i in range(REPEATS + 1):
        for case, (model, x, steps) in jobs.items():
            begun = time.perf_counter()
            model.fit(x, x, batch_size=case[2], shuffle=False, verbose=0)
            if i:
                least[case] = min(least[case], (time.perf_counter() - begun) / steps)
    return least


def machine(fastnn):
    """ "2 cores of an AMD EPYC (avx2 kernels, FMA peak under load 103 GFLOP/s per core)" """
    limit = f"FMA peak under load {max(peak.measure() for _ in range(5)):.0f} GFLOP/s per core"
    return f"{len(cpus())} cores of {processor()} ({fastnn.isa()} kernels, {limit})"


def main(text, picture=None):
    fastnn = the_fastnn()
    most = fastnn.get_num_threads()
    threads = sorted({1, most})
    lines, curves = [], {}
    for what, values in VARIED.items():
        sizes = [tuple((BASE | {what: v}).values()) for v in values]
        found = measure(fastnn, [(*size, t) for size in sizes for t in [*threads, None]])
        head = [what, *(f"µs, {t} thread{'s' * (t > 1)}" for t in threads), "µs, default", "GFLOP/s, default"]
        others = ", ".join(f"{n} {v}" for n, v in BASE.items() if n != what)
        lines += [f"\n## {what.capitalize()} ({others})\n", f"| {' | '.join(head)} |", "|" + "---:|" * len(head)]
        for value, size in zip(values, sizes, strict=True):
            times = [1e6 * found[*size, t] for t in [*threads, None]]
            speed = flops(*size) / times[-1] / 1e3
            lines.append(f"| {value} | " + " | ".join(f"{t:.1f}" for t in times) + f" | {speed:.0f} |")
            for t, us in zip([*threads, None], times, strict=True):
                curves.setdefault((what, t), []).append((value, us))
    intro = Path(__file__).with_name("scaling.txt").read_text()
    Path(text).write_text(intro.replace("{machine}", machine(fastnn)) + "\n".join(lines) + "\n")
    if picture:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11, 3.6), layout="constrained")
        draw(curves, figure.subplots(1, len(VARIED), sharey=True))
        figure.savefig(picture, dpi=100)


def draw(curves, ax=None):
    """Draw the curves on axes, one for each of `VARIED`, or in pyplot's current figure; returns them."""
    axes = ax
    if ax is None:
        from matplotlib import pyplot

        axes = pyplot.gcf().subplots(1, len(VARIED), sharey=True)
    for axis, what in zip(axes, VARIED, strict=True):
        for (name, t), points in curves.items():
            if name == what:
                label = "default" if t is None else f"{t} thread{'s' * (t > 1)}"
                axis.plot(*zip(*points, strict=True), "--" if t is None else "o-", label=label, markersize=4)
        axis.set(xscale="log", yscale="log", xlabel=what)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("µs a training step")
    axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)
    return axes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("text", help="file for the tables, docs/scaling.md")
    parser.add_argument("picture", nargs="?", help="file for the picture, docs/scaling.png")
    main(**vars(parser.parse_args()))
