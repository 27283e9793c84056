cdef extern from * nogil:
    """
    #ifdef _OPENMP
    #include <omp.h>
    static inline int fnn_team_size(void) { return omp_get_num_threads(); }
    static inline int fnn_in_team(void) { return omp_in_parallel(); }
    static inline int fnn_release_team(void) { return omp_pause_resource_all(omp_pause_soft); }
    #define FNN_OPENMP 1
    #else
    static inline int fnn_team_size(void) { return 1; }
    static inline int fnn_in_team(void) { return 0; }
    static inline int fnn_release_team(void) { return 0; }
    #define FNN_OPENMP 0
    #endif
    """
    int fnn_team_size() noexcept
    int fnn_in_team() noexcept
    int fnn_release_team() noexcept
    int FNN_OPENMP


cdef int affordable(int n) noexcept nogil
