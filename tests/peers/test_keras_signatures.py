"""Every name shared with Keras takes Keras' arguments: the same names, order and defaults, asked from Keras itself.

Arguments of ours come after Keras', so that a call by place means the same in both. Whether an argument works or is
refused is tested below, without Keras.
"""

import importlib
import inspect
import os
from fnmatch import fnmatch

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses, metrics, optimizers

try:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras
except ImportError:
    if os.environ.get("FASTNN_REQUIRE_KERAS", "0") != "0":
        raise
    keras = None

MODULES = (
    "activations callbacks constraints datasets initializers layers losses metrics models ops optimizers"
    " optimizers.schedules random regularizers saving utils"
).split()

# What may differ: "path", "path.method" or "path(argument)", with a reason for each.
EXCEPTIONS = {
    "*layers.*.call": "layers of the library are declared in `emit`; `call(inputs, training)` is what yours write",
    "layers.Lambda.from_config": "functions are known by name, no code is in configurations",
    "layers.*.build": "of Keras' recurrent layers: shapes of initial states are those of further inputs, in a list",
    "layers.*.compute_output_shape": "as above",
    "*Metric.result": "sums come from the core, which keeps them; a metric has no state of its own",
    "metrics.*.result": "as above",
    "activations.threshold": "has defaults besides, as its name alone is an activation",
    "ops.threshold": "as above",
    "ops.gelu(approximate)": "exact, as `activations.gelu` of both libraries",
    "ops.binary_crossentropy": "ops of losses are the kernels: value and gradient of each row",
    "ops.quantile": "the loss, not the statistic of arrays",
    "layers.Embedding.build(input_shape)": "layers are built for a shape, and remember it",
    "metrics.*(num_thresholds)": "None, the default here, is exact; a number is Keras' grid",
}


def arguments(function):
    """(by place, by name alone), each {name: default}; None where the signature says nothing."""
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    place = {p.name: p.default for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)}
    alone = {p.name: p.default for p in found if p.kind is p.KEYWORD_ONLY}
    place.pop("self", None)
    if not place and not alone and any(p.kind is p.VAR_POSITIONAL for p in found):
        return None
    return place, alone


def of_class(cls):
    return arguments(cls) or arguments(cls.__init__)


def same(theirs, ours):
    if isinstance(theirs, str) and isinstance(ours, str):
        return theirs.lower() == ours.lower()
    if isinstance(theirs, bool) != isinstance(ours, bool):
        return False
    return theirs is ours or theirs == ours


def differences(path, theirs, ours):
    """(path or path(argument), words) for whatever is not as in Keras."""
    if theirs is None or ours is None:
        return
    (place, alone), (our_place, our_alone) = theirs, ours
    mine = {**our_place, **our_alone}
    if list(our_place)[: len(place)] != list(place):
        yield path, f"Keras has {list(place)}, in this order, here {list(our_place)}"
        return
    for name in alone:
        if name not in mine:
            yield path, f"no {name}"
    for name, default in {**place, **alone}.items():
        if name in mine and not same(default, mine[name]):
            yield f"{path}({name})", f"{name}={default!r} in Keras, here {mine[name]!r}"
    for name in set(mine) - set(place) - set(alone):
        if mine[name] is inspect.Parameter.empty:
            yield path, f"{name}, which Keras has not, has no default"


def shared():
    """(path, Keras' thing, ours) of all public classes and functions of one name."""
    seen = set()
    for where in ["", *MODULES]:
        ours, theirs = fastnn, keras
        try:
            for part in where.split(".") if where else ():
                ours, theirs = getattr(ours, part), getattr(theirs, part)
        except AttributeError:
            if where and importlib.util.find_spec(f"fastnn.{where.split('.')[0]}") is not None:
                raise
            continue  # a module that is not here
        for name in sorted(set(dir(theirs)) & set(dir(ours))):
            a, b = getattr(theirs, name), getattr(ours, name)
            if name[0] != "_" and callable(a) and callable(b) and (id(a), id(b)) not in seen:
                seen.add((id(a), id(b)))
                yield f"{where}.{name}".strip("."), a, b


def all_differences():
    compared, found = 0, []
    for path, theirs, ours in shared():
        both = [inspect.isclass(theirs), inspect.isclass(ours)]
        if not any(both):
            compared += 1
            found += differences(path, arguments(theirs), arguments(ours))
            continue
        if not all(both):
            found.append((path, "a class in one of the two"))
            continue
        compared += 1
        found += differences(path, of_class(theirs), of_class(ours))
        for name in sorted(set(dir(theirs)) & set(dir(ours))):
            a, b = getattr(theirs, name), getattr(ours, name)
            own = name not in vars(object) and (name[0] != "_" or name == "__call__")
            if own and callable(a) != callable(b) and not isinstance(b, property):
                found.append((f"{path}.{name}", "a method in one of the two"))
            elif own and callable(a):
                compared += 1
                found += differences(f"{path}.{name}", arguments(a), arguments(b))
    return compared, found


