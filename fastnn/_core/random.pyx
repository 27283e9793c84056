"""Dropout and its generator on arrays."""
import numpy as np

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from numpy cimport PyArray_DATA, PyArray_STRIDE, ndarray

from . cimport operands, rows

cdef double SECONDS = 1.5e-9   # an element, roughly

cdef uint32_t OF_ORDERS = 0xFFFFFFFF   # in place of the number of a layer, as in dropout

ctypedef void (*fill_function)(uint32_t *, ptrdiff_t, const uint32_t *, const uint32_t *) noexcept nogil
ctypedef void (*order_function)(int64_t *, uint64_t *, uint32_t *, ptrdiff_t, int, const uint32_t *,
                                const uint32_t *) noexcept nogil


cdef void philox(uint32_t *out, ptrdiff_t n, const uint32_t *counter, const uint32_t *key) noexcept nogil:
    (<fill_function>rows.function("philox_fill", 0))(out, n, counter, key)


cdef int dropout(int f64, void *y, const void *x, ptrdiff_t B, ptrdiff_t F, ptrdiff_t stride_y, ptrdiff_t stride_x,
                 double rate, uint64_t seed, uint64_t step, uint32_t layer, int threads) noexcept nogil:
    cdef rows.Job job
    cdef operands.fnn_p_dropout *p = <operands.fnn_p_dropout *>job.op.p
    cdef operands.fnn_n_dropout *sizes = <operands.fnn_n_dropout *>job.op.n
    rows.start(&job, "dropout", f64, B)
    sizes.F, sizes.id = F, layer
    (<operands.fnn_s_dropout *>job.op.s).rate = rate
    job.run.seed, job.run.step = seed, step
    job.features, job.sides = F, 2
    job.side[0] = rows.Side(<const char *>x, <char *>y, F, stride_x, stride_y, rows.place(&job, &p.x),
                            rows.place(&job, &p.y))
    # the same call computes the mask again for the gradient
    job.side[1] = rows.Side(NULL, NULL, F, 0, 0, rows.place(&job, &p.mask), -1)
    return rows.run_rows(&job, B, threads)


# ---- for fastnn.ops, which has checked everything ------------------------------------------------------------


def words(ptrdiff_t n, counter, key):
    """n words of uint32; counter: four, key: two of them."""
    out = np.empty(n, np.uint32)
    cdef uint32_t c[4]
    cdef uint32_t q[2]
    cdef uint32_t *p = <uint32_t *>PyArray_DATA(out)
    c[0], c[1], c[2], c[3] = counter
    q[0], q[1] = key
    with nogil:
        philox(p, n, c, q)
    return out


def orders(uint64_t seed, uint64_t epoch, ptrdiff_t epochs, ptrdiff_t n):
    """A random order of n samples for each of some epochs, one after the other, int64; n is below 2^32.

    Sample i of epoch e has the words 2 i and 2 i + 1 of the counters (0, 0, e, 2^32 - 1), (1, 0, e, 2^32 - 1), ... and
    the key `seed`, as one number of 64 bits, the first word low; samples are sorted by it."""
    out = np.empty(epochs * n, np.int64)
    cdef int64_t *order = <int64_t *>PyArray_DATA(out)
    cdef uint64_t *keys
    cdef uint32_t *ends
    cdef uint32_t counter[4]
    cdef uint32_t key[2]
    cdef int bits = 1
    cdef ptrdiff_t e
    while <ptrdiff_t>1 << bits < n:
        bits += 1
    key[0], key[1] = <uint32_t>seed, <uint32_t>(seed >> 32)
    counter[0], counter[1], counter[3] = 0, 0, OF_ORDERS
    with nogil:
        keys = <uint64_t *>malloc(n * sizeof(uint64_t) + 1)
        ends = <uint32_t *>malloc(((<size_t>1 << bits) + 1) * sizeof(uint32_t))
        if keys != NULL and ends != NULL:
            for e in range(epochs):
                counter[2] = <uint32_t>(epoch + <uint64_t>e)
                (<order_function>rows.function("philox_order", 0))(order + e * n, keys, ends, n, bits, counter, key)
        free(keys)
        free(ends)
    if keys == NULL or ends == NULL:
        raise MemoryError(f"order of {n} samples")
    return out


cdef inline uint32_t hashed(uint32_t value, uint32_t *factor, uint32_t next) noexcept nogil:
    value ^= factor[0]
    factor[0] *= next
    value *= factor[0]
    return value ^ (value >> 16)


def seed_words(entropy, spawned, ptrdiff_t n):
    """``np.random.SeedSequence(entropy, spawn_key=spawned).generate_state(n, np.uint64)``, in a tenth of its time.

    (O'Neill 2015, "Developing a seed_seq alternative", in NumPy's form, which is promised to stay.)  entropy: an int;
    spawned: a tuple of ints, none negative."""
    cdef list words = words_of(entropy)
    cdef uint32_t pool[4]
    cdef uint32_t factor = 0x43B0D7E5, mixed
    cdef int source, into
    if spawned:
        words += [0] * (4 - len(words))
        for each in spawned:
            words += words_of(each)
    for into in range(4):
        pool[into] = hashed(words[into] if into < len(words) else 0, &factor, 0x931E8875)
    for source in range(max(4, len(words))):
        for into in range(4):
            if source < 4 and source == into:
                continue
            mixed = pool[source] if source < 4 else <uint32_t>words[source]
            mixed = 0xCA01F9DDu * pool[into] - 0x4973F715u * hashed(mixed, &factor, 0x931E8875)
            pool[into] = mixed ^ (mixed >> 16)
    out = np.empty(n, np.uint64)
    cdef uint64_t *to = <uint64_t *>PyArray_DATA(out)
    cdef uint64_t low, high
    factor = 0x8B51F9DD
    for source in range(n):
        low = hashed(pool[2 * source % 4], &factor, 0x58F38DED)
        high = hashed(pool[(2 * source + 1) % 4], &factor, 0x58F38DED)
        to[source] = low | high << 32
    return out


cdef list words_of(number):
    """The words of a number, the lowest first; one at least."""
    words = [number & 0xFFFFFFFF]
    number >>= 32
    while number:
        words.append(number & 0xFFFFFFFF)
        number >>= 32
    return words


def drop(ndarray y, ndarray x, double rate, uint64_t seed, uint64_t step, uint32_t layer, threads):
    """y, x: (B, F) with contiguous rows."""
    cdef ptrdiff_t B = x.shape[0], F = x.shape[1], stride_y = PyArray_STRIDE(y, 0), stride_x = PyArray_STRIDE(x, 0)
    cdef int f64 = x.itemsize == 8, team = rows.team_for(B * F * SECONDS, threads), status
    cdef void *py = PyArray_DATA(y)
    cdef const void *px = PyArray_DATA(x)
    with nogil:
        status = dropout(f64, py, px, B, F, stride_y, stride_x, rate, seed, step, layer, team)
    rows.done(status)
