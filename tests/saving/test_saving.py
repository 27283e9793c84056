"""Models in files: all of a model comes back, training goes on bit for bit, nothing but a model is taken for one."""

import copy
import gc
import hashlib
import json
import os
import pickle
import random
import re
import signal
import sys
import time

import numpy as np
import pytest
import safetensors
import safetensors.numpy

import fastnn
from fastnn import callbacks, layers, optimizers
from fastnn.layers import Activation, BatchNormalization, Dense, Dropout, Flatten
from fastnn.models import Sequential, clone_model, load_model
from fastnn.saving import FormatError, atomic, container

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 7))
LABELS = np.arange(50) % 3


def same(a, b):
    """Whether two models have the same weights, to the bit."""
    pairs = zip(a.get_weights(), b.get_weights(), strict=True)
    return all(v.dtype == w.dtype and v.tobytes() == w.tobytes() for v, w in pairs)


def classifier(optimizer="adam", dtype=None, seed=5, **options):
    fastnn.set_random_seed(3)
    model = Sequential([
        Dense(8, "elu", input_shape=(7,), kernel_regularizer="l2", kernel_constraint="max_norm"), BatchNormalization(),
        Dropout(0.3), Dense(3, "softmax", kernel_regularizer="orthogonal_regularizer")], dtype=dtype)  # fmt: skip
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], seed=seed, **options)
    return model


def tiny(value=None):
    """A small compiled model; all weights `value`, if given."""
    fastnn.set_random_seed(1)
    model = Sequential([Dense(2, input_shape=(3,), name="only")], name="tiny")
    model.compile(fastnn.SGD(0.1, momentum=0.5), "mse", seed=1)
    model.fit(X[:8, :3], X[:8, :2], verbose=0)
    if value is not None:
        model.set_weights([np.full_like(w, value) for w in model.get_weights()])
    return model


# --- exact resume ---------------------------------------------------------------------------------

SCHEDULE = optimizers.schedules.ExponentialDecay(0.01, 10, 0.9)


