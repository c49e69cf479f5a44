// What one engine thread owns: I/O buffers and the float blocks that kernels work on.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/table.h"
#include "engine/arena.h"

namespace graft {

struct alignas(64) FloatBlock {
  float values[kBlockElements];
};

struct Scratch {
  Arena arena;
  std::vector<FloatBlock> blocks;
  std::vector<uint32_t> histogram;

  /// `count` float blocks; earlier content is lost.
  float* Blocks(size_t count) {
    if (blocks.size() < count) blocks.resize(count);
    return blocks.front().values;
  }
};

}  // namespace graft
