"""One batch with as little around it as there can be: for those who predict or train row by row.

(a) A `Call` is bound to one program and one kind of arrays; for anything else it returns None, and the caller goes the
    long way, which also has all the checks and messages.
(b) It notices by the clocks VALUES and LAYERS that weights were assigned or layers changed since it was made. Calls of
    one model are made under its lock.
(c) It runs on the calling thread alone where the work is too small for a second one, else a `Team` is asked.
(d) `ManualCall` is the same for the three parts of a manual step. What was done last is known to the engine alone, as
    on the long way; so the two may take turns.
"""
import numpy as np

from libc.stdint cimport int32_t, int64_t, uint64_t

from numpy cimport (NPY_DOUBLE, NPY_FLOAT, NPY_INT32, NPY_INT64, PyArray_CheckExact, PyArray_DATA, PyArray_DIM,
                    PyArray_EMPTY, PyArray_IS_C_CONTIGUOUS, PyArray_ISALIGNED, PyArray_ISNOTSWAPPED, PyArray_NDIM,
                    PyArray_SIZE, PyArray_TYPE, import_array, ndarray, npy_intp)

from .clocks cimport Clock
from .executor cimport Executor
from .team cimport fnn_now
from .beyond cimport first_beyond

from . import clocks

import_array()

ctypedef fused T:
    float
    double

ctypedef fused U:
    float
    double

cdef double LARGEST_SINGLE = float(np.nextafter(2.0**128 - 2.0**103, 0))  # rounds to a finite float32
cdef double LARGEST_DOUBLE = np.finfo(np.float64).max
cdef Clock VALUES = clocks.VALUES
cdef Clock LAYERS = clocks.LAYERS
APPLIED = "apply_gradients changed the weights after it"  # why `backward` is refused


