// XXH3-128, the digest of every byte that is read, sent or written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace graft {

struct Digest128 {
  uint64_t high = 0;
  uint64_t low = 0;

  bool operator==(const Digest128&) const = default;
};

Digest128 Xxh3(std::span<const uint8_t> bytes);

/// The same digest over bytes that come in pieces.
class Xxh3Stream {
 public:
  Xxh3Stream();
  void Update(std::span<const uint8_t> bytes);
  /// Digest of all bytes so far; more may follow.
  Digest128 Current() const;

 private:
  alignas(64) std::byte state_[576];
};

/// 32 hex digits in canonical order: the high half first.
std::string ToHex(Digest128 digest);

}  // namespace graft
