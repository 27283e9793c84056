/* Random numbers that depend on where they are used and not on who asked first: Philox4x32-10 (Salmon, Moraes,
 * Dror & Shaw 2011), a block cipher of a counter.  So a mask is the same for any number of threads, any cut of a
 * batch, any instruction set and dtype, and resuming needs no state but seed and step.
 *
 * (a) A vector holds one counter per 64-bit lane, each of its four words in the low half of a lane of c[0..3].  The
 *     high halves are never cleared: a 32 x 32 -> 64 bit multiplication does not look at them.
 * (b) Counters are dealt to lanes (even lanes first) so that pairing the words needs no shuffle across 16 bytes. */
#ifndef FNN_RANDOM_KERNELS
#define FNN_RANDOM_KERNELS(X) X(dropout)
/* of shared_words: id of the layer; axes: number of sizes, 0: nothing is shared; across: whether samples share, too */
#define FNN_OPERANDS_words(_) _(N, id) _(N, axes) _(N, across) _(NV, sizes, 6)
#define FNN_OPERANDS_dropout(_)                                                                           \
    _(SPLIT, rect, F) _(P, T, y, out, local) _(P, T, x, in, local) _(P, T, mask, out, local)              \
    _(N, F) FNN_OPERANDS_words(_) _(S, rate)
FNN_RANDOM_KERNELS(FNN_LAYOUT)
#define FNN_RANDOM_FUNCTIONS(X) X(philox_fill) X(philox_order)
#define FNN_LANES64 (FNN_VBYTES / 8)
#define FNN_PHILOX_M0 0xD2511F53u
#define FNN_PHILOX_M1 0xCD9E8D57u
#define FNN_PHILOX_W0 0x9E3779B9u
#define FNN_PHILOX_W1 0xBB67AE85u
#endif
#ifdef SFX
#ifndef V64
typedef uint64_t FNN_CAT(vec64_, FNN_ISA) __attribute__((vector_size(FNN_VBYTES)));
typedef uint64_t FNN_CAT(vec64_u_, FNN_ISA) __attribute__((vector_size(FNN_VBYTES), aligned(4), may_alias));
#define V64 FNN_CAT(vec64_, FNN_ISA)
#define V64U FNN_CAT(vec64_u_, FNN_ISA)

/* low half of each lane of a times m.  gcc makes three multiplications of the portable form. */
FNN_INLINE V64 FNN_CAT(mul32_, FNN_ISA)(V64 a, V64 m)
{
#if FNN_VBYTES == 32
    return (V64)_mm256_mul_epu32((__m256i)a, (__m256i)m);
#elif FNN_VBYTES == 64 && !defined(FNN_EMULATE_AVX512)
    return (V64)_mm512_mul_epu32((__m512i)a, (__m512i)m);
#elif FNN_VBYTES == 16 && defined(__SSE2__)
    return (V64)_mm_mul_epu32((__m128i)a, (__m128i)m);
#else
    return (a & 0xffffffffu) * m;
#endif
}

/* counter of lane l: the even lanes take the first half of a vector's counters */
#define FNN_LANE_COUNTER(l) ((l) % 2 * (FNN_LANES64 / 2) + (l) / 2)

/* the keys of the ten rounds, once for many counters */
FNN_INLINE void FNN_CAT(philox_keys_, FNN_ISA)(V64 *keys, uint32_t k0, uint32_t k1)
{
    for (uint32_t i = 0; i < 10; i++) {
        keys[2 * i] = (V64){0} + (uint64_t)(uint32_t)(k0 + i * FNN_PHILOX_W0);
        keys[2 * i + 1] = (V64){0} + (uint64_t)(uint32_t)(k1 + i * FNN_PHILOX_W1);
    }
}

