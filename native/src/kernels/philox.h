// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), one random byte an
// element. Elements come in groups of 512 that share 32 counters: element e of a group takes byte j = e / 32
// of the block at counter group * 32 + e % 32. So a vector of counters yields vectors of consecutive elements
// without a shuffle, on any lane count. Each run of 32 elements also shares one low byte, from a second counter
// space: an element's own byte and that byte together are a uniform 16-bit number, so the chance of keeping
// an element is exact to 2^-16 at the price of 8 bits. No include guard: see vec.h.

namespace graft::GRAFT_NS {

inline constexpr int kRandomGroup = 512;
inline constexpr int kRandomCounters = 32;
inline constexpr int kRandomRuns = kRandomGroup / kRandomCounters;

/// High and low 32 bits of a * b, lane by lane.
inline void MultiplyWide(U a, uint32_t b, U* high, U* low) {
#if GRAFT_LANES == 16 && defined(__AVX512F__)
  __m512i va = Bits<__m512i>(a), vb = _mm512_set1_epi64(b);
  __m512i even = _mm512_mul_epu32(va, vb);
  __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(va, 32), vb);
  *low = Bits<U>(_mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32)));
  *high = Bits<U>(_mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd));
#elif GRAFT_LANES == 8 && defined(__AVX2__)
  __m256i va = Bits<__m256i>(a), vb = _mm256_set1_epi64x(b);
  __m256i even = _mm256_mul_epu32(va, vb);
  __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(va, 32), vb);
  *low = Bits<U>(_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa));
  *high = Bits<U>(_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa));
#else
  W wide = Convert<W>(a) * static_cast<uint64_t>(b);
  *low = Convert<U>(wide & 0xffffffffu);
  *high = Convert<U>(wide >> 32);
#endif
}

/// Ten rounds; the four words are the counter on entry (low, high, 0, 0) and random on return.
inline void Philox(U words[4], uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    U high0, low0, high1, low1;
    MultiplyWide(words[0], 0xd2511f53u, &high0, &low0);
    MultiplyWide(words[2], 0xcd9e8d57u, &high1, &low1);
    words[0] = high1 ^ words[1] ^ Splat(key0);
    words[1] = low1;
    words[2] = high0 ^ words[3] ^ Splat(key1);
    words[3] = low0;
    key0 += 0x9e3779b9u;
    key1 += 0xbb67ae85u;
  }
}

/// What decides over one group: an element is kept when its byte is below its run's limit (0 to 256).
struct RandomGroup {
  uint16_t bytes[kRandomGroup];  // 16 bits each: compilers widen those well
  uint32_t limits[kRandomRuns];
};

/// Draws a group; `keep_below` is the chance of keeping an element times 2^16.
inline void Draw(uint64_t group, uint64_t key, uint32_t keep_below, RandomGroup* out) {
  const auto key0 = static_cast<uint32_t>(key), key1 = static_cast<uint32_t>(key >> 32);
  U lanes = Iota();
  for (int first = 0; first < kRandomCounters; first += GRAFT_LANES) {
    // A group's counters never cross a 2^32 border, so the high word is common.
    const uint64_t counter = group * kRandomCounters + static_cast<uint64_t>(first);
    U words[4] = {lanes + static_cast<uint32_t>(counter), Splat(static_cast<uint32_t>(counter >> 32)),
                  Splat(0u), Splat(0u)};
    Philox(words, key0, key1);
    for (int run = 0; run < kRandomRuns; ++run) {
      Store(out->bytes + run * kRandomCounters + first,
            Convert<H>((words[run / 4] >> (8 * (run % 4))) & 0xffu));
    }
  }
  U words[4] = {Splat(static_cast<uint32_t>(group)), Splat(static_cast<uint32_t>(group >> 32)),
                Splat(1u), Splat(0u)};
  Philox(words, key0, key1);
  for (int run = 0; run < kRandomRuns; ++run) {
    const uint32_t low = (FirstLane(words[run / 4]) >> (8 * (run % 4))) & 0xffu;
    out->limits[run] = (keep_below >> 8) + (low < (keep_below & 0xffu) ? 1u : 0u);
  }
}

}  // namespace graft::GRAFT_NS
