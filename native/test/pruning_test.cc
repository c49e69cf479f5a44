// Exact selection of the largest task-vector elements, against a stable sort, on data made to break
// it: ties across chunk borders, zeros of both signs, NaN, the whole exponent range, counts of one,
// all but one and all.
#include "engine/pruning.h"

#include <cmath>
#include <limits>
#include <random>

#include "check.h"
#include "graft/storage.h"
#include "ref/convert.h"
#include "ref/merge.h"
#include "workbench.h"

namespace graft {
namespace {

using test::Bytes;

using Deltas = std::vector<float>;

struct Distribution {
  const char* name;
  float (*at)(size_t index, std::mt19937_64& random);
};

constexpr size_t kChunk = static_cast<size_t>(kChunkElements);

// Magnitudes are powers of two or small sums of them, so that base + delta is exact.
const Distribution kDistributions[] = {
    {"all equal", [](size_t, std::mt19937_64&) { return 0.5f; }},
    {"equal magnitudes of both signs",
     [](size_t i, std::mt19937_64&) { return i % 3 == 0 ? -0.5f : 0.5f; }},
    {"two magnitudes",
     [](size_t, std::mt19937_64& random) { return random() % 2 == 0 ? 1.0f : 0.25f; }},
    {"ties around chunk borders",
     [](size_t i, std::mt19937_64&) {
       const size_t to_border = std::min(i % kChunk, kChunk - i % kChunk);
       return to_border < 700 ? 0.5f : to_border % 2 == 0 ? 1.0f : 0.125f;
     }},
    {"ties in the last chunk only",
     [](size_t i, std::mt19937_64&) { return i < 3 * kChunk ? 1.0f : 0.5f; }},
    {"few values",
     [](size_t, std::mt19937_64& random) {
       return static_cast<float>(static_cast<int>(random() % 9) - 4) * 0.25f;
     }},
    {"mostly zeros of both signs",
     [](size_t i, std::mt19937_64& random) {
       return i % 50 == 7 ? 0.5f : random() % 2 == 0 ? 0.0f : -0.0f;
     }},
    {"zeros only", [](size_t i, std::mt19937_64&) { return i % 2 == 0 ? 0.0f : -0.0f; }},
    {"the whole exponent range",
     [](size_t, std::mt19937_64& random) {
       const auto exponent = static_cast<int>(random() % 277) - 149;
       return std::ldexp(random() % 2 == 0 ? 1.0f : -1.0f, exponent);
     }},
    {"neighbours in the last bit",
     [](size_t i, std::mt19937_64& random) {
       return std::nextafter(i % 2 == 0 ? 1.0f : -1.0f, random() % 2 == 0 ? 0.0f : 2.0f);
     }},
    {"NaN and infinities among numbers",
     [](size_t i, std::mt19937_64& random) {
       if (i % 1000 == 1) return std::numeric_limits<float>::quiet_NaN();
       if (i % 1000 == 2) return -std::numeric_limits<float>::infinity();
       return static_cast<float>(random() % 100) * 0.25f;
     }},
    {"growing", [](size_t i, std::mt19937_64&) { return static_cast<float>(i + 1); }},
    {"falling", [](size_t i, std::mt19937_64&) { return -static_cast<float>((1u << 24) - i); }},
};

/// The plain sum of a base and its pruned inputs; the first offset is the base's.
Operation TiesOperation(size_t n, const std::vector<int64_t>& offsets,
                        const std::vector<double>& densities) {
  Operation operation;
  operation.kernel = Kernel::kTaskVector;
  operation.output_dtype = Dtype::kF32;
  operation.tensor_element_count = operation.element_count = static_cast<int64_t>(n);
  operation.pruning = Pruning::kMagnitude;
  for (size_t k = 0; k < offsets.size(); ++k) {
    OperationInput input;
    input.offset_bytes = offsets[k];
    input.dtype = Dtype::kF32;
    input.weight = 1;
    input.density = k == 0 ? 1 : densities[k - 1];
    operation.inputs.push_back(input);
  }
  return operation;
}

Bytes AsBytes(const Deltas& values) {
  Bytes bytes(values.size() * sizeof(float));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

/// What the engine keeps of the deltas at each density, one operation a density.
std::vector<Deltas> Prune(const Deltas& deltas, const std::vector<double>& densities) {
  static const std::unique_ptr<Engine> engine = test::MakeEngine(2, 1);
  const test::TempDirectory directory(test::TempDirectory::Place::kMemory);
  const size_t n = deltas.size();
  const Bytes tensor = AsBytes(deltas);
  Bytes image;
  const std::vector<int64_t> offsets = {test::Place(&image, Bytes(n * 4), 0),
                                        test::Place(&image, tensor, 4)};
  Task task{{test::WriteFile(directory.File("inputs"), image)}, {directory.File("output")}, {}};
  for (const double density : densities) {
    Operation operation = TiesOperation(n, offsets, {density});
    operation.destinations = {{0, static_cast<int64_t>(task.operations.size() * n * 4)}};
    task.operations.push_back(operation);
  }
  CHECK(PrepareFile(task.outputs[0], static_cast<int64_t>(densities.size() * n * 4), {}).ok());
  test::RunTask(*engine, task);
  const Bytes output = test::ReadFile(task.outputs[0]);
  std::vector<Deltas> kept;
  for (size_t at = 0; at < densities.size(); ++at) {
    kept.emplace_back(n);
    std::memcpy(kept.back().data(), output.data() + at * n * 4, n * 4);
  }
  return kept;
}

/// Zero stands for "dropped", whatever its sign: a base of zeros cannot tell a kept zero.
size_t CountDifferences(const Deltas& got, const Deltas& deltas, const std::vector<bool>& kept) {
  size_t wrong = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const float want = kept[i] ? deltas[i] : 0.0f;
    wrong += std::isnan(want) ? !std::isnan(got[i]) : got[i] != want;
  }
  return wrong;
}

TEST("the kept elements are those of a stable sort by magnitude, whatever the data") {
  for (const auto& [name, at] : kDistributions) {
    for (const size_t n : {size_t{1}, size_t{2}, size_t{513}, 3 * kChunk + 1234}) {
      std::mt19937_64 random(n);
      Deltas deltas(n);
      for (size_t i = 0; i < n; ++i) deltas[i] = at(i, random);
      const auto count = static_cast<double>(n);
      // k of 0, 1 (by the floor of one, exactly, truncated), some, n - 1 and n.
      std::vector<double> densities = {0,    0.1 / count, 1 / count, 1.9 / count,           0.1,
                                       0.33, 0.5,         0.75,      (count - 0.5) / count, 1};
      // The last kept tie may end a chunk or begin the next one.
      for (const size_t k : {kChunk - 1, kChunk, kChunk + 1, 2 * kChunk}) {
        if (k < n) densities.push_back((static_cast<double>(k) + 0.5) / count);
      }
      const std::vector<Deltas> got = Prune(deltas, densities);
      for (size_t d = 0; d < densities.size(); ++d) {
        const std::vector<bool> kept =
            densities[d] >= 1 ? std::vector<bool>(n, true) : ref::KeepLargest(deltas, densities[d]);
        const size_t wrong = CountDifferences(got[d], deltas, kept);
        if (wrong > 0) std::printf("  %s, %zu elements, density %g\n", name, n, densities[d]);
        CHECK_EQ(wrong, 0u);
      }
    }
  }
}

TEST("the number kept is the truncated float64 product, at least one, none for density zero") {
  Deltas deltas(100);
  for (size_t i = 0; i < deltas.size(); ++i) deltas[i] = static_cast<float>(i + 1);
  // 0.57 * 100 is 56.99… and 0.29 * 100 is 28.99… in float64.
  const std::vector<double> densities = {0.57, 0.29, 0.58, 0.009, 0.01, 0.019, 0.99, 0.999, 0, -1};
  const std::vector<size_t> want = {56, 28, 57, 1, 1, 1, 99, 99, 0, 0};
  const std::vector<Deltas> got = Prune(deltas, densities);
  for (size_t d = 0; d < densities.size(); ++d) {
    size_t kept = 0;
    for (const float value : got[d]) kept += value != 0;
    CHECK_EQ(kept, want[d]);
  }
}

TEST("inputs with different densities and ties are pruned apart from each other") {
  const std::unique_ptr<Engine> engine = test::MakeEngine(2, 1);
  const size_t n = 2 * kChunk + 99;
  const test::TempDirectory directory(test::TempDirectory::Place::kMemory);
  std::mt19937_64 random(3);
  Bytes image;
  std::vector<int64_t> offsets = {test::Place(&image, Bytes(n * 4), 0)};
  std::vector<Deltas> deltas;
  // Powers of 64, so that the sum of what is kept tells which inputs kept an element.
  for (const float unit : {1.0f, 64.0f, 4096.0f}) {
    Deltas values(n);
    for (float& value : values) value = unit * static_cast<float>(1 + random() % 3);
    offsets.push_back(test::Place(&image, AsBytes(values), 0));
    deltas.push_back(values);
  }
  const std::vector<double> densities = {0.6, 1, 0.05};
  Operation operation = TiesOperation(n, offsets, densities);
  operation.destinations = {{0, 0}};
  const Task task{
      {test::WriteFile(directory.File("in"), image)}, {directory.File("out")}, {operation}};
  CHECK(PrepareFile(task.outputs[0], static_cast<int64_t>(n * 4), {}).ok());
  test::RunTask(*engine, task);
  const ref::Values got = ref::Decode(Dtype::kF32, test::ReadFile(task.outputs[0]));
  ref::Values want(n);
  for (size_t k = 0; k < deltas.size(); ++k) {
    const std::vector<bool> kept =
        densities[k] >= 1 ? std::vector<bool>(n, true) : ref::KeepLargest(deltas[k], densities[k]);
    for (size_t i = 0; i < n; ++i) want[i] += kept[i] ? static_cast<double>(deltas[k][i]) : 0;
  }
  CHECK(got == want);
}

}  // namespace
}  // namespace graft