/* out[0 .. 4 * FNN_LANES64) <- the words of the vector's counters, in order of counters */
FNN_INLINE void FNN_CAT(philox_, FNN_ISA)(uint32_t *out, V64 c0, V64 c1, V64 c2, V64 c3, const V64 *keys)
{
    const V64 m0 = (V64){0} + FNN_PHILOX_M0, m1 = (V64){0} + FNN_PHILOX_M1, low = (V64){0} + 0xffffffffu;
    for (int round = 0; round < 10; round++) {
        const V64 a = FNN_CAT(mul32_, FNN_ISA)(c0, m0), b = FNN_CAT(mul32_, FNN_ISA)(c2, m1);
        c0 = (b >> 32) ^ (c1 ^ keys[2 * round]);
        c2 = (a >> 32) ^ (c3 ^ keys[2 * round + 1]);
        c1 = b, c3 = a;
    }
    const V64 w01 = (c0 & low) | c1 << 32, w23 = (c2 & low) | c3 << 32;
#if defined(__clang__)
#if FNN_LANES64 == 2
    const V64 lo = __builtin_shufflevector(w01, w23, 0, 2), hi = __builtin_shufflevector(w01, w23, 1, 3);
#elif FNN_LANES64 == 4
    const V64 lo = __builtin_shufflevector(w01, w23, 0, 4, 2, 6), hi = __builtin_shufflevector(w01, w23, 1, 5, 3, 7);
#else
    const V64 lo = __builtin_shufflevector(w01, w23, 0, 8, 2, 10, 4, 12, 6, 14);
    const V64 hi = __builtin_shufflevector(w01, w23, 1, 9, 3, 11, 5, 13, 7, 15);
#endif
#else
#if FNN_LANES64 == 2
    const V64 lo = __builtin_shuffle(w01, w23, (V64){0, 2}), hi = __builtin_shuffle(w01, w23, (V64){1, 3});
#elif FNN_LANES64 == 4
    const V64 lo = __builtin_shuffle(w01, w23, (V64){0, 4, 2, 6}), hi = __builtin_shuffle(w01, w23, (V64){1, 5, 3, 7});
#else
    const V64 lo = __builtin_shuffle(w01, w23, (V64){0, 8, 2, 10, 4, 12, 6, 14});
    const V64 hi = __builtin_shuffle(w01, w23, (V64){1, 9, 3, 11, 5, 13, 7, 15});
#endif
#endif
    *(V64U *)out = lo;
    *(V64U *)(out + 2 * FNN_LANES64) = hi;
}
#endif

/* out[0..n) <- the words of the counters (counter[0], ...), (counter[0] + 1, ...), ..., four each; the sum carries
 * into the words after it.  For tests, and for whoever wants the generator as such. */
static void FN(philox_fill)(uint32_t *out, ptrdiff_t n, const uint32_t *counter, const uint32_t *key)
{
    uint32_t words[4 * FNN_LANES64];
    uint64_t lane[FNN_LANES64];
    V64 keys[20], c[4];
    FNN_CAT(philox_keys_, FNN_ISA)(keys, key[0], key[1]);
    for (int l = 0; l < FNN_LANES64; l++) lane[l] = (uint64_t)FNN_LANE_COUNTER(l);
    for (int k = 1; k < 4; k++) c[k] = (V64){0} + counter[k];
    for (ptrdiff_t at = 0; at < n; at += 4 * FNN_LANES64) {
        const uint64_t first = counter[0] + (uint64_t)at / 4;
        c[0] = *(V64U *)lane + first;
        if (first + FNN_LANES64 > 0xffffffffu) /* hardly ever: the sum leaves its word */
            for (int l = 0; l < FNN_LANES64; l++) {
                uint64_t carry = first + lane[l];
                c[0][l] = carry & 0xffffffffu;
                for (int k = 1; k < 4; k++) {
                    carry = (carry >> 32) + counter[k];
                    c[k][l] = carry & 0xffffffffu;
                }
            }
        FNN_CAT(philox_, FNN_ISA)(n - at < 4 * FNN_LANES64 ? words : out + at, c[0], c[1], c[2], c[3], keys);
        if (n - at < 4 * FNN_LANES64) memcpy(out + at, words, (size_t)(n - at) * 4);
    }
}

