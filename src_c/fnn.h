/* fnn.h - the contracts of the core.  C11, libc and libm only; no Python.h, no OpenMP, no allocation.
 *
 * (a) Layout.  PW = 2 vectors of lanes (f32: 8 scalar, 16 AVX2, 32 AVX-512; f64 half of it).
 *     Activations are kept in *sample panels*   x[p][f][PW]        p = sample / PW, f = feature
 *     Dense weights are kept in *unit panels*   w[u][i][PW]        u = unit / PW, i = input; with a bias one
 *                                                                  more row i = I holds it
 *     Both are zero-padded to whole panels and 64-byte aligned, so every inner loop of the forward pass,
 *     dX and dW reads contiguous vectors; nothing is packed or transposed per step but dY, panel by panel.
 *     Per-feature vectors (gamma, moving averages, ...) are plain vectors padded to whole panels.
 * (b) Kernels are serial.  A kernel computes the rectangle [f0, f1) x [p0, p1) of its output: features by sample
 *     panels.  The executor above decides which thread runs which rectangle; it cuts features at multiples of VW, half
 *     a panel, or of PW where a kernel says so, and a range may end past the last feature.  A result never depends on
 *     how its rectangle was cut.
 * (c) A kernel reads what is fixed from fnn_op (resolved once) and what changes per step from fnn_run.
 *     What p, n, s and fn mean is declared above each kernel, by name (operands.h). */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define FNN_MAX_P 13
#define FNN_MAX_N 10
#define FNN_MAX_S 8
#define FNN_MAX_FN 3
#define FNN_FEW 4          /* samples that a forward pass multiplies one by one */
#define FNN_DW_SAMPLES 512 /* of a block of dense_dw, at most: the transposed dY stays in L1/L2 */
#define FNN_DW_INPUTS 96   /* rows of an item of dense_dw, at most */

/* dtypes of the arrays of data that the gather kernel reads; bool is FNN_U8 */
enum { FNN_U8, FNN_I8, FNN_U16, FNN_I16, FNN_U32, FNN_I32, FNN_U64, FNN_I64, FNN_F16, FNN_F32, FNN_F64 };

typedef struct fnn_op fnn_op;

/* What may differ from one step to the next.  One private copy per thread. */
typedef struct fnn_run {
    ptrdiff_t n;            /* samples of the range at hand (a batch or a chunk of it), > 0 */
    ptrdiff_t s0;           /* position of its first sample in the batch */
    ptrdiff_t batch;        /* samples of the whole batch: the divisor of mean losses */
    uint64_t seed;          /* key of the counter-based generator */
    uint64_t step;          /* optimizer steps done before this one; part of every random counter */
    const int64_t *index;   /* rows of the batch in the data (+ s0), NULL: rows row0 + s0 ... */
    int64_t row0;
    const double *hyper;    /* what the optimizer's fnn_prep made for this step */
    ptrdiff_t slot;         /* gradient slot of the chunk (sample-parallel schedule), else 0 */
    int accumulate;         /* the slot already holds the gradient of an earlier chunk */
    void *scratch;          /* private to the thread: FNN_SCRATCH_BYTES (or _TILE_), 64-byte aligned */
    double rate;            /* learning rate of this step */
    ptrdiff_t epoch;        /* of those that one call trains: 0, 1, ... */
} fnn_run;

typedef struct fnn_rect {
    ptrdiff_t f0, f1; /* features (or whatever the op calls an item) */
    ptrdiff_t p0, p1; /* sample panels, relative to run->s0 */
} fnn_rect;

typedef void (*fnn_kernel)(const fnn_op *op, const fnn_run *run, const fnn_rect *r);
typedef void (*fnn_any)(void);

struct fnn_op {
    fnn_kernel run;
    fnn_any fn[FNN_MAX_FN];  /* formula loops: activation, optimizer update, ... */
    void *p[FNN_MAX_P];
    ptrdiff_t n[FNN_MAX_N];
    double s[FNN_MAX_S];     /* parameters of the formula */
};

#define FNN_SCRATCH_BYTES (256 * 1024)
#define FNN_TILE_SCRATCH_BYTES (1408 * 1024) /* of programs with products by tiles (gemm/tiles.inl.h) */
#define FNN_TILES_AGREE_BYTES (52 * 1024)      /* what the function tiles_agree wants */

/* A run of parameters that belong to one variable; offsets are in elements of the flat parameter block and
 * multiples of PW.  Kernels over parameters take a range of blocks, so their reduction order is fixed by it. */
typedef struct fnn_block {
    ptrdiff_t off, len;
    int32_t var;   /* index of the trainable variable: per-variable clipping */
    int32_t flags; /* FNN_BLOCK_* */
} fnn_block;
#define FNN_BLOCK_LEN 1024 /* no block is longer */
enum { FNN_BLOCK_IS_KERNEL = 1 };

