// The value a functor works on: GRAFT_LANES floats of the compiler's vector extension, or one
// float. A functor is written once with +, -, *, /, comparisons and Select, and means the same on
// either. Included once per instruction set, inside that set's namespace (GRAFT_NS); CUDA uses the
// one-lane form. No include guard: every instruction set re-includes it.

namespace graft::GRAFT_NS {

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
inline uint64_t FirstLane(Q x) { return x[0]; }
inline Q WideIota() {
  Q lanes = {};
  for (unsigned lane = 0; lane < kWideLanes; ++lane) lanes[lane] = static_cast<uint64_t>(lane);
  return lanes;
}
/// The low half of each 64-bit lane, side by side.
inline void StoreLow(uint32_t* to, Q x) {
  typedef uint32_t Half __attribute__((vector_size(GRAFT_LANES * 2)));
  const Half low = __builtin_convertvector(x, Half);
  std::memcpy(to, &low, sizeof(low));
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
inline uint64_t FirstLane(Q x) { return x; }
inline Q WideIota() { return 0; }
inline void StoreLow(uint32_t* to, Q x) { *to = static_cast<uint32_t>(x); }
inline U WidenHalves(H x) { return x; }
inline U Iota() { return 0; }
inline bool Any(Mask mask) { return mask; }
#endif

/// Reinterprets the bits; sizes must match.
template <typename To, typename From>
inline To Bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

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

}  // namespace graft::GRAFT_NS
