"""The NIST StRD problems of nonlinear regression that are networks, with SciPy's `least_squares` and our Jacobian.

Data and certified values: National Institute of Standards and Technology, Statistical Reference Datasets,
https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml. Starting values are its second set ("Start 2")."""

import numpy as np
import pytest
from scipy.optimize import least_squares

import fastnn
from fastnn.layers import Dense, Input, Rescaling

LANCZOS = """2.513400000000E+00 2.044333373291E+00 1.668404436564E+00 1.366418021208E+00 1.123232487372E+00
    9.268897180037E-01 7.679338563728E-01 6.388775523106E-01 5.337835317402E-01 4.479363617347E-01 3.775847884350E-01
    3.197393199326E-01 2.720130773746E-01 2.324965529032E-01 1.996589546065E-01 1.722704126914E-01 1.493405660168E-01
    1.300700206922E-01 1.138119324644E-01 1.000415587559E-01 8.833209084540E-02 7.833544019350E-02 6.976693743449E-02
    6.239312536719E-02"""
LANCZOS_2 = """2.51340E+00 2.04433E+00 1.66840E+00 1.36642E+00 1.12323E+00 9.26890E-01 7.67934E-01 6.38878E-01
    5.33784E-01 4.47936E-01 3.77585E-01 3.19739E-01 2.72013E-01 2.32497E-01 1.99659E-01 1.72270E-01 1.49341E-01
    1.30070E-01 1.13812E-01 1.00042E-01 8.83321E-02 7.83354E-02 6.97669E-02 6.23931E-02"""
LANCZOS_3 = """2.5134 2.0443 1.6684 1.3664 1.1232 0.9269 0.7679 0.6389 0.5338 0.4479 0.3776 0.3197 0.2720 0.2325 0.1997
    0.1723 0.1493 0.1301 0.1138 0.1000 0.0883 0.0783 0.0698 0.0624"""
MGH17 = """0.844 0.908 0.932 0.936 0.925 0.908 0.881 0.850 0.818 0.784 0.751 0.718 0.685 0.658 0.628 0.603 0.580 0.558
    0.538 0.522 0.506 0.490 0.478 0.467 0.457 0.448 0.438 0.431 0.424 0.420 0.414 0.411 0.406"""
MISRA = {
    "x": [77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0],
    "y": [10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.40, 75.47, 81.78],
}


def numbers(text):
    return np.array(text.split(), float)


def exponentials(count, bias):
    """Sum of b exp(-c x): theta has the -c, then the b, then the bias."""
    return [Dense(count, "exponential", use_bias=False), Dense(1, use_bias=bias)]


def lanczos(y, start, certified, rss):
    """b1 exp(-b2 x) + b3 exp(-b4 x) + b5 exp(-b6 x)"""
    order = [1, 3, 5, 0, 2, 4]
    signs = np.repeat([-1.0, 1.0], 3)
    return {"x": np.arange(24) * 0.05, "y": numbers(y), "layers": lambda: exponentials(3, False), "start": start,
            "certified": certified, "rss": rss, "theta": lambda b: signs * np.array(b)[order],
            "b": lambda theta: (signs * theta)[[3, 0, 4, 1, 5, 2]]}  # fmt: skip


def saturation(start, certified, rss, **data):
    """b1 (1 - exp(-b2 x))"""
    return data | {
        "layers": lambda: [Dense(1, "exponential", use_bias=False), Rescaling(-1.0, 1.0), Dense(1, use_bias=False)],
        "start": start, "certified": certified, "rss": rss,
        "theta": lambda b: np.array([-b[1], b[0]]), "b": lambda theta: np.array([theta[1], -theta[0]]),
    }  # fmt: skip


