// How values that are NaN or infinite are merged and reported: merged as IEEE 754 says, counted per
// operation and input, with the first index, so that a user can find them.
#include <cmath>

#include "check.h"
#include "graft/storage.h"
#include "ref/convert.h"
#include "ref/merge.h"
#include "workbench.h"

namespace graft {
namespace {

using test::Bytes;

constexpr int64_t kChunk = kChunkElements;

OperationInput Input(int64_t offset_bytes, Dtype dtype, double weight) {
  OperationInput input;
  input.offset_bytes = offset_bytes;
  input.dtype = dtype;
  input.weight = weight;
  return input;
}

Operation MakeOperation(Kernel kernel, Dtype output_dtype, int64_t n,
                        std::vector<OperationInput> inputs) {
  Operation operation;
  operation.kernel = kernel;
  operation.output_dtype = output_dtype;
  operation.tensor_element_count = operation.element_count = n;
  operation.inputs = std::move(inputs);
  operation.destinations = {{0, 0}};
  operation.pruning = Pruning::kNone;
  operation.t = 0.25;
  return operation;
}

/// Values of a tensor of zeros with a few others in it.
ref::Values Sprinkled(int64_t n, const std::vector<std::pair<int64_t, double>>& others) {
  ref::Values values(static_cast<size_t>(n));
  for (const auto& [index, value] : others) values[static_cast<size_t>(index)] = value;
  return values;
}

std::string Describe(const std::vector<NonFinite>& reports) {
  std::string text;
  for (const NonFinite& report : reports) {
    text += std::to_string(report.operation) + "/" + std::to_string(report.input) + ": " +
            std::to_string(report.count) + " from " + std::to_string(report.first_index) + "; ";
  }
  return text;
}

TEST("NaN and infinities are reported by input with their count and the first index") {
  const int64_t n = 3 * kChunk + 700;
  const test::TempDirectory directory;
  for (const Dtype dtype : {Dtype::kBF16, Dtype::kF16, Dtype::kF32, Dtype::kF64}) {
    Bytes image;
    std::vector<OperationInput> inputs;
    // The second input is clean; the third holds its first one in a later chunk than its last
    // block.
    for (const auto& values : {Sprinkled(n, {{n - 1, NAN}, {5, INFINITY}, {513, -INFINITY}}),
                               Sprinkled(n, {}), Sprinkled(n, {{2 * kChunk + 9, NAN}})}) {
      inputs.push_back(Input(test::Place(&image, ref::Encode(dtype, values), 0), dtype, 0.3));
    }
    const TaskFile file = test::WriteFile(directory.File("input"), image);
    const std::string output = directory.File("output");
    CHECK(PrepareFile(output, n * 8, {}).ok());
    for (const std::string& isa : AvailableIsas()) {
      EngineOptions options;
      options.isa = isa;
      options.thread_count = 3;
      options.tile_bytes = 1;
      const std::unique_ptr<Engine> engine = test::MakeEngine(options);
      const Operation clean = MakeOperation(Kernel::kLinear, dtype, n, {inputs[1], inputs[1]});
      for (const Kernel kernel : {Kernel::kLinear, Kernel::kTaskVector}) {
        const Operation odd = MakeOperation(kernel, dtype, n, inputs);
        const TaskResult result = test::RunTask(*engine, {{file}, {output}, {clean, odd}});
        CHECK_EQ(Describe(result.non_finite),
                 "1/0: 3 from 5; 1/2: 1 from " + std::to_string(2 * kChunk + 9) + "; ");
      }
    }
  }
}

TEST("a NaN anywhere makes a whole slerp NaN and is reported where it is") {
  const int64_t n = kChunk + 3;
  const test::TempDirectory directory;
  Bytes image;
  std::vector<OperationInput> inputs;
  for (const auto& values : {ref::Values(n, 0.5), Sprinkled(n, {{n - 2, NAN}})}) {
    const Bytes tensor = ref::Encode(Dtype::kBF16, values);
    inputs.push_back(Input(test::Place(&image, tensor, 0), Dtype::kBF16, 0));
  }
  Task task{{test::WriteFile(directory.File("input"), image)}, {directory.File("output")}, {}};
  task.operations = {MakeOperation(Kernel::kSlerp, Dtype::kBF16, n, inputs)};
  CHECK(PrepareFile(task.outputs[0], n * 2, {}).ok());
  const TaskResult result = test::RunTask(*test::MakeEngine(2, 1), task);
  CHECK_EQ(Describe(result.non_finite), "0/1: 1 from " + std::to_string(n - 2) + "; ");
  int64_t finite = 0;
  for (const double value : ref::Decode(Dtype::kBF16, test::ReadFile(task.outputs[0]))) {
    finite += !std::isnan(value);
  }
  CHECK_EQ(finite, 0);
}

TEST("finite inputs that overflow float16 are reported as the result's") {
  const int64_t n = 2 * kChunk + 50;
  const test::TempDirectory directory;
  // 65519.99 still rounds to the largest half, 65504; 65520 to infinity.
  const ref::Values values = Sprinkled(
      n, {{3, 65519}, {kChunk, 65520}, {kChunk + 1, -1e30}, {2 * kChunk + 49, 3e38}, {7, -65504}});
  Bytes image;
  const int64_t offset = test::Place(&image, ref::Encode(Dtype::kF32, values), 0);
  Task task{{test::WriteFile(directory.File("input"), image)}, {directory.File("output")}, {}};
  CHECK(PrepareFile(task.outputs[0], n * 4, {}).ok());
  const std::unique_ptr<Engine> engine = test::MakeEngine(2, 1);
  for (const auto& [dtype, want] : std::vector<std::pair<Dtype, std::string>>{
           {Dtype::kF16, "0/-1: 3 from " + std::to_string(kChunk) + "; "}, {Dtype::kBF16, ""}}) {
    task.operations = {MakeOperation(Kernel::kLinear, dtype, n, {Input(offset, Dtype::kF32, 1)})};
    CHECK_EQ(Describe(test::RunTask(*engine, task).non_finite), want);
  }
}

}  // namespace
}  // namespace graft
