#include "ref/random.h"

namespace graft::ref {
namespace {

constexpr uint64_t kGroupElements = 512;
constexpr uint64_t kGroupCounters = 32;

using Block = std::array<uint32_t, 4>;

uint32_t ByteOf(const Block& block, uint64_t index) {
  return block[index / 4] >> (8 * (index % 4)) & 0xff;
}

}  // namespace

Block Philox4x32(Block counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 7; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(product0)};
    key[0] += 0x9E3779B9;  // golden ratio
    key[1] += 0xBB67AE85;  // sqrt(3) - 1
  }
  return counter;
}

std::vector<bool> KeepByChance(uint64_t first, size_t count, uint64_t key, uint32_t steps) {
  const std::array<uint32_t, 2> halves = {static_cast<uint32_t>(key),
                                          static_cast<uint32_t>(key >> 32)};
  std::array<Block, kGroupCounters> own = {};
  Block common = {};
  uint64_t drawn = ~uint64_t{0};
  std::vector<bool> kept(count);
  for (size_t i = 0; i < count; ++i) {
    const uint64_t group = (first + i) / kGroupElements;
    const uint64_t element = (first + i) % kGroupElements;
    if (group != drawn) {
      drawn = group;
      for (uint64_t c = 0; c < kGroupCounters; ++c) {
        const uint64_t counter = group * kGroupCounters + c;
        own[c] = Philox4x32(
            {static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), 0, 0}, halves);
      }
      common = Philox4x32({static_cast<uint32_t>(group), static_cast<uint32_t>(group >> 32), 1, 0},
                          halves);
    }
    const uint64_t run = element / kGroupCounters;
    const uint32_t number = ByteOf(own[element % kGroupCounters], run) << 8 | ByteOf(common, run);
    kept[i] = number < steps;
  }
  return kept;
}

}  // namespace graft::ref
