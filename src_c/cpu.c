/* Which targets this build has, which of them this CPU and operating system can run, which one is used. */
#include "fnn.h"
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(FNN_X86) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#endif

extern const fnn_table fnn_table_scalar;
#ifdef FNN_X86
extern const fnn_table fnn_table_avx2, fnn_table_avx512, fnn_table_amx;
#endif

/* best last */
static const fnn_table *const tables[] = {
    &fnn_table_scalar,
#ifdef FNN_X86
    &fnn_table_avx2,
    &fnn_table_avx512,
    &fnn_table_amx,
#endif
};
enum { N_TABLES = sizeof tables / sizeof *tables };

/* Whether this build has the target of a table: "amx" is nothing without tiles. */
static int is_built(const fnn_table *table) { return strcmp(table->isa, "amx") || table->tiles; }

const char *const *fnn_targets(void)
{
    static const char *names[N_TABLES + 1];
    for (int i = 0, n = 0; i < N_TABLES; i++)
        if (is_built(tables[i])) names[n++] = tables[i]->isa;
    return names;
}

#if defined(FNN_X86) && !defined(FNN_EMULATE_AVX512)
/* Tiles of bfloat16 and, for the splits, AVX512-BF16; and that the operating system keeps the registers. */
static int cpu_has_tiles(void)
{
#ifdef __linux__
    enum { OSXSAVE = 1 << 27, AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24, AVX512_BF16 = 1 << 5, TILE_STATES = 3 << 17 };
    unsigned a, b, c, d, states, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE)) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & (AMX_BF16 | AMX_TILE)) != (AMX_BF16 | AMX_TILE)) return 0;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & AVX512_BF16)) return 0;
    __asm__ volatile("xgetbv" : "=a"(states), "=d"(high) : "c"(0));
    return (states & TILE_STATES) == TILE_STATES;
#else
    return 0;
#endif
}
#endif

int fnn_cpu_has(const char *isa)
{
    if (!strcmp(isa, "scalar")) return 1;
#ifdef FNN_X86
    /* these also ask XGETBV whether the operating system saves the registers */
    __builtin_cpu_init();
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (!strcmp(isa, "avx2")) return avx2;
#ifdef FNN_EMULATE_AVX512
    if (!strcmp(isa, "avx512") || !strcmp(isa, "amx")) return avx2;
#else
    const int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    if (!strcmp(isa, "avx512")) return avx512;
    if (!strcmp(isa, "amx")) return avx512 && cpu_has_tiles();
#endif
#endif
    return 0;
}

const fnn_table *fnn_select(const char *isa, const char **why)
{
    if (why) *why = NULL;
    for (int i = N_TABLES - 1; i >= 0; i--) {
        if (!is_built(tables[i])) continue;
        if (isa && *isa) {
            if (strcmp(isa, tables[i]->isa)) continue;
            if (fnn_cpu_has(isa)) return tables[i];
            if (why) *why = "this CPU or operating system cannot run it";
            return NULL;
        }
#ifdef FNN_EMULATE_AVX512
        if (tables[i]->vector_bytes == 64) continue; /* for tests; slower than what it emulates on */
#endif
        if (fnn_cpu_has(tables[i]->isa)) return tables[i];
    }
    return NULL;
}

/* Asks the operating system for the tiles that fnn_cpu_has("amx") found: 0, or the error number of its refusal. */
static int ask_for_tiles(void)
{
#ifdef FNN_EMULATE_AVX512
    const char *refused = getenv("FASTNN_EMULATE_REFUSAL"); /* for tests */
    return refused && *refused ? atoi(refused) : 0;
#elif defined(FNN_X86) && defined(__linux__) && defined(SYS_arch_prctl)
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) ? errno : 0;
#else
    return ENOSYS;
#endif
}

static int tiles_agree(const fnn_table *table, void *memory)
{
    const fnn_named *f = table->functions;
    while (f->name && strcmp(f->name, "tiles_agree")) f++;
    return f->name && ((int (*)(void *))f->fn[0])(memory);
}

int fnn_tiles_refusal(const fnn_table *table, void *memory)
{
    /* the answer and the process that got it, in one word: two threads that ask at once find the same */
    static int64_t known;
    if (!table->tiles) return FNN_NO_TILES;
#ifdef FNN_X86
    const int32_t process = (int32_t)getpid();
    const int64_t seen = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if ((int32_t)(seen >> 32) == process) return (int32_t)seen;
    int32_t found = ask_for_tiles();
    if (!found && !tiles_agree(table, memory)) found = FNN_TILES_DISAGREE;
    __atomic_store_n(&known, (int64_t)((uint64_t)process << 32 | (uint32_t)found), __ATOMIC_RELAXED);
    return found;
#else
    (void)memory;
    return FNN_NO_TILES;
#endif
}
