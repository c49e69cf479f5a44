// Every operation on every dtype, size, misalignment, instruction set, thread count and tile size,
// run through the engine on real files: one answer to the last bit, and that answer right by the
// float64 reference.
#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "check.h"
#include "graft/storage.h"
#include "ref/convert.h"
#include "ref/merge.h"
#include "workbench.h"

namespace graft {
namespace {

using test::Bytes;

constexpr size_t kTensors = 4;  // a base and three others
constexpr int64_t kMisalignments[] = {0, 1, 2, 6};
constexpr int64_t kSizes[] = {0,     1, 3, 511, 512, 513, 131071, 131072, 131073, 131072 * 4 / 3,
                              262146};

struct Case {
  const char* name;
  Kernel kernel;
  size_t inputs;
  Pruning pruning = Pruning::kNone;
  bool elect_sign = false, normalize = false, rescale = false;
  double lambda = 1;
};

const Case kCases[] = {
    {"copy", Kernel::kCopy, 1},
    {"linear of two", Kernel::kLinear, 2},
    {"linear of four", Kernel::kLinear, 4},
    {"slerp", Kernel::kSlerp, 2},
    {"task arithmetic", Kernel::kTaskVector, 4, Pruning::kNone, false, false, false, 0.7},
    {"base alone", Kernel::kTaskVector, 1},
    {"ties", Kernel::kTaskVector, 4, Pruning::kMagnitude, true, true, false},
    {"ties, rescaled", Kernel::kTaskVector, 3, Pruning::kMagnitude, true, false, true, 1.5},
    {"dare linear", Kernel::kTaskVector, 3, Pruning::kBernoulli, false, true, true},
    {"dare ties", Kernel::kTaskVector, 4, Pruning::kBernoulli, true, false, true},
};

// Above one half, so that the product with the smallest subnormal is not zero: a contribution that
// vanishes in float32 but not in float64 would leave the divisor of the one and not of the other.
constexpr double kWeights[kTensors] = {0.75, 1.25, 0.8, 1.1};
constexpr double kDensities[kTensors] = {1, 0.3, 0.53, 0.9};

Operation MakeOperation(const Case& test, Dtype dtype, Dtype output_dtype, int64_t n) {
  Operation operation;
  operation.kernel = test.kernel;
  operation.output_dtype = output_dtype;
  operation.tensor_element_count = operation.element_count = n;
  for (size_t i = 0; i < test.inputs; ++i) {
    OperationInput input;
    input.dtype = dtype;
    input.weight = kWeights[i];
    input.density = kDensities[i];
    input.model_index = static_cast<int>(i);
    operation.inputs.push_back(input);
  }
  operation.destinations = {{0, 0}, {0, 0}};
  operation.t = 0.3;
  operation.pruning = test.pruning;
  operation.elect_sign = test.elect_sign;
  operation.normalize = test.normalize;
  operation.rescale = test.rescale;
  operation.lambda = test.lambda;
  operation.stream_name = test.name;
  return operation;
}

/// Weights of a model and of its fine-tunes: small differences, some exactly zero; subnormals and
/// signed zeros here and there, and NaN and infinities when asked for.
std::vector<ref::Values> MakeValues(int64_t n, bool odd_values) {
  std::mt19937_64 random(static_cast<uint64_t>(n) * 2 + odd_values);
  std::normal_distribution<double> normal;
  std::vector<ref::Values> tensors(kTensors, ref::Values(static_cast<size_t>(n)));
  for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
    tensors[0][i] = normal(random) * 0.1;
    for (size_t k = 1; k < kTensors; ++k) {
      tensors[k][i] = tensors[0][i] + (random() % 8 == 0 ? 0 : normal(random) * 0.05);
    }
  }
  const double rare[] = {0.0, -0.0, 0x1p-149, -0x1p-133, 0x1p-24, 0x1.8p-127, 1000, -60000};
  const double odd[] = {NAN, INFINITY, -INFINITY, -NAN};
  for (size_t i = 0; i < static_cast<size_t>(n); i += 1 + random() % 40) {
    tensors[random() % kTensors][i] = rare[random() % std::size(rare)];
  }
  for (size_t i = random() % 3; odd_values && i < static_cast<size_t>(n); i += 1 + random() % 60) {
    tensors[random() % kTensors][i] = odd[random() % std::size(odd)];
  }
  return tensors;
}

/// The tensors of one dtype and size in one file, at every misalignment.
class Inputs {
 public:
  Inputs(const test::TempDirectory& directory, Dtype dtype,
         const std::vector<ref::Values>& values) {
    Bytes image;
    for (const ref::Values& tensor : values) {
      const Bytes bytes = ref::Encode(dtype, tensor);
      values_.push_back(ref::Decode(dtype, bytes));
      for (const int64_t misalignment : kMisalignments) {
        offsets_.push_back(test::Place(&image, bytes, misalignment));
      }
    }
    file_ = test::WriteFile(directory.File("inputs"), image);
  }
  const TaskFile& file() const { return file_; }
  int64_t Offset(size_t tensor, size_t misalignment) const {
    return offsets_[tensor * std::size(kMisalignments) + misalignment % std::size(kMisalignments)];
  }
  std::vector<ref::Values> FirstValues(size_t count) const {
    return {values_.begin(), values_.begin() + static_cast<std::ptrdiff_t>(count)};
  }

