"""The C kernels: which instruction set is used, and the lists everything above is made from."""
import errno
import os

import numpy as np

from numpy cimport PyArray_DATA, ndarray


cdef const fnn_table *ACTIVE = NULL

# numpy dtype of a data array -> the code that the gather kernel knows
DATA_CODES = {
    np.dtype(name).str: code
    for name, code in [
        ("bool", FNN_U8), ("u1", FNN_U8), ("i1", FNN_I8), ("u2", FNN_U16), ("i2", FNN_I16), ("u4", FNN_U32),
        ("i4", FNN_I32), ("u8", FNN_U64), ("i8", FNN_I64), ("f2", FNN_F16), ("f4", FNN_F32), ("f8", FNN_F64),
    ]
}

# Constants of src_c/fnn.h that Python reads, for none of them to be typed twice.
BLOCK_LEN = FNN_BLOCK_LEN
FEW = FNN_FEW
DW_SAMPLES = FNN_DW_SAMPLES
DW_INPUTS = FNN_DW_INPUTS
MAX_NUMBERS = FNN_MAX_N
EMULATED = bool(FNN_EMULATED)   # AVX-512 of this build is made of portable operations


cdef const fnn_table *table_of(isa) except NULL:
    """The table of instruction set `isa`; None: the one this process uses."""
    cdef const char *why = NULL
    cdef const fnn_table *t
    if isa is None:
        return ACTIVE
    name = isa.encode()
    t = fnn_select(name, &why)
    if t == NULL:
        built = ", ".join(repr(n) for n in built_targets())
        if why != NULL:
            raise RuntimeError(f"instruction set {isa!r} refused: {why.decode()}; this CPU runs {', '.join(targets())}")
        raise RuntimeError(f"unknown instruction set {isa!r}; this build has {built}")
    return t


cdef const fnn_activation *find_activation(const fnn_table *t, name) except NULL:
    cdef const fnn_activation *a = t.activations
    while a.name != NULL:
        if a.name.decode() == name:
            return a
        a += 1
    raise KeyError(f"no activation row {name!r}")


cdef const fnn_optimizer *find_optimizer(const fnn_table *t, name) except NULL:
    cdef const fnn_optimizer *o = t.optimizers
    while o.name != NULL:
        if o.name.decode() == name:
            return o
        o += 1
    raise KeyError(f"no optimizer row {name!r}")


cdef fnn_any find_named(const fnn_named *k, name, int f64):
    while k.name != NULL:
        if k.name.decode() == name:
            return k.fn[f64]
        k += 1
    return NULL


cdef fnn_any find_function(const fnn_table *t, name, int f64) except NULL:
    cdef fnn_any f = find_named(t.functions, name, f64)
    if f == NULL:
        raise KeyError(f"no function {name!r}")
    return f


cdef fnn_kernel find_loss(const fnn_loss *row, name, int f64):
    while row.name != NULL:
        if row.name.decode() == name:
            return row.run[f64]
        row += 1
    return NULL


cdef fnn_kernel find_kernel(const fnn_table *t, name, int f64) except NULL:
    """A kernel by name; a loss or metric row as "loss:name", "metric:name"."""
    cdef fnn_kernel k
    kind, _, row = name.partition(":")
    if kind == "loss" and row:
        k = find_loss(t.losses, row, f64)
    elif kind == "metric" and row:
        k = find_loss(t.metrics, row, f64)
    else:
        k = <fnn_kernel>find_named(t.kernels, name, f64)
    if k == NULL:
        raise KeyError(f"no kernel {name!r}")
    return k


def signature(str name):
    """The operands of a kernel as src_c/operands.h writes them; of a row as "loss:name", "metric:name"."""
    cdef const fnn_named *kernel = ACTIVE.kernels
    cdef const fnn_loss *row
    kind, _, row_name = name.partition(":")
    if row_name:
        row = ACTIVE.metrics if kind == "metric" else ACTIVE.losses
        while row.name != NULL:
            if row.name.decode() == row_name:
                return row.signature.decode()
            row += 1
    while kernel.name != NULL:
        if kernel.name.decode() == name:
            return kernel.signature.decode()
        kernel += 1
    raise KeyError(f"no kernel {name!r}")


cdef dict read_params(const char *text):
    """``{parameter: default}`` from what a row says of them, in its order."""
    return {key: float(default) for key, default, _ in parameters_of(text)}


cdef list parameters_of(const char *text):
    """``[(parameter, default, least value or "")]``, as text."""
    pairs = (item.split("=", 1) for item in (<bytes>text).decode().split(",") if item)
    return [(key, *value.partition(">=")[::2]) for key, value in pairs]


def built_targets():
    """Names of the instruction sets in this build, best last."""
    names, i = [], 0
    while fnn_targets()[i] != NULL:
        names.append(fnn_targets()[i].decode())
        i += 1
    return names


def targets():
    """Names of the instruction sets of this build that this CPU can run, best last."""
    return [n for n in built_targets() if fnn_cpu_has(n.encode())]


