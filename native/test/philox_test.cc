// The random masks: the reference generator against its authors' known answers, every instruction
// set against the reference, and what a mask must be statistically.
#include <bit>
#include <cmath>

#include "check.h"
#include "cpu/table.h"
#include "digest/stream_key.h"
#include "engine/pruning.h"
#include "ref/random.h"

namespace graft {
namespace {

struct KnownAnswer {
  std::array<uint32_t, 4> counter;
  std::array<uint32_t, 2> key;
  std::array<uint32_t, 4> random;
};

// Published with the Random123 library.
constexpr KnownAnswer kKnownAnswers[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x5f6fb709, 0x0d893f64, 0x4f121f81, 0x4f730a48}},
    {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x5207ddc2, 0x45165e59, 0x4d8ee751, 0x8c52f662}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0x4dfccaba, 0x190a87f0, 0xc47362ba, 0xb6b5242a}},
};

TEST("the reference generator gives the published answers of Philox4x32-7") {
  for (const auto& [counter, key, random] : kKnownAnswers) {
    CHECK(ref::Philox4x32(counter, key) == random);
  }
}

TEST("stream keys are XXH3-64 of the tensor's name under a seed") {
  // The digests of no bytes, published with xxHash.
  CHECK_EQ(StreamKey("", 0), 0x2d06800538d394c2u);
  CHECK_EQ(StreamKey("", 0x9e3779b185ebca8du), 0xa8a6b918b2f0364au);
}

/// The mask that an instruction set draws for the elements from `first` (a multiple of 512) on,
/// read off a merge of ones into zeros.
std::vector<bool> MaskOf(const KernelTable& kernels, uint64_t first, size_t count, uint64_t key,
                         uint32_t steps) {
  const std::vector<float> base(kBlockElements, 0), ones(kBlockElements, 1);
  std::vector<float> out(kBlockElements);
  PruneSpec spec;
  spec.kind = PruneSpec::Kind::kChance;
  spec.threshold = steps;
  spec.stream_key = key;
  const DeltaInput input = {{ones.data(), Dtype::kF32}, &spec, 1, 1};
  std::vector<bool> mask;
  for (uint64_t at = first; at < first + count; at += kBlockElements) {
    kernels.combine(base.data(), &input, 1, {}, static_cast<int64_t>(at), kBlockElements,
                    out.data());
    for (const float value : out) mask.push_back(value != 0);
  }
  return mask;
}

TEST("every instruction set keeps the elements that the reference keeps, at any index") {
  // The last three cross the borders of a counter's low word and of the second counter space's.
  const uint64_t firsts[] = {
      0, 512, 131072, (uint64_t{1} << 36) - 1024, (uint64_t{1} << 41) - 1024, 1ull << 45};
  const uint64_t keys[] = {0, 0x123456789abcdef0u, ~uint64_t{0}};
  const uint32_t steps[] = {0, 1, 255, 256, 257, 32768, 34734, 65279, 65280, 65535};
  for (const KernelTable* kernels : AvailableKernels()) {
    for (const uint64_t first : firsts) {
      for (const uint64_t key : keys) {
        for (const uint32_t step : steps) {
          CHECK(MaskOf(*kernels, first, 2048, key, step) ==
                ref::KeepByChance(first, 2048, key, step));
        }
      }
    }
  }
}

Operation DareOperation(const std::string& name, uint64_t seed) {
  Operation operation;
  operation.kernel = Kernel::kTaskVector;
  operation.pruning = Pruning::kBernoulli;
  operation.tensor_element_count = operation.element_count = 1 << 20;
  operation.seed = seed;
  operation.stream_name = name;
  return operation;
}

PruneSpec SpecOf(const std::string& name, int model_index, uint64_t seed, double density) {
  OperationInput input;
  input.model_index = model_index;
  input.density = density;
  return PruningState(DareOperation(name, seed), input, 8).spec();
}

constexpr size_t kSample = 1 << 20;

std::vector<bool> Mask(const PruneSpec& spec) {
  return MaskOf(*AvailableKernels().back(), 0, kSample, spec.stream_key, spec.threshold);
}

double Count(const std::vector<bool>& mask) {
  double count = 0;
  for (const bool kept : mask) count += kept;
  return count;
}

TEST("a mask keeps the share of elements that the density asks for") {
  for (const double density : {0.001, 0.1, 0.33, 0.5, 0.53, 0.9, 0.999}) {
    for (const int model : {0, 1, 13}) {
      const PruneSpec spec = SpecOf("model.layers.0.mlp.up_proj.weight", model, 0, density);
      const double chance = spec.threshold / 65536.0;
      CHECK(std::fabs(chance - density) <= 0.5 / 65536);
      // Elements are independent but for the low byte that 32 of them share, which moves their
      // common limit by at most 1/256 of the range: at most 1/4 * (1/256)^2 of variance, 32 times
      // over.
      const double variance = kSample * (chance * (1 - chance) + 32 * 0.25 / 65536);
      const double z = (Count(Mask(spec)) - kSample * chance) / std::sqrt(variance);
      if (std::fabs(z) > 5) std::printf("  density %g, model %d: z = %.2f\n", density, model, z);
      CHECK(std::fabs(z) <= 5);
    }
  }
}

TEST(
    "masks of other models, tensors and seeds are independent, and so are neighbours in one mask") {
  const std::vector<bool> mask = Mask(SpecOf("model.layers.0.mlp.up_proj.weight", 0, 0, 0.5));
  const std::vector<std::pair<const char*, std::vector<bool>>> others = {
      {"next model", Mask(SpecOf("model.layers.0.mlp.up_proj.weight", 1, 0, 0.5))},
      {"far model", Mask(SpecOf("model.layers.0.mlp.up_proj.weight", 13, 0, 0.5))},
      {"next layer", Mask(SpecOf("model.layers.1.mlp.up_proj.weight", 0, 0, 0.5))},
      {"other tensor", Mask(SpecOf("lm_head.weight", 0, 0, 0.5))},
      {"next seed", Mask(SpecOf("model.layers.0.mlp.up_proj.weight", 0, 1, 0.5))},
  };
  // At one half, agreement of two independent masks is itself a fair coin.
  const double deviation = std::sqrt(kSample * 0.25);
  const auto z_of = [&](const std::vector<bool>& other, size_t shift) {
    double equal = 0;
    for (size_t i = 0; i < kSample; ++i) equal += mask[i] == other[(i + shift) % kSample];
    return (equal - kSample * 0.5) / deviation;
  };
  for (const auto& [name, other] : others) {
    if (std::fabs(z_of(other, 0)) > 5) std::printf("  %s\n", name);
    CHECK(std::fabs(z_of(other, 0)) <= 5);
  }
  for (const size_t shift : {1, 2, 16, 31, 32, 33, 64, 512, 1024, 16384, 131072}) {
    CHECK(std::fabs(z_of(mask, shift)) <= 5);
  }
}

TEST("a density below one never keeps everything by rounding, nor does a tiny one keep much") {
  CHECK_EQ(SpecOf("a", 0, 0, 0.9999999).threshold, 65535u);
  CHECK_EQ(SpecOf("a", 0, 0, 0).threshold, 0u);
  CHECK_EQ(SpecOf("a", 0, 0, -1).threshold, 0u);
  CHECK(SpecOf("a", 0, 0, 1).kind == PruneSpec::Kind::kKeepAll);
}

}  // namespace
}  // namespace graft
