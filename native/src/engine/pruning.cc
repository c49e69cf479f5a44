#include "engine/pruning.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "digest/stream_key.h"

namespace graft {
namespace {

constexpr uint32_t kKeyMax = 0x7fffffffu;
constexpr double kNormMin = 1e-7;
constexpr double kChanceSteps = 65536;
constexpr uint64_t kModelStride = 0x9e3779b97f4a7c15ull;

/// Key of the random stream of one model and tensor: the same on every machine and in every order.
uint64_t KeyOf(const Operation& operation, const OperationInput& input) {
  const uint64_t model = static_cast<uint64_t>(input.model_index) + 1;
  return StreamKey(operation.stream_name, operation.seed ^ (model * kModelStride));
}

}  // namespace

PruningState::PruningState(const Operation& operation, const OperationInput& input,
                           int64_t chunk_count) {
  if (operation.pruning == Pruning::kNone || input.density >= 1) return;
  const int64_t elements = operation.tensor_element_count;
  if (operation.pruning == Pruning::kBernoulli) {
    spec_.kind = PruneSpec::Kind::kChance;
    const long steps = std::lround(std::max(0.0, input.density) * kChanceSteps);
    spec_.threshold = static_cast<uint32_t>(std::min(steps, 65535L));  // below 1 never means always
    spec_.stream_key = KeyOf(operation, input);
  } else {
    spec_.kind = PruneSpec::Kind::kMagnitude;
    spec_.threshold = kKeyMax;
    spec_.tie_end = 0;
    keep_ = static_cast<int64_t>(std::max(0.0, input.density) * static_cast<double>(elements));
    if (keep_ == 0 && input.density > 0 && elements > 0) keep_ = 1;
    if (keep_ > 0) {
      histogram.assign(size_t{1} << kHighBits, 0);
      ties.assign(static_cast<size_t>(chunk_count), 0);
    }
  }
  if (operation.rescale) norms.assign(static_cast<size_t>(chunk_count), {});
}

uint32_t PruningState::TakeBin() {
  size_t bin = histogram.size() - 1;
  while (bin > 0 && histogram[bin] < static_cast<uint64_t>(keep_)) {
    keep_ -= static_cast<int64_t>(histogram[bin]);
    --bin;
  }
  return static_cast<uint32_t>(bin);
}

void PruningState::FinishHigh() {
  high_ = TakeBin();
  histogram.assign(size_t{1} << kLowBits, 0);
}

void PruningState::FinishLow() {
  const uint32_t low = TakeBin();
  spec_.threshold = (high_ << kLowBits) | low;
  ties_open_ = static_cast<uint64_t>(keep_) < histogram[low];
  if (!ties_open_) spec_.tie_end = std::numeric_limits<int64_t>::max();
  histogram.clear();
  histogram.shrink_to_fit();
}

void PruningState::FinishTies() {
  int64_t left = keep_;
  int64_t chunk = 0;
  while (left > ties[static_cast<size_t>(chunk)]) {
    left -= ties[static_cast<size_t>(chunk)];
    ++chunk;
  }
  tie_chunk_ = chunk;
  ties_in_chunk_ = left;
}

void PruningState::FinishNorms() {
  double all = 0, kept = 0;
  for (const NormSums& chunk : norms) {
    all += SumOfLanes(chunk.all);
    kept += SumOfLanes(chunk.kept);
  }
  if (all >= kNormMin && kept >= kNormMin) factor_ = all / kept;
}

}  // namespace graft
