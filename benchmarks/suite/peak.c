/* peak THREADS SECONDS: GFLOP/s of fused multiply-adds under load, all threads together.
 *
 * (a) A product as a library does it, and nothing else: ROWS x 2 vectors of sums in registers; for each of K terms two
 *     vectors of w are loaded and ROWS numbers of x broadcast from memory; the sums are stored. w stays in L1, x comes
 *     from L2. A loop on registers alone would promise more than any product can have: loads and random data cost
 *     power, and with it clock.
 * (b) Each thread has data of its own and counts its own flops over its own time, after a warm-up that lets the clock
 *     settle and the scheduler spread the threads. Data are random: multiplying zeros is cheaper.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifndef BYTES
#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
#endif
#ifndef T
#define T float
#endif
#if BYTES == 64 /* 32 registers */
#define EACH_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13)
enum { ROWS = 14 };
#elif !defined(__x86_64__)
#define EACH_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
enum { ROWS = 12 };
#else
#define EACH_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5)
enum { ROWS = 6 };
#endif
enum { K = 160, PANELS = 32, LANES = BYTES / sizeof(T), MOST = 1024 };
typedef T V __attribute__((vector_size(BYTES)));

typedef struct {
    pthread_t thread;
    double seconds, rate;
    T kept;
} Worker;

static pthread_barrier_t together;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* z (ROWS, 2 vectors) = x (K, ROWS)^T w (K, 2 vectors) */
__attribute__((noinline)) static void product(V *z, const T *x, const V *w)
{
#define X(r) V a##r = {0}, b##r = {0};
    EACH_ROW(X)
#undef X
    for (int k = 0; k < K; k++, x += ROWS, w += 2) {
        const V w0 = w[0], w1 = w[1];
#define X(r) a##r += x[r] * w0, b##r += x[r] * w1;
        EACH_ROW(X)
#undef X
    }
#define X(r) z[2 * r] = a##r, z[2 * r + 1] = b##r;
    EACH_ROW(X)
#undef X
}

static void *numbers(size_t count)
{
    T *p = aligned_alloc(4096, (count * sizeof(T) + 4095) / 4096 * 4096);
    unsigned long state = 88172645463325252ul;
    if (p == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    for (size_t i = 0; i < count; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        p[i] = (T)((double)(state >> 11) / 4503599627370496.0 - 1.0);
    }
    return p;
}

static double turns(double seconds, V *z, const T *x, const V *w)
{
    double begun = now(), passed;
    long done = 0;
    do {
        for (int p = 0; p < PANELS; p++)
            product(z, x + p * K * ROWS, w);
        done++;
        passed = now() - begun;
    } while (passed < seconds);
    return (double)done * PANELS * K * ROWS * 2 * LANES * 2 / passed / 1e9;
}

static void *work(void *argument)
{
    Worker *worker = argument;
    V *z = numbers(2 * ROWS * LANES);
    const T *x = numbers((size_t)PANELS * K * ROWS);
    const V *w = numbers(2 * K * LANES);
    pthread_barrier_wait(&together);
    turns(0.3 * worker->seconds, z, x, w);
    worker->rate = turns(worker->seconds, z, x, w);
    worker->kept = z[0][0];
    pthread_barrier_wait(&together);
    return NULL;
}

int main(int argc, char **argv)
{
    static Worker workers[MOST];
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    double seconds = argc > 2 ? atof(argv[2]) : 0.1, total = 0;
    if (threads < 1 || threads > MOST || !(seconds > 0)) {
        fprintf(stderr, "usage: peak THREADS SECONDS\n");
        return 2;
    }
    pthread_barrier_init(&together, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++) {
        workers[i].seconds = seconds;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            fprintf(stderr, "cannot start thread %d\n", i);
            return 1;
        }
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        total += workers[i].rate;
    }
    printf("%.6f %d %g\n", total, BYTES, (double)workers[0].kept);
    return 0;
}
