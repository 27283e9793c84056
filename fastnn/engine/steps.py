"""Steps of a program: all of an epoch in one call of the core, or one by one with Python between the kernels.

(a) `run` chooses. `many` hands the core as many steps as it may do before a deadline, with the thread count that pays
    off; `by_parts` does one step at a time, for layers, losses and metrics in NumPy.
(b) Steps that take long are done one by one too, and Ctrl-C may interrupt each (see `long_steps`).
(c) Arrays are checked before. The memory that a program reads and writes is bound to it in each call: `live`.
"""

import time

import numpy as np

from .counters import COUNTERS
from .long_steps import LONG, is_long, watch
from .lowering.health import LOOK
from .objective import add_sums, keep_scores, number_or_copy, penalty
from .ports import addresses, each, room


def run(engine, program, x, y, w, index, first, count, batch, lrs, deadline, training, carry=None):
    """Run samples [first, first + count) of the order `index`; returns how many, and sums that continue `carry`."""
    sums = engine.no_sums() if carry is None else list(carry)
    if count <= 0:
        return 0, sums
    # the outputs are written at their places in the order of the epoch; of those that are not, no memory is touched
    out = room(engine.outputs, first + count, engine.dtype) if engine.score_places else None
    live = addresses(engine, x, y, w, out)
    if training:
        engine.store.weights_clock.tick()
    program.refresh(engine.store, training)
    lrs = np.zeros(-(-count // batch)) if lrs is None else np.require(lrs, np.float64, ["C", "A"])
    if program.plan.separate:
        done, sums = by_parts(
            engine, program, x, y, w, index, first, count, batch, lrs, deadline, training, live, sums
        )
        keep_scores(engine, sums, out, y, w, index, first, done)
        return done, sums
    totals = np.zeros_like(program.core.totals)
    for place, at in engine.core_sums:
        totals[at] = sums[place]
    part = None if index is None else index[first : first + count]
    do = looking if training and engine.health is not None else many
    step = do(
        engine, program, live, count, batch, -(-count // batch), deadline,
        index=part, row0=first, lrs=lrs, step0=engine.step, totals=totals, counter=engine if training else None,
    )  # fmt: skip
    done = min(count, step * batch)
    add_sums(engine, totals, sums)
    keep_scores(engine, sums, out, y, w, index, first, done)
    if not training:
        sums[0] += penalty(engine) * done
    return done, sums


def many(engine, program, live, count, batch, steps, deadline, step=0, **job):
    """Run steps [step, steps) in slices, each with the thread count that pays off; returns the step reached.

    `job`: further arguments of `Executor.run`."""
    stop = job.get("stop")
    if stop:
        steps = stop
    if program.plan.seconds >= LONG and is_long(program, engine.store, job.get("counter") is not None):
        return _long(engine, program, live, count, batch, steps, deadline, step, **job)
    core, team, begin, start = program.core, program.team, step, time.monotonic()
    while step < steps:
        n, seconds = team.next()
        if n > 1 and seconds > 0 and step == begin and steps - begin > 1:
            # sleeping threads need time to wake up: the first steps are not timed
            step += core.run(live, count, batch, start=step, seed=engine.seed, threads=n, seconds=1e-9, **job)
        left = deadline - (time.monotonic() - start) if deadline > 0 else 0.0
        if deadline > 0 and left <= 0 and step > begin:
            break
        limits = [s for s in (seconds, max(left, 1e-9) if deadline > 0 else 0.0) if s > 0]
        seconds = min(limits, default=0.0)
        begun = time.perf_counter()
        ran = core.run(live, count, batch, start=step, seed=engine.seed, threads=n, seconds=seconds, **job)
        team.report(n, time.perf_counter() - begun, ran, core.disturbed)
        step += ran
    return step


def looking(engine, program, live, count, batch, steps, deadline, step=0, **job):
    """`many`, with the steps in between that are looked at (health.py)."""
    health, begin, start = engine.health, step, time.monotonic()
    epoch, index, rates = job.pop("epoch", count), job["index"], job["lrs"]
    per_epoch = -(-epoch // batch)
    while step < steps:
        left = deadline - (time.monotonic() - start) if deadline > 0 else 0.0
        if deadline > 0 and left <= 0 and step > begin:
            break
        left = max(left, 1e-9) if deadline > 0 else 0.0
        before = health.steps_before(engine.step, program)
        stop = min(steps, step + max(before, 1))
        if before:
            reached = many(engine, program, live, count, batch, steps, left, step, stop=stop, epoch=epoch, **job)
        else:
            within = step % per_epoch * batch
            at, rows = step // per_epoch * epoch + within, min(batch, epoch - within)
            part, rate = None if index is None else index[at : at + rows], rates[step : step + 1]
            threads = program.team.known()
            seen = health.before(live, program.codes, batch, rows, part, job["row0"] + within, rate, threads)
            reached = many(engine, program, live, count, batch, steps, 0.0, step, stop=stop, epoch=epoch, **job)
            if reached > step:
                health.after(seen, live, rows, rate, threads, step // per_epoch)
        if reached < stop:
            return reached
        step = reached
    return step


def _long(engine, program, live, count, batch, steps, deadline, step, **job):
    """`many` for long steps, one by one, each of which Ctrl-C may interrupt."""
    team, begun = program.team, time.monotonic()
    while step < steps:
        n, watched = team.next()[0], watch(program, engine.store, job.get("counter") is not None, engine.later)
        started = time.perf_counter()
        ran = program.core.run(live, count, batch, start=step, seed=engine.seed, threads=n, **watched, **job)
        if ran:
            team.report(n, time.perf_counter() - started, ran, program.core.disturbed)
        step += ran
        if not ran and _ends(engine) or deadline > 0 and time.monotonic() - begun > deadline:
            break
    return step


def _ends(engine):
    """Whether an interrupted step should not be repeated, as the caller will raise Ctrl-C."""
    return engine.later is not None and engine.later.came


def by_parts(engine, program, x, y, w, index, first, count, batch, lrs, deadline, training, live, sums):
    """One step at a time, as there is Python between the kernels."""
    end, done, step, usual = time.monotonic() + deadline, 0, 0, program
    health = engine.health if training else None
    while done < count:
        program = usual
        looks = health is not None and health.steps_before(engine.step, program) == 0
        if looks:
            program = engine.program("train", batch, *program.codes, LOOK)
            program.refresh(engine.store, training)
            health.begin(program)
        n, at = min(batch, count - done), first + done
        rows = slice(at, at + n) if index is None else index[at : at + n]
        before, given_up, watched = list(sums), False, watch(program, engine.store, training, engine.later)
        if sums:
            sums[0] += penalty(engine) * n
        n_threads, seconds, disturbed = program.team.next()[0], 0.0, False
        for number, (name, lo, hi, call) in enumerate(program.parts):
            if call is not None:
                call_python(engine, program, call, y, w, rows, n, training, sums)
            elif hi > lo:
                begun = time.perf_counter()
                given_up = not program.core.run(
                    live, n, n, index=None if index is None else rows, row0=at, lrs=lrs[step : step + 1],
                    step0=engine.step, seed=engine.seed, threads=n_threads, first=lo, last=hi, **watched,
                )  # fmt: skip
                if given_up:
                    break
                seconds += time.perf_counter() - begun
                disturbed |= program.core.disturbed
                if name == "loss" or number == program.plan.counted_in:
                    add_part(engine, program, name == "loss", sums)
        if given_up:
            sums[:] = before
            if _ends(engine):
                break
            continue
        program.team.report(n_threads, seconds, 1, disturbed)
        if looks:
            health.add(program, n)
        done, step = done + n, step + 1
        engine.step += training  # immediately, as the Python of the next step may raise
        if deadline > 0 and time.monotonic() > end:
            break
    return done, sums


def add_part(engine, program, of_loss, sums):
    """Add what one part of a step has counted: the loss and metrics, or the counters."""
    first = 1 + len(engine.metrics)
    for place, where in engine.core_sums:
        if (place < first) != of_loss:
            continue
        before, found = sums[place], number_or_copy(program.core.totals[where])
        sums[place] = before + found
        if not of_loss and np.ndim(before) and COUNTERS[engine.counter_rows[place - first].name].across == "max":
            sums[place][0, 0] = np.maximum(before[0, 0], found[0, 0])


def call_python(engine, program, call, y, w, rows, n, training, sums):
    """One call of Python between the kernels; arrays are (samples, *shape) copies."""
    what, layer, (in_key, in_tensor), (out_key, out_tensor) = call  # layer: of losses and metrics an output
    given = program.get(in_key, in_tensor, n)
    if what in ("metrics", "loss"):
        y, w = each(y, len(engine.outputs))[layer], each(w, len(engine.outputs))[layer]
    if what == "call":
        result = layer.call(given, training=training) if layer._takes_training else layer.call(given)
        program.put(out_key, out_tensor, result, n, layer)
        layer._call_clock.tick()
    elif what == "backward":
        result = layer.backward(given)
        for variable, gradient in layer.gradients():
            if variable in engine.trainable:
                if np.shape(gradient) != variable.shape:
                    raise ValueError(
                        f"{layer.name}.gradients(): expected shape {variable.shape} for {variable.name}, got"
                        f" {np.shape(gradient)}"
                    )
                engine.store.put("grad", variable, gradient)
        if out_key is not None:
            program.put(out_key, out_tensor, result, n, layer)
    elif what == "metrics":
        for place, metric, weighted, output in engine.python_metrics:
            if output != layer:
                continue
            values = np.reshape(metric(np.array(y[rows]), given), n)
            if not weighted:
                sums[place] += float(np.sum(values))
                continue
            weights = np.ones(n) if w is None else np.asarray(w[rows], np.float64)
            # a value with weight 0 may be NaN
            total = np.sum(values * weights, where=weights != 0)
            sums[place] = sums[place] + np.array([[total, weights.sum()]])
    else:
        objective = engine.objectives[layer]
        if w is not None and getattr(objective.loss, "of_batch", False):
            raise ValueError(f"sample_weight: expected None for {objective.loss.name} of whole batches, got weights")
        values, gradient = objective.loss(np.array(y[rows]), given)  # a copy, as the function may write to it
        weights = np.ones(n) if w is None else w[rows]
        sums[objective.place] += float(np.sum(np.reshape(values, n) * weights))
        if out_key is not None:
            weights = weights * (objective.weight / (1 if program.plan.by_row else n))
            scale = np.reshape(weights, (n,) + (1,) * (np.ndim(gradient) - 1))
            program.put(out_key, out_tensor, gradient * scale, n, "loss")
