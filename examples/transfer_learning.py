"""When does transfer learning help? A table, on Fashion-MNIST.

Model A learns eight classes of clothes. Task B is to tell the other two apart from few images. Three ways to do it, all
with the same network, the same number of epochs and the same images:

- alone: from random weights;
- head: on top of model A's layers, which stay frozen;
- fine-tuned: the same, but after a fifth of the epochs all layers learn, at a tenth of the rate (study note 002).

Printed: test accuracy, mean and standard deviation over seeds, for an easy pair of classes and a hard one.

    python examples/transfer_learning.py
"""

import argparse

import numpy as np

import fastnn
from fastnn.layers import Dense, Flatten
from fastnn.models import Sequential, clone_model

PAIRS = {"sandal or shirt (easy)": (5, 6), "coat or shirt (hard)": (4, 6)}
RATE, LEAST_EPOCHS, IMAGES_SEEN = 1e-2, 20, 20000  # few images are seen more often


def hidden_layers():
    sizes = (300, 100, 50, 50, 50)
    return [Flatten(input_shape=[28, 28])] + [
        Dense(n, activation="selu", kernel_initializer="lecun_normal") for n in sizes
    ]


def train_model_a(x, y, pair, epochs):
    rest = ~np.isin(y, pair)
    labels = np.searchsorted(np.setdiff1d(np.arange(10), pair), y[rest])
    model = Sequential([*hidden_layers(), Dense(8, activation="softmax")])
    model.compile(
        loss="sparse_categorical_crossentropy", optimizer=fastnn.SGD(learning_rate=RATE, momentum=0.9)
    )
    model.fit(x[rest], labels, epochs=epochs, verbose=0)
    return model


def fit(model, x, y, epochs, rate):
    model.compile(
        loss="binary_crossentropy", optimizer=fastnn.SGD(learning_rate=rate), metrics=["accuracy"]
    )
    model.fit(x, y, epochs=epochs, verbose=0)


def on_top_of(model_a):
    """A model with copies of A's layers, so that one trial does not teach the next."""
    copy = clone_model(model_a)
    copy.set_weights(model_a.get_weights())
    return Sequential([*copy.layers[:-1], Dense(1, activation="sigmoid")])


def trial(model_a, x, y):
    """The three models, trained."""
    epochs = max(LEAST_EPOCHS, IMAGES_SEEN // len(x))
    alone = Sequential([*hidden_layers(), Dense(1, activation="sigmoid")])
    fit(alone, x, y, epochs, RATE)
    models = {"alone": alone}
    for name, head_epochs in (("head", epochs), ("fine-tuned", epochs // 5)):
        model = models[name] = on_top_of(model_a)
        for layer in model.layers[:-1]:
            layer.trainable = False
        fit(model, x, y, head_epochs, RATE)
        if head_epochs < epochs:
            for layer in model.layers[:-1]:
                layer.trainable = True
            fit(model, x, y, epochs - head_epochs, RATE / 10)
    return models


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--samples", type=int, default=60000, help="training images to use")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 50, 200, 1000, 5000])
    parser.add_argument("--epochs-a", type=int, default=4)
    options = parser.parse_args()

    (x, y), (x_test, y_test) = fastnn.datasets.fashion_mnist.load_data()
    x, y = x[: options.samples], y[: options.samples]
    mean, deviation = x.mean(), x.std()
    x, x_test = (((a - mean) / deviation).astype("float32") for a in (x, x_test))
    for title, pair in PAIRS.items():
        fastnn.set_random_seed(0)
        model_a = train_model_a(x, y, pair, options.epochs_a)
        (x_b, y_b), (x_t, y_t) = (
            (a[np.isin(b, pair)], (b[np.isin(b, pair)] == pair[1]).astype("float32"))
            for a, b in ((x, y), (x_test, y_test))
        )
        print(f"\n{title}\n{'images':>8}" + "".join(f"{n:>18}" for n in ("alone", "head", "fine-tuned")))
        for size in options.sizes:
            scores = {}
            for seed in range(options.seeds):
                fastnn.set_random_seed(seed)
                some = np.random.default_rng(seed).permutation(len(x_b))[:size]
                for name, model in trial(model_a, x_b[some], y_b[some]).items():
                    scores.setdefault(name, []).append(model.evaluate(x_t, y_t, verbose=0)[1])
            row = (f"{np.mean(v):9.4f} ± {np.std(v):.4f}" for v in scores.values())
            print(f"{size:8}" + "".join(f"{text:>18}" for text in row), flush=True)


if __name__ == "__main__":
    main()