PROBLEMS = {
    "Misra1a": saturation([250, 0.0005], [2.3894212918e02, 5.5015643181e-04], 1.2455138894e-01, **MISRA),
    "BoxBOD": saturation([100, 0.75], [2.1380940889e02, 5.4723748542e-01], 1.1680088766e03,
                         x=[1, 2, 3, 5, 7, 10], y=[109, 149, 149, 191, 213, 224]),
    "DanWood": {  # b1 x^b2 = b1 exp(b2 log x)
        "x": np.log([1.309, 1.471, 1.490, 1.565, 1.611, 1.680]), "y": [2.138, 3.421, 3.597, 4.340, 4.882, 5.660],
        "layers": lambda: exponentials(1, False), "start": [0.7, 4], "rss": 4.3173084083e-03,
        "certified": [7.6886226176e-01, 3.8604055871e00],
        "theta": lambda b: np.array([b[1], b[0]]), "b": lambda theta: theta[::-1],
    },
    "MGH17": {  # b1 + b2 exp(-x b4) + b3 exp(-x b5)
        "x": np.arange(33) * 10.0, "y": numbers(MGH17), "layers": lambda: exponentials(2, True),
        "start": [0.5, 1.5, -1, 0.01, 0.02], "rss": 5.4648946975e-05,
        "certified": [3.7541005211e-01, 1.9358469127e00, -1.4646871366e00, 1.2867534640e-02, 2.2122699662e-02],
        "theta": lambda b: np.array([-b[3], -b[4], b[1], b[2], b[0]]),
        "b": lambda theta: np.array([theta[4], theta[2], theta[3], -theta[0], -theta[1]]),
    },
    "Lanczos1": lanczos(LANCZOS, [0.5, 0.7, 3.6, 4.2, 4, 6.3], [
        9.5100000027e-02, 1.0000000001e00, 8.6070000013e-01, 3.0000000002e00, 1.5575999998e00, 5.0000000001e00,
    ], 1.4307867721e-25),
    "Lanczos2": lanczos(LANCZOS_2, [0.5, 0.7, 3.6, 4.2, 4, 6.3], [
        9.6251029939e-02, 1.0057332849e00, 8.6424689056e-01, 3.0078283915e00, 1.5529016879e00, 5.0028798100e00,
    ], 2.2299428125e-11),
    "Lanczos3": lanczos(LANCZOS_3, [0.5, 0.7, 3.6, 4.2, 4, 6.3], [
        8.6816414977e-02, 9.5498101505e-01, 8.4400777463e-01, 2.9515951832e00, 1.5825685901e00, 4.9863565084e00,
    ], 1.6117193594e-08),
    "Rat42": {  # b1 / (1 + exp(b2 - b3 x))
        "x": [9, 14, 21, 28, 42, 57, 63, 70, 79],
        "y": [8.930, 10.800, 18.590, 22.330, 39.350, 56.110, 61.730, 64.620, 67.080],
        "layers": lambda: [Dense(1, "sigmoid"), Dense(1, use_bias=False)], "start": [75, 2.5, 0.07],
        "certified": [7.2462237576e01, 2.6180768402e00, 6.7359200066e-02], "rss": 8.0565229338e00,
        "theta": lambda b: np.array([b[2], -b[1], b[0]]), "b": lambda theta: np.array([theta[2], -theta[1], theta[0]]),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PROBLEMS)
def test_certified_values(name):
    problem = PROBLEMS[name]
    x, y = np.array(problem["x"], float)[:, None], np.array(problem["y"], float)
    model = fastnn.Sequential([Input((1,)), *problem["layers"]()], dtype="float64")

    def residuals(theta):
        model.set_parameters(theta)
        return model.predict(x, verbose=0)[:, 0] - y

    def jacobian(theta):
        return model.parameter_jacobian(theta, x)

    theta = problem["theta"](problem["start"])
    tolerances = dict.fromkeys(("xtol", "ftol", "gtol"), 3e-16)
    found = least_squares(residuals, theta, jacobian, method="lm", x_scale="jac", max_nfev=2000, **tolerances)
    np.testing.assert_allclose(problem["b"](found.x), problem["certified"], rtol=1e-6)
    if name != "Lanczos1":  # whose sum of squares is rounding
        assert 2 * found.cost == pytest.approx(problem["rss"], rel=1e-8)
    # MINPACK ends where rounding hides the decrease of the sum: with some instruction sets at 7 digits of Lanczos3
    theta = found.x
    for _ in range(2):
        theta = theta - np.linalg.lstsq(jacobian(theta), residuals(theta), rcond=None)[0]
    np.testing.assert_allclose(problem["b"](theta), problem["certified"], rtol=1e-8)
