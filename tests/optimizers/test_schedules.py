"""Schedules: numbers of Keras 3.15 and PyTorch 2 (OneCycleLR), vectorised = one by one, in `fit`."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

import fastnn
from fastnn.optimizers import schedules

STEPS = [0, 1, 5, 10, 11, 20, 35, 60, 100, 150]
# fmt: off
KERAS = [  # printed by keras.optimizers.schedules in float32
    (schedules.ExponentialDecay(0.1, 20, 0.5),
     [0.1, 0.09659363, 0.08408964, 0.07071068, 0.06830201, 0.05, 0.02973018, 0.0125, 0.003125, 0.0005524272]),
    (schedules.ExponentialDecay(0.1, 20, 0.5, staircase=True),
     [0.1, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.0125, 0.003125, 0.00078125]),
    (schedules.PiecewiseConstantDecay([10, 35], [1.0, 0.5, 0.1]),
     [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.1, 0.1, 0.1]),
    (schedules.CosineDecay(0.1, 100, alpha=0.1),
     [0.1, 0.09997779, 0.09944598, 0.09779754, 0.09733964, 0.09140576, 0.07542957, 0.04109422, 0.01, 0.01]),
    (schedules.CosineDecay(0.01, 90, alpha=0.05, warmup_target=0.2, warmup_steps=10),
     [0.01, 0.029, 0.105, 0.2, 0.1999421, 0.1942708, 0.1660648, 0.08850341, 0.01, 0.01]),
    (schedules.InverseTimeDecay(0.1, 20, 0.5),
     [0.1, 0.09756098, 0.08888889, 0.08, 0.07843138, 0.06666667, 0.05333333, 0.04, 0.02857143, 0.02105263]),
    (schedules.InverseTimeDecay(0.1, 20, 0.5, staircase=True),
     [0.1, 0.1, 0.1, 0.1, 0.1, 0.06666667, 0.06666667, 0.04, 0.02857143, 0.02222222]),
    (schedules.PolynomialDecay(0.1, 50, 0.01, power=2.0),
     [0.1, 0.09643601, 0.0829, 0.0676, 0.064756, 0.0424, 0.0181, 0.01, 0.01, 0.01]),
    (schedules.PolynomialDecay(0.1, 20, 0.01, power=0.5, cycle=True),
     [0.1, 0.09772115, 0.08794229, 0.07363961, 0.07037383, 0.01, 0.0418198, 0.01, 0.01, 0.0325]),
    (schedules.CosineDecayRestarts(0.1, 20),
     [0.1, 0.09938442, 0.08535534, 0.05, 0.04217827, 0.1, 0.06913417, 0.1, 0.05, 0.09903926]),
    (schedules.CosineDecayRestarts(0.1, 16, t_mul=1.0, m_mul=0.5, alpha=0.1),
     [0.1, 0.09913534, 0.08000066, 0.03777924, 0.02999933, 0.04840991, 0.03060403, 0.01164753, 0.01120031,
      0.01012153]),
    (schedules.CosineDecayRestarts(0.1, 10, t_mul=1.5, m_mul=0.8, alpha=0.05),
     [0.1, 0.09767518, 0.0525, 0.081, 0.08016961, 0.024, 0.04067891, 0.03895266, 0.03216213, 0.03195504]),
]
# PyTorch's own test of OneCycleLR: 10 steps, max_lr=25, final_div_factor=2, base_momentum=1, max_momentum=22
CYCLES = [
    ({"anneal_strategy": "linear"}, [1, 13, 25, 21.5, 18, 14.5, 11, 7.5, 4, 0.5],
     [22, 11.5, 1, 4, 7, 10, 13, 16, 19, 22]),
    ({"anneal_strategy": "cos"},
     [1, 13, 25, 23.78686863, 20.38775007, 15.47588144, 10.02411856, 5.112249927, 1.713131368, 0.5],
     [22, 11.5, 1, 2.039826887, 4.95335708, 9.163530193, 13.83646981, 18.04664292, 20.96017311, 22]),
    ({"three_phase": True},
     [1, 13, 25, 13, 1, 0.9522542486, 0.8272542486, 0.6727457514, 0.5477457514, 0.5],
     [22, 11.5, 1, 11.5, 22, 22, 22, 22, 22, 22]),
]
TORCH = [  # printed by torch.optim.lr_scheduler.OneCycleLR(max_lr=0.25, total_steps=10, ...) in float64
    ({}, [0.01, 0.13, 0.25, 0.237621158, 0.2029364135, 0.1528155055, 0.09718549452, 0.04706458651, 0.012379842, 1e-06]),
    ({"anneal_strategy": "linear"},
     [0.01, 0.13, 0.25, 0.2142858571, 0.1785717143, 0.1428575714, 0.1071434286, 0.07142928571, 0.03571514286, 1e-06]),
    ({"three_phase": True},
     [0.01, 0.13, 0.25, 0.13, 0.01, 0.009045180463, 0.006545430463, 0.003455569537, 0.0009558195366, 1e-06]),
    ({"div_factor": 10.0, "final_div_factor": 2.0, "pct_start": 0.4},
     [0.025, 0.08125, 0.19375, 0.25, 0.2340905167, 0.190625, 0.13125, 0.071875, 0.0284094833, 0.0125]),
]
# fmt: on


@pytest.mark.parametrize("schedule, rates", KERAS, ids=lambda v: type(v).__name__)
def test_keras_numbers(schedule, rates):
    np.testing.assert_allclose(schedule(np.array(STEPS)), rates, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("arguments, rates", TORCH)
def test_torch_numbers(arguments, rates):
    schedule = schedules.OneCycle(0.25, 10, **arguments)
    np.testing.assert_allclose(schedule(np.arange(10)), rates, rtol=1e-9)
    assert schedule(25) == pytest.approx(rates[-1])  # after the cycle: the last rate


@pytest.mark.parametrize("arguments, rates, momenta", CYCLES)
def test_one_cycle_with_momentum(arguments, rates, momenta):
    schedule = schedules.OneCycle(25, 10, final_div_factor=2, base_momentum=1, max_momentum=22, **arguments)
    np.testing.assert_allclose(schedules.rates(schedule, 0, 10), rates, rtol=1e-9)
    np.testing.assert_allclose(schedules.momenta(schedule, 0, 10), momenta, rtol=1e-9)
    assert schedules.momenta(schedules.OneCycle(25, 10), 0, 10) is None


@pytest.mark.parametrize("cut", ["no", "blocks", "slices"])
def test_fit_uses_the_momentum_of_every_step(monkeypatch, cut):
    """Gradient 1 at every step: v <- mu v - rate, w <- w + v, in one block or step by step."""
    if cut == "blocks":
        monkeypatch.setattr("fastnn.training.running.BLOCK_SECONDS", 1e-9)
    if cut == "slices":  # of a block: where the number of threads may change
        monkeypatch.setattr("fastnn.engine.thread_tuner.Team.next", lambda team: (1, 1e-9))
    schedule = schedules.OneCycle(0.5, 10, final_div_factor=2, base_momentum=0.25, max_momentum=0.75)
    model = fastnn.Sequential([fastnn.layers.Dense(1, use_bias=False, input_shape=(1,))], dtype="float64")
    model.set_weights([[[0.0]]])
    model.compile(fastnn.SGD(schedule, momentum=0.9), "mae")
    for _ in range(2):
        model.fit(np.ones((5, 1)), np.full(5, -1e9), batch_size=1, verbose=0)
    w = v = 0.0
    for rate, mu in zip(schedule(np.arange(10)), schedule.momentum(np.arange(10)), strict=True):
        v = mu * v - rate
        w += v
    assert model.get_weights()[0][0, 0] == pytest.approx(w, rel=1e-12)
    model.compile(fastnn.optimizers.RMSprop(schedule), "mse")
    with pytest.raises(ValueError, match="RMSprop.*momentum.*has no momentum"):
        model.fit(np.ones((5, 1)), np.zeros(5), verbose=0)


def test_adam_cycles_beta_1():
    """Against Kingma & Ba's formulas with the beta_1 of each step, in float64."""
    schedule = schedules.OneCycle(0.1, 6, base_momentum=0.5, max_momentum=0.9)
    model = fastnn.Sequential([fastnn.layers.Dense(1, use_bias=False, input_shape=(1,))], dtype="float64")
    model.set_weights([[[0.0]]])
    model.compile(fastnn.Adam(schedule), loss=lambda t, y: (y[:, 0] * t[:, 0], t.reshape(y.shape)))
    g = np.array([1.0, -2.0, 0.5, 3.0, -1.0, 0.25])
    model.fit(np.ones((6, 1)), g, batch_size=1, shuffle=False, verbose=0)
    w = m = v = 0.0
    for t, (rate, beta) in enumerate(zip(schedule(np.arange(6)), schedule.momentum(np.arange(6)), strict=True)):
        m, v = beta * m + (1 - beta) * g[t], 0.999 * v + 0.001 * g[t] ** 2
        w -= rate * np.sqrt(1 - 0.999 ** (t + 1)) / (1 - beta ** (t + 1)) * m / (np.sqrt(v) + 1e-7)
    assert model.get_weights()[0][0, 0] == pytest.approx(w, rel=1e-12)


