// The loops for scalar; built with that instruction set's flags and -ffp-contract=off
// (CMakeLists.txt).
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cpu/table.h"

#define GRAFT_NS scalar
#define GRAFT_LANES 1
#define GRAFT_ISA_NAME "scalar"
#include "cpu/loop-inl.h"
