"""Early stopping.

Networks with 2 hidden layers of 100 ReLU units on 200 training images (with 200 validation images), clean or with 30
% random labels, 100 epochs of Adam at rate 0.001, with and without `EarlyStopping(patience=5,
restore_best_weights=True)` on the validation loss: test loss and accuracy, and whether the validation loss rises at
the end (last ÷ smallest > 1.05) while the training loss falls.
"""

import numpy as np
import protocol

import fastnn
from fastnn.callbacks import EarlyStopping
from fastnn.layers import Dense

CLAIMS = {
    "curve": ("001", "The training error falls on and on, the validation error rises from some point on."),
    "loss": ("001", "Stopping at that point gives the better model (by test loss; margin 0.02)."),
    "accuracy": ("001", "(By test accuracy.)"),
}
MEANING = """
A rising validation *loss* is not a falling *accuracy*: on clean data the network becomes overconfident on the images
it gets wrong, and classifies as well as before. With noisy labels both get worse.
"""


def layers():
    return [Dense(100, "relu", kernel_initializer="he_normal"), Dense(100, "relu", kernel_initializer="he_normal"),
            Dense(10)]  # fmt: skip


def run(small=False):
    curves, losses, scores = {}, {}, {}
    for set_name, load in protocol.data_sets(small).items():
        for seed in protocol.seeds(small, 10):
            clean = load(seed, 200)
            rng = np.random.default_rng(seed)
            noisy = clean._replace(y=np.where(rng.random(200) < 0.3, rng.integers(0, 10, 200), clean.y))
            for label, data in (("clean", clean), ("noisy", noisy)):
                for stop in (False, True):
                    model = protocol.network(layers, data, seed, lambda: fastnn.Adam(0.001))
                    callbacks = [EarlyStopping(patience=5, restore_best_weights=True)] if stop else []
                    history = model.fit(data.x, data.y, epochs=100, callbacks=callbacks, verbose=0, health=False,
                                        validation_data=(data.x_valid, data.y_valid)).history  # fmt: skip
                    loss, accuracy = model.evaluate(data.x_test, data.y_test, verbose=0)
                    key = f"{set_name}, {label}", stop
                    losses.setdefault(key, []).append(loss)
                    scores.setdefault(key, []).append(accuracy)
                    curves.setdefault(key, []).append((history["loss"], history["val_loss"]))
    keys = list(dict.fromkeys(key for key, _ in scores))

    def rises(key):
        return [v[-1] / min(v) if t[-1] <= min(t) * 1.1 else 0.0 for t, v in curves[key, False]]

    found = {
        "curve": [protocol.check(f"{k}: validation loss, last ÷ smallest", rises(k), lambda v: v > 1.05) for k in keys],
        "loss": [protocol.compare(f"{k}: test loss, all epochs and stopped", losses[k, False], losses[k, True], 0.02)
                 for k in keys],
        "accuracy": [protocol.compare(f"{k}: stopped and all epochs", scores[k, True], scores[k, False]) for k in keys],
    }  # fmt: skip
    return found, {k: np.mean(curves[k, False], axis=0) for k in keys if k.startswith("digits")}


def draw(values):
    picture, axes = protocol.figure(2)
    for ax, (key, (train, valid)) in zip(axes, values.items(), strict=True):
        ax.plot(train, label="training loss")
        ax.plot(valid, label="validation loss")
        ax.set(title=key, xlabel="epoch", yscale="log")
    axes[0].legend(fontsize=7)
    return picture


if __name__ == "__main__":
    protocol.main()
