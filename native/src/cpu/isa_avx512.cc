// The loops for avx512; built with that instruction set's flags and -ffp-contract=off
// (CMakeLists.txt).
#include <immintrin.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cpu/table.h"

#define GRAFT_NS avx512
#define GRAFT_LANES 16
#define GRAFT_ISA_NAME "avx512"
#include "cpu/loop-inl.h"
