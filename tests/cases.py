"""One `Case` for each configuration of what the kernels' lists have: how to draw inputs, what is right, how exactly.

(a) A new row needs a case here; `test_cases.py` refuses a row without one, and runs all its loops on it.
(b) References are those of `reference.py`: float64 NumPy, nothing of ours.
(c) `ulps` is the error allowed, in units of the dtype's epsilon times max(|right|, `scale`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import reference as ref

INF = np.inf


@dataclass(frozen=True)
class Case:
    """
    Attributes
    ----------
    kind : {"activation", "loss", "optimizer", "metric", "counter"}
    name : str
        The row.
    reference : callable
        activation: x -> (y, dy/dx); loss: (y_true, y_pred) -> (value of each row, its derivative by y_pred);
        metric: the same -> mean over rows; optimizer: (w, [g, ...], lr) -> w after those steps;
        counter: [{layer: (its gradients, its weights before)}, ...] of the steps -> {label: figure}.
    params : dict
        Arguments of the row that are not its defaults.
    domain : (low, high)
        Where inputs, or predictions, are drawn from.
    targets : callable
        (rng, rows, outputs) -> y_true.
    ulps, scale : float
    kinks : tuple of float
        Central differences keep away from these.
    limits : (float, float)
        f(-inf), f(+inf).
    """

    kind: str
    name: str
    reference: Callable
    params: dict = field(default_factory=dict)
    domain: tuple = (-4.0, 4.0)
    targets: Callable = None
    ulps: float = 8
    scale: float = 1.0
    kinks: tuple = ()
    limits: tuple = (0.0, INF)

    def __str__(self):
        return "-".join([self.name, *(f"{k}={v:g}" for k, v in self.params.items())])

    def draw(self, rng, shape, dtype):
        """Inputs of the domain, none nearer than 0.01 to a kink."""
        x = rng.uniform(*self.domain, size=shape)
        for kink in self.kinks:
            x = np.where(np.abs(x - kink) < 0.01, kink + 0.02, x)
        return x.astype(dtype)


def _activation(name, *, like=None, limits=(0.0, INF), ulps=8, kinks=(), **params):
    name_of_reference = like or name

    def reference(x):
        return ref.activation(name_of_reference, x, **params), ref.activation_backward(
            name_of_reference, x, np.ones_like(x), **params
        )

    return Case(
        "activation", name, reference, params, ulps=ulps, kinks=kinks, limits=limits
    )


def _labels(rng, rows, outputs):
    return rng.integers(0, outputs, rows)


def _one_hot(rng, rows, outputs):
    return np.eye(outputs)[_labels(rng, rows, outputs)]


def _shares(rng, rows, outputs):
    return rng.dirichlet(np.ones(outputs), rows)


def _numbers(rng, rows, outputs):
    return rng.normal(size=(rows, outputs))


def _bits(rng, rows, outputs):
    return rng.integers(0, 2, (rows, outputs)).astype(float)


def _loss(name, function, targets, domain=(-4.0, 4.0), ulps=16, scale=1.0, options=None, **params):
    options = options or {}

    def reference(y_true, y_pred):
        return function(y_true, y_pred, **options, **params)

    return Case(
        "loss", name, reference, params, domain=domain, targets=targets, ulps=ulps, scale=scale
    )


def _optimizer(name, cls, ulps=64, fixed=(), **params):
    def reference(w, grads, lr):
        w = np.array(w, np.float64)
        optimizer = cls(lr, **params, **dict(fixed))
        for g in grads:
            optimizer.apply([w], [np.asarray(g, np.float64)])
        return w

    return Case("optimizer", name, reference, {k: float(v) for k, v in params.items()}, ulps=ulps)


def _metric(name, function, targets, domain=(-4.0, 4.0), **params):
    def reference(y_true, y_pred):
        return float(np.mean(function(y_true, y_pred, **params)))

    return Case("metric", name, reference, params, domain=domain, targets=targets)


def _sums(name, function, targets, domain=(0.0, 1.0), scale=1.0, **params):
    """A metric that is made of sums over the rows."""

    def reference(y_true, y_pred):
        return function(y_true, y_pred, **params)

    return Case("metric", name, reference, params, domain=domain, targets=targets, scale=scale)


def _of_layers(function):
    """A figure of each layer: of a list with its gradients and its weights in each step."""

    def reference(steps):
        return {f"/{layer}": function([step[layer] for step in steps]) for layer in steps[0]}

    return reference


def _norms(steps):
    return [np.sqrt(sum(np.sum(g**2) for g in gradients)) for gradients, _ in steps]


def _largest_norm(steps):
    return {"": max(np.linalg.norm(_norms(step.values())) for step in steps)}


def _signs(rng, rows, outputs):
    return 2 * _bits(rng, rows, outputs) - 1


def _counts(rng, rows, outputs):
    return rng.poisson(3, (rows, outputs)).astype(float)


def _focal(name, **options):
    parameters = {"apply_class_balancing": 1.0, "alpha": 0.4, "gamma": 1.5, "label_smoothing": 0.1}
    for params in ({}, {"gamma": 0.0}, parameters):
        domain = (-4.0, 4.0) if options else PROBABILITY
        yield _loss(name, ref.binary_focal_crossentropy, _bits, domain, 64, scale=50.0, options=options, **params)


def _categorical_focal(name, **options):
    for params, targets in (({}, _one_hot), ({"gamma": 0.0}, _one_hot),
                            ({"alpha": 0.4, "gamma": 1.5, "label_smoothing": 0.1}, _shares)):  # fmt: skip
        domain = (-4.0, 4.0) if options else PROBABILITY
        function = ref.categorical_focal_crossentropy
        yield _loss(name, function, targets, domain, 64, scale=50.0, options=options, **params)


def _sparse(name, function, domain=(-4.0, 4.0), scale=4.0, **options):
    yield _loss(name, function, _labels, domain, scale=scale, options=options)
    yield _loss(name, ref.ignoring(function), _labels, domain, scale=scale, options=options, ignore_class=0.0)


LOGITS = {"from_logits": True}
PROBABILITY = (0.02, 0.98)
SELU_MIN = -ref.SELU_ALPHA * ref.SELU_SCALE

CASES = [
    _activation("linear", limits=(-INF, INF), ulps=0),
    _activation("relu", kinks=(0.0,), ulps=0),
    _activation("relu_general", like="relu", kinks=(0.0,), ulps=0),
    _activation("relu_general", like="relu", max_value=1.5, kinks=(0.0, 1.5), limits=(0.0, 1.5)),
    _activation("relu_general", like="relu", max_value=6.0, negative_slope=0.1, threshold=0.5,
                kinks=(0.5, 6.0), limits=(-INF, 6.0)),
    _activation("leaky_relu", kinks=(0.0,), limits=(-INF, INF)),
    _activation("leaky_relu", negative_slope=-0.5, kinks=(0.0,), limits=(INF, INF)),
    _activation("leaky_relu", negative_slope=0.0, kinks=(0.0,)),
    _activation("elu", kinks=(0.0,), limits=(-1.0, INF)),
    _activation("elu", alpha=0.25, kinks=(0.0,), limits=(-0.25, INF)),
    _activation("selu", kinks=(0.0,), limits=(SELU_MIN, INF)),
    _activation("sigmoid", limits=(0.0, 1.0)),
    _activation("tanh", limits=(-1.0, 1.0)),
    _activation("relu6", kinks=(0.0, 6.0), limits=(0.0, 6.0), ulps=0),
    _activation("softplus"),
    _activation("softsign", limits=(-1.0, 1.0)),
    _activation("hard_sigmoid", kinks=(-3.0, 3.0), limits=(0.0, 1.0)),
    _activation("sparse_sigmoid", kinks=(-1.0, 1.0), limits=(0.0, 1.0)),
    _activation("exponential"),
    _activation("silu"),
    _activation("hard_silu", kinks=(-3.0, 3.0)),
    _activation("gelu"),
    _activation("gelu_general", like="gelu"),
    _activation("gelu_general", like="gelu", approximate=1.0),
    _activation("mish"),
    _activation("celu", kinks=(0.0,), limits=(-1.0, INF)),
    _activation("celu", alpha=0.25, kinks=(0.0,), limits=(-0.25, INF)),
    _activation("hard_tanh", kinks=(-1.0, 1.0), limits=(-1.0, 1.0), ulps=0),
    _activation("log_sigmoid", limits=(-INF, 0.0)),
    _activation("tanh_shrink", limits=(-INF, INF)),
    _activation("soft_shrink", kinks=(-0.5, 0.5), limits=(-INF, INF)),
    _activation("soft_shrink", threshold=1.25, kinks=(-1.25, 1.25), limits=(-INF, INF)),
    _activation("hard_shrink", kinks=(-0.5, 0.5), limits=(-INF, INF)),
    _activation("hard_shrink", threshold=1.25, kinks=(-1.25, 1.25), limits=(-INF, INF)),
    _activation("threshold", kinks=(0.0,)),
    _activation("threshold", threshold=-1.0, default_value=2.5, kinks=(-1.0,), limits=(2.5, INF)),
    _activation("squareplus"),
    _activation("squareplus", b=0.5),
    _activation("sparse_plus", kinks=(-1.0, 1.0)),
    _loss("mean_squared_error", ref.mean_squared_error, _numbers, scale=4.0),
    _loss("mean_absolute_error", ref.mean_absolute_error, _numbers, scale=4.0),
    _loss("binary_crossentropy", ref.binary_crossentropy, _bits, PROBABILITY, scale=50.0),
    _loss("binary_crossentropy", ref.binary_crossentropy, _bits, PROBABILITY, scale=50.0, label_smoothing=0.1),
    _loss("binary_crossentropy_logits", ref.binary_crossentropy, _bits, scale=4.0, options=LOGITS),
    _loss("binary_crossentropy_logits", ref.binary_crossentropy, _bits, scale=4.0, options=LOGITS,
          label_smoothing=0.2),
    *_sparse("sparse_softmax_crossentropy", ref.sparse_categorical_crossentropy, **LOGITS),
    _loss("softmax_crossentropy", ref.categorical_crossentropy, _one_hot, scale=4.0, options=LOGITS),
    _loss("softmax_crossentropy", ref.categorical_crossentropy, _numbers, ulps=64, scale=16.0, options=LOGITS),
    _loss("softmax_crossentropy", ref.categorical_crossentropy, _shares, scale=4.0, options=LOGITS,
          label_smoothing=0.1),
    *_sparse("sparse_crossentropy", ref.sparse_categorical_crossentropy, PROBABILITY, 50.0),
    *_sparse("nll", ref.negative_log_likelihood),
    _loss("mean_absolute_percentage_error", ref.mean_absolute_percentage_error,
          lambda rng, rows, outputs: _counts(rng, rows, outputs) + 1, scale=400.0),
    _loss("mean_squared_logarithmic_error", ref.mean_squared_logarithmic_error, _counts, ulps=64, scale=4.0),
    _loss("huber", ref.huber, _numbers, scale=4.0),
    _loss("huber", ref.huber, _numbers, scale=4.0, delta=2.5),
    _loss("log_cosh", ref.log_cosh, _numbers, scale=4.0),
    _loss("hinge", ref.hinge, _bits, scale=4.0),
    _loss("hinge", ref.hinge, _signs, scale=4.0),
    _loss("squared_hinge", ref.squared_hinge, _bits, scale=16.0),
    _loss("squared_hinge", ref.squared_hinge, _signs, scale=16.0),
    _loss("poisson", ref.poisson, _counts, (0.1, 8.0), scale=50.0),
    _loss("quantile", ref.quantile, _numbers, scale=4.0),
    _loss("quantile", ref.quantile, _numbers, scale=4.0, quantile=0.9),
    *_focal("binary_focal_crossentropy"),
    *_focal("binary_focal_crossentropy_logits", **LOGITS),
    *_categorical_focal("categorical_focal"),
    *_categorical_focal("categorical_focal_logits", **LOGITS),
    _loss("gaussian_nll", ref.gaussian_nll, _numbers, (0.3, 4.0), ulps=64, scale=50.0),
    _loss("gaussian_nll", ref.gaussian_nll, _numbers, (0.3, 4.0), ulps=64, scale=50.0, full=1.0, eps=0.1),
    _loss("kl_divergence", ref.kl_divergence, _shares, PROBABILITY, scale=50.0),
    _loss("categorical_hinge", ref.categorical_hinge, _one_hot, scale=4.0),
    _loss("cosine_similarity", ref.cosine_similarity, _numbers, ulps=64, scale=16.0),
    _loss("crossentropy", ref.categorical_crossentropy, _one_hot, PROBABILITY, scale=50.0),
    _loss("crossentropy", ref.categorical_crossentropy, _shares, PROBABILITY, scale=50.0, label_smoothing=0.1),
    _optimizer("sgd", ref.SGD),
    _optimizer("sgd", ref.SGD, momentum=0.9),
    _optimizer("sgd", ref.SGD, momentum=0.9, nesterov=True),
    _optimizer("adam", ref.Adam),
    _optimizer("adam", ref.Adam, beta_1=0.5, beta_2=0.9, epsilon=1e-3),
    *(
        _optimizer(name, cls, **params)
        for name, cls in [("amsgrad", ref.AMSGrad), ("adamax", ref.Adamax), ("nadam", ref.Nadam)]
        for params in ({}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3})
    ),
    _optimizer("rmsprop", ref.RMSprop),
    _optimizer("rmsprop", ref.RMSprop, rho=0.5, epsilon=1e-3),
    _optimizer("rmsprop_momentum", ref.RMSprop, rho=0.5, epsilon=1e-3, momentum=0.9),
    _optimizer("rmsprop_centered", ref.RMSprop, fixed={"centered": True}),
    _optimizer("rmsprop_centered", ref.RMSprop, fixed={"centered": True}, rho=0.5, epsilon=1e-3),
    _optimizer("rmsprop_centered_momentum", ref.RMSprop, fixed={"centered": True}, rho=0.5, epsilon=1e-3, momentum=0.9),
    _optimizer("adagrad", ref.Adagrad),
    _optimizer("adagrad", ref.Adagrad, initial_accumulator_value=0.5, epsilon=1e-3),
    _optimizer("adadelta", ref.Adadelta),
    _optimizer("adadelta", ref.Adadelta, rho=0.5, epsilon=1e-3),
    _optimizer("lion", ref.Lion),
    _optimizer("lion", ref.Lion, beta_1=0.5, beta_2=0.75),
    _optimizer("rprop", ref.Rprop),
    _optimizer("rprop", ref.Rprop, eta_minus=0.25, eta_plus=2.0, min_step=0.005, max_step=0.015),
    _optimizer("ftrl", ref.Ftrl),
    _optimizer("ftrl", ref.Ftrl, ulps=512, learning_rate_power=-0.25, initial_accumulator_value=0.5,
               l1_regularization_strength=0.1, l2_regularization_strength=0.2,
               l2_shrinkage_regularization_strength=0.3, beta=0.4),
    _metric("sparse_accuracy", ref.METRICS["sparse_categorical_accuracy"], _labels),
    _metric("categorical_accuracy", ref.METRICS["categorical_accuracy"], _one_hot),
    _metric("binary_accuracy", ref.METRICS["binary_accuracy"], _bits, (0.0, 1.0)),
    _metric("equal_accuracy", lambda t, y: np.mean(t == y, axis=-1), _bits),
    _metric("sparse_top_k_accuracy", ref.top_k, _labels),
    _metric("sparse_top_k_accuracy", ref.top_k, _labels, k=2.0),
    _metric("top_k_accuracy", lambda t, y: ref.top_k(t.argmax(axis=-1), y), _one_hot),
    _metric("top_k_accuracy", lambda t, y, k: ref.top_k(t.argmax(axis=-1), y, k), _one_hot, k=3.0),
    _sums("confusion", ref.confusion, _bits),
    _sums("confusion", ref.confusion, _bits, threshold=0.3),
    _sums("confusion", ref.confusion, _one_hot, threshold=INF),
    _sums("squares", ref.squares, _numbers, (-4.0, 4.0), scale=100.0),
    _sums("histogram", ref.histogram, _bits),
    _sums("histogram", ref.histogram, _bits, num_thresholds=7.0),
    _sums("histogram", ref.histogram, _bits, (-4.0, 4.0), from_logits=1.0),
    Case("counter", "gradient_norm", _of_layers(lambda steps: np.sqrt(np.mean(np.square(_norms(steps)))))),
    Case("counter", "largest_gradient_norm", _largest_norm),
]  # fmt: skip
# every loss is a metric too
CASES += [
    Case("metric", c.name, lambda t, y, c=c: float(np.mean(c.reference(t, y)[0])), c.params, domain=c.domain,
         targets=c.targets, ulps=c.ulps, scale=c.scale)
    for c in CASES
    if c.kind == "loss"
]  # fmt: skip


def cases(kind):
    return [c for c in CASES if c.kind == kind]