def partly_decayed():
    optimizer = optimizers.AdamW(0.05, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta"])
    return optimizer


OPTIMIZERS = {
    "sgd": lambda: fastnn.SGD(0.05, momentum=0.9, nesterov=True),
    "adam": lambda: fastnn.Adam(SCHEDULE, clipnorm=1.0),
    "rmsprop": lambda: optimizers.RMSprop(0.01, centered=True, global_clipnorm=1.0),
    "nadam": lambda: optimizers.Nadam(0.01, clipvalue=0.5),
    "adagrad": lambda: optimizers.Adagrad(0.05),
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
        layers.ActivityRegularization(l1=0.01), layers.Residual([Dense(6, "relu"), Dense(6)]),
        Sequential([Dense(4, "tanh"), Dropout(0.1)], name="inner"),
    ]  # fmt: skip
    named = {type(layer).__name__ for layer in regular} | {"Layer", "Input", "InputLayer", "Softmax"}
    regular += [getattr(layers, name)() for name in layers.__all__ if name not in named]  # those made since
    model = Sequential([layers.Input((7,)), *regular, Dense(3), layers.Softmax()])
    model.layers[3].adapt(X)
    model.compile("nadam", "sparse_categorical_crossentropy", metrics=["accuracy", "sparse_top_k_categorical_accuracy"])
    return model


def test_every_layer_comes_back(tmp_path):
    model = everything()
    found = {type(layer).__name__ for layer in model.leaves()} | {"Residual", "Sequential"}
    assert found | {"Layer", "InputLayer", "Input"} >= set(layers.__all__)
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
    assert stored == [8 + 2 * 6, 8]  # Adam's two moments of each of the six that are trained


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


# --- weights --------------------------------------------------------------------------------------


def test_weights(tmp_path):
    model = classifier()
    model.fit(X, LABELS, verbose=0)
    model.save_weights(tmp_path / "w")
    model.save(tmp_path / "m")
    for name in ("w", "m"):
        again = classifier()
        again.load_weights(tmp_path / name)
        assert same(again, model)
    with pytest.raises(FormatError, match="weights only.*load_weights"):
        load_model(tmp_path / "w")


def test_weights_that_do_not_fit_change_nothing(tmp_path):
    other = Sequential([Dense(8, input_shape=(7,), name="a"), Dense(4, name="b")])
    other.save_weights(tmp_path / "w")
    model = Sequential([Dense(8, input_shape=(7,), name="a"), Dense(3, name="b")])
    before = [w.copy() for w in model.get_weights()]
    with pytest.raises(ValueError, match=r"expected weights of shape \(8, 3\) for b/kernel, got \(8, 4\)"):
        model.load_weights(tmp_path / "w")
    with pytest.raises(ValueError, match="expected 2 weights.*got 4"):
        Sequential([Dense(8, input_shape=(7,))]).load_weights(tmp_path / "w")
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    model.load_weights(tmp_path / "w", skip_mismatch=True)
    np.testing.assert_array_equal(model.get_weights()[0], other.get_weights()[0])
    np.testing.assert_array_equal(model.get_weights()[2], before[2])
    head = Sequential([Dense(5, input_shape=(7,), name="new"), Dense(8, name="x"), Dense(4, name="b")])
    head.load_weights(tmp_path / "w", by_name=True)
    np.testing.assert_array_equal(head.layers[2].get_weights()[0], other.layers[1].get_weights()[0])
    with pytest.raises(ValueError, match="expected a built model"):
        Sequential([Dense(3)]).load_weights(tmp_path / "w")


# --- things of one's own --------------------------------------------------------------------------


class Twice(layers.Layer):
    """A layer in NumPy."""

    def call(self, x, training=False):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


def quartic(y_true, y_pred):
    difference = y_pred - y_true
    return (difference**4).sum(axis=-1), 4 * difference**3


def largest(y_true, y_pred):
    return np.abs(y_pred - y_true).max(axis=-1)


def test_custom_objects(tmp_path):
    model = Sequential([Dense(2, input_shape=(3,)), Twice()])
    model.compile("sgd", quartic, metrics=[largest], seed=1)
    model.fit(X[:, :3], X[:, :2], verbose=0)
    model.save(tmp_path / "m")
    own = {"Twice": Twice, "quartic": quartic, "largest": largest}
    again = load_model(tmp_path / "m", custom_objects=own)
    for m in (model, again):
        m.fit(X[:, :3], X[:, :2], verbose=0)
    assert same(model, again) and isinstance(again.layers[1], Twice)
    for name in own:
        with pytest.raises(FormatError, match=f"'{name}'.*custom_objects"):
            load_model(tmp_path / "m", custom_objects={k: v for k, v in own.items() if k != name})
    with pytest.raises(TypeError, match="custom_objects: expected a dict"):
        load_model(tmp_path / "m", custom_objects=[Twice])
    assert same(pickle.loads(pickle.dumps(model)), model)  # noqa: S301


def test_a_function_without_a_name(tmp_path):
    model = Sequential([Dense(2, input_shape=(3,), kernel_initializer=lambda shape, dtype: np.ones(shape, dtype))])
    with pytest.raises(TypeError, match="expected a function with a name.*lambda.*save_weights"):
        model.save(tmp_path / "m")
    assert not list(tmp_path.iterdir())
    model.save_weights(tmp_path / "w")


# --- files of others ------------------------------------------------------------------------------

FOREIGN = {
    b"": "the file is empty",
    b"\x89HDF\r\n\x1a\n" + bytes(800): "HDF5 file, as written by Keras 2.*get_weights.*set_weights",
    bytes(512) + b"\x89HDF\r\n\x1a\n" + bytes(100): "HDF5",
    pickle.dumps({"a": 1}): "pickle.*not opened",
    b"PK\x03\x04" + bytes(22) + b"\x0d\x00\x00\x00metadata.json": "Keras 3",
    b"PK\x03\x04" + bytes(22) + b"\x10\x00\x00\x00archive/data.pkl": "PyTorch",
    b"\x93NUMPY\x01\x00v\x00{'descr'": r"\.npy",
    b'{"class_name": "Sequential"}': "JSON text",
    b"\x08\x07\x12\x07pytorch\x1a": "ONNX",
    b"hello, world": "not a model file",
    safetensors.numpy.save({"a": np.ones(3, np.float32)}): "safetensors file that was not written by fastnn",
}


@pytest.mark.parametrize("content", FOREIGN, ids=lambda c: repr(c[:9]))
def test_files_of_others_are_named(content, tmp_path):
    path = tmp_path / "model.fastnn"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=FOREIGN[content]) as error:
        load_model(path)
    assert str(path) in str(error.value) and isinstance(error.value, ValueError)
    with pytest.raises(FormatError):
        tiny().load_weights(path)


