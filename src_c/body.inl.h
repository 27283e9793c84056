/* Everything that exists once per dtype, in order of dependence.
 *
 * A new file of kernels needs two lines here: its include, and its list in FNN_KERNELS, of which the table is made.
 * Without SFX, the suffix of a dtype, the files only declare their operands: for layouts.h. */
#ifndef FNN_KERNELS
#define FNN_KERNELS(X)                                                                                    \
    FNN_DATA_KERNELS(X) FNN_RANDOM_KERNELS(X) FNN_ROW_KERNELS(X) FNN_COL_KERNELS(X) FNN_MAP_KERNELS(X)    \
    FNN_FLAT_KERNELS(X) FNN_DENSE_KERNELS(X) FNN_NOISE_KERNELS(X) FNN_LAYER_NORM_KERNELS(X)               \
    FNN_FEATURE_KERNELS(X) FNN_MAXOUT_KERNELS(X) FNN_ACTIVITY_KERNELS(X) FNN_RULE_KERNELS(X)              \
    FNN_ORTHOGONAL_KERNELS(X) FNN_HEALTH_KERNELS(X) FNN_STEP_KERNELS(X) FNN_SIMPLE_RNN_KERNELS(X)         \
    FNN_LSTM_KERNELS(X) FNN_GRU_KERNELS(X) FNN_ARRANGE_KERNELS(X) FNN_EMBEDDING_KERNELS(X)
#define FNN_FUNCTIONS(X)                                                                                  \
    FNN_MATH_FUNCTIONS(X) FNN_DATA_FUNCTIONS(X) FNN_FLAT_FUNCTIONS(X) FNN_RANDOM_FUNCTIONS(X)             \
    FNN_DENSE_FUNCTIONS(X) FNN_ROW_PRODUCT_FUNCTIONS(X)
#endif
#ifdef SFX
#include "isa/vec.inl.h"
#include "formulas/math.inl.h"
#endif
#include "formulas/activations.inl.h"
#include "formulas/optimizers.inl.h"
#include "formulas/losses.inl.h"
#include "loops/map.inl.h"
#include "loops/flat.inl.h"
#include "loops/rules.inl.h"
#include "loops/orthogonal.inl.h"
#include "loops/data.inl.h"
#include "loops/random.inl.h"
#include "loops/rows.inl.h"
#include "loops/cols.inl.h"
#include "loops/noise.inl.h"
#include "loops/layer_norm.inl.h"
#include "loops/features.inl.h"
#include "loops/maxout.inl.h"
#include "loops/activity.inl.h"
#include "loops/arrange.inl.h"
#include "loops/embedding.inl.h"
#include "loops/health.inl.h"
#ifdef SFX
#include "gemm/micro.inl.h"
#endif
#include "gemm/dense.inl.h"
#include "recurrent/steps.inl.h"
#include "recurrent/simple_rnn.inl.h"
#include "recurrent/lstm.inl.h"
#include "recurrent/gru.inl.h"
#ifdef SFX
#include "gemm/rows.inl.h"
#endif
