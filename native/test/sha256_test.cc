// SHA-256 against the published vectors, on every path that this CPU has.
#include "digest/sha256.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "check.h"

namespace graft {
namespace {

std::vector<Sha256::Path> Paths() {
  std::vector<Sha256::Path> paths = {Sha256::Path::kPortable};
  if (Sha256::BestPath() != Sha256::Path::kPortable) paths.push_back(Sha256::BestPath());
  return paths;
}

std::span<const uint8_t> AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

/// The digest of `text` handed over in pieces of `piece_bytes`.
std::string Hash(Sha256::Path path, std::string_view text, size_t piece_bytes) {
  Sha256 hash(path);
  for (size_t at = 0; at < text.size(); at += piece_bytes) {
    hash.Update(AsBytes(text.substr(at, piece_bytes)));
  }
  return ToHex(hash.Finish());
}

TEST("sha256 gives the digests of the standard") {
  const struct {
    std::string text;
    const char* digest;
  } cases[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmn"
       "opqrsmnopqrstnopqrstu",
       "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
      {std::string(1'000'000, 'a'),
       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  for (const Sha256::Path path : Paths()) {
    for (const auto& c : cases) CHECK_EQ(Hash(path, c.text, c.text.size() + 1), c.digest);
  }
}

TEST("sha256 does not depend on how the bytes are cut, and all paths agree") {
  std::string text;
  uint32_t random = 1;
  for (int i = 0; i < 1000; ++i) {
    random = random * 1664525 + 1013904223;
    text += static_cast<char>(random >> 24);
  }
  for (const size_t length : {0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129, 1000}) {
    const std::string_view part = std::string_view(text).substr(0, length);
    const std::string want = Hash(Sha256::Path::kPortable, part, 2000);
    for (const Sha256::Path path : Paths()) {
      for (const size_t piece : {1, 3, 63, 64, 65, 200, 2000}) {
        CHECK_EQ(Hash(path, part, piece), want);
      }
    }
  }
}

}  // namespace
}  // namespace graft
