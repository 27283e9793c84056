"""Every code sample of study note 002, in its order, on Fashion-MNIST.

The samples are the note's own, with `tensorflow.keras` replaced by `fastnn`. A comment "note:" marks each corrected
typo; the code between the samples (data, `fit`, prints) is ours. Needs Fashion-MNIST on the local machine
(`fastnn.datasets.fashion_mnist`).

    python examples/note_002.py             the whole training set, about half a minute
    python examples/note_002.py --samples 8000 --folder /tmp
"""

import argparse
import os
import tempfile

import fastnn

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--samples", type=int, default=60000, help="training images to use")
parser.add_argument("--folder", help="where my_model_A.h5 is written (default: a temporary folder)")
options = parser.parse_args()
folder = options.folder or tempfile.mkdtemp()

fastnn.set_random_seed(42)
(X_full, y_full), (X_test, y_test) = fastnn.datasets.fashion_mnist.load_data()
X_full, y_full = X_full[: options.samples], y_full[: options.samples]
mean, deviation = X_full.mean(), X_full.std()  # SELU's first condition: standardised inputs
X_full = ((X_full - mean) / deviation).astype("float32")
X_test = ((X_test - mean) / deviation).astype("float32")
n_valid = len(X_full) // 12
X_train, y_train, X_valid, y_valid = X_full[n_valid:], y_full[n_valid:], X_full[:n_valid], y_full[:n_valid]


