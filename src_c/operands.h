/* What a kernel reads and writes, declared once, beside it:
 *
 *     #define FNN_OPERANDS_dense_fwd(_)                                                        \
 *         _(SPLIT, rect, O)                                                                    \
 *         _(P, T, y, out, local) _(P, T, x, in, samples) _(P, T, w, in, all)                   \
 *         _(N, I) _(N, O) _(N, rows) _(S, slope) _(F, fnn_map_fwd, act)
 *
 * (a) FNN_LAYOUT(kernel) makes structures of it, laid over the arrays of fnn_op; FNN_OPEN(kernel) opens an operation:
 *     each operand is a constant of its name.  FNN_SIGNATURE(kernel) is the text from which Python takes names and
 *     positions, how the work is split, and where threads must wait (fastnn/engine/signatures.py).
 * (b) _(SPLIT, way, extent): how threads share the operation, and the number, by name, where f of its rectangles ends.
 *         rect      any rectangle of features and sample panels
 *         samples   sample panels, all features of each
 *         features  features, all samples of the batch
 *         slots     features or items, the samples of the rectangle, into the gradient slot of the run
 *         items     whatever the kernel calls an item (extent: none); no samples
 *         one       the first thread does all of it
 * (c) _(P, type, name, mode, where): a pointer.  mode: in, out, io (read and written), or updated: written where the
 *     operation has the formula `update`.  With _opt it may be NULL.  where: what a rectangle touches of it,
 *         local     its features of its samples (out: nothing else is written there by another rectangle)
 *         samples   all features of its samples
 *         features  all samples of its features, or these elements of a vector
 *         blocks    the parameters of its blocks (fnn_block), or an element of a vector for each
 *         all       anything
 * (d) _(N, name): a size, _(NV, name, count): an array of them; _(S, name), _(SV, name, count): numbers of a formula,
 *     in double; _(F, type, name): a formula's loop, which may be NULL. */
#pragma once
#include "fnn.h"

#define FNN_UNUSED __attribute__((unused))

#define FNN_FIELD_P(kind, ...) FNN_FIELD_P_##kind(__VA_ARGS__)
#define FNN_FIELD_P_SPLIT(...)
#define FNN_FIELD_P_P(type, name, mode, where) void *name;
#define FNN_FIELD_P_N(...)
#define FNN_FIELD_P_NV(...)
#define FNN_FIELD_P_S(...)
#define FNN_FIELD_P_SV(...)
#define FNN_FIELD_P_F(...)
#define FNN_FIELD_N(kind, ...) FNN_FIELD_N_##kind(__VA_ARGS__)
#define FNN_FIELD_N_SPLIT(...)
#define FNN_FIELD_N_P(...)
#define FNN_FIELD_N_N(name) ptrdiff_t name;
#define FNN_FIELD_N_NV(name, count) ptrdiff_t name[count];
#define FNN_FIELD_N_S(...)
#define FNN_FIELD_N_SV(...)
#define FNN_FIELD_N_F(...)
#define FNN_FIELD_S(kind, ...) FNN_FIELD_S_##kind(__VA_ARGS__)
#define FNN_FIELD_S_SPLIT(...)
#define FNN_FIELD_S_P(...)
#define FNN_FIELD_S_N(...)
#define FNN_FIELD_S_NV(...)
#define FNN_FIELD_S_S(name) double name;
#define FNN_FIELD_S_SV(name, count) double name[count];
#define FNN_FIELD_S_F(...)
#define FNN_FIELD_F(kind, ...) FNN_FIELD_F_##kind(__VA_ARGS__)
#define FNN_FIELD_F_SPLIT(...)
#define FNN_FIELD_F_P(...)
#define FNN_FIELD_F_N(...)
#define FNN_FIELD_F_NV(...)
#define FNN_FIELD_F_S(...)
#define FNN_FIELD_F_SV(...)
#define FNN_FIELD_F_F(type, name) fnn_any name;

#define FNN_LAYOUT(kernel)                                                                              \
    typedef struct { FNN_OPERANDS_##kernel(FNN_FIELD_P) } fnn_p_##kernel;                               \
    typedef struct { FNN_OPERANDS_##kernel(FNN_FIELD_N) } fnn_n_##kernel;                               \
    typedef struct { FNN_OPERANDS_##kernel(FNN_FIELD_S) } fnn_s_##kernel;                               \
    typedef struct { FNN_OPERANDS_##kernel(FNN_FIELD_F) } fnn_f_##kernel;                               \
    _Static_assert(sizeof(fnn_p_##kernel) <= FNN_MAX_P * sizeof(void *), #kernel ": too many pointers"); \
    _Static_assert(sizeof(fnn_n_##kernel) <= FNN_MAX_N * sizeof(ptrdiff_t), #kernel ": too many sizes"); \
    _Static_assert(sizeof(fnn_s_##kernel) <= FNN_MAX_S * sizeof(double), #kernel ": too many numbers"); \
    _Static_assert(sizeof(fnn_f_##kernel) <= FNN_MAX_FN * sizeof(fnn_any), #kernel ": too many formulas");

#define FNN_CONST_in const
#define FNN_CONST_in_opt const
#define FNN_CONST_out
#define FNN_CONST_out_opt
#define FNN_CONST_io
#define FNN_CONST_io_opt
#define FNN_CONST_updated
#define FNN_CONST_updated_opt

#define FNN_LOCAL(kind, ...) FNN_LOCAL_##kind(__VA_ARGS__)
#define FNN_LOCAL_SPLIT(...)
#define FNN_LOCAL_P(type, name, mode, where) FNN_CONST_##mode type *const name FNN_UNUSED = fnn_p->name;
#define FNN_LOCAL_N(name) const ptrdiff_t name FNN_UNUSED = fnn_n->name;
#define FNN_LOCAL_NV(name, count) const ptrdiff_t *const name FNN_UNUSED = fnn_n->name;
#define FNN_LOCAL_S(name) const double name FNN_UNUSED = fnn_s->name;
#define FNN_LOCAL_SV(name, count) const double *const name FNN_UNUSED = fnn_s->name;
#define FNN_LOCAL_F(type, name) const type name FNN_UNUSED = (type)fnn_f->name;

/* The compiler leaves out what the body does not use. */
#define FNN_OPEN(kernel)                                                          \
    const fnn_p_##kernel *const fnn_p FNN_UNUSED = (const void *)op->p;           \
    const fnn_n_##kernel *const fnn_n FNN_UNUSED = (const void *)op->n;           \
    const fnn_s_##kernel *const fnn_s FNN_UNUSED = (const void *)op->s;           \
    const fnn_f_##kernel *const fnn_f FNN_UNUSED = (const void *)op->fn;          \
    FNN_OPERANDS_##kernel(FNN_LOCAL)

#define FNN_TEXT(kind, ...) FNN_TEXT_##kind(__VA_ARGS__)
#define FNN_TEXT_SPLIT(way, extent) "split " #way " " #extent "\n"
#define FNN_TEXT_P(type, name, mode, where) "p " #name " " #mode " " #where "\n"
#define FNN_TEXT_N(name) "n " #name "\n"
#define FNN_TEXT_NV(name, count) "n " #name " " #count "\n"
#define FNN_TEXT_S(name) "s " #name "\n"
#define FNN_TEXT_SV(name, count) "s " #name " " #count "\n"
#define FNN_TEXT_F(type, name) "fn " #name " " #type "\n"
#define FNN_SIGNATURE(kernel) FNN_OPERANDS_##kernel(FNN_TEXT)
