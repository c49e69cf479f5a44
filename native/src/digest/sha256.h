// SHA-256, the digest that model hubs publish per file. Uses the CPU's SHA instructions where it
// has them; both paths give the same digest.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace graft {

class Sha256 {
 public:
  using Digest = std::array<uint8_t, 32>;
  /// The two ways to compute it; kPortable exists in every build.
  enum class Path { kPortable, kShaNi };

  /// The fastest path that this CPU and this build have.
  static Path BestPath();

  explicit Sha256(Path path = BestPath());

  void Update(std::span<const uint8_t> bytes);
  /// The digest of all bytes so far. Call once; the object is spent afterwards.
  Digest Finish();

 private:
  static constexpr size_t kBlockBytes = 64;
  using State = std::array<uint32_t, 8>;
  using Compress = void (*)(State& state, const uint8_t* blocks, size_t block_count);

  static void CompressPortable(State& state, const uint8_t* blocks, size_t block_count);
  static void CompressShaNi(State& state, const uint8_t* blocks, size_t block_count);

  Compress compress_;
  State state_;
  std::array<uint8_t, kBlockBytes> partial_{};  // the first byte_count_ % 64 bytes are in use
  uint64_t byte_count_ = 0;
};

/// 64 lower-case hex digits.
std::string ToHex(const Sha256::Digest& digest);

}  // namespace graft
