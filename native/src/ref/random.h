// Philox4x32-7 as its authors define it (Salmon et al., SC 2011), one block at a time, and which
// elements a random mask keeps.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace graft::ref {

std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// Whether each of the `count` elements from `first` on is kept with a chance of `steps` / 2^16,
/// under the element-to-counter mapping that kernels/philox.h documents.
std::vector<bool> KeepByChance(uint64_t first, size_t count, uint64_t key, uint32_t steps);

}  // namespace graft::ref
