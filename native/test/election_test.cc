// Sign election where rounding decides it: which order the votes are added in, and what an exact
// tie elects. The values are powers of two and their neighbours, so that every expected number can
// be checked by hand.
#include <vector>

#include "check.h"
#include "cpu/table.h"

namespace graft {
namespace {

constexpr int kInputsMax = 20;

/// Merges one block in which every element has the same contributions; weights are one.
std::vector<float> Elect(const KernelTable& kernels, const std::vector<float>& contributions, int n,
                         bool normalize, Dtype second_dtype = Dtype::kF32) {
  const int count = static_cast<int>(contributions.size());
  const std::vector<float> base(kBlockElements, 0);
  std::vector<std::vector<float>> values;
  std::vector<double> wide;
  std::vector<DeltaInput> inputs;
  const PruneSpec keep_all;
  for (const float x : contributions) values.emplace_back(kBlockElements, x);
  for (const auto& value : values) inputs.push_back({{value.data(), Dtype::kF32}, &keep_all, 1, 1});
  if (second_dtype == Dtype::kF64) {  // another dtype takes the loop for mixed inputs
    wide.assign(values[1].begin(), values[1].end());
    inputs[1].x = {wide.data(), Dtype::kF64};
  }
  TaskVectorSpec spec;
  spec.elect_sign = true;
  spec.normalize = normalize;
  std::vector<float> out(kBlockElements);
  kernels.combine(base.data(), inputs.data(), count, spec, 0, n, out.data());
  out.resize(static_cast<size_t>(n));
  return out;
}

struct VoteCase {
  const char* name;
  std::vector<float> contributions;
  float in_order;     // the result where votes are added one after the other
  float interleaved;  // the result past the tensor's last multiple of 32 elements
};

// 2^24 - 0.5 rounds to 2^24 in float32; 2^24 + 1 as well.
const VoteCase kVoteCases[] = {
    // In order: 2^24 - 1 is exact, + 0.5 rounds up to 2^24, - 2^24 leaves 0, which elects plus. In
    // four
    // parts the first holds 2^24 - 2^24, so that - 1 + 0.5 elects minus: - 1 - 2^24 rounds to -
    // 2^24.
    {"five inputs", {0x1p24f, -1, 0.5f, 0, -0x1p24f}, 0x1p24f, -0x1p24f},
    // With four inputs both orders are the same.
    {"four inputs", {0x1p24f, -1, 0.5f, -0x1p24f}, 0x1p24f, 0x1p24f},
    // Three: in order 2^24 + 1 rounds to 2^24, and 0 is left; the same in one part.
    {"three inputs", {0x1p24f, 1, -0x1p24f}, 0x1p24f, 0x1p24f},
    // Six: the last two of six go to the first part.
    {"six inputs", {0x1p24f, -1, 0.5f, 0, -0x1p24f, 0}, 0x1p24f, -0x1p24f},
    // Eight: parts are {2^24, -2^24}, {-1, 0}, {0.5, 0}, {0, 0}.
    {"eight inputs", {0x1p24f, -1, 0.5f, 0, -0x1p24f, 0, 0, 0}, 0x1p24f, -0x1p24f},
};

TEST("votes are added in order, but in four parts past the last multiple of 32 elements") {
  for (const KernelTable* kernels : AvailableKernels()) {
    for (const auto& [name, contributions, in_order, interleaved] : kVoteCases) {
      for (const Dtype second : {Dtype::kF32, Dtype::kF64}) {
        for (const int n : {1, 31, 32, 33, 63, 64, 257, 480, 500, 511, 512}) {
          const std::vector<float> got = Elect(*kernels, contributions, n, false, second);
          int wrong = 0;
          for (int i = 0; i < n; ++i) {
            wrong += got[static_cast<size_t>(i)] != (i < n / 32 * 32 ? in_order : interleaved);
          }
          if (wrong > 0)
            std::printf("  %s, %d elements: %g %g\n", name, n, static_cast<double>(got.front()),
                        static_cast<double>(got.back()));
          CHECK_EQ(wrong, 0);
        }
      }
    }
  }
}

struct TieCase {
  const char* name;
  std::vector<float> contributions;
  float sum;
  float normalized;
};

const TieCase kTieCases[] = {
    {"an exact tie elects plus", {0.25f, -0.25f}, 0.25f, 0.25f},
    {"whatever the order", {-0.25f, 0.25f}, 0.25f, 0.25f},
    {"a tie of three", {1, -3, 2}, 3, 1.5f},
    {"zeros do not vote and do not count", {0, -0.0f, -2}, -2, -2},
    {"nothing but zeros", {0, -0.0f, 0}, 0, 0},
    {"the sum decides, not the count", {5, -1, -1, -1}, 5, 5},
};

TEST("an exact tie elects plus; zeros neither vote nor count in the divisor") {
  for (const KernelTable* kernels : AvailableKernels()) {
    for (const auto& [name, contributions, sum, normalized] : kTieCases) {
      for (const bool normalize : {false, true}) {
        const float want = normalize ? normalized : sum;
        const std::vector<float> got = Elect(*kernels, contributions, 40, normalize);
        if (got != std::vector<float>(40, want)) std::printf("  %s\n", name);
        CHECK(got == std::vector<float>(40, want));
      }
    }
  }
}

TEST("a negative weight counts as such in the divisor") {
  const std::vector<float> base(kBlockElements, 1), x(kBlockElements, 3);
  const PruneSpec keep_all;
  const DeltaInput input = {{x.data(), Dtype::kF32}, &keep_all, -1, -1};
  for (const KernelTable* kernels : AvailableKernels()) {
    for (const bool elect_sign : {false, true}) {
      TaskVectorSpec spec;
      spec.elect_sign = elect_sign;
      spec.normalize = true;
      spec.divisor = -1;
      std::vector<float> out(kBlockElements);
      kernels->combine(base.data(), &input, 1, spec, 0, kBlockElements, out.data());
      CHECK(out == std::vector<float>(kBlockElements, 3));  // -2 / -1 on a base of 1
    }
  }
}

TEST("more inputs than fit one batch are summed in the same order as fewer") {
  // The 17th to 20th input change the loop, not the arithmetic: contributions of zero change
  // nothing.
  for (const KernelTable* kernels : AvailableKernels()) {
    std::vector<float> contributions = {0x1p24f, 1, 1, -0x1p23f};
    const std::vector<float> few = Elect(*kernels, contributions, 512, true);
    contributions.resize(kInputsMax, 0);
    CHECK(Elect(*kernels, contributions, 512, true) == few);
    CHECK_EQ(few[0], 0x1p24f / 3);  // 2^24 + 1 + 1 stays 2^24 in float32, added one by one
  }
}

}  // namespace
}  // namespace graft