def isa():
    """Name of the instruction set this process uses (``FASTNN_ISA`` forces one): "scalar", "avx2", "avx512" or "amx",
    which is AVX-512 with bfloat16 tiles."""
    return ACTIVE.isa.decode()


def address(ndarray array):
    """Where the first element of an array lies."""
    return <size_t>PyArray_DATA(array)


def vector_bytes(isa=None):
    return table_of(isa).vector_bytes


def wants_tiles(isa=None):
    """Whether the instruction set has products of float32 by bfloat16 tiles (AMX), granted or not."""
    return bool(table_of(isa).tiles)


cdef int ask_for_tiles(const fnn_table *table) except? -3:
    if not table.tiles:
        return FNN_NO_TILES
    memory = np.empty(FNN_TILES_AGREE_BYTES + 64, np.uint8)  # for known products
    cdef size_t at = memory.ctypes.data
    return fnn_tiles_refusal(table, <void *>((at + 63) & ~<size_t>63))


def tiles_refusal(isa=None):
    """Why products of float32 cannot be made of bfloat16 tiles; None: they can. Asks the operating system for them."""
    cdef int why = ask_for_tiles(table_of(isa))
    if why == 0:
        return None
    if why == FNN_NO_TILES:
        return f"instruction set {ACTIVE.isa.decode() if isa is None else isa} has none"
    if why == FNN_TILES_DISAGREE:
        return "the unit computes known products wrongly"
    hint = "; an alternative signal stack (sigaltstack) is too small for their registers" if why == errno.ENOSPC else ""
    return f"the operating system does not grant them ({os.strerror(why)}{hint})"


def has_tiles(isa=None):
    """Whether products of float32 can be made of bfloat16 tiles (AMX); asks the operating system for them."""
    return ask_for_tiles(table_of(isa)) == 0


def activation_rows():
    """``[(name, {parameter: default}, derivative needs the input)]`` of every activation in the kernels."""
    cdef const fnn_activation *a = ACTIVE.activations
    rows = []
    while a.name != NULL:
        rows.append((a.name.decode(), read_params(a.params), bool(a.from_input)))
        a += 1
    return rows


def least_of_activations():
    """``{(row, parameter): least value}`` of the parameters whose row has one."""
    cdef const fnn_activation *a = ACTIVE.activations
    found = {}
    while a.name != NULL:
        found.update({(a.name.decode(), key): float(least) for key, _, least in parameters_of(a.params) if least})
        a += 1
    return found


def optimizer_rows():
    """``[(name, {parameter: default}, [names of the state vectors])]``."""
    cdef const fnn_optimizer *o = ACTIVE.optimizers
    rows = []
    while o.name != NULL:
        rows.append((o.name.decode(), read_params(o.params), [s for s in o.state.decode().split(",") if s]))
        o += 1
    return rows


cdef list _loss_rows(const fnn_loss *row):
    rows = []
    while row.name != NULL:
        target = "values" if row.target == FNN_TARGET_VALUES else "labels"
        rows.append((row.name.decode(), read_params(row.params), target))
        row += 1
    return rows


def loss_rows():
    """``[(name, {parameter: default}, "labels" | "values")]``: what the target of the loss is."""
    return _loss_rows(ACTIVE.losses)


def metric_rows():
    """As `loss_rows`, of the metrics."""
    return _loss_rows(ACTIVE.metrics)


cdef ptrdiff_t pairs_of(const fnn_loss *row, const double *s, ptrdiff_t outputs) noexcept nogil:
    """Pairs of sums that a loss or metric leaves in its partials."""
    if row.pairs == FNN_PAIRS_PARAM:
        return <ptrdiff_t>s[0]
    return 1 if row.pairs == 0 else row.pairs * outputs


def metric_pairs(name, params, outputs):
    """Pairs of sums that the metric `name` is made of: 1, and it is their quotient, or more."""
    cdef const fnn_loss *row = ACTIVE.metrics
    cdef double s[8]
    for i, value in enumerate(params):
        s[i] = value
    while row.name != NULL:
        if row.name.decode() == name:
            return pairs_of(row, s, outputs)
        row += 1
    raise KeyError(f"no metric row {name!r}")


def call_function(str name, x, isa=None):
    """``math_<name>`` of a contiguous float array, on any instruction set: the door of the accuracy tests.

    The result lies at the same byte offset modulo 64 as `x`."""
    cdef const fnn_table *t = table_of(isa)
    cdef int f64 = {"float32": 0, "float64": 1}[x.dtype.name]
    cdef fnn_any f = find_function(t, "math_" + name, f64)
    raw = np.empty(x.nbytes + 128, np.uint8)
    shift = (x.ctypes.data - raw.ctypes.data) % 64
    y = raw[shift:shift + x.nbytes].view(x.dtype)
    cdef size_t px = x.ctypes.data, py = y.ctypes.data
    cdef ptrdiff_t n = x.size
    with nogil:
        (<void (*)(void *, const void *, ptrdiff_t) noexcept nogil>f)(<void *>py, <const void *>px, n)
    return y


try:
    ACTIVE = table_of(os.environ.get("FASTNN_ISA", ""))
except RuntimeError as error:
    raise RuntimeError(f"FASTNN_ISA: {error}") from None
