"""What an editor and a type checker see of fastnn: `mypy --strict` accepts this script, see test_typing.py."""

from typing import Any, assert_type

import numpy as np

import fastnn
from fastnn.activations import ActivationFunction
from fastnn.callbacks import EarlyStopping, History
from fastnn.layers import Dense, Dropout, Flatten

layers = [Flatten(input_shape=(8, 8)), Dense(64, "relu", name="hidden"), Dropout(0.2), Dense(10)]
model = fastnn.Sequential(layers)
loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
adam = fastnn.optimizers.Adam(1e-3, clipnorm=1.0)
model.compile(adam, loss, metrics=["accuracy", fastnn.metrics.SparseTopKCategoricalAccuracy(k=3)])
(x, y), (x_test, y_test) = fastnn.datasets.digits.load_data()
history = model.fit(x, y, epochs=3, batch_size=64, validation_split=0.1, callbacks=[EarlyStopping(patience=2)])

assert_type(fastnn.layers.Dense, type[Dense])
assert_type(history, History)
assert_type(history.history, dict[str, list[Any]])
assert_type(Dense(3).units, int)
assert_type(Dense(3).activation, ActivationFunction)
assert_type(Dropout(0.5).rate, float)
assert_type(model.get_weights()[0].ndim, int)
assert_type(model.gradients()[0].ndim, int)
assert_type(model.predict(x_test).shape, tuple[Any, ...])
assert_type(fastnn.activations.elu(x_test, alpha=0.5).dtype, np.dtype[np.floating[Any]])
assert_type(fastnn.losses.huber(y, y, 1.0).ndim, int)
assert_type(fastnn.ops.relu(x_test, negative_slope=0.1, threads=2).ndim, int)
assert_type(fastnn.initializers.he_normal(seed=1)((3, 4)).ndim, int)
assert_type(fastnn.models.load_model("model.fastnn"), fastnn.Sequential)
wide, deep = fastnn.Input((5,)), fastnn.Input((6,))
joined = fastnn.Model([wide, deep], [Dense(1)(fastnn.layers.Concatenate()([wide, deep])), Dense(2)(deep)])
joined.compile("adam", ["mse", "mae"], loss_weights=[0.5, 2.0], metrics={"dense": "mae"})