cdef class Call:
    """
    Parameters
    ----------
    core : Executor
    n : int
        Rows of the batch the program was planned for.
    x_dtype, inputs
        What x has to be: (n, inputs), contiguous.
    y_dtype, outputs
        The same for dense targets; y_dtype is None for class numbers 0 ... outputs - 1.
    dtype
        Of the results.
    values_at, layers_at : int
        Readings of the clocks VALUES and LAYERS with which the call is valid.
    team : Team or None
        Says how many threads each call gets; None: one.
    """
    cdef readonly Executor core
    cdef public long long values_at
    cdef readonly long long layers_at
    cdef ndarray labels
    cdef ptrdiff_t n, inputs, outputs
    cdef int x_type, y_type, out_type
    cdef uint64_t seed
    cdef object team

    def __init__(self, Executor core, ptrdiff_t n, x_dtype, ptrdiff_t inputs, y_dtype, ptrdiff_t outputs, dtype,
                 uint64_t seed, long long values_at, long long layers_at, team):
        self.core, self.n, self.inputs, self.outputs = core, n, inputs, outputs
        self.x_type = np.dtype(x_dtype).num
        self.y_type = -1 if y_dtype is None else np.dtype(y_dtype).num
        self.out_type = np.dtype(dtype).num
        self.labels = np.zeros(n, np.int32)
        self.seed, self.team = seed, team
        self.values_at, self.layers_at = values_at, layers_at

    cdef bint fits(self, object array, int kind, ptrdiff_t columns):
        """Whether `array` is what the program reads, where it lies."""
        if not PyArray_CheckExact(array):
            return False
        return (PyArray_TYPE(<ndarray>array) == kind and PyArray_NDIM(<ndarray>array) == 2
                and PyArray_DIM(<ndarray>array, 0) == self.n and PyArray_DIM(<ndarray>array, 1) == columns
                and PyArray_IS_C_CONTIGUOUS(<ndarray>array) and PyArray_ISALIGNED(<ndarray>array)
                and PyArray_ISNOTSWAPPED(<ndarray>array))

    cdef bint sound(self, ndarray array, bint finite):
        """Whether nothing in `array` becomes infinite in the model's dtype; with `finite`, nothing is so already."""
        cdef bint wide = PyArray_TYPE(array) == NPY_DOUBLE
        cdef double largest = LARGEST_SINGLE if self.out_type == NPY_FLOAT else LARGEST_DOUBLE
        if not wide and (PyArray_TYPE(array) != NPY_FLOAT or not finite):
            return True
        return first_beyond(wide, PyArray_DATA(array), PyArray_SIZE(array), largest, finite) < 0

    cdef bint valid(self):
        return VALUES.reading == self.values_at and LAYERS.reading == self.layers_at

    def is_outdated(self):
        """Whether weights may have been assigned since, in this model or another."""
        return VALUES.reading != self.values_at

    cdef void run(self, void **live, double rate, engine, optimizer, team, int first, int last) except *:
        """Segments [first, last) of the program; a step, which `engine` and `optimizer` count, if there is one."""
        cdef int threads = 1
        cdef double begun = 0
        cdef uint64_t step = 0 if engine is None else engine.step
        if team is not None:
            threads = team.next()[0]
            begun = fnn_now()
        self.core.once(live, self.n, rate, step, self.seed, threads, first, last)
        if optimizer is not None:  # here, and not in Python, where Ctrl-C could come between a step and its count
            engine.step = step + 1
            optimizer._iterations = step + 1
        if team is not None:
            team.report(threads, fnn_now() - begun, 1, self.core.disturbed)

    cdef bint take_labels(self, object y):
        """Class numbers as the program reads them; whether they are such."""
        cdef int32_t *to = <int32_t *>PyArray_DATA(self.labels)
        cdef ptrdiff_t i
        cdef int64_t label
        cdef int kind
        if not PyArray_CheckExact(y) or PyArray_NDIM(<ndarray>y) != 1 or PyArray_DIM(<ndarray>y, 0) != self.n:
            return False
        kind = PyArray_TYPE(<ndarray>y)
        if kind not in (NPY_INT32, NPY_INT64) or not (
                PyArray_IS_C_CONTIGUOUS(<ndarray>y) and PyArray_ISALIGNED(<ndarray>y)
                and PyArray_ISNOTSWAPPED(<ndarray>y)):
            return False
        for i in range(self.n):
            if kind == NPY_INT32:
                label = (<int32_t *>PyArray_DATA(<ndarray>y))[i]
            else:
                label = (<int64_t *>PyArray_DATA(<ndarray>y))[i]
            if label < 0 or label >= self.outputs:
                return False
            to[i] = <int32_t>label
        return True

    def predict(self, x):
        """The results (n, outputs), or None if this is not the kind of call it was made for."""
        cdef void *live[8]
        cdef npy_intp shape[2]
        if not self.fits(x, self.x_type, self.inputs):
            return None
        shape[0], shape[1] = self.n, self.outputs
        if not self.valid() or not self.sound(x, False):
            return None
        out = PyArray_EMPTY(2, shape, self.out_type, 0)
        live[0], live[1], live[2], live[4], live[5] = PyArray_DATA(<ndarray>x), NULL, NULL, NULL, NULL
        live[3] = PyArray_DATA(<ndarray>out)
        self.run(live, 0.0, None, None, self.team, 0, -1)
        return out

    def train(self, x, y, double rate, engine, optimizer, bint finite):
        """A step, which `engine` and `optimizer` count; whether this is the kind of call it was made for.

        Not if something in x or y is not `finite`. `core.totals` has the sums."""
        cdef void *live[8]
        if not self.fits(x, self.x_type, self.inputs):
            return False
        if not (self.take_labels(y) if self.y_type < 0 else self.fits(y, self.y_type, self.outputs)):
            return False
        if not self.valid():
            return False
        if finite and not (self.sound(x, True) and (self.y_type < 0 or self.sound(y, True))):
            return False
        live[0], live[2], live[3], live[4], live[5] = PyArray_DATA(<ndarray>x), NULL, NULL, NULL, NULL
        live[1] = PyArray_DATA(self.labels) if self.y_type < 0 else PyArray_DATA(<ndarray>y)
        self.run(live, rate, engine, optimizer, self.team, 0, -1)
        engine.has_gradients = False
        return True


