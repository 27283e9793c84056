"""For each rule that looks at a model and data: a case that it finds and one that it does not."""

import numpy as np

import fastnn
from fastnn import initializers, losses, metrics, optimizers, regularizers
from fastnn.layers import Activation, BatchNormalization, Dense, Dropout, Input, Normalization

RNG = np.random.default_rng(5)
X = RNG.normal(size=(200, 6)).astype("float32")
YES = (X[:, 0] + X[:, 1] > 0) * 1.0  # two classes
LABELS = np.digitize(X[:, 0] + 0.5 * X[:, 1], [-0.6, 0.6])  # three classes
HOT = np.eye(3)[LABELS]
REAL = (np.sin(2 * X[:, 0]) * X[:, 1]).astype("float32")
SPARSE, BINARY = losses.SparseCategoricalCrossentropy, losses.BinaryCrossentropy


def net(*parts, end=(3, "softmax"), loss="sparse_categorical_crossentropy", opt="adam", metrics=None, shape=(6,)):
    """A compiled model; `end`: units and activation of the last layer."""
    fastnn.set_random_seed(1)
    last = [] if end is None else [Dense(*end)]
    model = fastnn.Sequential([Input(shape), *(parts or [Dense(16, "relu", kernel_initializer="he_normal")]), *last])
    model.compile(opt, loss, metrics=metrics)
    return model


def case(model, x=X, y=LABELS, **more):
    return lambda: (model(), x, y, more)


def stack(n, units=16, activation="relu", init="he_normal", **more):
    return [Dense(units, activation, kernel_initializer=init, **more) for _ in range(n)]


def binary(*parts, end=(1, "sigmoid"), loss="binary_crossentropy", **more):
    return lambda: net(*parts, end=end, loss=loss, **more)


def real(*parts, end=(1,), loss="mse", **more):
    return lambda: net(*parts, end=end, loss=loss, **more)


def adapted():
    layer = Normalization(input_shape=(6,))
    layer.adapt(X)
    return net(layer, Dense(8, "relu"))


def frozen():
    model = net()
    model.trainable = False
    return model


def spoiled():
    model = net()
    weights = model.get_weights()
    weights[0][0, 0] = np.nan
    model.set_weights(weights, check_finite=False)
    return model


GOOD = case(net)
GOOD_BINARY, GOOD_REAL = case(binary(), y=YES), case(real(), y=REAL)
DOUBLED = np.concatenate([X[:20]] * 10)
UNEQUAL = np.where(np.arange(200) < 4, 2, LABELS % 2)
CONSTANT = np.where(np.arange(6) < 4, 1, X).astype("float32")

