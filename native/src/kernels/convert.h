// Load and Store per dtype: widening to float32 is exact (float64 rounds once), narrowing rounds
// once to nearest even. A NaN result is always the canonical quiet NaN, because which payload
// survives an addition differs between instruction sets. No include guard: see vec.h.

namespace graft::GRAFT_NS {

inline constexpr uint32_t kInfinityBits = 0x7f800000u;

inline Mask IsNan(F x) { return (Bits<U>(x) & 0x7fffffffu) > kInfinityBits; }

/// Watches values go by and remembers whether one was NaN or infinite.
struct FiniteWatch {
  U largest = {};
  void See(F x) { largest = Max(largest, Bits<U>(x) & 0x7fffffffu); }
  bool SawNonFinite() const { return Any(largest >= kInfinityBits); }
};

struct Bf16 {
  static constexpr int kSize = 2;
  static F Widen(const void* from) { return Bits<F>(UpperHalves(Load<H>(from))); }
  static void Narrow(void* to, F x) {
    U bits = Bits<U>(x);
    U rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    Store(to, Convert<H>(Select(IsNan(x), Splat(0x7fc0u), rounded)));
  }
};

struct F16 {
  static constexpr int kSize = 2;
  // Moving the half's exponent and fraction into float position and multiplying by 2^112 fixes the
  // exponent bias of normal and subnormal values alike; infinity and NaN are patched in.
  static F Widen(const void* from) {
    U half = WidenHalves(Load<H>(from));
    U magnitude = half & 0x7fffu;
    F scaled = Bits<F>(magnitude << 13) * Splat(0x1p112f);
    U bits = Select(magnitude >= 0x7c00u, (magnitude << 13) | kInfinityBits, Bits<U>(scaled));
    return Bits<F>(bits | ((half & 0x8000u) << 16));
  }
  // Normal results round in integer arithmetic; subnormal ones by adding 0.5, whose unit in the
  // last place is the half's smallest step (2^-24), so that the float adder does the rounding.
  static void Narrow(void* to, F x) {
    U bits = Bits<U>(x);
    U sign = (bits >> 16) & 0x8000u;
    U magnitude = bits & 0x7fffffffu;
    U normal = (magnitude - (112u << 23) + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
    F shifted = Bits<F>(magnitude) + Splat(0.5f);
    U subnormal = Bits<U>(shifted) - Bits<U>(Splat(0.5f));
    U half = Select(magnitude < (113u << 23), subnormal, normal);
    half = Select(magnitude >= 0x477ff000u, Splat(0x7c00u),
                  half);  // 65520 and above round to infinity
    half = Select(magnitude > kInfinityBits, Splat(0x7e00u), half | sign);
    Store(to, Convert<H>(half));
  }
};

struct F32 {
  static constexpr int kSize = 4;
  static F Widen(const void* from) { return Load<F>(from); }
  static void Narrow(void* to, F x) {
    Store(to, Bits<F>(Select(IsNan(x), Splat(0x7fc00000u), Bits<U>(x))));
  }
};

struct F64 {
  static constexpr int kSize = 8;
  static F Widen(const void* from) { return Convert<F>(Load<D>(from)); }
  static void Narrow(void* to, F x) {
    Store(to, Convert<D>(Bits<F>(Select(IsNan(x), Splat(0x7fc00000u), Bits<U>(x)))));
  }
};

}  // namespace graft::GRAFT_NS
