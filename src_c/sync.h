/* What a team of threads in one parallel region needs; header-only, used by fastnn/_core/executor.pyx.
 *
 * fnn_barrier: sense by generation.  Threads spin (0.3 us when all run), and once they have spun for some
 * microseconds give their time slice away, so that more threads than cores, or a busy neighbour, cost a context
 * switch and not a scheduling quantum.  How often they had to is kept: it tells a machine that is busy.
 * fnn_float_*: inside a run subnormals are zero (a layer of dying units would otherwise slow the step many times);
 * the caller's own setting is put back, so importing or training changes nothing for the host program. */
#pragma once
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#define FNN_PAUSE() _mm_pause()
#elif defined(__aarch64__)
#define FNN_PAUSE() __asm__ volatile("yield")
#else
#define FNN_PAUSE() ((void)0)
#endif

#define FNN_SPINS 4000  /* pauses before a waiting thread gives its time slice away */
#define FNN_YIELDS 1000 /* so many of those are half a millisecond or more: longer than any share of an operation */

typedef struct fnn_barrier {
    _Alignas(64) atomic_int waiting;
    _Alignas(64) atomic_uint generation;
    atomic_long yields; /* seldom written, so it may lie beside the generation */
} fnn_barrier;

/* On lines of its own, which an object of Python would not give it; NULL without memory.  For free(). */
static inline fnn_barrier *fnn_barrier_new(void)
{
    fnn_barrier *b = aligned_alloc(_Alignof(fnn_barrier), sizeof *b);
    if (b) {
        atomic_init(&b->waiting, 0);
        atomic_init(&b->generation, 0);
        atomic_init(&b->yields, 0);
    }
    return b;
}

static inline void fnn_barrier_wait(fnn_barrier *b, int n)
{
    if (n == 1) return;
    const unsigned gen = atomic_load_explicit(&b->generation, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&b->waiting, 1, memory_order_acq_rel) == n - 1) {
        atomic_store_explicit(&b->waiting, 0, memory_order_relaxed);
        atomic_store_explicit(&b->generation, gen + 1, memory_order_release);
        return;
    }
    long spin = 0;
    for (; atomic_load_explicit(&b->generation, memory_order_acquire) == gen; spin++)
        if (spin < FNN_SPINS) FNN_PAUSE();
        else sched_yield();
    if (spin > FNN_SPINS) atomic_fetch_add_explicit(&b->yields, spin - FNN_SPINS, memory_order_relaxed);
}

/* Whether threads have waited for one that did not run, since the last time this was asked */
static inline int fnn_barrier_disturbed(fnn_barrier *b)
{
    if (atomic_load_explicit(&b->yields, memory_order_relaxed) < FNN_YIELDS) return 0;
    atomic_store_explicit(&b->yields, 0, memory_order_relaxed);
    return 1;
}

static inline double fnn_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline unsigned fnn_float_enter(void)
{
#if defined(__SSE__) || defined(__x86_64__)
    const unsigned old = _mm_getcsr();
    _mm_setcsr(old | 0x8040); /* flush to zero, denormals are zero */
    return old;
#else
    return 0;
#endif
}
static inline void fnn_float_leave(unsigned old)
{
#if defined(__SSE__) || defined(__x86_64__)
    _mm_setcsr(old);
#else
    (void)old;
#endif
}
