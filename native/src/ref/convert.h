// Stored floating-point formats by their definition in IEEE 754 terms: sign, exponent field,
// fraction. Plain float64 arithmetic instead of the kernels' bit tricks.
#pragma once

#include <cstdint>
#include <vector>

#include "graft/dtype.h"

namespace graft::ref {

struct Format {
  int exponent_bits;
  int fraction_bits;
};

inline constexpr Format kBf16 = {8, 7};
inline constexpr Format kF16 = {5, 10};
inline constexpr Format kF32 = {8, 23};
inline constexpr Format kF64 = {11, 52};

/// Of a floating-point dtype.
Format FormatOf(Dtype dtype);

/// The value, exactly; every NaN pattern gives a NaN.
double DecodeBits(Format format, uint64_t bits);

/// Nearest value of the format, halfway cases to the even one, overflow to infinity. NaN becomes
/// the positive quiet NaN with an empty payload.
uint64_t EncodeBits(Format format, double value);

std::vector<double> Decode(Dtype dtype, const std::vector<uint8_t>& bytes);
std::vector<uint8_t> Encode(Dtype dtype, const std::vector<double>& values);

}  // namespace graft::ref
