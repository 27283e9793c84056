#define FNN_ISA scalar
#include "vec_scalar.h"
#include "../unit.inl.h"