def test_real_files_of_keras(tmp_path):
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    for name, words in (("m.h5", "HDF5.*Keras"), ("m.keras", "Keras 3.*set_weights"), ("m.weights.h5", "HDF5")):
        (model.save_weights if "weights" in name else model.save)(tmp_path / name)
        with pytest.raises(FormatError, match=words):
            load_model(tmp_path / name)


def test_no_file_at_all(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "nothing")
    with pytest.raises(FormatError, match="this is a directory"):
        load_model(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FormatError, match="pipe"):
        load_model(tmp_path / "pipe")


# --- damaged and hostile files --------------------------------------------------------------------


@pytest.fixture
def watched():
    """What happens beside reading one file: other files opened, code compiled, modules imported."""
    events = []
    hook_state["events"] = events
    yield events
    hook_state["events"] = None


hook_state = {"events": None, "installed": False}
WATCHED = {"open", "exec", "compile", "import", "subprocess.Popen", "os.system", "pickle.find_class", "socket.connect"}


def install_hook():
    if not hook_state["installed"]:
        hook_state["installed"] = True

        def hook(event, arguments):
            if hook_state["events"] is not None and event in WATCHED:
                hook_state["events"].append((event, arguments[0]))

        sys.addaudithook(hook)


def others(watched, path):
    """Events that are not the opening of the file, or of its descriptor."""
    return [e for e in watched if e[0] != "open" or not (e[1] == str(path) or isinstance(e[1], int))]


def try_to_load(path, shapes, watched):
    """A FormatError, or a model of the right shapes with finite weights; nothing else is touched. True if it loaded."""
    watched.clear()
    try:
        model = load_model(path)
    except FormatError:
        model = None
    assert not others(watched, path)
    if model is None:
        return False
    assert [w.shape for w in model.get_weights()] == shapes
    assert all(np.isfinite(w).all() for w in model.get_weights())
    return True


@pytest.mark.slow
def test_every_truncation_and_every_flip(tmp_path, watched):
    install_hook()
    path, model = tmp_path / "m", tiny()
    model.save(path)
    raw, shapes = path.read_bytes(), [w.shape for w in model.get_weights()]
    load_model(path)  # imports what is needed
    assert try_to_load(path, shapes, watched)
    for n in range(len(raw)):
        path.write_bytes(raw[:n])
        assert not try_to_load(path, shapes, watched), n
    path.write_bytes(raw + b"x")
    assert not try_to_load(path, shapes, watched)
    rng, loaded = random.Random(1), 0
    for at in range(len(raw)):
        for bits in {1 << rng.randrange(8), rng.randrange(1, 256)}:
            path.write_bytes(raw[:at] + bytes([raw[at] ^ bits]) + raw[at + 1 :])
            loaded += try_to_load(path, shapes, watched)
    assert loaded == 0  # the checksum sees every one of them


def resigned(header, body):
    """A file with a right checksum, as somebody could make it in bad faith."""
    header = dict(header, __metadata__=dict(header["__metadata__"], sha256=container.BLANK))
    blank = json.dumps(header).encode()
    digest = hashlib.sha256(blank + body).hexdigest()
    return len(blank).to_bytes(8, "little") + blank.replace(container.BLANK.encode(), digest.encode()) + body


