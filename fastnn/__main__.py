"""``python -m fastnn``: train one of the models of the notes on real data; print its accuracy and speed.

``python -m fastnn check model.fastnn --data train.npz`` checks a saved model instead.
"""

import argparse
import math
import os
import sys
import time

import fastnn
from fastnn._base.files import naming
from fastnn.datasets import digits, fashion_mnist
from fastnn.diagnostics import versions
from fastnn.diagnostics.doctor import command
from fastnn.models import presets
from fastnn.plot import curves

# name: (module, epochs, batch size)
DATA = {"digits": (digits, 20, 32), "fashion-mnist": (fashion_mnist, 6, 128)}
RATE = 5e-3  # top of the one-cycle schedule


def parser():
    p = argparse.ArgumentParser(
        prog="python -m fastnn",
        description="Train a network on real data; print its test accuracy and speed.",
        epilog="python -m fastnn check --help: check a saved model and its data.",
    )
    p.add_argument(
        "--data", choices=list(DATA), default="digits", help="default: digits (embedded)"
    )
    p.add_argument("--model", choices=presets.names(), default="best", help="default: best")
    p.add_argument("--epochs", type=_whole(1), help="default: 20 for digits, 6 for fashion-mnist")
    p.add_argument("--batch-size", type=_whole(1), help="default: 32 for digits, else 128")
    p.add_argument("--threads", type=_whole(1), help="default: as many as pay off")
    p.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    p.add_argument("--seed", type=_whole(0), default=0, help="default: 0")
    p.add_argument(
        "--plot",
        metavar="FILE",
        help="save a plot of training and test loss and accuracy (png, pdf, svg)",
    )
    p.add_argument("--version", action="version", version=f"fastnn {fastnn.__version__}")
    return p


def _whole(minimum):
    def whole(text):
        number = int(text)
        if number < minimum:
            raise argparse.ArgumentTypeError(f"must be at least {minimum}, got {number}")
        return number

    whole.__name__ = "integer"  # what argparse calls it in "invalid ... value"
    return whole


def headline():
    """One line: version, instruction set, threads, BLAS."""
    threads = fastnn.get_num_threads()
    return (
        f"fastnn {fastnn.__version__} | {fastnn.isa()} | {threads} thread{'s' * (threads > 1)}"
        f" | BLAS {versions.blas()}"
    )


def build(name, x, classes, dtype):
    """The model `name` for images like `x`, which stay bytes in memory.

    A model that does not normalise its inputs gets a first layer that does: to mean 0 and standard
    deviation 1 over all pixels of the training set, which self-normalising networks (SELU) need.
    """
    model = presets.build(name, x.shape[1:], classes, dtype)
    if _normalises(model):
        return model
    mean, deviation = float(x.mean()), float(x.std())
    first = fastnn.layers.Rescaling(
        1 / deviation, -mean / deviation, input_shape=x.shape[1:], dtype=dtype
    )
    return fastnn.Sequential([first, *model.layers])


def _normalises(model):
    for layer in model.layers:
        if isinstance(layer, (fastnn.layers.BatchNormalization, fastnn.layers.Rescaling)):
            return True
        if isinstance(layer, fastnn.layers.Dense):
            return False
    return False


def peak_rate(model):
    """Maximum learning rate; smaller for deep stacks without batch normalisation."""
    dense = sum(isinstance(layer, fastnn.layers.Dense) for layer in model.layers)
    return RATE * 6 / dense if dense > 10 else RATE  # 100 SELU layers: 3e-4 trains, 1e-3 does not


class TestTime(fastnn.callbacks.Callback):
    """Time spent on the test set between epochs, in seconds."""

    def __init__(self):
        super().__init__()
        self.seconds = 0.0

    def on_test_begin(self, logs=None):
        self.seconds -= time.perf_counter()

    def on_test_end(self, logs=None):
        self.seconds += time.perf_counter()


def plot(history, title, path):
    """Plot loss and accuracy by epoch, on the training and the test set."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    names = ["loss", "accuracy"]
    curves.draw(history, names, figure.subplots(1, 2), validation="test")
    figure.suptitle(title)
    with naming(path):
        figure.savefig(path, dpi=150)


def check_plot(path):
    """ValueError if the plot cannot be written; checked before training, not after it."""
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError:
        raise ValueError("--plot needs matplotlib: pip install 'fastnn-cpu[plot]'") from None
    kinds = FigureCanvasBase.get_supported_filetypes()
    kind = os.path.splitext(path)[1][1:].lower()
    if kind not in kinds:
        raise ValueError(f"--plot: expected a file name that ends in one of {', '.join(sorted(kinds))}, got {path}")
    folder = os.path.dirname(path) or "."
    if not os.access(folder, os.W_OK):
        raise ValueError(f"--plot: expected a file in a writable directory, got {path}; cannot write to {folder}")


def train(options):
    module, epochs, batch_size = DATA[options.data]
    epochs, batch_size = options.epochs or epochs, options.batch_size or batch_size
    if options.threads:
        fastnn.set_num_threads(options.threads)
    if options.plot:
        check_plot(options.plot)
    print(headline())
    fastnn.set_random_seed(options.seed)
    (x, y), test = module.load_data()
    model = build(options.model, x, len(module.CLASS_NAMES), options.dtype)
    model.summary()

    steps = epochs * math.ceil(len(x) / batch_size)
    schedule = fastnn.optimizers.schedules.OneCycle(peak_rate(model), steps)
    model.compile(
        loss="sparse_categorical_crossentropy",
        optimizer=fastnn.optimizers.Adam(schedule),
        metrics=["accuracy"],
    )
    looks, test_time = {}, TestTime()
    if options.plot:
        looks = {"validation_data": test, "callbacks": [test_time]}
    start = time.perf_counter()
    history = model.fit(x, y, batch_size=batch_size, epochs=epochs, **looks)
    seconds = time.perf_counter() - start - test_time.seconds
    loss, accuracy = model.evaluate(*test, verbose=0)
    print(
        f"test accuracy {accuracy:.4f}, test loss {loss:.4f},"
        f" {epochs * len(x) / seconds:,.0f} samples/s, {seconds:.2f} s"
    )
    if options.plot:
        plot(history, f"{options.model} on {options.data}, test accuracy {accuracy:.4f}", options.plot)
        print(f"plot saved to {options.plot}")


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == ["check"]:
        return command.main(arguments[1:], fastnn.models.load_model)
    p = parser()
    options = p.parse_args(arguments)
    try:
        train(options)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except (
        BrokenPipeError
    ):  # `| head`: the reader has gone, and the flush at exit must not fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (OSError, ValueError) as error:
        p.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
