// XXH3-128 built for one instruction set each; all give the same digest. Empty off x86-64.
#pragma once

#include <cstddef>

#include "digest/xxh3.h"

namespace graft {

#if defined(__x86_64__)
Digest128 Xxh3Avx2(const void* bytes, size_t size);
Digest128 Xxh3Avx512(const void* bytes, size_t size);
#endif

}  // namespace graft
