"""fastnn.ops: each wrong argument is named, with what was expected."""

import numpy as np
import pytest
from ops_tools import as_bytes, read_only

from fastnn import ops

X = np.zeros((4, 3))
W = np.zeros((3, 2))
V = np.zeros(3)
FLAT = np.zeros(32)
STATE = [np.zeros(3), np.zeros(3)]
RO = read_only(np.zeros((4, 3)))
# call, exception, words of the message
ERRORS = [
    (lambda: ops.relu(None), TypeError, "x: expected float32 or float64, got NoneType"),
    (lambda: ops.relu("abc"), TypeError, "x: expected float32 or float64, got str"),
    (lambda: ops.relu(np.zeros(3, np.float16)), TypeError, "dtype float16"),
    (lambda: ops.relu(np.zeros(3, np.longdouble)), TypeError, "float32 or float64"),
    (lambda: ops.relu(np.zeros(3, complex)), TypeError, "complex128"),
    (lambda: ops.relu(np.ma.masked_array(V)), TypeError, "masked"),
    (lambda: ops.relu(V, alpha=1.0), TypeError, "unexpected keyword argument 'alpha'"),
    (lambda: ops.relu(V, max_valeu=1.0), TypeError, "Did you mean 'max_value'"),
    (lambda: ops.elu(V, alpha="1"), TypeError, "alpha: expected a number, got '1'"),
    (lambda: ops.elu(V, alpha=np.nan), ValueError, "alpha: expected a number, got nan"),
    (lambda: ops.activation("rleu", V), ValueError, "unknown activation 'rleu'. Did you mean 'relu'"),
    (lambda: ops.activation(3, V), TypeError, "activation: expected a name"),
    (lambda: ops.relu(V, out=np.zeros(4)), ValueError, r"out: expected shape \(3,\), got \(4,\)"),
    (lambda: ops.relu(V, out=np.zeros(3, np.float32)), TypeError, "out: expected dtype float64, got float32"),
    (lambda: ops.relu(V, out=np.zeros(3, ">f8")), TypeError, "out: expected dtype float64, got >f8"),
    (lambda: ops.relu(V, out=[0.0] * 3), TypeError, "out: expected an ndarray"),
    (lambda: ops.relu(V, out=read_only(V)), ValueError, "out: .*read-only"),
    (lambda: ops.relu(FLAT[:16], out=FLAT[1:17]), ValueError, "out: expected x itself or .* overlaps x"),
    (lambda: ops.relu(FLAT[::2], out=FLAT[::2][::-1]), ValueError, "overlaps x"),
    (lambda: ops.relu(V, threads=0), ValueError, "threads: expected an integer of at least 1"),
    (lambda: ops.relu(V, threads=65), ValueError, "threads: expected 1 to 64"),
    (lambda: ops.relu(V, threads=1.0), TypeError, "threads: expected an integer"),
    (lambda: ops.relu(V, threads=True), TypeError, "threads: expected an integer"),
    (lambda: ops.relu_grad(V, np.zeros(4)), ValueError, r"t: expected shape \(3,\) like dy"),
    (lambda: ops.relu_grad(V, V.astype("f4")), TypeError, "t: expected float64 like dy, got float32"),
    (lambda: ops.dense_forward(X, W.T), ValueError, r"w: expected shape \(3, units\)"),
    (lambda: ops.dense_forward(X, V), ValueError, r"w: expected shape \(3, units\).*got \(3,\)"),
    (lambda: ops.dense_forward(1.0, W), ValueError, "x: expected at least 1 axis"),
    (lambda: ops.dense_forward(X, W.astype("f4")), TypeError, "w: expected float64 like x, got float32"),
    (lambda: ops.dense_forward(X, W, V), ValueError, r"b: expected shape \(2,\), one for each column of w"),
    (lambda: ops.dense_forward(X, W, activation="softmax"), ValueError, "unknown activation 'softmax'"),
    (lambda: ops.dense_forward(X, W, activation=("elu", 1.0)), TypeError, "dict of parameters"),
    (lambda: ops.dense_forward(X, np.eye(3), out=X), ValueError, "out: expected an array .* overlaps x"),
    (lambda: ops.dense_backward(X, X, W), ValueError, r"dy: expected shape \(4, 2\)"),
    (lambda: ops.dense_backward(X[:, :2], X, W, "relu"), ValueError, "t: expected an array if and only if"),
    (lambda: ops.dense_backward(X[:, :2], X, W, t=X[:, :2]), ValueError, "t: expected an array if and only if"),
    (lambda: ops.dense_backward(X[:, :2], X, W, out=X), TypeError, r"out: expected a tuple \(dx, dw, db\)"),
    (lambda: ops.dense_backward(X[:, :2], X, W, out=(None, W, None)), ValueError, "overlaps w"),
    (lambda: ops.dense_backward(X[:, :2], X, W, out=(FLAT[:12].reshape(4, 3), FLAT[:6].reshape(3, 2), None)),
     ValueError, "dw: .*overlaps dx"),
    (lambda: ops.softmax(0.0), ValueError, "x: expected at least 1 axis"),
    (lambda: ops.softmax(X, out=RO), ValueError, "read-only"),
    (lambda: ops.loss("mse", X, X), ValueError, "unknown loss 'mse'"),
    (lambda: ops.mean_squared_error(X[:2], X), ValueError, "y_true: expected shape .* like y_pred"),
    (lambda: ops.mean_squared_error(X, X, np.ones(3)), ValueError, "sample_weight: expected shape"),
    (lambda: ops.mean_squared_error(np.zeros((4, 0)), np.zeros((4, 0))), ValueError, "at least one output"),
    (lambda: ops.softmax_cross_entropy(X, [0, 1, 2, 3]), ValueError, "labels: expected classes 0 to 2, got 3"),
    (lambda: ops.softmax_cross_entropy(X, [0, 1, 2, -1]), ValueError, "labels: .*got -1"),
    (lambda: ops.softmax_cross_entropy(X, np.full(4, 2**63, np.uint64)), ValueError, "got 9223372036854775808"),
    (lambda: ops.softmax_cross_entropy(X, [0, 1]), ValueError, r"labels: expected shape \(4,\)"),
    (lambda: ops.softmax_cross_entropy(X, np.zeros(4)), ValueError, "labels: expected shape"),
    (lambda: ops.softmax_cross_entropy(X, np.zeros((4, 3), complex)), TypeError, "labels"),
    (lambda: ops.sparse_crossentropy(V, X), TypeError, "class labels of an integer dtype"),
    (lambda: ops.metric("accuracy", X, X), ValueError, "unknown metric 'accuracy'"),
    (lambda: ops.metric("binary_accuracy", X[:0], X[:0]), ValueError, "at least one row"),
    (lambda: ops.batch_norm_stats(V), ValueError, "x: expected at least 2 axes"),
    (lambda: ops.batch_norm_stats(X[:0]), ValueError, "x: expected at least one row"),
    (lambda: ops.batch_norm_forward(X, None, None, None, V), TypeError, "mean: expected"),
    (lambda: ops.batch_norm_forward(X, None, None, V, V[:2]), ValueError, r"var: expected shape \(3,\)"),
    (lambda: ops.batch_norm_forward(X, None, None, V, V, epsilon=-1), ValueError, "epsilon"),
    (lambda: ops.batch_norm_backward(X[:1], X, None, V, V), ValueError, "dy: expected shape"),
    (lambda: ops.dropout(X, 1.0, 1), ValueError, "rate: .*below 1"),
    (lambda: ops.dropout(X, -0.1, 1), ValueError, "rate"),
    (lambda: ops.dropout(X, 0.5, -1), ValueError, "seed: expected an integer of at least 0"),
    (lambda: ops.dropout(X, 0.5, 2**64), ValueError, r"seed: expected an integer below 2\*\*64"),
    (lambda: ops.dropout(X, 0.5, 1.5), TypeError, "seed: expected an integer"),
    (lambda: ops.dropout(X, 0.5, 1, layer=2**32), ValueError, "layer"),
    (lambda: ops.dropout(1.0, 0.5, 1), ValueError, "x: expected at least 1 axis"),
    (lambda: ops.philox(-1), ValueError, "n: expected"),
    (lambda: ops.philox(4, (1, 2)), ValueError, "counter: expected 4 integers"),
    (lambda: ops.philox(4, key=(1, 2**32)), ValueError, r"key\[1\]"),
    (lambda: ops.clip_by_value(X, -1.0), ValueError, "clipvalue: expected a number of at least 0"),
    (lambda: ops.clip_by_norm(X, 0), ValueError, "clipnorm: expected a number above 0"),
    (lambda: ops.clip_by_norm([X, "1"], 1.0), TypeError, r"grads\[1\]: expected float32 or float64"),
    (lambda: ops.clip_by_global_norm([X], 1.0, out=X), TypeError, "out: expected a tuple"),
    (lambda: ops.clip_by_global_norm([V, V], 1.0, out=[V, V]), ValueError, "overlaps"),
    (lambda: ops.clip_by_norm([FLAT[:8], FLAT[8:16]], 1.0, out=[FLAT[8:16], FLAT[:8]]), ValueError, "overlaps"),
    (lambda: ops.optimizer_step("sdg", V, [], V, 0.1), ValueError, "unknown optimizer 'sdg'. Did you mean 'sgd'"),
    (lambda: ops.adam_step(V, STATE[:1], V.copy(), 0.1), ValueError, r"states: expected 2 \(momentum, velocity\)"),
    (lambda: ops.adam_step(V, V, V.copy(), 0.1), TypeError, "states: expected a list"),
    (lambda: ops.adam_step([0.0] * 3, STATE, V, 0.1), TypeError, "w: expected an ndarray"),
    (lambda: ops.adam_step(V, STATE, V, 0.1), ValueError, "g: .*overlaps w"),
    (lambda: ops.adam_step(V, [V, STATE[1]], np.ones(3), 0.1), ValueError, r"states\[0\]: .*overlaps w"),
    (lambda: ops.adam_step(V, STATE, np.ones(3), np.nan), ValueError, "lr: expected a number"),
    (lambda: ops.adam_step(V, STATE, np.ones(3), 0.1, 0), ValueError, "t: expected an integer of at least 1"),
    (lambda: ops.adam_step(V, STATE, np.ones(4), 0.1), ValueError, r"w: expected shape \(4,\) like g"),
    (lambda: ops.adam_step(V, STATE, np.ones(3, "f4"), 0.1), TypeError, "w: expected dtype float32"),
    (lambda: ops.adam_step(V, STATE, np.ones(3), 0.1, beta1=0.5), TypeError, "Did you mean 'beta_1'"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_errors(number):
    call, exception, words = ERRORS[number]
    before = as_bytes((X, W, V, FLAT, STATE))
    with pytest.raises(exception, match=words) as caught:
        call()
    assert type(caught.value) is exception
    assert as_bytes((X, W, V, FLAT, STATE)) == before