cdef class ManualCall(Call):
    """Forward, backward and update of one batch, see `Engine.forward` and the others there.

    Parameters
    ----------
    program, call
        What `Engine.manual` is to refer to, and the arguments of `Call`.
    parts : tuple of (first, last)
        Segments of the three.
    teams : tuple of Team or None
    weights_clock, load_clock : Clock
        Of the store.
    """
    cdef object program
    cdef tuple teams
    cdef Clock weights_clock, load_clock
    cdef int firsts[3]
    cdef int lasts[3]

    def __init__(self, program, parts, tuple teams, Clock weights_clock, Clock load_clock, *call):
        Call.__init__(self, *call)
        self.program, self.teams = program, teams
        self.weights_clock, self.load_clock = weights_clock, load_clock
        for i, (first, last) in enumerate(parts):
            self.firsts[i], self.lasts[i] = first, last

    cdef void stage(self, int i, void **live, double rate, engine, optimizer) except *:
        self.weights_clock.tick()  # first: Ctrl-C may come right after the step
        self.run(live, rate, engine, optimizer, self.teams[i], self.firsts[i], self.lasts[i])

    def forward(self, x, engine):
        """The results (n, outputs), or None if this is not the kind of call it was made for."""
        cdef void *live[8]
        cdef npy_intp shape[2]
        if not self.fits(x, self.x_type, self.inputs) or not self.valid() or not self.sound(x, False):
            return None
        shape[0], shape[1] = self.n, self.outputs
        out = PyArray_EMPTY(2, shape, self.out_type, 0)
        engine.manual, engine.has_gradients = None, False
        live[0], live[1], live[2], live[4], live[5] = PyArray_DATA(<ndarray>x), NULL, NULL, NULL, NULL
        live[3] = PyArray_DATA(<ndarray>out)
        self.stage(0, live, 0.0, engine, None)
        engine.manual, engine.called = (self.program, self.n, x), ()
        engine.expired, engine.store.forward_at = None, self.load_clock.reading
        return out

    def backward(self, dy, engine, bint finite):
        """The gradient by the inputs (n, inputs), or None, also if something in dy is not `finite`."""
        cdef void *live[8]
        cdef npy_intp shape[2]
        if not self.fits(dy, self.out_type, self.outputs) or not self.valid() or finite and not self.sound(dy, True):
            return None
        shape[0], shape[1] = self.n, self.inputs
        dx = PyArray_EMPTY(2, shape, self.out_type, 0)
        live[0], live[1], live[2], live[3] = NULL, NULL, NULL, NULL
        live[4], live[5] = PyArray_DATA(<ndarray>dy), PyArray_DATA(<ndarray>dx)
        self.stage(1, live, 0.0, engine, None)
        engine.has_gradients = True
        return dx

    def update(self, double rate, engine, optimizer):
        """A step with the gradients at hand, which `engine` and `optimizer` count; whether there was one."""
        cdef void *live[8]
        cdef int i
        if not self.valid():
            return False
        for i in range(8):
            live[i] = NULL
        engine.expired = APPLIED
        self.stage(2, live, rate, engine, optimizer)
        return True


