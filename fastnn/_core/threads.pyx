"""Every question about threads is asked here: how many there may be, and what happens to them at a fork."""
import os
import warnings
from operator import index
from threading import local
from time import monotonic

cdef extern from * nogil:
    """
    #include <pthread.h>
    #include <stdlib.h>
    #ifdef __linux__
    #include <sched.h>
    static int fnn_cores(void) /* of the affinity mask; 0: ask Python */
    {
        cpu_set_t mask;
        return sched_getaffinity(0, sizeof(mask), &mask) ? 0 : CPU_COUNT(&mask);
    }
    #else
    static int fnn_cores(void) { return 0; }
    #endif
    /* The number that a variable of the environment begins with, "4" or " 4 ,2"; 0: nothing; -1: no such number. */
    static int fnn_asked_by(const char *name)
    {
        const char *s = getenv(name);
        int n = 0, digits = 0;
        if (!s) return 0;
        while (*s == ' ' || (*s >= 9 && *s <= 13)) s++;
        if (!*s || *s == ',') return 0;
        while (*s == '0') s++;
        for (; *s >= '0' && *s <= '9'; s++, digits += digits < 9)
            if (digits < 9) n = 10 * n + (*s - '0'); /* longer than any limit of ours */
        while (*s == ' ' || (*s >= 9 && *s <= 13)) s++;
        return n && (!*s || *s == ',') ? n : -1;
    }
    static __thread int fnn_had = 1, fnn_had_at = 0; /* the largest team of this thread, since which release */
    static int fnn_releases = 0;
    static void *fnn_pass(void *gate)
    {
        pthread_mutex_lock((pthread_mutex_t *)gate);
        pthread_mutex_unlock((pthread_mutex_t *)gate);
        return NULL;
    }
    /* Whether n - 1 more threads can exist at a time. */
    static int fnn_can_start(int n)
    {
        pthread_t made[64];
        pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
        int k = 0;
        const int wanted = n - 1 < 64 ? n - 1 : 64;
        pthread_mutex_lock(&gate);
        while (k < wanted && pthread_create(&made[k], NULL, fnn_pass, &gate) == 0) k++;
        pthread_mutex_unlock(&gate);
        for (int i = 0; i < k; i++) pthread_join(made[i], NULL);
        return k == wanted;
    }
    """
    int fnn_had, fnn_had_at, fnn_releases
    int fnn_can_start(int) noexcept
    int fnn_cores() noexcept
    int fnn_asked_by(const char *name) noexcept

MAX_THREADS = 64
QUOTA_SECONDS = 1.0  # the quota may change while we run, but reading it costs more than a small call
cdef int LIMIT = 0  # set_num_threads; 0: as many as the process may use
cdef double QUOTA_READ = -QUOTA_SECONDS
QUOTA = None
refused = set()  # variables of the environment, and what they said


cdef int affordable(int n) noexcept nogil:
    """`n`, or 1 if so many threads cannot be had: OpenMP's runtime would end the process.

    Tried out once for each thread that calls, and again after a fork."""
    global fnn_had, fnn_had_at
    if fnn_had_at != fnn_releases:
        fnn_had, fnn_had_at = 1, fnn_releases
    if n <= fnn_had:
        return n
    if not fnn_can_start(n):
        return 1
    fnn_had = n
    return n


def openmp():
    """Whether this build can use more than one thread."""
    return bool(FNN_OPENMP)


def _quota(root="/sys/fs/cgroup"):
    """Cores that the container's cgroup (v2, then v1) grants, or None."""
    try:
        with open(f"{root}/cpu.max") as f:
            quota, period = f.read().split()
        return None if quota == "max" else float(quota) / float(period)
    except (OSError, ValueError):
        pass
    try:
        with open(f"{root}/cpu/cpu.cfs_quota_us") as f:
            quota = int(f.read())
        with open(f"{root}/cpu/cpu.cfs_period_us") as f:
            period = int(f.read())
        return None if quota <= 0 else quota / period
    except (OSError, ValueError):
        return None


def _recent_quota():
    global QUOTA, QUOTA_READ
    now = monotonic()
    if now - QUOTA_READ >= QUOTA_SECONDS:
        QUOTA, QUOTA_READ = _quota(), now
    return QUOTA


def available_threads():
    """Threads that may run at once: cores of this process' affinity mask, the cgroup's quota rounded up,
    ``OMP_NUM_THREADS`` and ``OMP_THREAD_LIMIT``, whichever is least."""
    cdef int n, asked_for
    if not FNN_OPENMP or fnn_in_team():
        return 1
    n = fnn_cores()  # in C, as the environment: small calls ask every time
    if n == 0:
        n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _recent_quota()
    if quota is not None:
        n = min(n, max(1, int(-(-quota // 1))))
    for name in (b"OMP_NUM_THREADS", b"OMP_THREAD_LIMIT"):
        asked_for = fnn_asked_by(name)
        if asked_for > 0:
            n = min(n, asked_for)
        elif asked_for < 0:
            _warn_of(name.decode())
    return max(1, min(n, <int>MAX_THREADS))


def _warn_of(name):
    first = os.environ.get(name, "").split(",")[0].strip()
    if (name, first) not in refused:
        refused.add((name, first))
        warnings.warn(f"{name}: expected a number of threads, got {first!r}; it is ignored", stacklevel=3)


_here = local()


def asked():
    """What `using` asks for in this thread of Python; None: nothing."""
    return getattr(_here, "n", None)


def checked(name, n):
    """A number of threads as an int, or None; ValueError for anything else."""
    try:
        number = None if n is None else index(n)
        if isinstance(n, bool) or number is not None and not 1 <= number <= MAX_THREADS:
            raise TypeError
    except TypeError:
        raise ValueError(f"{name}: expected an integer from 1 to {MAX_THREADS} or None, got {n!r}") from None
    return number


class using:
    """``with using(n)``: calls of this thread of Python use `n` threads, whatever else is said; None: as before."""

    def __init__(self, n):
        self.n = checked("threads", n)

    def __enter__(self):
        self.before = asked()
        if self.n is not None:
            _here.n = self.n
        return self

    def __exit__(self, *error):
        _here.n = self.before


def get_num_threads():
    """The most threads a call uses when it is not told otherwise."""
    return asked() or LIMIT or available_threads()


def set_num_threads(n):
    """Use at most `n` threads from now on (None: as many as the process may use).  Results do not depend on it."""
    global LIMIT
    if n is None:
        LIMIT = 0
        return
    LIMIT = checked("n", n)


# The OpenMP runtime's idle threads do not exist in a child, and its first parallel region there would wait for them
# for ever (scikit-learn#19272).  Letting them go just before the fork makes parent and child start new ones.
def _release():
    global fnn_releases
    fnn_release_team()
    fnn_releases += 1


if FNN_OPENMP and hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_release)
