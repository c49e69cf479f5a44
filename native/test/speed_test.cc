// Guards against a vector loop that silently compiles to scalar code: on blocks in the first-level
// cache, every vector table must beat the scalar one clearly. A ratio within one run, the best of
// several tries; how fast it is in the end is for benchmarks.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <limits>

#include "check.h"
#include "cpu/table.h"
#include "workbench.h"

namespace graft {
namespace {

constexpr double kSpeedupMin = 2;
constexpr int kTries = 40;
constexpr int kCallsPerTry = 20;

/// Blocks of six inputs, and what the kernels are called with.
struct Blocks {
  Blocks() {
    for (size_t k = 0; k < std::size(inputs); ++k) {
      bytes[k] = test::RandomBytes(kBlockElements * 2, k);
      // bf16 between 0.1 and 0.5 in magnitude: subnormals and NaN have speeds of their own.
      for (size_t i = 1; i < bytes[k].size(); i += 2) bytes[k][i] = (bytes[k][i] & 0x80) | 0x3e;
      raw[k] = {bytes[k].data(), Dtype::kBF16};
      weights[k] = 0.2f;
      inputs[k] = {raw[k], &keep_all, 0.2f, 0.2f};
    }
    chance.kind = PruneSpec::Kind::kChance;
    chance.threshold = 30'000;
    election.elect_sign = election.normalize = true;
    AvailableKernels().front()->widen(raw[0], base);
  }
  std::vector<uint8_t> bytes[6];
  RawBlock raw[6];
  float weights[6];
  DeltaInput inputs[6];
  PruneSpec keep_all, chance;
  TaskVectorSpec election;
  alignas(64) float base[kBlockElements];
  alignas(64) float to[kBlockElements];
};

struct Measured {
  const char* name;
  void (*call)(const KernelTable& kernels, Blocks& blocks);
};

const Measured kMeasured[] = {
    {"linear", [](const KernelTable& k, Blocks& b) { k.linear(b.raw, b.weights, 6, b.to); }},
    {"slerp_sums",
     [](const KernelTable& k, Blocks& b) {
       SlerpSums sums;
       k.slerp_sums(b.raw[0], b.raw[1], &sums);
       b.to[0] = static_cast<float>(sums.dot[0]);
     }},
    {"norm_sums",
     [](const KernelTable& k, Blocks& b) {
       NormSums sums;
       k.norm_sums(b.base, b.raw[1], b.chance, 0, &sums);
       b.to[0] = static_cast<float>(sums.kept[1]);
     }},
    {"combine",
     [](const KernelTable& k, Blocks& b) {
       k.combine(b.base, b.inputs, 6, b.election, 0, kBlockElements, b.to);
     }},
    {"combine by chance",
     [](const KernelTable& k, Blocks& b) {
       DeltaInput inputs[6];
       std::copy(std::begin(b.inputs), std::end(b.inputs), inputs);
       for (DeltaInput& input : inputs) input.prune = &b.chance;
       k.combine(b.base, inputs, 6, b.election, 0, kBlockElements, b.to);
     }},
};

double BestSeconds(const KernelTable& kernels, const Measured& measured, Blocks& blocks) {
  double best = std::numeric_limits<double>::infinity();
  for (int attempt = 0; attempt < kTries; ++attempt) {
    const auto start = std::chrono::steady_clock::now();
    for (int call = 0; call < kCallsPerTry; ++call) measured.call(kernels, blocks);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::min(best, seconds.count());
  }
  return best;
}

TEST("vector kernels are at least twice as fast as the scalar ones on cached blocks") {
  if (test::kSanitized) {
    std::printf("skipped: sanitizers slow scalar and vector code differently\n");
    return;
  }
  const auto& tables = AvailableKernels();
  if (tables.size() == 1) std::printf("skipped: this CPU runs the scalar kernels only\n");
  Blocks blocks;
  for (size_t at = 1; at < tables.size(); ++at) {
    for (const Measured& measured : kMeasured) {
      const double scalar = BestSeconds(*tables[0], measured, blocks);
      const double ratio = scalar / BestSeconds(*tables[at], measured, blocks);
      if (ratio < kSpeedupMin) {
        std::printf("  %s on %s: %.2f times as fast\n", measured.name,
                    std::string(tables[at]->isa).c_str(), ratio);
      }
      CHECK(ratio >= kSpeedupMin);
    }
  }
}

}  // namespace
}  // namespace graft
