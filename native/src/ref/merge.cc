#include "ref/merge.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "digest/stream_key.h"
#include "ref/random.h"

namespace graft::ref {
namespace {

constexpr double kFloatUnit = 0x1p-24;

Expected Zeros(size_t n) { return {Values(n), Values(n), Values(n)}; }

Expected WeightedSum(const std::vector<Values>& inputs, const Values& weights) {
  Expected sum = Zeros(inputs.front().size());
  for (size_t m = 0; m < inputs.size(); ++m) {
    for (size_t i = 0; i < sum.value.size(); ++i) {
      sum.value[i] += weights[m] * inputs[m][i];
      sum.scale[i] += std::fabs(weights[m] * inputs[m][i]);
    }
  }
  sum.rival = sum.value;
  return sum;
}

double Dot(const Values& a, const Values& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

Values SlerpWeights(const Values& base, const Values& other, double t) {
  const double base_norm = std::sqrt(Dot(base, base));
  const double other_norm = std::sqrt(Dot(other, other));
  const double cosine =
      Dot(base, other) / (base_norm > 1e-8 ? base_norm : 1) / (other_norm > 1e-8 ? other_norm : 1);
  if (std::fabs(cosine) > 0.9995) return {1 - t, t};
  const double angle = std::acos(cosine);
  return {std::sin(angle - t * angle) / std::sin(angle), std::sin(t * angle) / std::sin(angle)};
}

double SumOfMagnitudes(const std::vector<float>& deltas) {
  double sum = 0;
  for (const float delta : deltas) sum += std::fabs(static_cast<double>(delta));
  return sum;
}

/// delta of one model, pruned and rescaled.
Values TaskVector(const Operation& op, const OperationInput& input, const Values& base,
                  const Values& x) {
  std::vector<float> deltas(base.size());
  for (size_t i = 0; i < deltas.size(); ++i) {
    deltas[i] = static_cast<float>(x[i]) - static_cast<float>(base[i]);
  }
  double factor = 1;
  if (op.pruning != Pruning::kNone && input.density < 1) {
    const double all = SumOfMagnitudes(deltas);
    const std::vector<bool> kept = Keep(op, input, deltas);
    for (size_t i = 0; i < deltas.size(); ++i) {
      if (!kept[i]) deltas[i] = 0;
    }
    const double masked = SumOfMagnitudes(deltas);
    if (op.rescale && all >= 1e-7 && masked >= 1e-7) factor = all / masked;
  }
  Values result(deltas.begin(), deltas.end());
  for (double& delta : result) delta *= factor;
  return result;
}

/// What one element's contributions add up to, before lambda.
struct Total {
  double value = 0;
  double scale = 0;
};

Total Elected(bool positive, const Values& omegas, const Values& weights, bool normalize) {
  Total total;
  double divisor = 0;
  for (size_t m = 0; m < omegas.size(); ++m) {
    if (positive ? omegas[m] > 0 : omegas[m] < 0) {
      total.value += omegas[m];
      divisor += weights[m];
    }
  }
  if (divisor == 0) divisor = 1;
  if (normalize) total.value /= divisor;
  total.scale = std::fabs(total.value);
  return total;
}

Total Summed(const Values& omegas, const Values& weights, bool normalize) {
  Total total;
  for (const double omega : omegas) {
    total.value += omega;
    total.scale += std::fabs(omega);
  }
  double divisor = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (!normalize || std::fabs(divisor) < 1e-8) divisor = 1;
  return {total.value / divisor, total.scale / std::fabs(divisor)};
}

Expected MergeTaskVectors(const Operation& op, const std::vector<Values>& inputs) {
  const Values& base = inputs.front();
  std::vector<Values> deltas;
  Values weights;
  for (size_t m = 1; m < inputs.size(); ++m) {
    deltas.push_back(TaskVector(op, op.inputs[m], base, inputs[m]));
    weights.push_back(op.inputs[m].weight);
  }
  Expected result = Zeros(base.size());
  Values omegas(weights.size());
  for (size_t i = 0; i < base.size(); ++i) {
    double vote = 0, votes_cast = 0;
    for (size_t m = 0; m < weights.size(); ++m) {
      omegas[m] = weights[m] * deltas[m][i];
      vote += omegas[m];
      votes_cast += std::fabs(omegas[m]);
    }
    const bool positive = vote >= 0;
    const Total total = op.elect_sign ? Elected(positive, omegas, weights, op.normalize)
                                      : Summed(omegas, weights, op.normalize);
    result.value[i] = base[i] + op.lambda * total.value;
    result.scale[i] = std::fabs(base[i]) + std::fabs(op.lambda) * total.scale;
    result.rival[i] = result.value[i];
    // In float32 every contribution is rounded twice (its factor, the product) and every addition
    // once.
    const double vote_error = static_cast<double>(weights.size() + 2) * kFloatUnit * votes_cast;
    const double rescale_error = op.rescale ? 64 * kFloatUnit * votes_cast : 0;
    const bool is_open = std::fabs(vote) <= vote_error + rescale_error && std::isfinite(votes_cast);
    if (op.elect_sign && is_open) {
      const Total other = Elected(!positive, omegas, weights, op.normalize);
      result.rival[i] = base[i] + op.lambda * other.value;
      result.scale[i] =
          std::max(result.scale[i], std::fabs(base[i]) + std::fabs(op.lambda) * other.scale);
    }
  }
  return result;
}

}  // namespace

std::vector<bool> KeepLargest(const std::vector<float>& deltas, double density) {
  const size_t n = deltas.size();
  auto k = static_cast<size_t>(std::max(density, 0.0) * static_cast<double>(n));
  if (k == 0 && density > 0 && n > 0) k = 1;
  // Without its sign, a float's bit pattern orders like its magnitude, with NaN above infinity.
  const auto key = [&](size_t i) { return std::bit_cast<uint32_t>(deltas[i]) << 1; };
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key(a) > key(b); });
  std::vector<bool> kept(n);
  for (size_t i = 0; i < std::min(k, n); ++i) kept[order[i]] = true;
  return kept;
}

std::vector<bool> Keep(const Operation& operation, const OperationInput& input,
                       const std::vector<float>& deltas) {
  if (operation.pruning == Pruning::kNone || input.density >= 1) {
    return std::vector<bool>(deltas.size(), true);
  }
  if (operation.pruning == Pruning::kMagnitude) return KeepLargest(deltas, input.density);
  const uint64_t model = static_cast<uint64_t>(input.model_index) + 1;
  const uint64_t key =
      StreamKey(operation.stream_name, operation.seed ^ (model * 0x9e3779b97f4a7c15u));
  const double steps = std::min(std::round(std::max(input.density, 0.0) * 65536), 65535.0);
  return KeepByChance(0, deltas.size(), key, static_cast<uint32_t>(steps));
}

Expected Merge(const Operation& operation, std::vector<Values> inputs) {
  for (Values& values : inputs) {
    for (double& value : values) value = static_cast<double>(static_cast<float>(value));
  }
  switch (operation.kernel) {
    case Kernel::kSlerp:
      return WeightedSum(inputs, SlerpWeights(inputs[0], inputs[1], operation.t));
    case Kernel::kTaskVector:
      return MergeTaskVectors(operation, inputs);
    default: {
      Values weights;
      for (const OperationInput& input : operation.inputs) weights.push_back(input.weight);
      return WeightedSum(inputs, weights);
    }
  }
}

}  // namespace graft::ref
