// The value a functor works on: GRAFT_LANES floats of the compiler's vector extension, or one
// float. A functor is written once with +, -, *, /, comparisons and Select, and means the same on
// either. Included once per instruction set, inside that set's namespace (GRAFT_NS); CUDA uses the
// one-lane form. No include guard: every instruction set re-includes it.

namespace graft::GRAFT_NS {

/// Reinterprets the bits; sizes must match.
template <typename To, typename From>
inline To Bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

#if GRAFT_LANES > 1
typedef float F __attribute__((vector_size(GRAFT_LANES * 4)));
typedef double D __attribute__((vector_size(GRAFT_LANES * 8)));
typedef int32_t I __attribute__((vector_size(GRAFT_LANES * 4)));
typedef uint32_t U __attribute__((vector_size(GRAFT_LANES * 4)));
typedef uint64_t Q __attribute__((vector_size(GRAFT_LANES * 4)));  // half as many lanes
typedef uint16_t H __attribute__((vector_size(GRAFT_LANES * 2)));
typedef I Mask;

template <typename To, typename From>
inline To Convert(From from) {
  return __builtin_convertvector(from, To);
}
inline F Select(Mask mask, F yes, F no) { return mask ? yes : no; }
inline U Select(Mask mask, U yes, U no) { return mask ? yes : no; }
inline F Splat(float x) { return x - F{}; }
inline U Splat(uint32_t x) { return x - U{}; }
inline U Max(U a, U b) { return a > b ? a : b; }
inline constexpr unsigned kWideLanes = GRAFT_LANES / 2;
inline Q WideIota() {
  Q lanes = {};
  for (unsigned lane = 0; lane < kWideLanes; ++lane) lanes[lane] = static_cast<uint64_t>(lane);
  return lanes;
}
/// 16-bit lanes widened to 32: compilers need telling that this is one instruction.
inline U WidenHalves(H x) {
#if GRAFT_LANES == 16 && defined(__AVX512F__)
  __m256i narrow;
  std::memcpy(&narrow, &x, sizeof(narrow));
  const __m512i wide = _mm512_cvtepu16_epi32(narrow);
#elif GRAFT_LANES == 8 && defined(__AVX2__)
  __m128i narrow;
  std::memcpy(&narrow, &x, sizeof(narrow));
  const __m256i wide = _mm256_cvtepu16_epi32(narrow);
#else
  const U wide = Convert<U>(x);
#endif
  U result;
  std::memcpy(&result, &wide, sizeof(result));
  return result;
}
/// 16-bit lanes as the upper halves of 32-bit ones: one shuffle where there is one for words.
inline U UpperHalves(H x) {
#if GRAFT_LANES == 16 && defined(__AVX512BW__)
  const __m512i from = _mm512_set_epi64(
      0x000f000f000e000ell, 0x000d000d000c000cll, 0x000b000b000a000all, 0x0009000900080008ll,
      0x0007000700060006ll, 0x0005000500040004ll, 0x0003000300020002ll, 0x0001000100000000ll);
  const __m512i narrow = _mm512_castsi256_si512(Bits<__m256i>(x));
  return Bits<U>(_mm512_maskz_permutexvar_epi16(0xaaaaaaaau, from, narrow));
#else
  return WidenHalves(x) << 16;
#endif
}
/// 0, 1, 2, … lane by lane.
inline U Iota() {
  U lanes = {};
  for (int lane = 0; lane < GRAFT_LANES; ++lane) lanes[lane] = static_cast<uint32_t>(lane);
  return lanes;
}
inline bool Any(Mask mask) {
  int32_t any = 0;
  for (int lane = 0; lane < GRAFT_LANES; ++lane) any |= mask[lane];
  return any != 0;
}
/// The low halves of the 64-bit lanes of both, side by side.
inline U LowHalves(Q first, Q second) {
  U even = Iota() * 2u;
  return __builtin_shuffle(Bits<U>(first), Bits<U>(second), even);
}
#else
typedef float F;
typedef double D;
typedef int32_t I;
typedef uint32_t U;
typedef uint64_t Q;
typedef uint16_t H;
typedef bool Mask;

template <typename To, typename From>
inline To Convert(From from) {
  return static_cast<To>(from);
}
inline F Select(Mask mask, F yes, F no) { return mask ? yes : no; }
inline U Select(Mask mask, U yes, U no) { return mask ? yes : no; }
inline F Splat(float x) { return x; }
inline U Splat(uint32_t x) { return x; }
inline U Max(U a, U b) { return a > b ? a : b; }
inline constexpr unsigned kWideLanes = 1;
inline Q WideIota() { return 0; }
inline U LowHalves(Q first, Q /*second*/) { return static_cast<uint32_t>(first); }
inline U WidenHalves(H x) { return x; }
inline U UpperHalves(H x) { return static_cast<U>(x) << 16; }
inline U Iota() { return 0; }
inline bool Any(Mask mask) { return mask; }
#endif

/// Unaligned load and store: tensors sit at odd offsets.
template <typename T>
inline T Load(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}
template <typename T>
inline void Store(void* to, T value) {
  std::memcpy(to, &value, sizeof(value));
}

/// x where it is above (below) zero, else zero; zero for NaN.
inline F PositivePart(F x) {
#if GRAFT_LANES == 16 && defined(__AVX512F__)
  return Bits<F>(_mm512_max_ps(Bits<__m512>(x), _mm512_setzero_ps()));
#elif GRAFT_LANES == 8 && defined(__AVX2__)
  return Bits<F>(_mm256_max_ps(Bits<__m256>(x), _mm256_setzero_ps()));
#else
  return Select(x > 0.0f, x, Splat(0.0f));
#endif
}
inline F NegativePart(F x) {
#if GRAFT_LANES == 16 && defined(__AVX512F__)
  return Bits<F>(_mm512_min_ps(Bits<__m512>(x), _mm512_setzero_ps()));
#elif GRAFT_LANES == 8 && defined(__AVX2__)
  return Bits<F>(_mm256_min_ps(Bits<__m256>(x), _mm256_setzero_ps()));
#else
  return Select(x < 0.0f, x, Splat(0.0f));
#endif
}

/// Bounds of 16 random bytes, the four of each 32-bit word one after the other.
typedef uint8_t Bytes16 __attribute__((vector_size(16)));
struct ByteBounds {
  Bytes16 last, any;
};

/// Which lanes are meant, in the form that is cheapest to keep in memory.
#if GRAFT_LANES == 16 && defined(__AVX512BW__)
typedef __mmask16 LaneSet;
inline F Select(LaneSet lanes, F yes) {
  return Bits<F>(_mm512_maskz_mov_ps(lanes, Bits<__m512>(yes)));
}
/// For each of the four bytes of the lanes, in which lanes it is within the bounds of its word.
inline void BytesWithin(U lanes, const ByteBounds& bounds, unsigned word, LaneSet within[4]) {
  uint32_t last[4], any[4];
  std::memcpy(last, &bounds.last, sizeof(last));
  std::memcpy(any, &bounds.any, sizeof(any));
  const __m512i wanted = _mm512_set1_epi32(static_cast<int>(any[word]));
  const uint64_t all =
      _mm512_mask_cmple_epu8_mask(_mm512_movepi8_mask(wanted), Bits<__m512i>(lanes),
                                  _mm512_set1_epi32(static_cast<int>(last[word])));
  for (int byte = 0; byte < 4; ++byte) {
    within[byte] = static_cast<LaneSet>(_pext_u64(all, 0x1111111111111111u << byte));
  }
}
#else
typedef Mask LaneSet;
inline F Select(LaneSet lanes, F yes) { return Select(lanes, yes, Splat(0.0f)); }
inline void BytesWithin(U lanes, const ByteBounds& bounds, unsigned word, LaneSet within[4]) {
  for (unsigned byte = 0; byte < 4; ++byte) {
    const unsigned run = 4 * word + byte;
    const uint32_t limit = bounds.any[run] != 0 ? bounds.last[run] + 1u : 0u;
    within[byte] = ((lanes >> (8 * byte)) & 0xffu) < limit;
  }
}
#endif

}  // namespace graft::GRAFT_NS
