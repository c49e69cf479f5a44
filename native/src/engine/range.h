// A run of elements of a tensor.
#pragma once

#include <cstdint>

namespace graft {

/// [first, first + count).
struct Range {
  int64_t first = 0;
  int64_t count = 0;
};

}  // namespace graft
