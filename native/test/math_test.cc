// The fixed acos and sin against libm's 80-bit ones. They need not be correctly rounded, only the
// same everywhere; the bounds say how far from the truth a merge can be.
#include "kernels/math.h"

#include <cmath>
#include <random>

#include "check.h"

namespace graft {
namespace {

/// Distance of a result from the exact value, in units in the last place of that value.
double Ulps(double got, long double exact) {
  const double rounded = std::fabs(static_cast<double>(exact));
  const double ulp = std::nextafter(rounded, INFINITY) - rounded;
  return static_cast<double>(std::fabs(static_cast<long double>(got) - exact) / ulp);
}

// acos: sine and quotient are off by 2 units each, a halving x / (1 + sqrt(1 + x^2)) adds at
// most 1.5 and the error of its argument enters undiminished: 3 * 1.5 + 4, and 1 for the series and
// the final difference.
constexpr double kAcosUlpsMax = 9.5;
// sin: the reduced argument is right to a unit (math.cc), which sin and cos of at most pi/4 pass on
// without growth; the Horner steps with small terms and the last product add at most 2.
constexpr double kSinUlpsMax = 3;

struct Worst {
  double ulps = 0;
  double at = 0;
  void See(double x, double ulps_here) {
    if (!(ulps_here <= ulps)) {
      ulps = ulps_here;
      at = x;
    }
  }
  void CheckWithin(double bound) const {
    if (!(ulps <= bound)) std::printf("  worst: %.2f ulp at %a\n", ulps, at);
    CHECK(ulps <= bound);
  }
};

TEST("the fixed acos is within a few units of the true one over its whole range") {
  Worst worst;
  const auto see = [&worst](double x) {
    worst.See(x, Ulps(FixedAcos(x), acosl(static_cast<long double>(x))));
  };
  for (int i = -200'000; i <= 200'000; ++i) see(i / 200'000.0);
  double gap = 1;
  for (int i = 0; i < 400; ++i, gap *= 0.9) {  // towards both ends and towards zero
    for (const double x : {1 - gap, gap - 1, gap, -gap}) see(x);
  }
  for (const double x : {0.9995, -0.9995, std::sqrt(0.5), -std::sqrt(0.5), 0x1p-1074}) see(x);
  see(std::nextafter(1.0, 0.0));
  see(std::nextafter(-1.0, 0.0));
  worst.CheckWithin(kAcosUlpsMax);
}

TEST("the fixed acos is exact at its ends") {
  CHECK_EQ(FixedAcos(1), 0.0);
  CHECK_EQ(FixedAcos(-1), 3.14159265358979323846);
  CHECK_EQ(FixedAcos(0), 1.57079632679489661923);
  CHECK(std::isnan(FixedAcos(NAN)));
}

TEST("the fixed sin is within a few units of the true one up to 1e5, multiples of pi included") {
  Worst worst;
  const auto see = [&worst](double x) {
    for (const double signed_x : {x, -x}) {
      // sinl is told the exact double; only zero has no unit to measure in.
      if (x != 0)
        worst.See(signed_x, Ulps(FixedSin(signed_x), sinl(static_cast<long double>(signed_x))));
    }
  };
  for (int i = 0; i <= 300'000; ++i) see(i * (3.5 / 300'000));
  for (int i = 0; i <= 100'000; ++i) see(i * 1.0 + i * 1e-5);
  std::mt19937_64 random(11);
  for (int i = 0; i < 100'000; ++i) see(static_cast<double>(random() >> 11) * 0x1p-53 * 1e5);
  for (int k = 1; k <= 63'000;
       ++k) {  // quarter turns, where the reduction cancels almost everything
    const double multiple = k * 1.57079632679489661923;
    for (const double x : {multiple, std::nextafter(multiple, 0.0), std::nextafter(multiple, 1e6)})
      see(x);
  }
  for (double tiny = 1; tiny > 1e-300; tiny *= 0.5) see(tiny);
  worst.CheckWithin(kSinUlpsMax);
  CHECK_EQ(FixedSin(0), 0.0);
}

struct SlerpCase {
  const char* name;
  double dot, base_squared, other_squared, t;
  double base, other;
};

// Coefficients of the published definition, worked out by hand or by a scalar program of it.
const SlerpCase kSlerpCases[] = {
    {"a third of a radian apart", .5962847 * 5.477226 * 2.449490, 30, 6, .3, .7562001, .3437478},
    {"at right angles, halfway", 0, 4, 9, .5, std::sqrt(0.5), std::sqrt(0.5)},
    {"start", 1, 4, 4, 0, 1, 0},
    {"end", 1, 4, 4, 1, 0, 1},
    {"parallel", 2, 4, 1, .25, .75, .25},
    {"antiparallel", -2, 4, 1, .25, .75, .25},
    {"just parallel enough", .99951, 1, 1, .25, .75, .25},
    {"zero base", 0, 0, 6, .5, std::sqrt(0.5), std::sqrt(0.5)},
    {"both zero", 0, 0, 0, .3, std::cos(.3 * 1.5707963267948966),
     std::sin(.3 * 1.5707963267948966)},
    {"beyond the end: sin(-pi/2), sin(pi)", 0, 1, 1, 2, -1, 0},
};

TEST("slerp coefficients follow the definition, plain interpolation near parallel included") {
  for (const auto& [name, dot, base_squared, other_squared, t, base, other] : kSlerpCases) {
    const SlerpCoefficients got = ComputeSlerpCoefficients(dot, base_squared, other_squared, t);
    if (std::fabs(got.base - base) > 2e-7 || std::fabs(got.other - other) > 2e-7) {
      std::printf("  %s: %.9g %.9g\n", name, static_cast<double>(got.base),
                  static_cast<double>(got.other));
      CHECK(!"coefficients differ");
    }
  }
  const SlerpCoefficients nan = ComputeSlerpCoefficients(NAN, 1, 1, .5);
  CHECK(std::isnan(nan.base) && std::isnan(nan.other));
}

}  // namespace
}  // namespace graft