def parts(raw):
    n = int.from_bytes(raw[:8], "little")
    return json.loads(raw[8 : 8 + n]), raw[8 + n :]


def mutated(value, rng):
    """A copy of JSON with one place changed."""
    value = copy.deepcopy(value)
    places = []

    def walk(node):
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, child in items:
            places.append((node, key))
            walk(child)

    walk(value)
    node, key = rng.choice(places)
    new = [None, True, -1, 0, 1, 2**31, 2**63, 10**30, 1e308, -0.5, "", "x" * 50, "softmax", "Dense", [], {}, [[]],
           {"$float": "nan"}, {"$array": ["<f8", [1, 2]]}, {"$array": ["O", ["a"]]}, {"$function": "eval"},
           {"$tuple": [1]}, {"class_name": "Dense", "config": {"units": 2}},
           {"class_name": "os.system", "config": {}}]  # fmt: skip
    if isinstance(node, dict) and rng.random() < 0.2:
        node.pop(key)
    else:
        node[key] = rng.choice(new)
    return value


@pytest.mark.slow
def test_files_made_in_bad_faith(tmp_path, watched):
    """The header and the configuration changed at random, checksum made right again."""
    install_hook()
    path, model = tmp_path / "m", classifier(fastnn.Adam(SCHEDULE))
    model.fit(X, LABELS, verbose=0)
    model.save(path)
    header, body = parts(path.read_bytes())
    config = json.loads(header["__metadata__"]["config"])
    path.write_bytes(resigned(header, body))
    load_model(path)
    for name in fastnn.__all__:  # the suggestion for a wrong name looks through them: it opens our own modules
        dir(getattr(fastnn, name))
    seed = int(os.environ.get("FASTNN_FUZZ_SEED", "1"))
    rng, errors = random.Random(seed), 0
    for i in range(3000):
        if i % 3:
            text = json.dumps(mutated(config, rng))
            new = dict(header, __metadata__=dict(header["__metadata__"], config=text))
        else:
            new = mutated(header, rng)
            if not isinstance(new.get("__metadata__"), dict):
                continue
        try:
            path.write_bytes(resigned(new, body))
        except (TypeError, ValueError):
            continue
        watched.clear()
        try:
            found = load_model(path)
        except FormatError:
            errors += 1
        else:
            assert all(w.size < 1000 for w in found.get_weights()), (seed, i)
        assert not others(watched, path), (seed, i)
    assert errors > 1000


def test_huge_sizes_allocate_nothing(tmp_path):
    path = tmp_path / "m"
    tiny().save(path)
    header, body = parts(path.read_bytes())
    [name] = [n for n in header if n.startswith("weights/") and n.endswith("/kernel")]

    def tensor(**change):
        return dict(header, **{name: dict(header[name], **change)})

    def configured(units):
        config = json.loads(header["__metadata__"]["config"])
        config["model"]["config"]["layers"][-1]["config"]["units"] = units
        return dict(header, __metadata__=dict(header["__metadata__"], config=json.dumps(config)))

    bad = [tensor(shape=[2**40, 2]), tensor(shape=[2**63]), tensor(shape=[-1, 6]), tensor(shape=[0, 2**62]),
           tensor(data_offsets=[0, 2**50]), tensor(data_offsets=[24, 0]), tensor(dtype="F8_E4M3"), tensor(dtype="O"),
           tensor(shape=[6]), tensor(shape=[[3], 2]), tensor(shape=[1] * 40 + [3, 2]), tensor(shape=[3.0, 2]),
           configured(10**9), configured(2**62), configured(-2), configured(True)]  # fmt: skip
    for new in bad:
        path.write_bytes(resigned(new, body))
        before = time.perf_counter()
        with pytest.raises(FormatError):
            load_model(path)
        assert time.perf_counter() - before < 2
    deep = b'{"__metadata__":' + b"[" * 100000 + b"]" * 100000 + b"}"
    path.write_bytes(len(deep).to_bytes(8, "little") + deep)
    with pytest.raises(FormatError):
        load_model(path)
    for length in (2**63, 2**64 - 1, 2**24 + 1):
        path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
        with pytest.raises(FormatError, match="header"):
            load_model(path)
    twice = json.dumps(header)[:-1] + ', "__metadata__": {}}'
    path.write_bytes(len(twice).to_bytes(8, "little") + twice.encode() + body)
    with pytest.raises(FormatError, match="duplicate key"):
        load_model(path)


