"""Writes the picture of the guide on seeing why a network does not train: ``python docs/pictures.py``."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402

import fastnn  # noqa: E402
from fastnn.layers import Dense, Flatten  # noqa: E402

NETWORKS = {"20 sigmoid layers, glorot_uniform": ("sigmoid", "glorot_uniform"),
            "20 ReLU layers, he_normal": ("relu", "he_normal")}  # fmt: skip


def history(activation, initializer):
    """The training of a network that differs in its activation and initialisation only."""
    (x, y), _ = fastnn.datasets.digits.load_data()
    hidden = [Dense(32, activation, kernel_initializer=initializer, name=f"dense_{k + 1}") for k in range(20)]
    model = fastnn.Sequential([Flatten(input_shape=(8, 8)), *hidden, Dense(10, "softmax", name="output")])
    model.compile(fastnn.SGD(0.02), "sparse_categorical_crossentropy", seed=0)
    return model.fit(x, y, epochs=30, verbose=0)


def main():
    figure, both = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
    for ax, (title, parts) in zip(both, NETWORKS.items(), strict=True):
        fastnn.plot.gradients(history(*parts), ax=ax)
        ax.set_title(f"{title}\n{ax.get_title(loc='left')}", loc="left", fontsize="medium")
    figure.savefig(Path(__file__).with_name("gradients.png"), dpi=90, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
