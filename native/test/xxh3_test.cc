// XXH3-128 in its canonical hex form, against values of the reference implementation's command.
#include "digest/xxh3.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "check.h"

namespace graft {
namespace {

std::span<const uint8_t> AsBytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

TEST("xxh3 gives the canonical digests") {
  CHECK_EQ(ToHex(Xxh3({})), "99aa06d3014798d86001c324468d497f");
  CHECK_EQ(ToHex(Xxh3(AsBytes("abc"))), "06b05ab6733a618578af5f94892f3950");
  CHECK_EQ(ToHex({.high = 1, .low = 0xAB}), "000000000000000100000000000000ab");
}

TEST("xxh3 of bytes that come in pieces is that of the whole") {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += static_cast<char>(i * 7 + i / 256);
  for (const size_t piece_bytes : {1, 63, 64, 255, 256, 257, 1024, 4999}) {
    Xxh3Stream stream;
    for (size_t at = 0; at < text.size(); at += piece_bytes) {
      stream.Update(AsBytes(text).subspan(at, std::min(piece_bytes, text.size() - at)));
    }
    CHECK(stream.Current() == Xxh3(AsBytes(text)));
  }
}

}  // namespace
}  // namespace graft
