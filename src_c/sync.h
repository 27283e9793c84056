/* What a team of threads in one parallel region needs; header-only, used by fastnn/_core/executor.pyx.
 *
 * fnn_barrier: sense by generation.  Threads spin (0.3 us when all run), and once they have spun for some
 * microseconds give their time slice away, so that more threads than cores, or a busy neighbour, cost a context
 * switch and not a scheduling quantum.  How long they did so is kept: it tells a machine that is busy.
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

#define FNN_SPINS 4000           /* pauses before a waiting thread gives its time slice away */
#define FNN_DISTURBED 1.5e-3     /* seconds of waiting after the spins, and */
#define FNN_DISTURBED_SHARE 0.25 /* the share of the time so far, that make a run a disturbed one */

typedef struct fnn_barrier {
    _Alignas(64) atomic_int waiting;
    _Alignas(64) atomic_uint generation;
    atomic_llong waited; /* nanoseconds, of all threads; seldom written, so it may lie beside the generation */
} fnn_barrier;

/* On lines of its own, which an object of Python would not give it; NULL without memory.  For free(). */
static inline fnn_barrier *fnn_barrier_new(void)
{
    fnn_barrier *b = aligned_alloc(_Alignof(fnn_barrier), sizeof *b);
    if (b) {
        atomic_init(&b->waiting, 0);
        atomic_init(&b->generation, 0);
        atomic_init(&b->waited, 0);
    }
    return b;
}

static inline double fnn_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
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
    for (int spin = 0; spin < FNN_SPINS; spin++) {
        if (atomic_load_explicit(&b->generation, memory_order_acquire) != gen) return;
        FNN_PAUSE();
    }
    const double since = fnn_now();
    while (atomic_load_explicit(&b->generation, memory_order_acquire) == gen) sched_yield();
    atomic_fetch_add_explicit(&b->waited, (long long)(1e9 * (fnn_now() - since)), memory_order_relaxed);
}

static inline void fnn_barrier_forget(fnn_barrier *b)
{
    atomic_store_explicit(&b->waited, 0, memory_order_relaxed);
}

/* Whether a good part of the time since `begun` has been spent in waiting for a thread that does not run */
static inline int fnn_barrier_disturbed(fnn_barrier *b, int n, double begun)
{
    const double waited = 1e-9 * (double)atomic_load_explicit(&b->waited, memory_order_relaxed) / (n - 1);
    return waited > FNN_DISTURBED && waited > FNN_DISTURBED_SHARE * (fnn_now() - begun);
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
