/* Which targets this build has, which of them this CPU and operating system can run, which one is used. */
#include "fnn.h"
#include <stdlib.h>
#include <string.h>
#if defined(FNN_X86) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

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

/* Whether CPU and operating system have tiles of bfloat16, and the latter lets this process use them. */
static int tiles_granted(void)
{
#ifdef FNN_EMULATE_AVX512
    return 1;
#elif defined(FNN_X86) && defined(__linux__) && defined(SYS_arch_prctl)
    enum { OSXSAVE = 1 << 27, AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24, AVX512_BF16 = 1 << 5, TILE_STATES = 3 << 17 };
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    unsigned a, b, c, d, states, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE)) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & (AMX_BF16 | AMX_TILE)) != (AMX_BF16 | AMX_TILE)) return 0;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & AVX512_BF16)) return 0; /* for the splits */
    __asm__ volatile("xgetbv" : "=a"(states), "=d"(high) : "c"(0));
    if ((states & TILE_STATES) != TILE_STATES) return 0;
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
    return 0;
#endif
}

static int tiles_agree(const fnn_table *table)
{
    const fnn_named *f = table->functions;
    while (f->name && strcmp(f->name, "tiles_agree")) f++;
    void *memory = aligned_alloc(64, FNN_TILES_AGREE_BYTES); /* too much for the stack of some threads */
    const int agree = f->name && memory && ((int (*)(void *))f->fn[0])(memory);
    free(memory);
    return agree;
}

int fnn_tiles_allowed(const fnn_table *table)
{
    static int allowed = -1; /* two threads that ask at once find the same */
    if (strcmp(table->isa, "avx512")) return 0;
    int found = __atomic_load_n(&allowed, __ATOMIC_RELAXED);
    if (found < 0) {
        found = tiles_granted() && tiles_agree(table);
        __atomic_store_n(&allowed, found, __ATOMIC_RELAXED);
    }
    return found;
}