cdef class DerivativeCall(Call):
    """Loss and gradient for flat vectors of parameters, see fastnn/derivatives.py.

    Parameters
    ----------
    weights, gradients : ndarray
        Flat blocks of the model's dtype.
    places : ndarray of int64
        Where in them each parameter lies.
    call
        The arguments of `Call`.
    """
    cdef ndarray weights, gradients, places, before

    def __init__(self, ndarray weights, ndarray gradients, ndarray places, *call):
        Call.__init__(self, *call)
        self.weights, self.gradients, self.places = weights, gradients, places
        self.before = np.empty(len(places), weights.dtype)

    def loss_and_grad(self, theta, x, y):
        """(loss, gradient), or None if this is not the kind of call it was made for, or a parameter overflows."""
        cdef void *live[8]
        cdef npy_intp n = PyArray_DIM(self.places, 0)
        cdef int kind
        cdef bint fit
        if not PyArray_CheckExact(theta) or PyArray_NDIM(<ndarray>theta) != 1 or PyArray_DIM(<ndarray>theta, 0) != n:
            return None
        kind = PyArray_TYPE(<ndarray>theta)
        if kind not in (NPY_FLOAT, NPY_DOUBLE) or not (
                PyArray_IS_C_CONTIGUOUS(<ndarray>theta) and PyArray_ISALIGNED(<ndarray>theta)
                and PyArray_ISNOTSWAPPED(<ndarray>theta)):
            return None
        if not self.fits(x, self.x_type, self.inputs):
            return None
        if not (self.take_labels(y) if self.y_type < 0 else self.fits(y, self.y_type, self.outputs)):
            return None
        if not self.valid() or not self.sound(x, False) or self.y_type >= 0 and not self.sound(y, False):
            return None
        gradient = PyArray_EMPTY(1, &n, kind, 0)
        live[0], live[2], live[3], live[4], live[5] = PyArray_DATA(<ndarray>x), NULL, NULL, NULL, NULL
        live[1] = PyArray_DATA(self.labels) if self.y_type < 0 else PyArray_DATA(<ndarray>y)
        if self.out_type == NPY_DOUBLE:
            if kind == NPY_DOUBLE:
                fit = exchange[double, double](self, <double *>NULL, <double *>PyArray_DATA(<ndarray>theta), n)
            else:
                fit = exchange[double, float](self, <double *>NULL, <float *>PyArray_DATA(<ndarray>theta), n)
        elif kind == NPY_DOUBLE:
            fit = exchange[float, double](self, <float *>NULL, <double *>PyArray_DATA(<ndarray>theta), n)
        else:
            fit = exchange[float, float](self, <float *>NULL, <float *>PyArray_DATA(<ndarray>theta), n)
        try:
            if not fit:
                return None  # the long way has the message
            self.run(live, 0.0, None, None, self.team, 0, -1)
        finally:
            if self.out_type == NPY_DOUBLE:
                put_back[double](self, <double *>NULL, n)
            else:
                put_back[float](self, <float *>NULL, n)
        if self.out_type == NPY_DOUBLE:
            if kind == NPY_DOUBLE:
                read[double, double](self, <double *>NULL, <double *>PyArray_DATA(<ndarray>gradient), n)
            else:
                read[double, float](self, <double *>NULL, <float *>PyArray_DATA(<ndarray>gradient), n)
        elif kind == NPY_DOUBLE:
            read[float, double](self, <float *>NULL, <double *>PyArray_DATA(<ndarray>gradient), n)
        else:
            read[float, float](self, <float *>NULL, <float *>PyArray_DATA(<ndarray>gradient), n)
        return self.core.own_totals[0] / <double>self.n, gradient


# The model's dtype is T, that of the caller's vector is U; `which` only chooses T.
cdef bint exchange(DerivativeCall self, T *which, const U *theta, ptrdiff_t n) noexcept:
    """The weights to `before`, `theta` in their place; whether all that is finite has stayed so."""
    cdef T *weights = <T *>PyArray_DATA(self.weights)
    cdef T *before = <T *>PyArray_DATA(self.before)
    cdef const int64_t *places = <const int64_t *>PyArray_DATA(self.places)
    cdef ptrdiff_t i, lost = 0
    for i in range(n):
        before[i] = weights[places[i]]
        weights[places[i]] = <T>theta[i]
        lost += theta[i] - theta[i] == 0 and not <T>theta[i] - <T>theta[i] == 0
    return lost == 0


cdef void put_back(DerivativeCall self, T *which, ptrdiff_t n) noexcept:
    cdef T *weights = <T *>PyArray_DATA(self.weights)
    cdef const T *before = <const T *>PyArray_DATA(self.before)
    cdef const int64_t *places = <const int64_t *>PyArray_DATA(self.places)
    cdef ptrdiff_t i
    for i in range(n):
        weights[places[i]] = before[i]


cdef void read(DerivativeCall self, T *which, U *to, ptrdiff_t n) noexcept:
    cdef const T *gradients = <const T *>PyArray_DATA(self.gradients)
    cdef const int64_t *places = <const int64_t *>PyArray_DATA(self.places)
    cdef ptrdiff_t i
    for i in range(n):
        to[i] = <U>gradients[places[i]]
