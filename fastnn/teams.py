"""How many threads a program gets: as many as pay off at the moment.

Results do not depend on the number of threads, so it may be changed between any two steps. A program that is worth more
than one thread by its size is timed with one and with all, in short slices of the work itself, and then runs with
the better. All threads are tried again now and then, and given up as soon as they turn out slower than one: with a
busy neighbour on a core, threads that wait for each other lose far more than half. A first good slice after that may
be luck, the neighbour having just been made to wait; so trust comes back with every slice that goes well, each longer.
All of this goes by seconds of work, not by slices: a call of one batch is a slice, however short.
"""

from ._core import threads

PAYS_OFF = 15e-6  # seconds of a one-thread step from which a second thread may gain (docs/decisions)
PROBE = 2e-3  # seconds of a timing slice
SLICE = 50e-3  # seconds between looks at the clock
RETRY = 64 * SLICE  # seconds with one thread until all are tried again, at the most
LOOK = 4 * RETRY  # seconds with all threads until one is timed again
TRUSTED = 0.2  # seconds in a row in which all threads were the better choice
FORGET = 0.7  # weight of the old time of a step in its running estimate


class Team:
    """The choice for one program.

    Parameters
    ----------
    fixed : int or None
        A number asked for by the user: no choice is left.
    estimate : float
        Seconds of a one-thread step, roughly.
    """

    def __init__(self, fixed, estimate):
        self.fixed, self.estimate = fixed, estimate
        self.times = {}  # threads -> seconds of a step
        self.warm = set()  # numbers of threads that have run: the first slice pays for cold caches and sleeping threads
        self.last, self.trying = 1, False
        self.spent, self.retry, self.good = 0.0, SLICE, TRUSTED

    def most(self):
        return threads.get_num_threads()

    def is_alone(self):
        """Whether one thread is all there can be: asked for, or enough for so little work."""
        fixed = threads.asked() or self.fixed
        return fixed == 1 if fixed is not None else self.most() == 1 or self.estimate < PAYS_OFF

    def next(self):
        """(threads, seconds) for the next slice of work; seconds 0: all of it."""
        fixed = threads.asked() or self.fixed
        if fixed is not None:
            return fixed, 0.0
        if self.is_alone():
            return 1, 0.0
        most = self.most()
        for n in (most, 1):
            if n not in self.times:
                return n, PROBE
        if self.trying:
            return most, PROBE
        if self.times[most] <= self.times[1]:
            if self.good >= TRUSTED:
                self.retry = SLICE
            # one thread is timed again as well: a quiet machine may have become a busy one for both
            if self.spent >= LOOK:
                self.spent = 0.0
                return 1, PROBE
            return most, min(SLICE, max(PROBE, self.good))
        if self.spent < self.retry:
            return 1, SLICE
        # a hiccup is soon forgotten, a neighbour is not
        self.spent, self.retry, self.trying = 0.0, min(2 * self.retry, RETRY), True
        return most, PROBE

    def report(self, n, seconds, steps):
        """Tell how long `steps` steps with `n` threads took."""
        if self.fixed is not None or threads.asked() is not None or not steps:
            return
        self.spent += seconds
        now, woken = seconds / steps, n > 1 and self.last == 1
        self.last = n
        if n not in self.warm:
            self.warm.add(n)
            return
        if woken and steps == 1 and now < 2 * self.times.get(1, 0.0):
            return  # not bad for threads that had to wake up: another one counts
        self.trying &= n == 1
        old = self.times.get(n)
        changed = old is None or not old / 1.5 < now < old * 1.5
        self.times[n] = now if changed else FORGET * old + (1 - FORGET) * now
        if n > 1 and 1 in self.times:
            self.good = self.good + seconds if self.times[n] <= self.times[1] else 0.0
