// Digest of a span that is read or written in any order: XXH3-128 per 128 KiB piece, then XXH3-128
// over the piece digests in order. Pieces are set by whoever has them in cache; each is set once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "digest/xxh3.h"

namespace graft {

class DigestTree {
 public:
  explicit DigestTree(int64_t span_bytes);

  /// Digests `length` bytes at `offset` of the span. offset is a multiple of the piece size; length
  /// is too, unless the bytes end the span. Thread-safe for disjoint ranges.
  void Update(int64_t offset, const uint8_t* bytes, int64_t length);

  /// 32 hex digits; every piece must have been set.
  std::string Finish() const;

 private:
  std::vector<Digest128> pieces_;
};

}  // namespace graft