def test_restarts_are_exact():
    """A restart is at the first value again, not one step late, over many periods."""
    for ratio in (2, 3, 5):  # log(243) / log(3) is below 5
        schedule = schedules.CosineDecayRestarts(1.0, 3, t_mul=ratio)
        starts = 3 * (ratio ** np.arange(12) - 1) // (ratio - 1)
        assert (schedule(starts) == 1).all() and (schedule(starts[1:] - 1) < 0.7).all()
    schedule = schedules.CosineDecayRestarts(1.0, 7, t_mul=1.0)
    assert (schedule(7 * np.arange(1000)) == 1).all()


@pytest.mark.parametrize("decay", [
    schedules.ExponentialDecay(0.1, 50, 0.5, staircase=True), schedules.StepDecay(0.1, 0.5, 50)])  # fmt: skip
def test_the_notes_step_decay(decay):
    """0.1, halved every 50 epochs: at 0, 49, 50, 100, 150."""
    assert decay([0, 49, 50, 100, 150]).tolist() == [0.1, 0.1, 0.05, 0.025, 0.0125]


def test_the_notes_step_decay_by_epochs():
    decay = schedules.StepDecay(0.1, 0.5, 50, steps_per_epoch=7)
    assert decay(np.array([0, 50 * 7 - 1, 50 * 7, 100 * 7, 150 * 7])).tolist() == [0.1, 0.1, 0.05, 0.025, 0.0125]