def train(name, model, epochs=1, optimizer="adam"):
    model.compile(loss="sparse_categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    model.fit(X_train, y_train, epochs=epochs, validation_data=(X_valid, y_valid), verbose=0)
    print(f"{name}: test accuracy {model.evaluate(X_test, y_test, verbose=0)[1]:.4f}", flush=True)


# -- 11.1.1 Glorot and He initialisation ------------------------------------------------------------------------------
from fastnn.layers import Dense

Dense(10, activation="relu", kernel_initializer="he_normal")

from fastnn.initializers import VarianceScaling
from fastnn.layers import Dense

he_avg_init = VarianceScaling(scale=2., mode='fan_avg',
                              distribution='uniform')
Dense(10, activation='sigmoid', kernel_initializer=he_avg_init)  # note: the object, not 'he_avg_init'

# -- 11.1.2 activations that do not saturate --------------------------------------------------------------------------
from fastnn.layers import Dense, Flatten, LeakyReLU
from fastnn.models import Sequential

model = Sequential([
    Flatten(input_shape=[28, 28]),  # note: [...]
    Dense(10, kernel_initializer="he_normal"),
    LeakyReLU(alpha=0.2),
    Dense(10, activation="softmax")  # note: [...]
])
train("LeakyReLU, 10 units", model)

from fastnn.layers import Flatten, Dense, PReLU
from fastnn.models import Sequential

model = Sequential([
    Flatten(input_shape=[28, 28]),
    Dense(300, kernel_initializer='he_normal'),
    PReLU(),
    Dense(100, kernel_initializer='he_normal'),
    PReLU(),
    Dense(10, activation='softmax')
])
assert model.count_params() == 267_010
train("PReLU", model)

from fastnn.layers import Flatten, Dense
from fastnn.models import Sequential

model = Sequential()
model.add(Flatten(input_shape=[28, 28]))
model.add(Dense(300, activation='selu', kernel_initializer='lecun_normal'))

for layer in range(99):
    model.add(Dense(100, activation='selu', kernel_initializer='lecun_normal'))
model.add(Dense(10, activation='softmax'))

assert model.count_params() == 1_256_410
train("100 layers of SELU", model, optimizer=fastnn.SGD(learning_rate=1e-3))

# -- 11.1.3 batch normalisation ---------------------------------------------------------------------------------------
from fastnn.layers import Dense, Flatten, BatchNormalization  # note: BatchNoralization
from fastnn.models import Sequential

model = Sequential([
    Flatten(input_shape=[28, 28]),
    BatchNormalization(),
    Dense(300, activation="elu", kernel_initializer="he_normal"),
    BatchNormalization(),
    Dense(100, activation="elu", kernel_initializer="he_normal"),
    BatchNormalization(),
    Dense(10, activation="softmax")
])
model.summary()
assert model.count_params() == 271_346
train("batch normalisation after the activation", model)

from fastnn.layers import Dense, Flatten, BatchNormalization, Activation
from fastnn.models import Sequential

model = Sequential([
    Flatten(input_shape=[28, 28]),
    BatchNormalization(),
    Dense(300, kernel_initializer='he_normal', use_bias=False),
    BatchNormalization(),
    Activation('elu'),
    Dense(100, kernel_initializer='he_normal', use_bias=False),
    BatchNormalization(),
    Activation('elu'),
    Dense(10, activation='softmax')
])
assert model.count_params() == 270_946
train("batch normalisation before the activation", model)

# -- 11.1.4 gradient clipping -----------------------------------------------------------------------------------------
optimizer = fastnn.SGD(clipvalue=1.0)
model.compile(loss='mse', optimizer=optimizer)
one_hot = (y_train[:, None] == range(10)).astype("float32")
history = model.fit(X_train, one_hot, epochs=1, verbose=0)
print(f"clipvalue=1, mean squared error: {history.history['loss'][-1]:.4f}", flush=True)

# -- 11.2.1 transfer learning -----------------------------------------------------------------------------------------
# Model A: eight classes, without sandal (5) and shirt (6). Task B: shirt or sandal, from 200 images.
SANDAL, SHIRT = 5, 6


def split(X, y):
    for_b = (y == SANDAL) | (y == SHIRT)
    y_a = y[~for_b].astype("int64")
    y_a[y_a > SHIRT] -= 2
    return X[~for_b], y_a, X[for_b], (y[for_b] == SHIRT).astype("float32")


X_train_A, y_train_A, X_train_B, y_train_B = split(X_train, y_train)
X_valid_A, y_valid_A, X_valid_B, y_valid_B = split(X_valid, y_valid)
_, _, X_test_B, y_test_B = split(X_test, y_test)
X_train_B, y_train_B = X_train_B[:200], y_train_B[:200]

model_A = Sequential([Flatten(input_shape=[28, 28])])
for n_hidden in (300, 100, 50, 50, 50):
    model_A.add(Dense(n_hidden, activation="selu", kernel_initializer="lecun_normal"))
model_A.add(Dense(8, activation="softmax"))
model_A.compile(loss="sparse_categorical_crossentropy", optimizer=fastnn.SGD(learning_rate=1e-2),
                metrics=["accuracy"])
model_A.fit(X_train_A, y_train_A, epochs=4, validation_data=(X_valid_A, y_valid_A), verbose=0)
my_model_A = os.path.join(folder, "my_model_A.h5")  # the suffix says nothing: the file is fastnn's own format
model_A.save(my_model_A)

from fastnn.models import load_model, Sequential
from fastnn.layers import Dense

model_A = load_model(my_model_A)
model_B_on_A = Sequential(model_A.layers[:-1])
model_B_on_A.add(Dense(1, activation="sigmoid"))  # note: model_B_on_A =(Dense(...))

from fastnn.models import clone_model

model_A_clone = clone_model(model_A)
model_A_clone.set_weights(model_A.get_weights())

# note: after freezing or unfreezing a layer the model must be compiled (here the next fit sees it anyway)
for layer in model_B_on_A.layers[:-1]:
    layer.trainable = False

model_B_on_A.compile(loss="binary_crossentropy", optimizer="sgd",
                     metrics=["accuracy"])

from fastnn.optimizers import SGD

frozen = model_A.get_weights()[:-2]
history = model_B_on_A.fit(X_train_B, y_train_B, epochs=4,
                           validation_data=(X_valid_B, y_valid_B), verbose=0)
assert all((a == b).all() for a, b in zip(frozen, model_B_on_A.get_weights()[:-2], strict=True))

for layer in model_B_on_A.layers[:-1]:
    layer.trainable = True

optimizer = SGD(lr=1e-4)
model_B_on_A.compile(loss="binary_crossentropy", optimizer=optimizer,
                     metrics=["accuracy"])
history = model_B_on_A.fit(X_train_B, y_train_B, epochs=16,  # note: X_Train_B
                           validation_data=(X_valid_B, y_valid_B), verbose=0)
accuracy = model_B_on_A.evaluate(X_test_B, y_test_B, verbose=0)[1]
print(f"shirt or sandal, on top of model A: test accuracy {accuracy:.4f}")

# The layers are shared: fine-tuning changed model A, the clone was spared.
assert not all((a == b).all() for a, b in zip(model_A.get_weights(), model_A_clone.get_weights(), strict=True))
model_A_clone.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
print(f"model A's clone: validation accuracy {model_A_clone.evaluate(X_valid_A, y_valid_A, verbose=0)[1]:.4f}")
