"""Schedules: numbers of Keras 3.15 and PyTorch 2 (OneCycleLR), vectorised = one by one, in `fit`."""

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


def test_the_notes_step_decay():
    """0.1, halved every 50 epochs: at 0, 49, 50, 100, 150."""
    schedule = schedules.ExponentialDecay(0.1, 50, 0.5, staircase=True)
    assert schedule([0, 49, 50, 100, 150]).tolist() == [0.1, 0.1, 0.05, 0.025, 0.0125]


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
    optimizer.iterations = 9
    assert optimizer.learning_rate == 0.05


@pytest.mark.parametrize("seconds", [10.0, 1e-9])
def test_fit_uses_the_rate_of_every_step(monkeypatch, seconds):
    """Gradient 1 at every step: the weight moves by minus the rates' sum, over two calls of `fit`,
    whether an epoch is one block or every step is a block of its own."""
    monkeypatch.setattr("fastnn.fitting.BLOCK_SECONDS", seconds)
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
        (lambda: schedules.PiecewiseConstantDecay([1, 2], [1.0, 2.0]), "values: expected one more"),
        (lambda: schedules.PiecewiseConstantDecay([5, 2], [1, 2, 3]), "increasing"),
        (lambda: schedules.CosineDecay(0.1, 0), "decay_steps.*above 0"),
        (lambda: schedules.CosineDecay(0.1, 10, warmup_steps=5), "warmup_target"),
        (lambda: schedules.OneCycle(0.1, 0), "total_steps.*at least 1"),
        (lambda: schedules.OneCycle(0.1, 10, anneal_strategy="cosin"), "Did you mean 'cos'"),
        (lambda: schedules.rates(lambda step: float("nan"), 3, 2), "rate of step 3 is nan"),
        (lambda: fastnn.SGD(-0.1), "learning_rate.*at least 0"),
    ],
)
def test_bad_arguments(make, words):
    with pytest.raises(ValueError, match=words):
        make()