def excuses(pattern, path):
    return fnmatch(path, pattern) or fnmatch(path.split("(")[0], pattern)


@pytest.mark.skipif(keras is None, reason="could not import 'keras'")
def test_signatures_are_those_of_keras():
    compared, found = all_differences()
    assert compared > 900
    wrong = [f"{path}: {words}" for path, words in found if not any(excuses(e, path) for e in EXCEPTIONS)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.skipif(keras is None, reason="could not import 'keras'")
def test_exceptions_are_needed():
    _, found = all_differences()
    for pattern in EXCEPTIONS:
        needed = any(excuses(pattern, path) for path, _ in found)
        assert needed, f"{pattern}: no exception any more"


def test_the_check_can_fail():
    def theirs(a, b=1, *, c="x"):
        pass

    right = [lambda a, b=1, c="x": 0, lambda a, b=1, *, c="X", d=None: 0, lambda a, b=1.0, d=None, **k: 0][:2]
    wrong = [lambda b, a=1, c="x": 0, lambda a, b=2, c="x": 0, lambda a, b=True, c="x": 0, lambda a, b=1: 0,
             lambda a, b=1, *, c="x", d: 0, lambda a, d=0, b=1, c="x": 0]  # fmt: skip
    for function in right:
        assert not list(differences("f", arguments(theirs), arguments(function)))
    for function in wrong:
        assert list(differences("f", arguments(theirs), arguments(function)))


# --- what is taken has an effect, or is refused by name -----------------------------------------------------

REFUSED = [
    (lambda: layers.Dense(3, lora_rank=2), "lora_rank: expected None"),
    (lambda: layers.Dense(3, quantization_config="int8"), "quantization_config: expected None"),
    (lambda: layers.BatchNormalization(renorm=True), "renorm: expected False"),
    (lambda: layers.BatchNormalization(renorm_momentum=0.5), "renorm_momentum: expected 0.99"),
    (lambda: layers.BatchNormalization(synchronized=True), "synchronized: expected False"),
    (lambda: layers.LSTM(3, stateful=True), "stateful: expected False"),
    (lambda: layers.GRU(3, use_cudnn=True), "use_cudnn: expected 'auto'"),
    (lambda: layers.Flatten("channels_first"), "data_format: expected one of None, 'channels_last'"),
    (lambda: layers.Flatten(autocast=False), "autocast: expected True"),
    (lambda: layers.Input((3,), sparse=True), "sparse: expected None"),
    (lambda: layers.Input((3,), tensor=np.zeros(3)), "tensor: expected None"),
    (lambda: layers.Input((3,), optional=True), "optional: expected False"),
    (lambda: metrics.Precision(0.5, 2), "top_k: expected None"),
    (lambda: metrics.Recall(top_k=1), "top_k: expected None"),
    (lambda: metrics.AUC(multi_label=True), "multi_label: expected False"),
    (lambda: metrics.AUC(thresholds=[0.5]), "thresholds: expected None"),
    (lambda: metrics.PrecisionAtRecall(0.5, 200, 1), "class_id: expected None"),
    (lambda: metrics.SparseCategoricalCrossentropy(ignore_class=0), "ignore_class: expected None"),
    (lambda: metrics.SparseTopKCategoricalAccuracy(from_sorted_ids=True), "from_sorted_ids: expected False"),
    (lambda: metrics.MeanSquaredError(dtype="float16"), "dtype: expected 'float32' or 'float64'"),
    (lambda: model().compile("sgd", "mse", 0.5), "loss_weights: expected None"),
    (lambda: model().compile("sgd", "mse", ["mae"]), "loss_weights: expected None.*metrics=..."),
    (lambda: model().compile(run_eagerly=True), "run_eagerly: expected False"),
    (lambda: model().compile(steps_per_execution=4), "steps_per_execution: expected 1"),
    (lambda: model().compile(jit_compile=True), "jit_compile: expected 'auto'"),
    (lambda: model().compile(auto_scale_loss=False), "auto_scale_loss: expected True"),
    (lambda: model().add(layers.Dense(1), rebuild=False), "rebuild: expected True"),
    (lambda: model().pop(False), "rebuild: expected True"),
    (lambda: model().save("never", zipped=True), "zipped: expected None"),
    (lambda: model().save_weights("never", max_shard_size=1), "max_shard_size: expected None"),
    (lambda: fastnn.models.clone_model(model(), call_function=print), "call_function: expected None"),
    (lambda: model()(np.zeros((1, 3)), mask=1), "mask"),
    (lambda: model().layers[0].add_weight((3,), aggregation="mean"), "aggregation: expected 'none'"),
]


def model():
    made = fastnn.Sequential([layers.Dense(4, input_shape=(3,), name="first"), layers.Dense(2, name="second")])
    made.compile("sgd", "mse")
    return made


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message.split(":")[0] for _, message in REFUSED])
def test_what_has_no_effect_is_refused(call, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((TypeError, ValueError), match=message):
        call()
    assert not list(tmp_path.iterdir())


def test_defaults_by_name_are_taken():
    model().compile("sgd", "mse", None, ["mae"], None, False, 1, "auto", True)
    layers.Dense(3, lora_rank=None, quantization_config=None)
    layers.BatchNormalization(renorm=0, renorm_momentum=0.99)
    for made in (layers.Dense(3), layers.BatchNormalization(), metrics.AUC(), metrics.Precision(), layers.Flatten()):
        assert type(made).from_config(made.get_config()).get_config() == made.get_config()
        assert not {"lora_rank", "renorm", "autocast", "top_k", "multi_label"} & set(made.get_config())


def test_metrics_by_place():
    """The issue's numbers: -mean(log(.8), log(.9), log(.4))."""
    made = metrics.BinaryCrossentropy("bce", "float32")
    assert (made.name, made.dtype, made.from_logits) == ("bce", "float32", False)
    net = fastnn.Sequential([layers.Rescaling(1.0, input_shape=(1,))])
    net.compile("sgd", "mse", metrics=[made])
    found = net.evaluate(np.array([[0.2], [0.9], [0.6]]), np.array([[0.0], [1.0], [0.0]]), verbose=0)
    assert found[1] == pytest.approx(-np.log([0.8, 0.9, 0.4]).mean(), rel=1e-6)
    assert round(found[1], 4) == 0.4149
    made = metrics.Recall(0.25, None, 1, "mine", "float64")
    assert (made.thresholds, made.class_id, made.name) == (0.25, 1, "mine")
    made = metrics.AUC(10, "PR", "minoring", "mine", None, None, False, None, None, True)
    assert (made.num_thresholds, made.name, made.from_logits) == (10, "mine", True)


def test_losses_by_place():
    made = losses.BinaryCrossentropy(True, 0.1, -1, "sum", "mine", "float64")
    assert (made.from_logits, made.label_smoothing, made.reduction, made.name) == (True, 0.1, "sum", "mine")
    made = losses.SparseCategoricalCrossentropy(True, 3, "none", -1, "mine")
    assert (made.ignore_class, made.reduction, made.name) == (3, "none", "mine")
    assert losses.Huber(2.0, "sum", "mine").reduction == "sum"
    assert losses.MeanSquaredError("sum", "mine", "float64").name == "mine"


def test_optimizers_by_place():
    made = optimizers.SGD(0.1, 0.9, True, 0.01, None, 1.5)
    assert (made.momentum, made.nesterov, made.weight_decay, made.clipvalue) == (0.9, True, 0.01, 1.5)
    made = optimizers.AdamW(0.1, 0.2, 0.8, 0.9, 1e-5, True, 1.0, name="mine")
    assert (made.weight_decay, made.amsgrad, made.clipnorm, made.name) == (0.2, True, 1.0, "mine")
    assert optimizers.RMSprop(lr=0.5, clipnorm=2.0).get_config()["learning_rate"] == 0.5
    with pytest.raises(TypeError, match="Did you mean 'clipnorm'"):
        optimizers.Nadam(clipnrom=1.0)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_axis_of_losses(axis):
    rng = np.random.default_rng(0)
    y, t = rng.uniform(0.1, 1, (4, 5)), rng.uniform(0.1, 1, (4, 5))
    unit = lambda a: a / np.sqrt((a**2).sum(axis=axis, keepdims=True))  # noqa: E731
    found = losses.cosine_similarity(t, y, axis)
    np.testing.assert_allclose(found, -(unit(t) * unit(y)).sum(axis=axis), rtol=1e-12)
    p = y / y.sum(axis=axis, keepdims=True)
    found = losses.CategoricalCrossentropy(axis=axis)(t, p)
    assert found == pytest.approx(-(t * np.log(p)).sum(axis=axis).mean(), rel=1e-12)


def test_axis_in_a_model():
    x, t = np.random.default_rng(0).normal(size=(8, 3)), np.eye(2)[[0, 1] * 4]
    found = []
    for axis in (-1, 1):
        net = model()
        net.set_weights([np.full(w.shape, 0.1 * (1 + i)) * np.arange(1, 1 + w.shape[-1])
                         for i, w in enumerate(net.get_weights())])  # fmt: skip
        net.compile("sgd", losses.CosineSimilarity(axis), metrics=[metrics.CosineSimilarity(axis=axis)], seed=0)
        found.append(net.evaluate(x, t, verbose=0))
    assert found[0] == found[1]
    net.compile("sgd", losses.CosineSimilarity(axis=0))
    with pytest.raises(ValueError, match="axis of cosine_similarity: expected the output axis, -1 or 1, got 0"):
        net.evaluate(x, t, verbose=0)


def test_summary_as_keras_takes_it():
    inner = fastnn.Sequential([layers.Dense(3, name="deep")], name="inner")
    net = fastnn.Sequential([layers.Dense(4, input_shape=(3,), name="first"), inner, layers.Dense(2, name="last")])

    def lines(*args, **kwargs):
        found = []
        net.summary(*args, print_fn=found.append, **kwargs)
        return [line for line in found if "(" in line and "params" not in line.lower()][1:]

    assert [line.split()[0] for line in lines()] == ["first", "inner", "last"]
    assert [line.split()[0] for line in lines(expand_nested=True)] == ["first", "inner", "deep", "last"]
    assert [line.split()[0] for line in lines(layer_range=("inner", "last"))] == ["inner", "last"]
    assert [line.split()[0] for line in lines(layer_range=("fir.*", "inn"))] == ["first", "inner"]
    at = lines(60, [0.5, 0.8, 1.0])[0]
    assert at.index("(None, 4)") == 30 and at.index("16") == 48
    assert lines(None, [30, 48, 60])[0] == at
    for wrong in ({"positions": [0.5]}, {"positions": [0.5, 0.4, 1.0]}, {"layer_range": ("firts", "last")}):
        with pytest.raises(ValueError, match=f"^{next(iter(wrong))}: "):
            lines(**wrong)


def test_clone_function():
    net = fastnn.Sequential([layers.Dense(4, input_shape=(3,)), layers.Dropout(0.5),
                             fastnn.Sequential([layers.Dropout(0.25)], name="inner")])  # fmt: skip

    def half(layer):
        if isinstance(layer, layers.Dropout):
            return layers.Dropout(layer.rate / 2, name=layer.name)
        return layer.from_config(layer.get_config())

    made = fastnn.models.clone_model(net, clone_function=half)
    assert [made.layers[1].rate, made.layers[2].layers[0].rate] == [0.25, 0.25]
    made = fastnn.models.clone_model(net, clone_function=half, recursive=True)
    assert [made.layers[1].rate, made.layers[2].layers[0].rate] == [0.25, 0.125]
    assert made.layers[0].weights[0] is not net.layers[0].weights[0]
    shared = fastnn.models.clone_model(net, clone_function=lambda layer: layer)
    assert shared.layers[0] is net.layers[0]
    with pytest.raises(TypeError, match="clone_function: expected a function that returns a layer"):
        fastnn.models.clone_model(net, clone_function=lambda layer: None)


def test_axes_of_initializers():
    """He: variance 2 / fan_in, of a kernel whose inputs are its second axis."""
    made = fastnn.initializers.HeUniform(1, [1], [0])
    w = made((50, 400))
    assert abs(w).max() == pytest.approx(np.sqrt(3 * 2 / 400), rel=1e-2)
    assert abs(fastnn.initializers.HeUniform(1)((50, 400))).max() == pytest.approx(np.sqrt(3 * 2 / 50), rel=1e-2)
    assert made.get_config()["input_axes"] == [1]
    with pytest.raises(ValueError, match="^input_axes: expected axes of weights of shape"):
        fastnn.initializers.HeUniform(1, [2], [0])((3, 4))
    with pytest.raises(ValueError, match="^input_axes, output_axes: expected both or neither"):
        fastnn.initializers.VarianceScaling(input_axes=[0])


def test_custom_objects():
    class Mine(optimizers.SGD):
        pass

    class Own(layers.Dense):
        pass

    made = optimizers.deserialize({"class_name": "Mine", "config": {"learning_rate": 0.5}}, {"Mine": Mine})
    assert type(made) is Mine and made.learning_rate == 0.5
    net = fastnn.Sequential([Own(2, input_shape=(3,))])
    with pytest.raises(ValueError, match="unknown layer 'Own'"):
        fastnn.Sequential.from_config(net.get_config())
    again = fastnn.Sequential.from_config(net.get_config(), custom_objects={"Own": Own})
    assert type(again.layers[0]) is Own and again.built
    assert losses.deserialize("mine", {"mine": losses.Huber(3.0)}).delta == 3.0