def test_warm_up():
    schedule = schedules.WarmUp(schedules.CosineDecay(0.4, 10), 4, start=0.2)
    cosine = schedules.CosineDecay(0.4, 10)
    np.testing.assert_allclose(schedule(np.arange(8)), [0.2, 0.25, 0.3, 0.35, *cosine(np.arange(4))])
    np.testing.assert_array_equal(schedules.rates(schedule, 3, 4), [schedule(s) for s in range(3, 7)])
    assert schedules.WarmUp(0.5, 2)(7) == 0.5
    again = schedules.WarmUp.from_config(schedule.get_config())
    np.testing.assert_array_equal(again(np.arange(20)), schedule(np.arange(20)))


def test_every_schedule_comes_back_from_its_description():
    every = [s for s, _ in KERAS] + [schedules.Constant(0.1), schedules.OneCycle(0.1, 9, base_momentum=0.8,
             max_momentum=0.9), schedules.StepDecay(0.1, 0.5, 3), schedules.WarmUp(0.1, 3),
             schedules.OverBudget(schedules.OneCycle(0.1, 9))]  # fmt: skip
    names = {n for n, v in vars(schedules).items()
             if isinstance(v, type) and issubclass(v, schedules.LearningRateSchedule)}  # fmt: skip
    assert {type(s).__name__ for s in every} == {n for n in names if n[0] != "_"} - {"LearningRateSchedule"}
    for schedule in every:
        again = fastnn.Adam(fastnn.Adam(schedule).get_config()["learning_rate"]).schedule
        assert again.get_config() == schedule.get_config() and type(again) is type(schedule)
    with pytest.raises(ValueError, match="unknown schedule 'CosineDeca'.*Did you mean 'CosineDecay'"):
        fastnn.SGD({"class_name": "CosineDeca", "config": {}})