# --- old or new, never half -----------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["write", "fsync", "replace", "short"])
def test_a_failing_disk_leaves_the_old_file(broken, tmp_path, monkeypatch):
    path = tmp_path / "m"
    tiny(1).save(path)
    old, calls = path.read_bytes(), {"n": 0}

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    for n in range(1, 9):
        calls["n"] = 0
        with monkeypatch.context() as patch:
            if broken in ("write", "short"):

                def write(descriptor, data, n=n):
                    calls["n"] += 1
                    if broken == "write" and calls["n"] == n:
                        fail()
                    return os.write(descriptor, data[:5] if broken == "short" else data)

                patch.setattr(atomic, "_write", write)
            else:
                patch.setattr(os, broken, fail)
            if broken == "short" or (broken == "write" and n > 6):  # 2 of the header and 4 arrays
                tiny(1).save(path)
            else:
                with pytest.raises(OSError, match="No space left"):
                    tiny(2).save(path)
        assert path.read_bytes() == old and [p.name for p in tmp_path.iterdir()] == ["m"]
    tiny(2).save(path)
    assert load_model(path).get_weights()[0][0, 0] == 2


@pytest.mark.slow
def test_a_kill_leaves_the_old_or_the_new_file(tmp_path):
    """200 times: a process that saves one of two models in turn is killed at a random moment of a random save."""
    fastnn.set_random_seed(0)
    path, rng, seen = tmp_path / "m", random.Random(0), set()
    models = []
    for value in (1.0, 2.0):
        model = Sequential([Dense(100, input_shape=(300,))])
        model.set_weights([np.full_like(w, value) for w in model.get_weights()])
        models.append(model)
    start = time.perf_counter()
    models[0].save(path)
    seconds = time.perf_counter() - start
    gc.disable()  # a collection in the child would only slow it
    try:
        for _ in range(200):
            saved, says = os.pipe()
            child = os.fork()
            if child == 0:
                while True:
                    models.reverse()
                    models[0].save(path)
                    os.write(says, b".")
            models.reverse()
            for _ in range(rng.randrange(3)):  # however slow this machine is
                os.read(saved, 1)
            time.sleep(rng.uniform(0, 2 * seconds))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(saved), os.close(says)
            found = {float(v) for w in load_model(path).get_weights() for v in np.unique(w)}
            assert len(found) == 1, found
            seen |= found
    finally:
        gc.enable()
    assert seen == {1.0, 2.0}


def test_what_a_kill_leaves_behind_is_no_hindrance(tmp_path):
    (tmp_path / ".m.0123456789ab.tmp").write_bytes(b"half")
    tiny().save(tmp_path / "m")
    assert same(load_model(tmp_path / "m"), tiny())


# --- clones -----------------------------------------------------------------------------------------


def test_clone_has_the_structure_and_not_the_weights():
    model = everything()
    again = clone_model(model)
    assert again.get_config()["layers"] == model.get_config()["layers"] and not same(model, again)
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