# code: (a case of it, a case without it)
CASES = {
    "FN101": (case(binary(end=(1, "softmax")), y=YES), GOOD_BINARY),
    "FN102": (case(lambda: net(loss=SPARSE(from_logits=True))),
              case(lambda: net(end=(3,), loss=SPARSE(from_logits=True)))),
    "FN103": (case(lambda: net(end=(3, "log_softmax"))), GOOD),
    "FN104": (case(binary(end=(1, "tanh")), y=YES), GOOD_BINARY),
    "FN105": (case(lambda: net(loss="nll")), case(lambda: net(end=(3, "log_softmax"), loss="nll"))),
    "FN106": (case(binary(loss="hinge"), y=YES), case(binary(end=(1,), loss="hinge"), y=2 * YES - 1)),
    "FN107": (case(binary(loss="categorical_crossentropy"), y=YES), GOOD_BINARY),
    "FN108": (case(lambda: net(metrics=[metrics.SparseTopKCategoricalAccuracy(3)])),
              case(lambda: net(metrics=[metrics.SparseTopKCategoricalAccuracy(2)]))),
    "FN109": (case(real(metrics=[metrics.Accuracy()]), y=REAL), case(real(metrics=["mae"]), y=REAL)),
    "FN110": (case(lambda: net(loss="categorical_crossentropy", metrics=[metrics.BinaryAccuracy()]), y=HOT),
              case(lambda: net(loss="categorical_crossentropy", metrics=[metrics.CategoricalAccuracy()]), y=HOT)),
    "FN111": (case(lambda: net(end=(1,), loss=BINARY(from_logits=True), metrics=[metrics.BinaryCrossentropy()]), y=YES),
              case(binary(metrics=[metrics.BinaryCrossentropy()]), y=YES)),
    "FN112": (case(lambda: net(Normalization(), Dense(8, "relu"))), case(adapted)),
    "FN113": (case(lambda: net(end=(3, "sigmoid"), loss="categorical_crossentropy"), y=HOT),
              case(lambda: net(loss="categorical_crossentropy"), y=HOT)),
    "FN201": (case(net, x=X[:, :5]), GOOD),
    "FN202": (case(net, y=LABELS[:-1]), GOOD),
    "FN203": (case(lambda: net(loss="categorical_crossentropy")), GOOD),
    "FN204": (case(lambda: net(end=(4, "softmax"), loss="categorical_crossentropy"), y=HOT), GOOD),
    "FN205": (case(net, y=LABELS + 1), GOOD),
    "FN206": (case(binary(), y=2 * YES - 1), GOOD_BINARY),
    "FN207": (case(real(end=(1, "sigmoid")), y=3 * REAL), case(real(end=(1, "sigmoid")), y=YES)),
    "FN208": (case(lambda: net(loss="mse"), y=HOT), GOOD),
    "FN209": (case(lambda: net(loss="binary_crossentropy"), y=HOT), GOOD),
    "FN210": (case(lambda: net(loss="categorical_crossentropy"), y=np.minimum(1, HOT + np.roll(HOT, 1, 0))),
              case(lambda: net(loss="categorical_crossentropy"), y=HOT)),
    "FN211": (case(binary(), y=np.ones(200)), GOOD_BINARY),
    "FN212": (case(real(metrics=["accuracy"]), y=REAL), case(real(metrics=["mae"]), y=REAL)),
    "FN213": (case(lambda: net(end=(7, "softmax"))), GOOD),
    "FN214": (case(net, y=UNEQUAL), GOOD),
    "FN215": (case(lambda: net(loss="categorical_crossentropy", metrics=["binary_accuracy"]), y=HOT),
              case(lambda: net(loss="categorical_crossentropy", metrics=["accuracy"]), y=HOT)),
    "FN216": (case(binary(loss="poisson"), y=YES), case(real(end=(1, "exponential"), loss="poisson"), y=LABELS * 1.0)),
    "FN217": (case(net, y=np.array(["a", "b", "c", "d"] * 50)), GOOD),
    "FN221": (case(net, x=np.where(X > 2.5, np.nan, X)), GOOD),
    "FN222": (case(net, x=100 * X + 50), GOOD),
    "FN223": (case(net, x=CONSTANT), GOOD),
    "FN224": (case(net, x=np.ones_like(X)), GOOD),
    "FN225": (case(net, x=DOUBLED, y=np.tile(LABELS[:20], 10)), GOOD),
    "FN226": (case(net, x=X[:20], y=LABELS[:20]), GOOD),
    "FN227": (case(net, validation_data=(X[:50], LABELS[:50])), case(net, validation_data=(X[:50] + 0.1, LABELS[:50]))),
    "FN228": (case(net, validation_data=(100 * X[:50], LABELS[:50])), case(net, validation_data=(X[:50], LABELS[:50]))),
    "FN301": (case(real(*stack(2, activation=None)), y=REAL), case(real(*stack(2, activation=None)), y=X[:, 0])),
    "FN302": (case(lambda: net(Dense(16, "relu"), Dense(16))), case(lambda: net(Dense(16, "relu"), Dense(2)))),
    "FN303": (case(lambda: net(*stack(2, init="zeros"))), GOOD),
    "FN304": (case(lambda: net(*stack(2, init=initializers.RandomUniform(0, 1)))), GOOD),
    "FN305": (case(lambda: net(*stack(3, activation="selu"))),
              case(lambda: net(*stack(3, activation="selu", init="lecun_normal")))),
    "FN306": (case(lambda: net(Dense(16, "relu"), Dense(3, "softmax"), Activation("softmax"), end=None)), GOOD),
    "FN307": (case(lambda: net(Dense(16, "softmax"))), GOOD),
    "FN308": (case(lambda: net(Dense(8), BatchNormalization(), Activation("relu"))),
              case(lambda: net(Dense(8, use_bias=False), BatchNormalization(), Activation("relu")))),
    "FN309": (case(lambda: net(Dense(16, "relu"), Dropout(0.9))), case(lambda: net(Dense(16, "relu"), Dropout(0.5)))),
    "FN310": (case(lambda: net(*stack(12, 3))), case(lambda: net(*stack(12, 24)))),
    "FN311": (case(lambda: net(*stack(5, activation="sigmoid", init="glorot_uniform"))), GOOD),
    "FN312": (case(lambda: net(Dense(8, "tanh"), Activation("tanh"))), case(lambda: net(Dense(8), Activation("tanh")))),
    "FN313": (case(lambda: net(Dense(1, "relu"))), GOOD),
    "FN314": (case(lambda: net(*stack(2, kernel_regularizer=regularizers.L2(1.0)))),
              case(lambda: net(*stack(2, kernel_regularizer=regularizers.L2(1e-4))))),
    "FN315": (case(frozen), GOOD),
    "FN316": (case(spoiled), GOOD),
    "FN317": (case(lambda: net(*stack(3, activation="exponential"))),
              case(lambda: net(*stack(1, activation="exponential")))),
    "FN318": (case(lambda: net(*stack(25, activation="tanh", init="glorot_uniform"))), case(lambda: net(*stack(25)))),
    "FN319": (case(lambda: net(*stack(12, activation="sigmoid", init="glorot_uniform"))),
              case(lambda: net(*stack(12)))),
    "FN321": (case(lambda: net(*stack(12, activation="sigmoid", init="glorot_uniform"))),
              case(lambda: net(*stack(12, 32)))),
    "FN322": (case(lambda: net(*stack(6, activation="tanh", init=initializers.RandomNormal(stddev=0.05)))), GOOD),
    "FN323": (case(lambda: net(*stack(2, bias_initializer=initializers.Constant(-20.0)))), GOOD),
    "FN324": (case(lambda: net(*stack(2, activation="tanh", init=initializers.RandomNormal(stddev=30.0)))), GOOD),
    "FN325": (case(real(), y=REAL * 1e-3), GOOD_REAL),
    "FN326": (case(real(Dense(64, "relu"), Dense(64, "relu"), opt=optimizers.SGD(5.0)), y=REAL),
              case(real(Dense(64, "relu"), opt=optimizers.SGD(0.01)), y=REAL)),
    "FN327": (case(lambda: net(opt=optimizers.SGD(2e-6))), case(lambda: net(opt=optimizers.SGD(0.01)))),
    "FN328": (case(real(), y=1000 * REAL + 3000), GOOD_REAL),
    "FN329": (case(lambda: net(*stack(4, 64, activation="exponential"))), GOOD),
    "FN401": (case(lambda: net(opt=optimizers.SGD(0.0))), GOOD),
    "FN402": (case(lambda: net(opt=optimizers.Adam(0.5))), case(lambda: net(opt=optimizers.Adam(0.01)))),
    "FN403": (case(lambda: net(opt=optimizers.Adam(1e-7))), GOOD),
    "FN404": (case(lambda: net(opt=optimizers.Adam(epsilon=1e-16))), GOOD),
    "FN405": (case(lambda: net(opt=optimizers.SGD(0.01, momentum=1.0))),
              case(lambda: net(opt=optimizers.SGD(0.01, momentum=0.9)))),
    "FN406": (case(lambda: net(opt=optimizers.SGD(0.01, clipnorm=1e-9))),
              case(lambda: net(opt=optimizers.SGD(0.01, clipnorm=1.0)))),
    "FN407": (case(lambda: net(loss=SPARSE(reduction="sum"))), GOOD),
}  # fmt: skip


def found(make):
    """What `check` finds in a case."""
    model, x, y, more = make()
    return model.check(x, y, **more)