@pytest.mark.parametrize(
    "schedule", [s for s, _ in KERAS] + [schedules.OneCycle(1.0, 160), schedules.Constant(0.3)]
)
def test_an_array_of_steps_is_step_by_step(schedule):
    steps = np.arange(160)
    single = [schedule(int(s)) for s in steps]
    assert all(type(r) is float for r in single)
    np.testing.assert_array_equal(schedule(steps), single)
    again = type(schedule).from_config(schedule.get_config())
    np.testing.assert_array_equal(again(steps), single)


def test_short_cycles():
    for total in (1, 2, 3):
        rates = schedules.OneCycle(1.0, total)(np.arange(total))
        assert np.isfinite(rates).all() and (rates > 0).all() and rates.max() <= 1


class Halving(schedules.LearningRateSchedule):
    """Works on single steps only."""

    def __call__(self, step):
        if step > 3:  # an array here would raise
            return 0.05
        return 0.1


@pytest.mark.parametrize("schedule", [Halving(), lambda step: 0.1 if step <= 3 else 0.05])
def test_a_schedule_of_the_users_own(schedule):
    np.testing.assert_array_equal(
        schedules.rates(schedule, 2, 4), np.array([0.1, 0.1, 0.05, 0.05])
    )
    optimizer = fastnn.SGD(schedule)
    assert optimizer.learning_rate == 0.1
    optimizer.at_batch(9)
    assert optimizer.learning_rate == 0.05


@pytest.mark.parametrize("seconds", [10.0, 1e-9])
def test_fit_uses_the_rate_of_every_step(monkeypatch, seconds):
    """Gradient 1 at every step: the weight moves by minus the rates' sum, over two calls of `fit`,
    whether an epoch is one block or every step is a block of its own."""
    monkeypatch.setattr("fastnn.training.running.BLOCK_SECONDS", seconds)
    schedule = schedules.PiecewiseConstantDecay([2, 5], [1.0, 0.25, 0.0625])
    model = fastnn.Sequential([fastnn.layers.Dense(1, use_bias=False, input_shape=(1,))])
    model.set_weights([[[0.0]]])
    model.compile(fastnn.SGD(schedule), loss=lambda t, y: (y[:, 0], np.ones_like(y)))
    x = np.ones((8, 1), np.float32)
    for _ in range(2):
        model.fit(x, np.zeros(8), batch_size=2, verbose=0)
    assert model.get_weights()[0][0, 0] == -(3 * 1.0 + 3 * 0.25 + 2 * 0.0625)
    assert model.optimizer.iterations == 8


