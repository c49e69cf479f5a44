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
/// counters on entry, random on return. Several vectors at once, because a round waits for its
/// products.
template <int kVectors>
void Philox(Q (*words)[4], uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 7; ++round) {
    for (int v = 0; v < kVectors; ++v) {
      Q product0 = MultiplyLow(words[v][0], 0xd2511f53u);
      Q product1 = MultiplyLow(words[v][2], 0xcd9e8d57u);
      words[v][0] = (product1 >> 32) ^ words[v][1] ^ static_cast<uint64_t>(key0);
      words[v][1] = product1;
      words[v][2] = (product0 >> 32) ^ words[v][3] ^ static_cast<uint64_t>(key1);
      words[v][3] = product0;
    }
    key0 += 0x9e3779b9u;
    key1 += 0xbb67ae85u;
  }
}

/// The same for one counter, on the scalar units, which have nothing else to do.
inline void Philox(uint64_t words[4], uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 7; ++round) {
    const uint64_t product0 = (words[0] & 0xffffffffu) * 0xd2511f53u;
    const uint64_t product1 = (words[2] & 0xffffffffu) * 0xcd9e8d57u;
    words[0] = (product1 >> 32) ^ words[1] ^ key0;
    words[1] = product1;
    words[2] = (product0 >> 32) ^ words[3] ^ key1;
    words[3] = product0;
    key0 += 0x9e3779b9u;
    key1 += 0xbb67ae85u;
  }
}

/// Which elements of one group are kept, a vector of elements at a time.
struct RandomGroup {
  LaneSet kept[kRandomGroup / GRAFT_LANES];
};

/// Which bytes keep their element, run by run: those up to `last`, where `any` says so. The
/// chance's high 8 bits are in every run's bound, its low 8 bits make some runs' bounds one higher.
inline ByteBounds DrawBounds(uint64_t group, uint32_t key0, uint32_t key1, uint32_t keep_below) {
  uint64_t words[4] = {group & 0xffffffffu, group >> 32, 1, 0};
  Philox(words, key0, key1);
  uint32_t low_words[4];
  for (int word = 0; word < 4; ++word) low_words[word] = static_cast<uint32_t>(words[word]);
  Bytes16 low;
  std::memcpy(&low, low_words, sizeof(low));
  const auto high = static_cast<uint8_t>(keep_below >> 8);
  const auto higher = Bits<Bytes16>(low < (Bytes16{} + static_cast<uint8_t>(keep_below & 0xffu)));
  const Bytes16 all = ~Bytes16{};
  return {.last = static_cast<uint8_t>(high - 1) - higher, .any = high > 0 ? all : higher};
}

/// Draws a group; `keep_below` is the chance of keeping an element times 2^16.
inline void Draw(uint64_t group, uint64_t key, uint32_t keep_below, RandomGroup* out) {
  const auto key0 = static_cast<uint32_t>(key), key1 = static_cast<uint32_t>(key >> 32);
  const ByteBounds bounds = DrawBounds(group, key0, key1, keep_below);
  constexpr unsigned kLanes = GRAFT_LANES;
  constexpr unsigned kHalves = kLanes / kWideLanes;  // vectors of counters per vector of words
  constexpr unsigned kAtOnce = kLanes == 16 ? 2 : 1;
  const Q zero = {};
  for (unsigned first = 0; first < kRandomCounters; first += kAtOnce * kLanes) {
    Q words[kAtOnce * kHalves][4];
    for (unsigned v = 0; v < kAtOnce * kHalves; ++v) {
      // A group's counters never cross a 2^32 border, so the high word is common.
      const uint64_t counter = group * kRandomCounters + (first + v * kWideLanes);
      words[v][0] = WideIota() + (counter & 0xffffffffu);
      words[v][1] = zero + (counter >> 32);
      words[v][2] = words[v][3] = zero;
    }
    Philox<kAtOnce * kHalves>(words, key0, key1);
    for (unsigned part = 0; part < kAtOnce; ++part) {
      for (unsigned word = 0; word < 4; ++word) {
        const Q(*of)[4] = words + part * kHalves;
        const U bytes = LowHalves(of[0][word], of[kHalves - 1][word]);
        LaneSet kept[4];
        BytesWithin(bytes, bounds, word, kept);
        for (unsigned byte = 0; byte < 4; ++byte) {
          const unsigned element = (4 * word + byte) * kRandomCounters + first + part * kLanes;
          out->kept[element / kLanes] = kept[byte];
        }
      }
    }
  }
}

}  // namespace graft::GRAFT_NS