/* raw[0..n) <- the numbers at, at + 1, ... of 64 bits that philox_fill makes of `counter`, whose words 0 and 1 are 0;
 * at is even */
FNN_INLINE void FN(order_keys)(uint64_t *raw, ptrdiff_t at, ptrdiff_t n, const uint32_t *counter, const uint32_t *key)
{
    const uint64_t first = (uint64_t)at / 2;
    const uint32_t from[4] = {(uint32_t)first, (uint32_t)(first >> 32), counter[2], counter[3]};
    FN(philox_fill)((uint32_t *)raw, 2 * n, from, key);
}

/* order[0..n) <- 0 .. n - 1 sorted by 64 random bits each (order_keys); the earlier of two equal ones first.
 * Random numbers fall evenly into 2^bits buckets by their first bits; with about one to a bucket, sorting by insertion
 * takes hardly a step.  They are made twice, to count and to be placed: that is cheaper than memory for all of them.
 * keys has room for n, ends for 2^bits + 1; bits is at least 1. */
static void FN(philox_order)(int64_t *order, uint64_t *keys, uint32_t *ends, ptrdiff_t n, int bits,
                             const uint32_t *counter, const uint32_t *key)
{
    enum { PIECE = 256 };
    uint64_t raw[PIECE];
    memset(ends, 0, (((size_t)1 << bits) + 1) * sizeof *ends);
    for (ptrdiff_t at = 0; at < n; at += PIECE) {
        const ptrdiff_t count = fnn_min(PIECE, n - at);
        FN(order_keys)(raw, at, count, counter, key);
        for (ptrdiff_t i = 0; i < count; i++) ends[(raw[i] >> (64 - bits)) + 1]++;
    }
    for (ptrdiff_t b = 1; b <= (ptrdiff_t)1 << bits; b++) ends[b] += ends[b - 1];
    for (ptrdiff_t at = 0; at < n; at += PIECE) {
        const ptrdiff_t count = fnn_min(PIECE, n - at);
        FN(order_keys)(raw, at, count, counter, key);
        for (ptrdiff_t i = 0; i < count; i++) {
            const uint32_t to = ends[raw[i] >> (64 - bits)]++;
            keys[to] = raw[i], order[to] = at + i;
        }
    }
    for (ptrdiff_t i = 1; i < n; i++) {
        const uint64_t k = keys[i];
        const int64_t o = order[i];
        ptrdiff_t j = i;
        for (; j > 0 && keys[j - 1] > k; j--) keys[j] = keys[j - 1], order[j] = order[j - 1];
        keys[j] = k, order[j] = o;
    }
}

/* words[(k * PW) + lane] <- the word of feature f + k, 0 <= k < n, of each sample of panel p: counter (feature, sample
 * of the batch / 4, step, layer), word sample % 4.  s0 is a multiple of 4.  Room for FNN_WORDS is needed, n at most
 * FNN_WORD_COLS. */
FNN_INLINE void FN(panel_words)(uint32_t *words, const fnn_run *run, ptrdiff_t layer, ptrdiff_t p, ptrdiff_t f,
                                ptrdiff_t n, const V64 *keys)
{
    enum { QUADS = PW / 4 };
    uint64_t df[FNN_LANES64], dq[FNN_LANES64]; /* feature and four samples of a lane, past those of the first lane */
    for (int l = 0; l < FNN_LANES64; l++) df[l] = FNN_LANE_COUNTER(l) / QUADS, dq[l] = FNN_LANE_COUNTER(l) % QUADS;
    const V64 c1 = *(V64U *)dq + (uint64_t)((run->s0 + p * PW) / 4);
    const V64 c2 = (V64){0} + (uint32_t)run->step, c3 = (V64){0} + (uint32_t)layer;
    for (ptrdiff_t k = 0; k < n; k += FNN_LANES64 / QUADS)
        FNN_CAT(philox_, FNN_ISA)(words + k * PW, *(V64U *)df + (uint64_t)(f + k), c1, c2, c3, keys);
}
#ifndef FNN_WORD_COLS
#define FNN_WORD_COLS 64
#define FNN_WORDS ((FNN_WORD_COLS + 1) * PW)
/* The feature whose word feature f takes: axes of a sample are n runs, row-major, of which those of negative size share
 * one word (Keras' noise_shape). */
