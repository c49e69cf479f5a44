// Dtype conversion of every instruction set against the definition of the formats
// (src/ref/convert.h): all 16-bit patterns one way, a large and nasty sample of float32 patterns
// the other way, bit for bit.
#include "ref/convert.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "check.h"
#include "cpu/table.h"

namespace graft {
namespace {

struct HalfFormat {
  const char* name;
  Dtype dtype;
  ref::Format format;
};

constexpr HalfFormat kHalfFormats[] = {{"bf16", Dtype::kBF16, ref::kBf16},
                                       {"f16", Dtype::kF16, ref::kF16}};

std::string Describe(const KernelTable& kernels, const char* dtype, uint64_t from) {
  char text[96];
  std::snprintf(text, sizeof(text), "%s %s of 0x%llx", std::string(kernels.isa).c_str(), dtype,
                static_cast<unsigned long long>(from));
  return text;
}

TEST("every bf16 and f16 pattern widens to its exact value on every instruction set") {
  for (const KernelTable* kernels : AvailableKernels()) {
    for (const auto& [name, dtype, format] : kHalfFormats) {
      int wrong = 0;
      for (uint32_t first = 0; first < 65536; first += kBlockElements) {
        uint16_t from[kBlockElements];
        float to[kBlockElements];
        bool non_finite = false;
        for (uint32_t i = 0; i < kBlockElements; ++i) from[i] = static_cast<uint16_t>(first + i);
        const bool reported = kernels->widen({from, dtype}, to);
        for (int i = 0; i < kBlockElements; ++i) {
          const double want = ref::DecodeBits(format, from[i]);
          non_finite |= !std::isfinite(want);
          const auto got = std::bit_cast<uint32_t>(to[i]);
          const auto exact = std::bit_cast<uint32_t>(static_cast<float>(want));
          // A NaN stays one; its payload is not looked at again before it becomes the canonical
          // NaN.
          const bool same = std::isnan(want) ? std::isnan(to[i]) : got == exact;
          if (!same && ++wrong <= 3) CHECK_EQ(Describe(*kernels, name, from[i]), "exact");
        }
        CHECK_EQ(reported, non_finite);
      }
      CHECK_EQ(wrong, 0);
    }
  }
}

/// Float32 patterns at and around everything where rounding to either half format changes its mind.
std::vector<uint32_t> NastyPatterns() {
  std::vector<uint32_t> patterns = {0,          1,          0x007fffff, 0x00800000, 0x7f7fffff,
                                    0x7f800000, 0x7f800001, 0x7fbfffff, 0x7fc00000, 0x7fffffff};
  // Halfway between neighbours of each format, and one float32 step to either side. The f16 list
  // goes past its largest value, where the halfway point is the border to infinity.
  for (const auto& [name, dtype, format] : kHalfFormats) {
    const uint32_t infinity = ((1u << format.exponent_bits) - 1) << format.fraction_bits;
    for (uint32_t half = 0; half < infinity; ++half) {
      const double low = ref::DecodeBits(format, half);
      const double next = ref::DecodeBits(format, half + 1);
      const double high = std::isinf(next) ? 2 * low - ref::DecodeBits(format, half - 1) : next;
      const auto middle = std::bit_cast<uint32_t>(static_cast<float>((low + high) / 2));
      for (uint32_t bits : {middle - 1, middle, middle + 1}) patterns.push_back(bits & 0x7fffffff);
    }
  }
  std::mt19937 random(20240301);
  for (int i = 0; i < 1'000'000; ++i) patterns.push_back(random());
  const size_t count = patterns.size();
  for (size_t i = 0; i < count; i += 3) patterns.push_back(patterns[i] ^ 0x80000000u);
  while (patterns.size() % kBlockElements != 0) patterns.push_back(0);
  return patterns;
}

TEST(
    "float32 narrows to the nearest even neighbour, NaN to the canonical one, on every instruction "
    "set") {
  const std::vector<uint32_t> patterns = NastyPatterns();
  for (const auto& [name, dtype, format] : kHalfFormats) {
    std::vector<uint16_t> want;
    for (const uint32_t bits : patterns) {
      const auto value = static_cast<double>(std::bit_cast<float>(bits));
      want.push_back(static_cast<uint16_t>(ref::EncodeBits(format, value)));
    }
    for (const KernelTable* kernels : AvailableKernels()) {
      int wrong = 0;
      for (size_t first = 0; first < patterns.size(); first += kBlockElements) {
        float from[kBlockElements];
        uint16_t to[kBlockElements];
        std::memcpy(from, &patterns[first], sizeof(from));
        kernels->narrow(dtype, from, kBlockElements, to);
        for (size_t i = 0; i < kBlockElements; ++i) {
          if (to[i] == want[first + i] || ++wrong > 3) continue;
          CHECK_EQ(Describe(*kernels, name, patterns[first + i]), "rounded to nearest even");
        }
      }
      CHECK_EQ(wrong, 0);
    }
  }
}

TEST("float32 is stored as it is, but for NaN, and widened to float64 exactly") {
  const std::vector<uint32_t> patterns = NastyPatterns();
  for (const KernelTable* kernels : AvailableKernels()) {
    int wrong = 0;
    for (size_t first = 0; first < patterns.size(); first += kBlockElements) {
      float from[kBlockElements];
      uint32_t single[kBlockElements];
      uint64_t wide[kBlockElements];
      std::memcpy(from, &patterns[first], sizeof(from));
      kernels->narrow(Dtype::kF32, from, kBlockElements, single);
      kernels->narrow(Dtype::kF64, from, kBlockElements, wide);
      for (size_t i = 0; i < kBlockElements; ++i) {
        const auto value = static_cast<double>(std::bit_cast<float>(patterns[first + i]));
        wrong += single[i] != ref::EncodeBits(ref::kF32, value);
        wrong += wide[i] != ref::EncodeBits(ref::kF64, value);
      }
    }
    CHECK_EQ(wrong, 0);
  }
}

TEST("float64 rounds once to the nearest even float32 when it is read") {
  constexpr double kFloatMax = std::numeric_limits<float>::max();
  // Around halfway points of normal and subnormal float32, and around the border to infinity.
  std::vector<double> values = {0.0,
                                -0.0,
                                0x1p-150,
                                0x1.000002p-150,
                                0x1.8p-149,
                                0x1p-1074,
                                0x1p-126,
                                0x1.fffffffp-127,
                                kFloatMax,
                                0x1.ffffffp127,
                                0x1.fffffefffffffp127,
                                1e39,
                                -1e300,
                                INFINITY,
                                -INFINITY,
                                NAN};
  std::mt19937_64 random(7);
  while (values.size() % (8 * kBlockElements) != 0) {
    const auto value = static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(random())));
    const double next =
        std::nextafter(static_cast<float>(value), std::numeric_limits<float>::max());
    const double middle = value / 2 + next / 2;
    for (const double x : {middle, std::nextafter(middle, 0.0), std::nextafter(middle, next)}) {
      if (values.size() % (8 * kBlockElements) != 0) values.push_back(x);
    }
  }
  for (const KernelTable* kernels : AvailableKernels()) {
    int wrong = 0;
    for (size_t first = 0; first < values.size(); first += kBlockElements) {
      float to[kBlockElements];
      kernels->widen({&values[first], Dtype::kF64}, to);
      for (size_t i = 0; i < kBlockElements; ++i) {
        const double x = values[first + i];
        const bool same = std::isnan(x)
                              ? std::isnan(to[i])
                              : std::bit_cast<uint32_t>(to[i]) == ref::EncodeBits(ref::kF32, x);
        if (!same && ++wrong <= 3)
          CHECK_EQ(Describe(*kernels, "f64", std::bit_cast<uint64_t>(x)), "");
      }
    }
    CHECK_EQ(wrong, 0);
  }
}

TEST("narrowing part of a block touches no byte past its last element") {
  float from[kBlockElements];
  for (int i = 0; i < kBlockElements; ++i) from[i] = static_cast<float>(i);
  for (const KernelTable* kernels : AvailableKernels()) {
    for (const Dtype dtype : {Dtype::kBF16, Dtype::kF16, Dtype::kF32, Dtype::kF64}) {
      const size_t size = FindDtype(dtype)->size_bytes;
      for (const int n : {0, 1, 7, 8, 15, 16, 17, 31, 511, 512}) {
        std::vector<uint8_t> to(kBlockElements * size + 64, 0xa5);
        kernels->narrow(dtype, from, n, to.data() + 1);  // a tensor may start at any byte
        const std::vector<double> whole(from, from + n);
        std::vector<uint8_t> want(to.size(), 0xa5);
        const std::vector<uint8_t> encoded = ref::Encode(dtype, whole);
        std::copy(encoded.begin(), encoded.end(), want.begin() + 1);
        CHECK(to == want);
      }
    }
  }
}

}  // namespace
}  // namespace graft