 private:
  TaskFile file_;
  std::vector<int64_t> offsets_;
  std::vector<ref::Values> values_;
};

/// Runs the operation with sources and destinations at the misalignments that `turn` selects;
/// checks that both destinations got the bytes, the gaps around them none, and returns the bytes.
Bytes Run(Engine& engine, const test::TempDirectory& directory, const Inputs& inputs,
          Operation operation, size_t turn) {
  for (size_t i = 0; i < operation.inputs.size(); ++i) {
    operation.inputs[i].offset_bytes = inputs.Offset(i, turn + i);
  }
  const size_t size = FindDtype(operation.output_dtype)->size_bytes;
  const auto length = static_cast<size_t>(operation.element_count) * size;
  const int64_t first = 4096 + kMisalignments[(turn / 4) % 4];
  const int64_t room = static_cast<int64_t>(length + 8191) / 4096 * 4096;
  const int64_t second = first / 4096 * 4096 + room + kMisalignments[(turn + 1) % 4];
  const int64_t end = second + static_cast<int64_t>(length) + 5;
  operation.destinations[0].offset_bytes = first;
  operation.destinations[1].offset_bytes = second;
  const std::string path = directory.File("output");
  CHECK(PrepareFile(path, end, Bytes(static_cast<size_t>(first), 0xa5)).ok());
  test::RunTask(engine, {{inputs.file()}, {path}, {operation}});
  const Bytes file = test::ReadFile(path);
  std::remove(path.c_str());
  CHECK_EQ(file.size(), static_cast<size_t>(end));
  const Bytes result = test::Slice(file, first, length);
  CHECK(test::Slice(file, second, length) == result);
  const auto untouched = [&file](int64_t from, int64_t to, uint8_t byte) {
    return std::all_of(file.begin() + from, file.begin() + to,
                       [byte](uint8_t b) { return b == byte; });
  };
  CHECK(untouched(0, first, 0xa5));
  CHECK(untouched(first + static_cast<int64_t>(length), second, 0));
  CHECK(untouched(second + static_cast<int64_t>(length), end, 0));
  return result;
}

/// Engines by configuration, kept: each has threads and buffers of its own.
class Engines {
 public:
  struct Shape {
    int thread_count;
    int64_t tile_bytes;
    bool direct_io;
  };
  static constexpr Shape kShapes[] = {{1, 0, false},
                                      {2, 1, true},
                                      {4, int64_t{4} << 20, false},
                                      {4, 300'000, true},
                                      {2, int64_t{16} << 20, true},
                                      {1, 1, true}};

  Engine& Get(const std::string& isa, size_t shape) {
    std::unique_ptr<Engine>& engine = engines_[isa + std::to_string(shape)];
    if (engine == nullptr) {
      EngineOptions options;
      options.isa = isa;
      options.thread_count = kShapes[shape].thread_count;
      options.tile_bytes = kShapes[shape].tile_bytes;
      options.direct_io = kShapes[shape].direct_io;
      engine = test::MakeEngine(options);
    }
    return *engine;
  }

 private:
  std::map<std::string, std::unique_ptr<Engine>> engines_;
};

/// Whether a stored result is the reference's value to within float32 rounding. With u = 2^-24 and
/// N inputs: an input's contribution is rounded once or twice (its factor, the product), N - 1
/// additions follow, so the sum is off by at most (N + 2) u times the sum of magnitudes; a divisor
/// is a sum of N positive weights, off by (N + 1) u; the quotient, lambda, its product and the
/// final addition add 4 u. L1 norms are summed in float32 over runs of 32, so each is off by at
/// most 31 u and their quotient by 63 u. On top comes the rounding to the stored format.
class Judge {
 public:
  explicit Judge(const Operation& operation)
      : units_(2.0 * static_cast<double>(operation.inputs.size()) + 8 +
               (operation.rescale || operation.kernel == Kernel::kSlerp ? 64 : 0)),
        format_(ref::FormatOf(operation.output_dtype)) {}

