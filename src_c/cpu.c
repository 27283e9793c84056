/* Which targets this build has, which of them this CPU and operating system can run, which one is used. */
#include "fnn.h"
#include <string.h>

extern const fnn_table fnn_table_scalar;
#ifdef FNN_X86
extern const fnn_table fnn_table_avx2, fnn_table_avx512;
#endif

/* best last */
static const fnn_table *const tables[] = {
    &fnn_table_scalar,
#ifdef FNN_X86
    &fnn_table_avx2,
    &fnn_table_avx512,
#endif
};
enum { N_TABLES = sizeof tables / sizeof *tables };

const char *const *fnn_targets(void)
{
    static const char *names[N_TABLES + 1];
    for (int i = 0; i < N_TABLES; i++) names[i] = tables[i]->isa;
    return names;
}

int fnn_cpu_has(const char *isa)
{
    if (!strcmp(isa, "scalar")) return 1;
#ifdef FNN_X86
    /* these also ask XGETBV whether the operating system saves the registers */
    __builtin_cpu_init();
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (!strcmp(isa, "avx2")) return avx2;
    if (!strcmp(isa, "avx512")) {
#ifdef FNN_EMULATE_AVX512
        return avx2;
#else
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#endif
    }
#endif
    return 0;
}

const fnn_table *fnn_select(const char *isa, const char **why)
{
    if (why) *why = NULL;
    for (int i = N_TABLES - 1; i >= 0; i--) {
        if (isa && *isa) {
            if (strcmp(isa, tables[i]->isa)) continue;
            if (fnn_cpu_has(isa)) return tables[i];
            if (why) *why = "this CPU or operating system cannot run it";
            return NULL;
        }
#ifdef FNN_EMULATE_AVX512
        if (!strcmp(tables[i]->isa, "avx512")) continue; /* for tests; slower than what it emulates on */
#endif
        if (fnn_cpu_has(tables[i]->isa)) return tables[i];
    }
    return NULL;
}
