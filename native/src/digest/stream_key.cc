#include "digest/stream_key.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace graft {

uint64_t StreamKey(std::string_view name, uint64_t seed) {
  return XXH3_64bits_withSeed(name.data(), name.size(), seed);
}

}  // namespace graft
