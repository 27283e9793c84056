"""Thread count of a program: as many as currently pay off.

Results do not depend on the number of threads, so it may be changed between any two steps. A program that is worth more
than one thread by its size is timed with 1, 2, 4, 8, ... threads, in short slices of the work itself, up to all or to
where more of them are clearly slower; then it runs with the best. The numbers beside the best one are timed again, ever
more rarely. A number that turns out slower than another is given up at once: with a busy neighbour on a core, threads
that wait for each other lose far more than half. A single thread never waits, so where it is the best, more are tried
again ever more rarely. A first good slice after that may be luck, the neighbour having just been made to wait; so trust
comes back with every slice that goes well, each longer. All of this goes by seconds of work, not by slices: a call of
one batch is a slice, however short.

A slice ends when threads have waited for one that did not run (`Executor.disturbed`), so that a try costs no more than
a time slice of the system. Programs that have not tried yet leave it for a while after that, so that the many short
trainings of a sweep do not each pay for the same neighbour.
"""

import time
from functools import cache
from math import inf

from .._core import threads

PAYS_OFF = 15e-6  # seconds of a one-thread step from which a second thread may gain (docs/decisions)
PROBE = 2e-3  # seconds of a timing slice
SLICE = 50e-3  # seconds between reads of the clock
RETRY = 64 * SLICE  # seconds with one thread until more are tried again, at the most
LOOK = 2 * RETRY  # seconds with several threads until a number beside theirs is timed again, at the most
TRUSTED = 0.2  # consecutive seconds in which several threads were the better choice
SLOWER = 1.25  # relative time from which no larger thread count is tried
FORGET = 0.7  # weight of the old time of a step in its running estimate


@cache
def numbers_up_to(most):
    return [*(1 << i for i in range((most - 1).bit_length())), most]


class Team:
    """The choice for one program.

    Parameters
    ----------
    fixed : int or None
        A number asked for by the user: no choice is left.
    estimate : float
        Seconds of a one-thread step, roughly.
    """

    disturbed_at = -inf  # when threads of any program were last kept from running

    def __init__(self, fixed, estimate):
        self.fixed, self.estimate = fixed, estimate
        self.times = {}  # threads -> seconds of a step
        self.warm = set()  # thread counts that have run: the first slice includes cold caches and sleeping threads
        self.last, self.trying, self.looks, self.chosen = 1, 0, 0, 1
        self.spent, self.retry, self.look, self.good = 0.0, SLICE, SLICE, TRUSTED

    def most(self):
        return threads.get_num_threads()

    def numbers(self):
        """The possible thread counts: 1, 2, 4, 8, ... and all."""
        return numbers_up_to(self.most())

    def is_alone(self):
        """Whether one thread is all there can be: asked for, or enough for so little work."""
        fixed = threads.asked() or self.fixed
        return fixed == 1 if fixed is not None else self.most() == 1 or self.estimate < PAYS_OFF

    def at_most(self):
        """The largest thread count that `next` can currently return."""
        return 1 if self.is_alone() else threads.asked() or self.fixed or self.most()

    def next(self):
        """(threads, seconds) for the next slice of work; seconds 0: all of it."""
        fixed = threads.asked() or self.fixed
        if fixed is not None:
            return fixed, 0.0
        if self.is_alone():
            return 1, 0.0
        numbers = self.numbers()
        if len(self.times) < 2 and time.monotonic() < Team.disturbed_at + RETRY:
            return 1, SLICE
        least = inf
        for n in numbers:
            if n not in self.times:
                return n, PROBE
            least = min(least, self.times[n])
            if self.times[n] > SLOWER * least:
                break
        if self.trying:
            return self.trying, PROBE
        best, several = self.best(numbers), self.best(numbers[1:])
        if best > 1:
            if self.good >= TRUSTED:
                self.retry = SLICE
            if best != self.chosen:
                self.chosen, self.spent, self.look, self.looks = best, 0.0, SLICE, 0
            # a quiet machine may have become a busy one for all numbers, or the other way round
            if self.spent >= self.look:
                beside = self.beside(numbers, best)
                n = beside[self.looks % len(beside)]
                self.spent, self.look, self.looks = 0.0, min(2 * self.look, LOOK), self.looks + 1
                return n, PROBE
            return best, min(SLICE, max(PROBE, self.good))
        if self.spent < self.retry:
            return 1, SLICE
        # a brief disturbance is soon forgotten, a busy machine is not
        self.spent, self.retry, self.trying = 0.0, min(2 * self.retry, RETRY), several
        return several, PROBE

    def known(self):
        """The best thread count so far, for work that is not timed."""
        fixed = threads.asked() or self.fixed
        if fixed is not None:
            return fixed
        timed = [] if self.is_alone() else [n for n in self.numbers() if n in self.times]
        return self.best(timed) if timed else 1

    def best(self, numbers):
        """The fastest of these thread counts that was timed; the larger one of equals."""
        return min((n for n in reversed(numbers) if n in self.times), key=self.times.get)

    def beside(self, numbers, n):
        """What is timed again beside n threads: the next larger number, the next smaller one, and one."""
        i = numbers.index(n)
        return [*numbers[i + 1 : i + 2], *numbers[max(i - 1, 1) : i], 1]

    def report(self, n, seconds, steps, disturbed=False):
        """Tell how long `steps` steps with `n` threads took; disturbed: one of the threads was kept from running."""
        if self.fixed is not None or threads.asked() is not None or not steps:
            return
        self.spent += seconds
        now, woken = seconds / steps, n > 1 and self.last == 1
        self.last = n
        if disturbed and now > self.times.get(1, inf):  # and not just a hiccup, in which several were still better
            Team.disturbed_at = time.monotonic()
        if n not in self.warm:
            self.warm.add(n)
            return
        if woken and steps == 1 and now < 2 * self.times.get(1, 0.0):
            return  # not bad for threads that had to wake up: another one counts
        if n > 1:
            self.trying = 0
        old = self.times.get(n)
        changed = old is None or not old / 1.5 < now < old * 1.5
        self.times[n] = now if changed else FORGET * old + (1 - FORGET) * now
        if n > 1 and 1 in self.times:
            self.good = self.good + seconds if self.times[n] <= self.times[1] else 0.0
