// What one engine thread owns: I/O buffers and the float blocks that kernels work on.
#pragma once

#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "cpu/table.h"
#include "engine/arena.h"

namespace graft {

/// Blocks of the base that are widened at a time where inputs are looked at one after the other.
inline constexpr int64_t kBaseBlocks = 4;

struct alignas(64) FloatBlock {
  float values[kBlockElements];
};

/// Room for one raw block of the widest dtype.
struct alignas(64) RawBytes {
  uint8_t bytes[kBlockElements * sizeof(double)];
};

struct Scratch {
  Arena arena;
  FloatBlock base, result;
  FloatBlock bases[kBaseBlocks];
  std::vector<uint32_t> keys = std::vector<uint32_t>(kBlockElements);
  std::vector<std::vector<uint32_t>> histograms;  // one per input
  std::deque<RawBytes>
      tails;  // one per input; a deque, because blocks of several are in use at once

  /// Block `at` of a tensor's bytes in memory, padded with zeros when only n elements are left.
  RawBlock Block(size_t input, const uint8_t* data, Dtype dtype, int64_t at, int n) {
    const size_t size = FindDtype(dtype)->size_bytes;
    const uint8_t* bytes = data + static_cast<size_t>(at) * size;
    if (n == kBlockElements) return {bytes, dtype};
    while (tails.size() <= input) tails.emplace_back();
    RawBytes& tail = tails[input];
    std::memset(tail.bytes, 0, sizeof(tail.bytes));
    std::memcpy(tail.bytes, bytes, static_cast<size_t>(n) * size);
    return {tail.bytes, dtype};
  }
};

}  // namespace graft
