// Scalar float64 functions from + - * / and sqrt alone, which IEEE 754 defines to the last bit: the
// same result on every device and compiler, unlike libm's. Accurate to a few units in the last
// place over the ranges that merging uses.
#pragma once

namespace graft {

/// Arc cosine for x in [-1, 1], result in [0, pi].
double FixedAcos(double x);

/// Sine for |x| <= 1e5.
double FixedSin(double x);

/// Coefficients of the base and of the other tensor for spherical interpolation at t, from the two
/// L2 norms and the dot product (spec: slerp, steps 2-4): plain interpolation when the vectors are
/// nearly (anti)parallel.
struct SlerpCoefficients {
  float base;
  float other;
};
SlerpCoefficients ComputeSlerpCoefficients(double dot, double base_squared, double other_squared,
                                           double t);

}  // namespace graft
