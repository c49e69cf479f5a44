// The loops for neon; built with that instruction set's flags and -ffp-contract=off
// (CMakeLists.txt).
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cpu/table.h"

#define GRAFT_NS neon
#define GRAFT_LANES 4
#define GRAFT_ISA_NAME "neon"
#include "cpu/loop-inl.h"