def test_metrics_that_are_functions(tmp_path):
    def far(t, p):
        return abs(t - p).max(axis=1)

    ours = [fastnn.metrics.mean_absolute_error, fastnn.losses.huber, fastnn.metrics.RootMeanSquaredError]
    own = [fastnn.metrics.PythonMetric(far, name="foo"), fastnn.metrics.PythonMetric(far, name="bar"), far]
    model = Sequential([Dense(2, input_shape=(7,))])
    model.compile("sgd", "mse", metrics=[*ours, *own], weight_decay=0.25)
    model.fit(X, X[:, :2], verbose=0)
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m", custom_objects={"far": far})
    assert loaded.weight_decay == 0.25
    assert loaded.evaluate(X, X[:, :2], verbose=0, return_dict=True) == model.evaluate(
        X, X[:, :2], verbose=0, return_dict=True
    )
    assert list(loaded.metrics_names) == list(model.metrics_names)


def test_a_frozen_variable_resumes_with_its_state(tmp_path):
    model = classifier()
    model.fit(X, LABELS, verbose=0)
    model.layers[0].kernel.trainable = model.layers[1].gamma.trainable = False
    model.fit(X, LABELS, verbose=0)
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    for each in (model, loaded):
        assert not each.layers[0].kernel.trainable
        each.layers[0].kernel.trainable = each.layers[1].gamma.trainable = True
        each.fit(X, LABELS, verbose=0)
    assert same(model, loaded)


def test_weights_in_another_order_are_not_swapped(tmp_path):
    norm, slope = fastnn.layers.LayerNormalization, fastnn.layers.PReLU
    first, second = Sequential([norm(input_shape=(2,)), slope()]), Sequential([slope(input_shape=(2,)), norm()])
    first.save_weights(tmp_path / "w")
    with pytest.raises(ValueError, match="expected weights in the order .*alpha.*gamma.* use by_name=True"):
        second.load_weights(tmp_path / "w")


def test_weights_of_a_model_with_frozen_variables_load_into_one_without(tmp_path):
    first, second = (Sequential([BatchNormalization(input_shape=(2,))]) for _ in range(2))
    first.layers[0].gamma.trainable = False
    first.layers[0].gamma.assign([5, 6])
    first.save_weights(tmp_path / "w")
    second.load_weights(tmp_path / "w")
    np.testing.assert_array_equal(second.layers[0].gamma.numpy(), [5, 6])


def test_a_nested_model_keeps_its_flag(tmp_path):
    inner = Sequential([Dense(3, input_shape=(7,))])
    inner.trainable = False
    model = Sequential([inner, Dense(3)])
    model.compile("sgd", "mse")
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert not loaded.layers[0].trainable and loaded.layers[1].trainable and loaded.trainable


def test_names_of_files(tmp_path):
    model = classifier()
    for name in (tmp_path / ("漢" * 80), os.fsencode(tmp_path / "as bytes")):
        model.save(name)
        assert same(load_model(name), model)
    missing = tmp_path / "no" / "such" / "file"
    with pytest.raises(FileNotFoundError, match=re.escape(f"directory {os.path.realpath(missing.parent)}")) as error:
        model.save(missing)
    assert error.value.filename == str(missing)


def test_a_class_may_call_itself_as_it_likes(tmp_path):
    class By(layers.Layer):
        def __init__(this, by=2.0, **kwargs):  # noqa: N805
            super().__init__(**kwargs)
            this.by = by

        def call(self, x, training):
            return x * self.by

    model = Sequential([By(3.0, input_shape=(7,))])
    model.compile("sgd", "mse")
    model.save(tmp_path / "m")
    assert load_model(tmp_path / "m", custom_objects={"By": By}).layers[0].by == 3.0


@pytest.mark.parametrize("function", [fastnn.losses.mean_squared_error, fastnn.metrics.binary_accuracy])
def test_a_metric_of_ours_under_another_name_comes_back(tmp_path, function):
    model = tiny()
    model.compile("sgd", "mse", metrics=[fastnn.metrics.PythonMetric(function, "other")])
    x, y = np.ones((4, *model.in_shape)), np.ones((4, *model.out_shape))
    expected = model.evaluate(x, y, verbose=0, return_dict=True)
    model.save(tmp_path / "m")
    assert load_model(tmp_path / "m").evaluate(x, y, verbose=0, return_dict=True) == expected
