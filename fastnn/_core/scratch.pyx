"""Scratch for kernels: one pool for the process, of which each thread has a block for as long as a run takes.

(a) A run takes a block for each of its threads and gives them back, so there are as many as threads have run at a time,
    however many networks there are. Networks that train side by side have blocks of their own.
(b) Places of the pool are exchanged atomically, without a lock: a child forked in the middle of it finds nothing held.
    What its parent's other threads had at that moment is lost to it, a block for each.
(c) All blocks are as large as the largest that was asked for, so after a step of each kind nothing is allocated.
(d) The last executor to go frees them.
"""

cdef extern from * nogil:
    """
    #include <stdatomic.h>
    #include <stdint.h>
    #include <stdlib.h>
    #include <string.h>

    #define FNN_PLACES 64

    typedef struct { void *raw; size_t bytes; } fnn_block_head; /* on the line before the block */

    static _Atomic(void *) fnn_pool[FNN_PLACES];
    static atomic_size_t fnn_pool_largest, fnn_pool_bytes; /* bytes: of all blocks, those at work included */
    static atomic_int fnn_pool_users;
    static atomic_uint fnn_pool_made;

    static fnn_block_head *fnn_head(void *block) { return (fnn_block_head *)((char *)block - 64); }

    static void *fnn_block_new(size_t bytes)
    {
        /* blocks begin at different lines of a page: they must not compete for the same cache sets */
        const size_t shift = 64 * (2 * (atomic_fetch_add(&fnn_pool_made, 1) % 31) + 1);
        const size_t around = 128 + 64 * 62; /* the head, to reach a line, and the largest shift */
        char *raw = bytes < SIZE_MAX - around ? malloc(bytes + around) : NULL, *block;
        if (!raw) return NULL;
        block = raw + 64 + (64 - (uintptr_t)raw % 64) % 64 + shift;
        fnn_head(block)->raw = raw;
        fnn_head(block)->bytes = bytes;
        atomic_fetch_add(&fnn_pool_bytes, bytes);
        return block;
    }

    static void fnn_block_free(void *block)
    {
        atomic_fetch_sub(&fnn_pool_bytes, fnn_head(block)->bytes);
        free(fnn_head(block)->raw);
    }

    static void *fnn_block_take(size_t bytes)
    {
        size_t largest = atomic_load(&fnn_pool_largest);
        void *made;
        for (int i = 0; i < FNN_PLACES; i++) {
            void *found = atomic_load_explicit(&fnn_pool[i], memory_order_relaxed);
            if (!found || !(found = atomic_exchange(&fnn_pool[i], NULL))) continue;
            if (fnn_head(found)->bytes >= bytes) return found;
            fnn_block_free(found);
        }
        if (largest > bytes && (made = fnn_block_new(largest))) return made;
        if (!(made = fnn_block_new(bytes))) return NULL;
        while (largest < bytes && !atomic_compare_exchange_weak(&fnn_pool_largest, &largest, bytes)) {}
        return made;
    }

    static void fnn_block_give(void *block)
    {
        for (int i = 0; i < FNN_PLACES; i++) {
            void *none = NULL;
            if (atomic_compare_exchange_strong(&fnn_pool[i], &none, block)) return;
        }
        fnn_block_free(block);
    }

    static void fnn_pool_enter(void) { atomic_fetch_add(&fnn_pool_users, 1); }

    static void fnn_pool_leave(void)
    {
        if (atomic_fetch_sub(&fnn_pool_users, 1) > 1) return;
        atomic_store(&fnn_pool_largest, 0);
        for (int i = 0; i < FNN_PLACES; i++) {
            void *found = atomic_exchange(&fnn_pool[i], NULL);
            if (found) fnn_block_free(found);
        }
    }

    static void fnn_pool_fill(int byte)
    {
        for (int i = 0; i < FNN_PLACES; i++) {
            void *found = atomic_exchange(&fnn_pool[i], NULL);
            if (!found) continue;
            memset(found, byte, fnn_head(found)->bytes);
            fnn_block_give(found);
        }
    }

    static size_t fnn_pool_size(void) { return atomic_load(&fnn_pool_bytes); }
    """
    void *fnn_block_take(size_t bytes) noexcept
    void fnn_block_give(void *block) noexcept
    void fnn_pool_enter() noexcept
    void fnn_pool_leave() noexcept
    void fnn_pool_fill(int byte) noexcept
    size_t fnn_pool_size() noexcept


cdef void *take(size_t nbytes) noexcept nogil:
    return fnn_block_take(nbytes)


cdef void give(void *block) noexcept nogil:
    fnn_block_give(block)


cdef void enter() noexcept nogil:
    fnn_pool_enter()


cdef void leave() noexcept nogil:
    fnn_pool_leave()


def nbytes():
    """Of all blocks there are."""
    return fnn_pool_size()


def fill(int byte):
    """Fill the blocks that nobody has at the moment: no result may depend on what is in them."""
    fnn_pool_fill(byte)
