#include "engine/digest_tree.h"

#include <algorithm>
#include <cassert>

#include "graft/task.h"

namespace graft {
namespace {

/// The 16 bytes that the digest's hex form stands for.
void AppendCanonical(const Digest128& digest, std::vector<uint8_t>* bytes) {
  for (uint64_t half : {digest.high, digest.low}) {
    for (int shift = 56; shift >= 0; shift -= 8)
      bytes->push_back(static_cast<uint8_t>(half >> shift));
  }
}

}  // namespace

DigestTree::DigestTree(int64_t span_bytes)
    : pieces_(static_cast<size_t>((span_bytes + kPieceBytes - 1) / kPieceBytes)) {}

void DigestTree::Update(int64_t offset, const uint8_t* bytes, int64_t length) {
  assert(offset % kPieceBytes == 0);
  for (int64_t at = 0; at < length; at += kPieceBytes) {
    const auto size = static_cast<size_t>(std::min(kPieceBytes, length - at));
    pieces_[static_cast<size_t>((offset + at) / kPieceBytes)] = Xxh3({bytes + at, size});
  }
}

std::string DigestTree::Finish() const {
  std::vector<uint8_t> bytes;
  bytes.reserve(pieces_.size() * sizeof(Digest128));
  for (const Digest128& piece : pieces_) AppendCanonical(piece, &bytes);
  return ToHex(Xxh3(bytes));
}

}  // namespace graft
