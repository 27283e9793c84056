/* The table a unit exports.  Included after both dtypes are expanded; every row comes from a list. */
#define FNN_BOTH(f) {FNN_CAT5(f, _, f32, _, FNN_ISA), FNN_CAT5(f, _, f64, _, FNN_ISA)}
#define FNN_ANY(f) {(fnn_any)FNN_CAT5(f, _, f32, _, FNN_ISA), (fnn_any)FNN_CAT5(f, _, f64, _, FNN_ISA)}

static const fnn_activation FNN_CAT(activations_, FNN_ISA)[] = {
#define X(name, params, from_input) {#name, params, from_input, FNN_BOTH(map_##name##_fwd), FNN_BOTH(map_##name##_bwd)},
    FNN_ACTIVATIONS(X)
#undef X
    {0}};

#if FNN_BESIDE
#define FNN_BESIDE_ROW(name) FNN_ANY(beside_##name)
#else
#define FNN_BESIDE_ROW(name) {0}
#endif
static const fnn_optimizer FNN_CAT(optimizers_, FNN_ISA)[] = {
#define X(name, params, state) \
    {#name, params, state, FNN_CAT(prep_##name##_, FNN_ISA), FNN_BOTH(update_##name), FNN_BESIDE_ROW(name)},
    FNN_OPTIMIZERS(X)
#undef X
    {0}};

static const fnn_loss FNN_CAT(losses_, FNN_ISA)[] = {
#define X(name, params) {#name, params, FNN_TARGET_VALUES, FNN_BOTH(loss_##name), 0, FNN_SIGNATURE(loss)},
    FNN_POINT_LOSSES(X)
#undef X
#define X(name, params, target) {#name, params, target, FNN_BOTH(loss_##name), 0, FNN_SIGNATURE(loss)},
    FNN_ROW_LOSSES(X)
#undef X
    {0}};

static const fnn_loss FNN_CAT(metrics_, FNN_ISA)[] = {
#define X(name, params, target, pairs) {#name, params, target, FNN_BOTH(metric_##name), pairs, FNN_SIGNATURE(metric)},
    FNN_WIDE_METRICS(X)
#undef X
#define X(name, params, target) {#name, params, target, FNN_BOTH(metric_##name), 0, FNN_SIGNATURE(metric)},
    FNN_METRICS(X)
    FNN_ROW_LOSSES(X)
#undef X
#define X(name, params) {#name, params, FNN_TARGET_VALUES, FNN_BOTH(metric_##name), 0, FNN_SIGNATURE(metric)},
    FNN_POINT_LOSSES(X)
#undef X
    {0}};

#define X(name) {#name, FNN_ANY(name), FNN_SIGNATURE(name)},
static const fnn_named FNN_CAT(kernels_, FNN_ISA)[] = {
    FNN_KERNELS(X) {0}};
#undef X

#define X(name) {#name, FNN_ANY(name), NULL},
static const fnn_named FNN_CAT(functions_, FNN_ISA)[] = {
    FNN_FUNCTIONS(X) {0}};
#undef X

/* tiles: whether products of float32 may be made by them */
#define FNN_TABLE(isa, tiles)                                                                \
    const fnn_table FNN_CAT(fnn_table_, isa) = {                                             \
        FNN_STR(isa), FNN_VBYTES, tiles,                                                     \
        FNN_CAT(activations_, FNN_ISA), FNN_CAT(optimizers_, FNN_ISA), FNN_CAT(losses_, FNN_ISA), \
        FNN_CAT(metrics_, FNN_ISA), FNN_CAT(kernels_, FNN_ISA), FNN_CAT(functions_, FNN_ISA)}
FNN_TABLE(FNN_ISA, 0);
