#include "kernels/math.h"

#include <cmath>

namespace graft {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kHalfPi = 1.57079632679489661923;
// pi/2 in three parts of 33 bits each (Cody and Waite), so that k * part is exact for |k| < 2^20.
constexpr double kHalfPi1 = 0x1.921fb544p+0;
constexpr double kHalfPi2 = 0x1.0b4611a6p-34;
constexpr double kHalfPi3 = 0x1.3198a2e037073p-69;

constexpr double kParallelCosine = 0.9995;
constexpr double kNormMin = 1e-8;

/// atan(x) for 0 <= x <= 1: three halvings of the angle, then the Taylor series.
double AtanUnit(double x) {
  for (int i = 0; i < 3; ++i) x = x / (1.0 + std::sqrt(1.0 + x * x));
  const double square = x * x;
  double sum = 0;
  for (int n = 23; n >= 3; n -= 2) sum = (1.0 / n - sum) * square;
  return 8.0 * (x - x * sum);
}

double SinSmall(double x) {  // |x| <= pi/4
  const double square = x * x;
  double term = 1;
  for (int n = 18; n >= 2; n -= 2) term = 1.0 - term * square / (static_cast<double>(n) * (n + 1));
  return x * term;
}

double CosSmall(double x) {
  const double square = x * x;
  double term = 1;
  for (int n = 18; n >= 2; n -= 2) term = 1.0 - term * square / (static_cast<double>(n) * (n - 1));
  return term;
}

}  // namespace

double FixedAcos(double x) {
  // (1 - x)(1 + x) keeps the digits that 1 - x * x loses near the ends.
  const double sine = std::sqrt((1.0 - x) * (1.0 + x));
  const double cosine = x < 0 ? -x : x;
  const double angle = sine <= cosine ? AtanUnit(sine / cosine) : kHalfPi - AtanUnit(cosine / sine);
  return x < 0 ? kPi - angle : angle;
}

double FixedSin(double x) {
  const double quarter = x / kHalfPi;
  const auto turns = static_cast<long long>(quarter < 0 ? quarter - 0.5 : quarter + 0.5);
  const auto k = static_cast<double>(turns);
  const double reduced = ((x - k * kHalfPi1) - k * kHalfPi2) - k * kHalfPi3;
  switch (turns & 3) {
    case 0:
      return SinSmall(reduced);
    case 1:
      return CosSmall(reduced);
    case 2:
      return -SinSmall(reduced);
    default:
      return -CosSmall(reduced);
  }
}

SlerpCoefficients ComputeSlerpCoefficients(double dot, double base_squared, double other_squared,
                                           double t) {
  const double base_norm = std::sqrt(base_squared);
  const double other_norm = std::sqrt(other_squared);
  double cosine = dot;
  if (base_norm > kNormMin) cosine /= base_norm;
  if (other_norm > kNormMin) cosine /= other_norm;
  if (cosine != cosine) {
    const float nan = __builtin_nanf("");
    return {nan, nan};  // a NaN anywhere makes the whole tensor NaN, and is reported
  }
  if (cosine > kParallelCosine || cosine < -kParallelCosine) {
    return {static_cast<float>(1.0 - t), static_cast<float>(t)};
  }
  const double angle = FixedAcos(cosine);
  const double sine = FixedSin(angle);
  return {static_cast<float>(FixedSin((1.0 - t) * angle) / sine),
          static_cast<float>(FixedSin(t * angle) / sine)};
}

}  // namespace graft
