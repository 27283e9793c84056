"""Models in files: all of a model comes back, training goes on bit for bit, nothing but a model is taken for one."""

import copy
import json
import pickle

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from saving_tools import LABELS, SCHEDULE, X, classifier, same, tiny

import fastnn
from fastnn import callbacks, layers, optimizers
from fastnn.layers import Activation, BatchNormalization, Dense, Dropout, Flatten
from fastnn.models import Sequential, clone_model, load_model


def partly_decayed():
    optimizer = optimizers.AdamW(0.05, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta"])
    return optimizer


OPTIMIZERS = {name: lambda cls=getattr(optimizers, name): cls(0.01) for name in optimizers.names()} | {
    "SGD": lambda: fastnn.SGD(0.05, momentum=0.9, nesterov=True),
    "Adam": lambda: fastnn.Adam(SCHEDULE, clipnorm=1.0),
    "RMSprop": lambda: optimizers.RMSprop(0.01, centered=True, global_clipnorm=1.0),
    "Nadam": lambda: optimizers.Nadam(0.01, clipvalue=0.5),
    "averaged": lambda: fastnn.Adam(0.05, use_ema=True, ema_momentum=0.5, weight_decay=0.1),
    "partly decayed": lambda: partly_decayed(),
    "accumulated": lambda: fastnn.SGD(0.1, momentum=0.5, gradient_accumulation_steps=3),
}
HOW = {
    "file": lambda model, folder: (model.save(folder / "m"), load_model(folder / "m"))[1],
    "pickle": lambda model, folder: pickle.loads(pickle.dumps(model)),  # noqa: S301
    "copy": lambda model, folder: copy.deepcopy(model),
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_goes_on_bit_for_bit(optimizer, dtype, how, tmp_path):
    whole = classifier(OPTIMIZERS[optimizer](), dtype)
    if optimizer == "averaged":  # the end of a `fit` puts the averages in place of the weights, as in Keras
        history = {name: values * 2 for name, values in whole.fit(X, LABELS, 16, 2, verbose=0).history.items()}
        for name, values in whole.fit(X, LABELS, 16, 2, verbose=0).history.items():
            history[name][2:] = values
    else:
        history = whole.fit(X, LABELS, epochs=4, batch_size=16, verbose=0).history
    first = classifier(OPTIMIZERS[optimizer](), dtype)
    first.fit(X, LABELS, epochs=2, batch_size=16, verbose=0)
    second = HOW[how](first, tmp_path)
    assert second is not first and same(first, second) and second.layers[0] is not first.layers[0]
    again = second.fit(X, LABELS, epochs=2, batch_size=16, verbose=0).history
    assert same(second, whole) and not same(first, whole)
    assert again == {name: values[2:] for name, values in history.items()}


def test_weights_without_decay_come_back(tmp_path):
    model = Sequential([Dense(2, input_shape=(3,)), Dense(2)])
    optimizer = optimizers.SGD(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay([model.layers[1].kernel])
    model.compile(optimizer, "mse")
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert [again.optimizer.decay_of(v) for v in again.weights] == [0.5, 0.5, 0.0, 0.5]


def test_a_rate_set_by_a_callback_comes_back(tmp_path):
    model = classifier(fastnn.SGD(0.1))
    model.fit(X, LABELS, epochs=2, verbose=0, callbacks=[callbacks.LearningRateScheduler(lambda e, r: r / 2)])
    model.save(tmp_path / "m")
    assert load_model(tmp_path / "m").optimizer.learning_rate == 0.025


# --- what comes back ------------------------------------------------------------------------------


def everything():
    """Every layer of the library, some with arguments that are not their defaults."""
    fastnn.set_random_seed(2)
    regular = [
        layers.Rescaling(0.5, 0.1), layers.Reshape((7, 1)), Flatten(), layers.Normalization(),
        Dense(6, kernel_initializer=fastnn.initializers.VarianceScaling(2.0, "fan_avg"), use_bias=False, name="first"),
        BatchNormalization(momentum=0.9, epsilon=1e-4, scale=False), Activation("leaky_relu"),
        layers.LeakyReLU(0.2), layers.PReLU(shared_axes=[1]), layers.RReLU(0.1, 0.4), layers.ELU(0.7),
        layers.ReLU(max_value=5.0, negative_slope=0.1), Dense(6, activation=fastnn.activations.celu.using(alpha=0.5)),
        layers.LayerNormalization(epsilon=1e-4), layers.Maxout(6, 3), layers.GaussianNoise(0.1, seed=4),
        layers.GaussianDropout(0.1), layers.AlphaDropout(0.1), Dropout(0.2, seed=9),
        layers.ActivityRegularization(l1=0.01), layers.GroupNormalization(3),
        layers.Residual([Dense(6, "relu"), Dense(6)]),
        layers.Reshape((3, 2)), layers.Masking(-1.0), layers.Bidirectional(layers.GRU(2, return_sequences=True)),
        layers.LSTM(3, return_sequences=True, truncate=2), layers.SimpleRNN(6, seed=1),
        Sequential([Dense(4, "tanh"), Dropout(0.1)], name="inner"),
        layers.RepeatVector(3), layers.Permute((2, 1)), layers.TimeDistributed(Dense(5, "tanh")),
        layers.GlobalAveragePooling1D(keepdims=True), layers.GlobalMaxPooling1D(), Dense(4),
    ]  # fmt: skip
    named = {type(layer).__name__ for layer in regular} | {"Layer", "Input", "InputLayer", "Softmax", "Lambda"}
    named |= {"Dot", "Embedding"}  # in "joined"
    named |= {"GRU", "RNN"}  # of the one above; its cell is a custom class
    others = [getattr(layers, name)() for name in layers.__all__ if name not in named and not name.islower()]
    x = y = layers.Input((4,))
    for layer in (layer for layer in others if layer.takes_several):
        y = Dense(4)(layer([y, Dense(4, "tanh")(x)]))
    rows = Flatten()(layers.Embedding(2, 3)(layers.Rescaling(0.0)(x)))
    y = Dense(4)(layers.Concatenate()([y, rows, layers.Dot(axes=1)([x, y])]))
    regular.append(fastnn.Model(x, y, name="joined"))
    regular += [layer for layer in others if not layer.takes_several]  # those made since
    model = Sequential([layers.Input((7,)), *regular, Dense(3), layers.Softmax()])
    model.layers[3].adapt(X)
    model.compile("nadam", "sparse_categorical_crossentropy", metrics=["accuracy", "sparse_top_k_categorical_accuracy"])
    return model


def test_every_layer_comes_back(tmp_path):
    model = everything()
    found = {type(layer).__name__ for layer in model.leaves()} | {"Residual", "Sequential", "Bidirectional", "RNN"}
    found |= {"TimeDistributed"}
    assert found | {"Layer", "InputLayer", "Input", "Lambda"} >= {n for n in layers.__all__ if not n.islower()}
    model.fit(X, LABELS, epochs=1, verbose=0)
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert same(model, again) and again.get_config() == model.get_config()
    assert [layer.name for layer in again.leaves()] == [layer.name for layer in model.leaves()]
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    assert again.evaluate(X, LABELS, verbose=0) == model.evaluate(X, LABELS, verbose=0)
    for m in (model, again):
        m.fit(X, LABELS, epochs=1, verbose=0)
    assert same(model, again)


def halved(x):
    return x / 2


def of_halved(x, dy):
    return dy / 2


def test_functions_of_layers_come_back_by_name(tmp_path):
    model = Sequential([Dense(3, input_shape=(7,)), layers.Lambda(halved, gradient=of_halved), Dense(1)])
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m", custom_objects={"halved": halved, "of_halved": of_halved})
    assert again.layers[1].gradient is of_halved
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


def test_frozen_layers_come_back_frozen(tmp_path):
    model = classifier()
    model.layers[0].trainable = False
    model.layers[3].weights[1].trainable = False  # a single one: the bias of the last
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert [v.trainable for v in again.weights] == [v.trainable for v in model.weights]
    assert [len(layer.trainable_weights) for layer in again.layers] == [0, 2, 0, 1]
    for m in (model, again):
        m.fit(X, LABELS, verbose=0)
    assert same(model, again)


def test_loading_uses_up_no_seed(tmp_path):
    classifier().save(tmp_path / "m")
    fastnn.set_random_seed(1)
    load_model(tmp_path / "m")
    after = Sequential([Dense(2, input_shape=(2,))])
    fastnn.set_random_seed(1)
    assert same(after, Sequential([Dense(2, input_shape=(2,))]))


def test_without_compile_and_without_optimizer(tmp_path):
    model = classifier()
    model.fit(X, LABELS, verbose=0)
    model.save(tmp_path / "whole")
    model.save(tmp_path / "bare", include_optimizer=False)
    assert load_model(tmp_path / "whole").compiled and not load_model(tmp_path / "whole", compile=False).compiled
    bare = load_model(tmp_path / "bare")
    assert same(bare, model) and not bare.compiled
    stored = [len(safetensors.numpy.load_file(tmp_path / name)) for name in ("whole", "bare")]
    assert stored == [8 + 2 * 6 + 1, 8]  # Adam's two moments of each of the six that are trained, and the history


def test_it_is_a_safetensors_file_under_any_name(tmp_path):
    model = tiny()
    for name in ("model.h5", "model.keras", "model", "weights.pt"):
        model.save(tmp_path / name)
        assert same(load_model(tmp_path / name), model) and same(load_model(str(tmp_path / name)), model)
    found = safetensors.numpy.load_file(tmp_path / "model.h5")
    kernel, bias = model.get_weights()
    [kernel_name] = [n for n in found if n.startswith("weights/") and n.endswith("/kernel")]
    np.testing.assert_array_equal(found[kernel_name], kernel)
    with safetensors.safe_open(tmp_path / "model", "numpy") as file:
        assert file.metadata()["format"] == "fastnn" and json.loads(file.metadata()["config"])["kind"] == "model"


def test_overwrite(tmp_path):
    path = tmp_path / "m"
    tiny().save(path)
    with pytest.raises(FileExistsError, match="overwrite is False"):
        tiny().save(path, overwrite=False)
    path.chmod(0o640)
    tiny(2).save(path)
    assert load_model(path).get_weights()[0][0, 0] == 2 and path.stat().st_mode & 0o777 == 0o640
    (tmp_path / "link").symlink_to(path)
    tiny(3).save(tmp_path / "link")
    assert load_model(path).get_weights()[0][0, 0] == 3 and (tmp_path / "link").is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "m"]
    with pytest.raises(OSError, match="Is a directory"):
        tiny().save(tmp_path)
    with pytest.raises(FileNotFoundError):
        tiny().save(tmp_path / "no" / "m")


# --- clones -----------------------------------------------------------------------------------------


def test_clone_has_the_structure_and_not_the_weights():
    model = everything()
    again = clone_model(model)
    assert again.get_config()["layers"] == model.get_config()["layers"] and not same(model, again)
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
