# Weights between row-major and unit panels (src_c/fnn.h).  See packing.pyx.
cdef struct Weights:
    char *panels         # [unit / panel width][rows][panel width]
    char *w              # (I, O), or NULL
    char *b              # (O,), kept in row I of each panel, or NULL
    ptrdiff_t inputs
    ptrdiff_t outputs
    ptrdiff_t stride     # bytes from row to row of w
    ptrdiff_t rows       # of a panel: I or I + 1

# out = 0: into the panels, padding zero; 1: out of them
cdef void copy(const Weights *c, int f64, int out, int threads) noexcept nogil
