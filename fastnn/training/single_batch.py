"""Training, evaluation and prediction on single batches."""

from .._base.checks import flag
from . import arguments, fast_path
from .compiled_metrics import means, result
from .interrupts import Steps
from .needs import need_compile, need_loss, need_steps
from .ports import shaped


def train_on_batch(model, x, y, sample_weight, class_weight, return_dict, check_finite):
    """`Model.train_on_batch`."""
    return_dict, check_finite = flag("return_dict", return_dict), flag("check_finite", check_finite)
    if sample_weight is None and class_weight is None:
        sums = fast_path.train(model, x, y, check_finite)
        if sums is not None:
            return result(means(model, len(x), *sums), return_dict)
    need_loss(model, "train_on_batch")
    need_steps(model, "train_on_batch")
    data = arguments.data(model, x, y, sample_weight, class_weight, check_finite, training=True)
    if not data.n:
        raise ValueError("x: expected at least one row, got none")
    with model._lock:
        engine = model.engine()
        rates = model.optimizer.rates(engine.step, 1)
        with Steps(model.optimizer, engine):
            n, loss, found = engine.fit_block(
                data.x, data.y, data.w, None, 0, data.n, max(1, data.n), rates, 0.0
            )
        rows = engine.row_losses(n)
        if data.w is None and rows is None:
            fast_path.note(model, "train", data.x, data.y)
    return result(_values(model, n, loss, found, rows), return_dict)


def test_on_batch(model, x, y, sample_weight, return_dict):
    """`Model.test_on_batch`."""
    return_dict = flag("return_dict", return_dict)
    need_compile(model, "test_on_batch")
    data = arguments.data(model, x, y, sample_weight)
    with model._lock:
        engine = model.engine()
        n, loss, found = engine.evaluate(data.x, data.y, data.w, max(1, data.n))
        rows = engine.row_losses(n)
    return result(_values(model, n, loss, found, rows), return_dict)


def _values(model, n, loss, found, rows):
    """Loss and metrics by name; `rows`: the loss of each row, if that is asked for."""
    values = means(model, n, loss, *found)
    return values if rows is None else values | {"loss": rows}


def predict_on_batch(model, x):
    """`Model.predict_on_batch`."""
    y = fast_path.predict(model, x)
    if y is not None:
        return y
    x = arguments.samples(model, "x", x)
    with model._lock:
        y = model.engine().forward(x)
        fast_path.note(model, "predict", x)
    return shaped(model, y, len(x))
