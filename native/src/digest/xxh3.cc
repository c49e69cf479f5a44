#include "digest/xxh3.h"

#include <cstdio>
#include <new>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "digest/xxh3_isa.h"

namespace graft {
namespace {

Digest128 Baseline(const void* bytes, size_t size) {
  const XXH128_hash_t hash = XXH3_128bits(bytes, size);
  return {.high = hash.high64, .low = hash.low64};
}

using Hash = Digest128 (*)(const void* bytes, size_t size);

Hash BestHash() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    return Xxh3Avx512;
  }
  if (__builtin_cpu_supports("avx2")) return Xxh3Avx2;
#endif
  return Baseline;
}

XXH3_state_t* State(std::byte* bytes) {
  return std::launder(reinterpret_cast<XXH3_state_t*>(bytes));
}

}  // namespace

Digest128 Xxh3(std::span<const uint8_t> bytes) {
  static const Hash hash = BestHash();
  return hash(bytes.data(), bytes.size());
}

Xxh3Stream::Xxh3Stream() {
  static_assert(sizeof state_ >= sizeof(XXH3_state_t) && alignof(Xxh3Stream) >= 64);
  XXH3_128bits_reset(::new (static_cast<void*>(state_)) XXH3_state_t{});
}

void Xxh3Stream::Update(std::span<const uint8_t> bytes) {
  XXH3_128bits_update(State(state_), bytes.data(), bytes.size());
}

Digest128 Xxh3Stream::Current() const {
  const auto* state = std::launder(reinterpret_cast<const XXH3_state_t*>(state_));
  const XXH128_hash_t hash = XXH3_128bits_digest(state);
  return {.high = hash.high64, .low = hash.low64};
}

std::string ToHex(Digest128 digest) {
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(digest.high),
                static_cast<unsigned long long>(digest.low));
  return text;
}

}  // namespace graft