def test_setting_a_rate_over_a_schedule_is_refused():
    optimizer = fastnn.SGD(schedules.Constant(0.1))
    with pytest.raises(TypeError, match="schedule"):
        optimizer.learning_rate = 0.2
    optimizer.learning_rate = schedules.Constant(0.2)
    assert optimizer.learning_rate == 0.2
    plain = fastnn.Adam(lr=0.1)
    plain.learning_rate = 0.05
    assert plain.learning_rate == 0.05


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: schedules.PiecewiseConstantDecay([1, 2], [1.0, 2.0]), "values: expected .* one more"),
        (lambda: schedules.PiecewiseConstantDecay([5, 2], [1, 2, 3]), "increasing"),
        (lambda: schedules.CosineDecay(0.1, 0), "decay_steps.*above 0"),
        (lambda: schedules.CosineDecay(0.1, 10, warmup_steps=5), "warmup_target"),
        (lambda: schedules.OneCycle(0.1, 0), "total_steps.*at least 1"),
        (lambda: schedules.OneCycle(0.1, 9, base_momentum=0.8), "expected both or neither"),
        (lambda: schedules.CosineDecayRestarts(0.1, 9, t_mul=0.5), "t_mul.*at least 1"),
        (lambda: schedules.PolynomialDecay(0.1, 0), "decay_steps.*above 0"),
        (lambda: schedules.StepDecay(0.1, 0.5, 0), "every.*at least 1"),
        (lambda: schedules.OneCycle(0.1, 10, anneal_strategy="cosin"), "Did you mean 'cos'"),
        (lambda: schedules.rates(lambda step: float("nan"), 3, 2), "got nan at step 3"),
        (lambda: fastnn.SGD(-0.1), "learning_rate.*at least 0"),
    ],
)
def test_bad_arguments(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_warm_up_hands_the_momentum_on():
    cycle = schedules.OneCycle(0.01, 24, base_momentum=0.5, max_momentum=0.95)
    expected = schedules.momenta(cycle, 0, 20)
    np.testing.assert_array_equal(schedules.momenta(schedules.WarmUp(cycle, 0), 0, 20), expected)
    later = schedules.momenta(schedules.WarmUp(cycle, 4), 0, 24)
    np.testing.assert_array_equal(later, [expected[0]] * 4 + expected.tolist())
    assert schedules.momenta(schedules.WarmUp(0.1, 4), 0, 2) is None


def test_rates_and_momenta_that_cannot_be():
    with pytest.raises(ValueError, match="got -0.5 at step 3"):
        schedules.rates(lambda step: 1.0 if step < 3 else -0.5, 0, 5)
    with pytest.raises(ValueError, match="base_momentum: expected"):
        schedules.OneCycle(0.1, 10, base_momentum=-0.5, max_momentum=0.9)
    with pytest.raises(TypeError, match="max_momentum: expected a number"):
        schedules.OneCycle(0.1, 10, base_momentum=0.5, max_momentum="a")
    with pytest.raises(ValueError, match="pct_start: expected"):
        schedules.OneCycle(0.1, 10, pct_start=1.0)


RATES_AND_MOMENTA = """
import numpy as np
from fastnn.optimizers import schedules as s
steps = np.arange(400)
cycle = s.OneCycle(1.0, 400, base_momentum=0.8, max_momentum=0.9)
every = [s.CosineDecayRestarts(0.1, 10, t_mul=1.5, m_mul=0.8, alpha=0.05), s.CosineDecay(0.1, 377), cycle,
         cycle.momentum, s.ExponentialDecay(0.1, 37, 0.9), s.PolynomialDecay(0.1, 390, power=1.7),
         s.WarmUp(s.CosineDecay(1, 300), 9)]
print(b"".join(np.asarray(schedule(steps), np.float64).tobytes() for schedule in every).hex())
"""


def test_rates_are_those_of_any_cpu():
    """The bits do not depend on the instruction sets NumPy finds: as with none but its baseline."""
    umath = getattr(np, "_core", getattr(np, "core", None))._multiarray_umath
    found = [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name]]
    if not found:
        pytest.skip("NumPy uses no instruction set beyond its baseline here")
    bits = [
        subprocess.run(
            [sys.executable, "-c", RATES_AND_MOMENTA], env={**os.environ, "NPY_DISABLE_CPU_FEATURES": off},
            capture_output=True, text=True, check=True,
        ).stdout
        for off in ("", " ".join(found))
    ]  # fmt: skip
    assert len(bits[0]) > 16 * 400 and bits[0] == bits[1]


def test_a_period_beyond_all_numbers():
    """Powers that overflow are infinite, as NumPy has them, no OverflowError and no warning."""
    schedule = schedules.CosineDecayRestarts(1.0, 10, t_mul=1e200)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert schedule(2**40) == pytest.approx(1.0)
