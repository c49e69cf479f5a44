// Philox4x32-7 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), one random
// byte an element plus one low byte that 32 neighbours share: together a uniform 16-bit number, so
// the chance of keeping an element is exact to 2^-16 at the price of 8 bits. No include guard: see
// vec.h.

namespace graft::GRAFT_NS {

/// Elements come in groups of 512 that share 32 counters: element e of a group takes byte j = e /
/// 32 of the block at counter group * 32 + e % 32. So a vector of counters yields vectors of
/// consecutive elements without a shuffle, on any lane count. The shared bytes come from counter
/// (group, 1).
inline constexpr int kRandomGroup = 512;
inline constexpr unsigned kRandomCounters = 32;
inline constexpr unsigned kRandomRuns = kRandomGroup / kRandomCounters;

/// Low 32 bits of each lane times b, as 64 bits.
inline Q MultiplyLow(Q a, uint32_t b) {
#if GRAFT_LANES == 16 && defined(__AVX512F__)
  return Bits<Q>(_mm512_mul_epu32(Bits<__m512i>(a), _mm512_set1_epi64(b)));
#elif GRAFT_LANES == 8 && defined(__AVX2__)
  return Bits<Q>(_mm256_mul_epu32(Bits<__m256i>(a), _mm256_set1_epi64x(b)));
#else
  return (a & 0xffffffffu) * static_cast<uint64_t>(b);
#endif
}

/// Seven rounds (the fewest that pass BigCrush) on 64-bit lanes whose low halves are the words; the
/// high halves hold leftovers that no step reads, which saves the separation of products. The
/// counter on entry, random on return.
inline void Philox(Q words[4], uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 7; ++round) {
    Q product0 = MultiplyLow(words[0], 0xd2511f53u);
    Q product1 = MultiplyLow(words[2], 0xcd9e8d57u);
    words[0] = (product1 >> 32) ^ words[1] ^ static_cast<uint64_t>(key0);
    words[1] = product1;
    words[2] = (product0 >> 32) ^ words[3] ^ static_cast<uint64_t>(key1);
    words[3] = product0;
    key0 += 0x9e3779b9u;
    key1 += 0xbb67ae85u;
  }
}

/// What decides over one group: an element is kept when its byte is below its run's limit (0 to
/// 256).
struct RandomGroup {
  uint32_t words[4][kRandomCounters];
  uint32_t limits[kRandomRuns];

  /// Random bytes of the vector of elements that starts at i.
  U BytesAt(unsigned i) const {
    const unsigned run = i / kRandomCounters;
    return (Load<U>(words[run / 4] + i % kRandomCounters) >> (8 * (run % 4))) & 0xffu;
  }
  uint32_t LimitAt(unsigned i) const { return limits[i / kRandomCounters]; }
};

/// Draws a group; `keep_below` is the chance of keeping an element times 2^16.
inline void Draw(uint64_t group, uint64_t key, uint32_t keep_below, RandomGroup* out) {
  const auto key0 = static_cast<uint32_t>(key), key1 = static_cast<uint32_t>(key >> 32);
  const Q zero = {};
  for (unsigned first = 0; first < kRandomCounters; first += kWideLanes) {
    // A group's counters never cross a 2^32 border, so the high word is common.
    const uint64_t counter = group * kRandomCounters + static_cast<uint64_t>(first);
    Q words[4] = {WideIota() + (counter & 0xffffffffu), zero + (counter >> 32), zero, zero};
    Philox(words, key0, key1);
    for (int word = 0; word < 4; ++word) StoreLow(out->words[word] + first, words[word]);
  }
  Q words[4] = {zero + (group & 0xffffffffu), zero + (group >> 32), zero + 1u, zero};
  Philox(words, key0, key1);
  for (unsigned run = 0; run < kRandomRuns; ++run) {
    const auto low = static_cast<uint32_t>(FirstLane(words[run / 4]) >> (8 * (run % 4))) & 0xffu;
    out->limits[run] = (keep_below >> 8) + (low < (keep_below & 0xffu) ? 1u : 0u);
  }
}

}  // namespace graft::GRAFT_NS