/* What a variable gets besides the optimizer (loops/rules.inl.h): its gradient l1 sign(w) + l2 w, its weights, before
 * the step, w - rate decay w.  values: where each item puts its part of the penalty l1 sum |w| + l2 / 2 sum w^2. */
typedef struct fnn_rule {
    double l1, l2, decay;
    double *values;
} fnn_rule;

/* --- formula loops: contiguous, `n` elements, any alignment of a T, in place allowed ------------------- */
/* y = f(x) */
typedef void (*fnn_map_fwd)(void *y, const void *x, ptrdiff_t n, const double *s);
/* dx = dy * f'(.), the derivative from `t`: the output y, or the input x if the row says so */
typedef void (*fnn_map_bwd)(void *dx, const void *dy, const void *t, ptrdiff_t n, const double *s);
/* w, state <- one optimizer step with gradient g, of `rows` runs of n elements, the next one `stride` elements further
 * on in each of the vectors; h: what fnn_prep made for this step */
typedef void (*fnn_update)(void *w, void *s0, void *s1, void *s2, const void *g, ptrdiff_t n, ptrdiff_t rows,
                           ptrdiff_t stride, const double *h);
/* the same beside products: of a type of its unit, FN(beside) of gemm/beside.inl.h */
typedef fnn_any fnn_beside;
/* the scalars of step t (1, 2, ...), computed once a step in double: h[FNN_MAX_H] <- learning rate, t, s */
typedef void (*fnn_prep)(double *h, double lr, uint64_t t, const double *s);
#define FNN_MAX_H 8

/* --- the lists a unit exports; every Python name, default and case is made from these rows -------------- */
/* params: "alpha=1.0>=0,threshold=0.0" - names, defaults and least values of s[0], s[1], ... in order ("" if none) */
typedef struct fnn_activation {
    const char *name, *params;
    int from_input;           /* the derivative needs the input, not the output */
    fnn_map_fwd fwd[2];       /* [0] f32, [1] f64 */
    fnn_map_bwd bwd[2];
} fnn_activation;

typedef struct fnn_optimizer {
    const char *name, *params;
    const char *state;        /* names of the state vectors a parameter has, "momentum,velocity" (0 to 3) */
    fnn_prep prep;
    fnn_update update[2];
    fnn_beside beside[2];     /* a tile of dW with an update (gemm/beside.inl.h); NULL where the unit has none */
} fnn_optimizer;

/* A loss or a metric: a row kernel (loops/rows.inl.h). */
typedef struct fnn_loss {
    const char *name, *params;
    int target;               /* FNN_TARGET_LABELS: int32 class of each sample; FNN_TARGET_VALUES: panels as y */
    fnn_kernel run[2];
    int pairs;                /* of a metric made of more than one pair of sums: how many of each output,
                                 or FNN_PAIRS_PARAM: as many as its first parameter says; 0: one pair */
    const char *signature;
} fnn_loss;
enum { FNN_TARGET_LABELS = 0, FNN_TARGET_VALUES = 1 };
enum { FNN_PAIRS_PARAM = -1 };

typedef struct fnn_named {
    const char *name;
    fnn_any fn[2];
    const char *signature;    /* of a kernel: its operands, see operands.h */
} fnn_named;

typedef struct fnn_table {
    const char *isa;
    int vector_bytes;
    int tiles;                           /* products of float32 may be made of bfloat16 tiles (AMX) */
    const fnn_activation *activations;   /* each list ends with name == NULL */
    const fnn_optimizer *optimizers;
    const fnn_loss *losses;
    const fnn_loss *metrics;
    const fnn_named *kernels;            /* fnn_kernel */
    const fnn_named *functions;          /* everything with a signature of its own */
} fnn_table;

/* The table named by `isa`, or the best this CPU has if isa is NULL or "".  NULL: unknown name, or (then
 * *why says so) one this CPU or operating system cannot run. */
const fnn_table *fnn_select(const char *isa, const char **why);
/* Names of the targets in this build, best last; NULL-terminated. */
const char *const *fnn_targets(void);
int fnn_cpu_has(const char *isa);
/* 1: AVX-512 is made of portable vector operations here, whose estimate of a root has other bits than the hardware's */
#ifdef FNN_EMULATE_AVX512
enum { FNN_EMULATED = 1 };
#else
enum { FNN_EMULATED = 0 };
#endif
/* 0 if the table has products by bfloat16 tiles and this process may use the unit for them; asks the operating system
 * for it at the first call, and again in a forked child.  Else the error number with which it refused, or one of these.
 * memory: FNN_TILES_AGREE_BYTES, 64-byte aligned (too much for the stack of some threads). */
enum { FNN_NO_TILES = -1, FNN_TILES_DISAGREE = -2 };
int fnn_tiles_refusal(const fnn_table *table, void *memory);
