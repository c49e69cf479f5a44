#include "ref/convert.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace graft::ref {

Format FormatOf(Dtype dtype) {
  switch (dtype) {
    case Dtype::kBF16:
      return kBf16;
    case Dtype::kF16:
      return kF16;
    case Dtype::kF32:
      return kF32;
    default:
      return kF64;
  }
}

double DecodeBits(Format format, uint64_t bits) {
  const uint64_t fraction_unit = uint64_t{1} << format.fraction_bits;
  const uint64_t field_max = (uint64_t{1} << format.exponent_bits) - 1;
  const uint64_t fraction = bits % fraction_unit;
  const uint64_t field = bits / fraction_unit % (field_max + 1);
  const bool negative = bits / fraction_unit / (field_max + 1) % 2 == 1;
  const int exponent_min = 2 - (1 << (format.exponent_bits - 1));
  double magnitude;
  if (field == field_max) {
    magnitude = fraction != 0 ? std::numeric_limits<double>::quiet_NaN()
                              : std::numeric_limits<double>::infinity();
  } else if (field == 0) {
    magnitude = std::ldexp(static_cast<double>(fraction), exponent_min - format.fraction_bits);
  } else {
    magnitude = std::ldexp(static_cast<double>(fraction_unit + fraction),
                           exponent_min + static_cast<int>(field) - 1 - format.fraction_bits);
  }
  return negative ? -magnitude : magnitude;
}

uint64_t EncodeBits(Format format, double value) {
  const int width = format.exponent_bits + format.fraction_bits;
  const uint64_t infinity = ((uint64_t{1} << format.exponent_bits) - 1) << format.fraction_bits;
  if (std::isnan(value)) return infinity | (uint64_t{1} << (format.fraction_bits - 1));
  const uint64_t sign = std::signbit(value) ? uint64_t{1} << width : 0;
  const double magnitude = std::fabs(value);
  if (magnitude == 0) return sign;
  if (std::isinf(magnitude)) return sign | infinity;
  const int exponent_min = 2 - (1 << (format.exponent_bits - 1));
  const int exponent = std::max(std::ilogb(magnitude), exponent_min);
  // How many steps of the format's grid at this exponent; scaling by a power of two is exact, so
  // that nearbyint, which goes to even, is the only rounding.
  const double steps = std::nearbyint(std::ldexp(magnitude, format.fraction_bits - exponent));
  // The steps of a normal value hold its implicit leading one, which raises the exponent field by
  // one; a carry out of the fraction raises it once more.
  const uint64_t bits = (static_cast<uint64_t>(exponent - exponent_min) << format.fraction_bits) +
                        static_cast<uint64_t>(steps);
  return sign | std::min(bits, infinity);
}

std::vector<double> Decode(Dtype dtype, const std::vector<uint8_t>& bytes) {
  const size_t size = FindDtype(dtype)->size_bytes;
  std::vector<double> values(bytes.size() / size);
  for (size_t i = 0; i < values.size(); ++i) {
    uint64_t bits = 0;
    for (size_t b = size; b-- > 0;) bits = bits << 8 | bytes[i * size + b];
    values[i] = DecodeBits(FormatOf(dtype), bits);
  }
  return values;
}

std::vector<uint8_t> Encode(Dtype dtype, const std::vector<double>& values) {
  const size_t size = FindDtype(dtype)->size_bytes;
  std::vector<uint8_t> bytes;
  bytes.reserve(values.size() * size);
  for (const double value : values) {
    const uint64_t bits = EncodeBits(FormatOf(dtype), value);
    for (size_t b = 0; b < size; ++b) bytes.push_back(static_cast<uint8_t>(bits >> (8 * b)));
  }
  return bytes;
}

}  // namespace graft::ref
