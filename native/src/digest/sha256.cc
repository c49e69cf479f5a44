#include "digest/sha256.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace graft {
namespace {

// FIPS 180-4: the fractions of the square roots of the first 8 primes and of the cube roots of the
// first 64.
constexpr std::array<uint32_t, 8> kInitial = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                              0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

alignas(16) constexpr std::array<uint32_t, 64> kRound = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

uint32_t LoadBigEndian32(const uint8_t* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

template <typename Word>
void StoreBigEndian(Word word, uint8_t* bytes) {
  for (size_t i = sizeof word; i-- > 0; word >>= 8) bytes[i] = static_cast<uint8_t>(word);
}

bool CpuHasShaNi() {
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kSsse3 = 1u << 9, kSse41 = 1u << 19, kSha = 1u << 29;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kSsse3) == 0 || (c & kSse41) == 0) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & kSha) != 0;
#else
  return false;
#endif
}

}  // namespace

Sha256::Path Sha256::BestPath() {
  static const Path best = CpuHasShaNi() ? Path::kShaNi : Path::kPortable;
  return best;
}

Sha256::Sha256(Path path)
    : compress_(path == Path::kShaNi ? CompressShaNi : CompressPortable), state_(kInitial) {
  assert(path == Path::kPortable || BestPath() == Path::kShaNi);
}

void Sha256::Update(std::span<const uint8_t> bytes) {
  const size_t used = byte_count_ % kBlockBytes;
  byte_count_ += bytes.size();
  if (used > 0) {
    const size_t taken = std::min(bytes.size(), kBlockBytes - used);
    std::copy_n(bytes.begin(), taken, partial_.begin() + used);
    bytes = bytes.subspan(taken);
    if (used + taken < kBlockBytes) return;
    compress_(state_, partial_.data(), 1);
  }
  const size_t block_count = bytes.size() / kBlockBytes;
  if (block_count > 0) compress_(state_, bytes.data(), block_count);
  bytes = bytes.subspan(block_count * kBlockBytes);
  std::copy(bytes.begin(), bytes.end(), partial_.begin());
}

Sha256::Digest Sha256::Finish() {
  const uint64_t bit_count = byte_count_ * 8;
  const size_t used = byte_count_ % kBlockBytes;
  // A one bit, zeros, and the length in the last 8 bytes of the last block.
  std::array<uint8_t, 2 * kBlockBytes> padding{0x80};
  const size_t padding_bytes = (used < kBlockBytes - 8 ? 1 : 2) * kBlockBytes - used;
  StoreBigEndian(bit_count, padding.data() + padding_bytes - 8);
  Update({padding.data(), padding_bytes});
  Digest digest;
  for (size_t i = 0; i < state_.size(); ++i) StoreBigEndian(state_[i], digest.data() + 4 * i);
  return digest;
}

void Sha256::CompressPortable(State& state, const uint8_t* blocks, size_t block_count) {
  for (; block_count > 0; --block_count, blocks += kBlockBytes) {
    std::array<uint32_t, 64> schedule;
    for (size_t i = 0; i < 16; ++i) schedule[i] = LoadBigEndian32(blocks + 4 * i);
    for (size_t i = 16; i < 64; ++i) {
      const uint32_t x = schedule[i - 15];
      const uint32_t y = schedule[i - 2];
      schedule[i] = schedule[i - 16] + (std::rotr(x, 7) ^ std::rotr(x, 18) ^ (x >> 3)) +
                    schedule[i - 7] + (std::rotr(y, 17) ^ std::rotr(y, 19) ^ (y >> 10));
    }
    auto [a, b, c, d, e, f, g, h] = state;
    for (size_t i = 0; i < 64; ++i) {
      const uint32_t t1 = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
                          ((e & f) ^ (~e & g)) + kRound[i] + schedule[i];
      const uint32_t t2 =
          (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      h = g;
      g = f;
      f = e;
      e = d + t1;
      d = c;
      c = b;
      b = a;
      a = t1 + t2;
    }
    const State rounds = {a, b, c, d, e, f, g, h};
    for (size_t i = 0; i < state.size(); ++i) state[i] += rounds[i];
  }
}

#if defined(__x86_64__)

// The instructions keep the state as two vectors, ABEF and CDGH (highest word first), and do four
// rounds per pair; the schedule rolls through four vectors of four words.
__attribute__((target("sha,sse4.1,ssse3"))) void Sha256::CompressShaNi(State& state,
                                                                       const uint8_t* blocks,
                                                                       size_t block_count) {
  const __m128i byte_swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
  const auto load = [](const void* from) __attribute__((target("sha,sse4.1,ssse3"))) {
    return _mm_loadu_si128(static_cast<const __m128i*>(from));
  };
  const __m128i badc = _mm_shuffle_epi32(load(&state[0]), 0xB1);  // from dcba
  const __m128i efgh = _mm_shuffle_epi32(load(&state[4]), 0x1B);  // from hgfe
  __m128i abef = _mm_alignr_epi8(badc, efgh, 8);
  __m128i cdgh = _mm_blend_epi16(efgh, badc, 0xF0);
  for (; block_count > 0; --block_count, blocks += kBlockBytes) {
    const __m128i abef_before = abef;
    const __m128i cdgh_before = cdgh;
    __m128i words[4];
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      __m128i& next = words[i % 4];
      const __m128i& last = words[(i + 3) % 4];
      if (i < 4) {
        next = _mm_shuffle_epi8(load(blocks + 16 * i), byte_swap);
      } else {
        const __m128i seventh = _mm_alignr_epi8(last, words[(i + 2) % 4], 4);
        next = _mm_add_epi32(_mm_sha256msg1_epu32(next, words[(i + 1) % 4]), seventh);
        next = _mm_sha256msg2_epu32(next, last);
      }
      const __m128i sum = _mm_add_epi32(next, load(&kRound[4 * i]));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0E));
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  const __m128i feba = _mm_shuffle_epi32(abef, 0x1B);
  const __m128i dchg = _mm_shuffle_epi32(cdgh, 0xB1);
  const __m128i dcba = _mm_blend_epi16(feba, dchg, 0xF0);
  const __m128i hgfe = _mm_alignr_epi8(dchg, feba, 8);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(&state[0]), dcba);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(&state[4]), hgfe);
}

#else

void Sha256::CompressShaNi(State& state, const uint8_t* blocks, size_t block_count) {
  CompressPortable(state, blocks, block_count);
}

#endif

std::string ToHex(const Sha256::Digest& digest) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace graft