  bool Accepts(double got, double want, double scale) const {
    if (std::isnan(want)) return std::isnan(got);
    const double error = units_ * (0x1p-24 * scale + 0x1p-149);
    const double fraction_unit = std::ldexp(1.0, -format_.fraction_bits);
    const double magnitude = std::fabs(want) + error;
    const double tiny = ref::DecodeBits(format_, 1);  // the step of subnormals
    if (std::isinf(want) || std::isinf(got)) {
      const uint64_t rounded = ref::EncodeBits(format_, std::copysign(magnitude, want));
      return got == ref::DecodeBits(format_, rounded);
    }
    return std::fabs(got - want) <= error + std::max(magnitude * fraction_unit, tiny) / 2;
  }

 private:
  double units_;
  ref::Format format_;
};

void CompareWithReference(const Operation& operation, const Inputs& inputs,
                          const Bytes& got_bytes) {
  const ref::Expected want = ref::Merge(operation, inputs.FirstValues(operation.inputs.size()));
  const ref::Values got = ref::Decode(operation.output_dtype, got_bytes);
  const Judge judge(operation);
  CHECK_EQ(got.size(), want.value.size());
  int wrong = 0, decided_by_rounding = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const bool open = want.rival[i] != want.value[i] && !std::isnan(want.value[i]);
    decided_by_rounding += open;
    if (judge.Accepts(got[i], want.value[i], want.scale[i])) continue;
    if (open && judge.Accepts(got[i], want.rival[i], want.scale[i])) continue;
    if (++wrong <= 3) {
      std::printf("  %s [%zu]: got %.9g, want %.9g\n", operation.stream_name.c_str(), i, got[i],
                  want.value[i]);
    }
  }
  CHECK_EQ(wrong, 0);
  // The way out for elections that rounding decides must stay an exception.
  CHECK(decided_by_rounding <= 3 + static_cast<int>(got.size()) / 500);
}

void RunCase(const Case& test, Dtype dtype, const Inputs& inputs, int64_t n, Engines& engines,
             const test::TempDirectory& directory, size_t* turn) {
  const Operation operation = MakeOperation(test, dtype, dtype, n);
  const Bytes first = Run(engines.Get("scalar", 0), directory, inputs, operation, 0);
  if (test.kernel != Kernel::kCopy) CompareWithReference(operation, inputs, first);
  // Small tensors meet every instruction set in every shape of engine; large ones every instruction
  // set, in shapes that change from case to case.
  const size_t shape_count = std::size(Engines::kShapes);
  const size_t rounds = n <= 513 ? shape_count : 1;
  for (size_t round = 0; round < rounds; ++round) {
    for (const std::string& isa : AvailableIsas()) {
      const size_t shape = n <= 513 ? round : *turn % shape_count;
      const Bytes other = Run(engines.Get(isa, shape), directory, inputs, operation, ++*turn);
      if (other == first) continue;
      std::printf("  %s, %s, %lld elements, %s, shape %zu\n", test.name,
                  std::string(FindDtype(dtype)->name).c_str(), static_cast<long long>(n),
                  isa.c_str(), shape);
      CHECK(!"another answer");
    }
  }
}

void RunCases(Dtype dtype, bool odd_values, const std::vector<int64_t>& sizes) {
  const test::TempDirectory directory(test::TempDirectory::Place::kMemory);
  Engines engines;
  size_t turn = 0;
  for (const int64_t n : sizes) {
    const Inputs inputs(directory, dtype, MakeValues(n, odd_values));
    for (const Case& test : kCases) {
      // One infinity makes every result of a rescaled merge NaN or infinite, which shows nothing.
      if (odd_values && test.rescale) continue;
      RunCase(test, dtype, inputs, n, engines, directory, &turn);
    }
  }
}

const std::vector<int64_t> kAllSizes(std::begin(kSizes), std::end(kSizes));

TEST("bf16 merges are right and the same on every instruction set, thread count and tile") {
  RunCases(Dtype::kBF16, false, kAllSizes);
}

TEST("f16 merges are right and the same on every instruction set, thread count and tile") {
  RunCases(Dtype::kF16, false, kAllSizes);
}

TEST("f32 merges are right and the same on every instruction set, thread count and tile") {
  RunCases(Dtype::kF32, false, kAllSizes);
}

TEST("f64 merges are right and the same on every instruction set, thread count and tile") {
  RunCases(Dtype::kF64, false, kAllSizes);
}

TEST("NaN and infinities are merged as the reference does and alike everywhere") {
  for (const Dtype dtype : {Dtype::kBF16, Dtype::kF16, Dtype::kF32, Dtype::kF64}) {
    RunCases(dtype, true, {1, 3, 511, 512, 513, 131073});
  }
}

TEST("inputs that are not cached are read around the page cache and merged alike") {
  const test::TempDirectory directory;
  Engines engines;
  const int64_t n = 262146;
  bool seen_direct = false;
  for (const Dtype dtype : {Dtype::kBF16, Dtype::kF64}) {
    const Inputs inputs(directory, dtype, MakeValues(n, false));
    for (const Case& test : kCases) {
      const Operation operation = MakeOperation(test, dtype, dtype, n);
      const Bytes first = Run(engines.Get("scalar", 0), directory, inputs, operation, 0);
      Engine& engine = engines.Get(AvailableIsas().back(), dtype == Dtype::kBF16 ? 4 : 1);
      const EngineCounters before = engine.counters();
      test::Evict(inputs.file().path);
      CHECK(Run(engine, directory, inputs, operation, 1) == first);
      const EngineCounters after = engine.counters();
      const int64_t read = after.read_bytes - before.read_bytes;
      seen_direct |= after.page_cache_bytes - before.page_cache_bytes < read;
    }
  }
  if (!seen_direct) std::printf("skipped: this file system has no O_DIRECT reads to test\n");
}

TEST("copies keep every byte of dtypes that arithmetic does not know") {
  const test::TempDirectory directory(test::TempDirectory::Place::kMemory);
  Engines engines;
  size_t turn = 0;
  for (const DtypeInfo& info : kDtypes) {
    const Bytes tensor = test::RandomBytes(140'000 * info.size_bytes, info.size_bytes);
    Bytes image;
    const int64_t offset = test::Place(&image, tensor, 3);
    const TaskFile file = test::WriteFile(directory.File("inputs"), image);
    Operation operation = MakeOperation(kCases[0], info.code, info.code, 140'000);
    operation.inputs[0].offset_bytes = offset;
    operation.destinations = {{0, 4096 + static_cast<int64_t>(++turn % 7)}};
    const std::string path = directory.File("output");
    CHECK(PrepareFile(path, 2 * 1'200'000, {}).ok());
    test::RunTask(engines.Get("scalar", turn % 6), {{file}, {path}, {operation}});
    CHECK(test::Slice(test::ReadFile(path), operation.destinations[0].offset_bytes,
                      tensor.size()) == tensor);
  }
}

TEST("inputs of different dtypes are merged in float32 and rounded once to the output's dtype") {
  const test::TempDirectory directory(test::TempDirectory::Place::kMemory);
  Engines engines;
  const int64_t n = 131072 + 77;
  const Dtype dtypes[kTensors] = {Dtype::kF32, Dtype::kBF16, Dtype::kF16, Dtype::kF64};
  const std::vector<ref::Values> values = MakeValues(n, false);
  Bytes image;
  std::vector<ref::Values> stored;
  std::vector<int64_t> offsets;
  for (size_t k = 0; k < kTensors; ++k) {
    const Bytes bytes = ref::Encode(dtypes[k], values[k]);
    stored.push_back(ref::Decode(dtypes[k], bytes));
    offsets.push_back(test::Place(&image, bytes, kMisalignments[k]));
  }
  const TaskFile file = test::WriteFile(directory.File("inputs"), image);
  for (const Case& test : kCases) {
    if (test.kernel == Kernel::kCopy) continue;
    for (const Dtype output_dtype : {Dtype::kBF16, Dtype::kF32, Dtype::kF16}) {
      Operation operation = MakeOperation(test, Dtype::kF32, output_dtype, n);
      std::vector<ref::Values> used;
      for (size_t k = 0; k < operation.inputs.size(); ++k) {
        operation.inputs[k].dtype = dtypes[k];
        operation.inputs[k].offset_bytes = offsets[k];
        used.push_back(stored[k]);
      }
      operation.destinations = {{0, 1}};
      const ref::Expected want = ref::Merge(operation, used);
      const Judge judge(operation);
      Bytes first;
      for (const std::string& isa : AvailableIsas()) {
        const std::string path = directory.File("output");
        CHECK(PrepareFile(path, 1 + n * 4, {}).ok());
        test::RunTask(engines.Get(isa, 1), {{file}, {path}, {operation}});
        const size_t length = static_cast<size_t>(n) * FindDtype(output_dtype)->size_bytes;
        const Bytes bytes = test::Slice(test::ReadFile(path), 1, length);
        if (first.empty()) first = bytes;
        CHECK(bytes == first);
      }
      const ref::Values got = ref::Decode(output_dtype, first);
      int wrong = 0;
      for (size_t i = 0; i < got.size(); ++i) {
        wrong += !judge.Accepts(got[i], want.value[i], want.scale[i]) &&
                 !judge.Accepts(got[i], want.rival[i], want.scale[i]);
      }
      CHECK_EQ(wrong, 0);
    }
  }
}

}  // namespace
}  // namespace graft
