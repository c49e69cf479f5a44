// Built with the instruction set's flags (CMakeLists.txt); called only where the CPU has it.
#include "digest/xxh3_isa.h"

#if defined(__x86_64__)
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace graft {

Digest128 Xxh3Avx2(const void* bytes, size_t size) {
  const XXH128_hash_t hash = XXH3_128bits(bytes, size);
  return {.high = hash.high64, .low = hash.low64};
}

}  // namespace graft
#endif