FNN_INLINE ptrdiff_t fnn_word_feature(const ptrdiff_t *runs, ptrdiff_t n, ptrdiff_t f)
{
    ptrdiff_t found = 0, stride = 1;
    for (ptrdiff_t i = n - 1; i >= 0; i--) {
        const ptrdiff_t size = runs[i] < 0 ? -runs[i] : runs[i];
        if (runs[i] > 0) found += f % size * stride, stride *= size;
        f /= size;
    }
    return found;
}
#endif

/* The words of an operation: panel_words, or words that elements share, one feature after the other. */
FNN_INLINE void FN(shared_words)(uint32_t *words, ptrdiff_t id, ptrdiff_t axes, ptrdiff_t across,
                                 const ptrdiff_t *sizes, const fnn_run *run, ptrdiff_t p, ptrdiff_t f, ptrdiff_t n,
                                 const V64 *keys)
{
    if (!axes) {
        FN(panel_words)(words, run, id, p, f, n, keys);
        return;
    }
    uint32_t one[2 * 4 * FNN_LANES64 + PW] __attribute__((aligned(64)));
    fnn_run first = *run;
    if (across) first.s0 = 0, p = 0;
    ptrdiff_t before = -1;
    for (ptrdiff_t k = 0; k < n; k++) {
        const ptrdiff_t from = fnn_word_feature(sizes, axes, f + k);
        if (from != before) FN(panel_words)(one, &first, id, p, from, 1, keys);
        before = from;
        for (int lane = 0; lane < PW; lane++) words[k * PW + lane] = one[across ? 0 : lane];
    }
}

/* Inverted dropout: mask = 0 or 1 / (1 - rate), y = x * mask, and 0 where dropped whatever x is (so a dropped Inf
 * leaves no NaN).  Backward is `mul` by the mask.  An element is kept if its word (panel_words, key: the seed) is at
 * least rate * 2^32.  x may be y */
static void FN(dropout)(const fnn_op *op, const fnn_run *run, const fnn_rect *r)
{
    FNN_OPEN(dropout)
    const ptrdiff_t end = r->f1 < F ? r->f1 : F;
    const uint64_t least = (uint64_t)ceil(rate * 4294967296.0); /* word >= rate * 2^32 for an integer word */
    /* in 32 bits the comparison is word > least - 1, which at rate 0 has to be made up for */
    const uint32_t last = (uint32_t)(least - 1);
    const T keep = (T)(1 / (1 - rate)), drop = least ? 0 : keep;
    uint32_t words[FNN_WORDS] __attribute__((aligned(64)));
    V64 keys[20];
    FNN_CAT(philox_keys_, FNN_ISA)(keys, (uint32_t)run->seed, (uint32_t)(run->seed >> 32));
    for (ptrdiff_t p = r->p0; p < r->p1; p++)
        for (ptrdiff_t f = r->f0; f < end; f += FNN_WORD_COLS) {
            const ptrdiff_t n = fnn_min(FNN_WORD_COLS, end - f), at = (p * F + f) * PW;
            FN(shared_words)(words, id, axes, across, sizes, run, p, f, n, keys);
            const T *from = x + at;
            T *to = y + at, *kept = mask + at;
            for (ptrdiff_t i = 0; i < n * PW; i++) {
                const T m = words[i] > last ? keep : drop;
                kept[i] = m;
                to[i] = m != 0 ? from[i] * m : 0;
            }
        }
}
#endif
