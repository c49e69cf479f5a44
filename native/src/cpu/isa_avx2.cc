// The loops for avx2; built with that instruction set's flags and -ffp-contract=off
// (CMakeLists.txt).
#include <immintrin.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cpu/table.h"

#define GRAFT_NS avx2
#define GRAFT_LANES 8
#define GRAFT_ISA_NAME "avx2"
#include "cpu/loop-inl.h"
