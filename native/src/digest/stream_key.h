// XXH3-64 with a seed, as the key of a counter-based random stream.
#pragma once

#include <cstdint>
#include <string_view>

namespace graft {

uint64_t StreamKey(std::string_view name, uint64_t seed);

}  // namespace graft
