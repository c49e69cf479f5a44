// Worked examples whose results an independent implementation computed, for the engine and for the
// reference alike: a reference that shares a mistake with the kernels would be no yardstick.
#include "ref/merge.h"

#include <algorithm>
#include <cmath>

#include "check.h"
#include "graft/storage.h"
#include "ref/convert.h"
#include "workbench.h"

namespace graft {
namespace {

using ref::Values;

const Values kP1 = {1, 2, 3, 4}, kP2 = {2, 1, 0, 1}, kP3 = {0.5, -1, 2, 1};
const Values kMinusP1 = {-1, -2, -3, -4}, kZeros = {0, 0, 0, 0};
const Values kBase = {0, 1, -1, 2, 0.5, -0.5, 3, -2};
// The base plus a task vector each.
const Values kX1 = {0.125, 0.75, -0.625, 1.5, 1.125, -1.25, 3.875, -3};
const Values kX2 = {0.75, 1.5, -1.625, 1.8125, 1.5, -0.1875, 2.625, -1.125};

struct Input {
  Values values;
  double weight = 0;
};

struct Example {
  const char* name;
  Kernel kernel;
  std::vector<Input> inputs;
  Values want;
  double t = 0;
  Pruning pruning = Pruning::kNone;
  double density = 1;
  bool elect_sign = false, normalize = false, rescale = false;
  double lambda = 1;
};

const std::vector<Input> kVectors = {{kBase}, {kX1, 1}, {kX2, 0.5}};
constexpr Kernel kSlerp = Kernel::kSlerp, kLinear = Kernel::kLinear, kTask = Kernel::kTaskVector;
constexpr Pruning kNone = Pruning::kNone, kMagnitude = Pruning::kMagnitude;

const Example kExamples[] = {
    {"linear", kLinear, {{kP1, .5}, {kP2, .25}, {kP3, .5}}, {1.25, .75, 2.5, 2.75}},
    {"linear, normalized", kLinear, {{kP1, .4}, {kP2, .2}, {kP3, .4}}, {1, .6, 2, 2.2}},
    {"slerp", kSlerp, {{kP1}, {kP2}}, {1.443696, 1.856148, 2.2686, 3.368548}, .3},
    {"slerp from the other end",
     kSlerp,
     {{kP2}, {kP1}},
     {1.856148, 1.443696, 1.031243, 2.131191},
     .3},
    {"slerp of opposites", kSlerp, {{kP1}, {kMinusP1}}, {.4, .8, 1.2, 1.6}, .3},
    {"slerp from zero", kSlerp, {{kZeros}, {kP2}}, {1.414214, .7071068, 0, .7071068}, .5},
    {"task arithmetic",
     kTask,
     kVectors,
     {.5, 1, -.9375, 1.40625, 1.625, -1.09375, 3.6875, -2.5625}},
    {"task arithmetic, normalized",
     kTask,
     kVectors,
     {.3333333, 1, -.9583333, 1.604167, 1.25, -.8958334, 3.458333, -2.375},
     0,
     kNone,
     1,
     false,
     true},
    {"task arithmetic, lambda",
     kTask,
     kVectors,
     {.25, 1, -.96875, 1.703125, 1.0625, -.796875, 3.34375, -2.28125},
     0,
     kNone,
     1,
     false,
     false,
     false,
     .5},
    // At element 1 the weighted sum is exactly zero, which elects plus.
    {"ties",
     kTask,
     kVectors,
     {.3333333, 1.5, -.625, 1.604167, 1.25, -1.25, 3.875, -3},
     0,
     kMagnitude,
     1,
     true,
     true},
    {"ties, half kept",
     kTask,
     kVectors,
     {.75, 1, -1.625, 2, 1.25, -1.25, 3.875, -3},
     0,
     kMagnitude,
     .5,
     true,
     true},
    {"ties, not normalized",
     kTask,
     kVectors,
     {.375, 1, -1.3125, 2, 1.625, -1.25, 3.875, -3},
     0,
     kMagnitude,
     .5,
     true},
    {"ties, rescaled",
     kTask,
     kVectors,
     {1.067308, 1, -1.889423, 2, 1.551282, -1.538462, 4.211538, -3.384615},
     0,
     kMagnitude,
     .5,
     true,
     true,
     true},
};

/// The examples are printed with seven digits.
void CheckClose(const char* name, const char* who, const Values& got, const Values& want) {
  bool close = got.size() == want.size();
  for (size_t i = 0; close && i < got.size(); ++i) {
    close = std::fabs(got[i] - want[i]) <= 1e-6 * std::max(1.0, std::fabs(want[i]));
  }
  if (!close) std::printf("  %s of the %s\n", name, who);
  CHECK(close);
}

Values RunThroughEngine(Engine& engine, Operation operation, const std::vector<Input>& inputs) {
  const test::TempDirectory directory(test::TempDirectory::Place::kMemory);
  test::Bytes image;
  for (size_t k = 0; k < inputs.size(); ++k) {
    operation.inputs[k].offset_bytes =
        test::Place(&image, ref::Encode(Dtype::kF32, inputs[k].values), 0);
  }
  const Task task{
      {test::WriteFile(directory.File("in"), image)}, {directory.File("out")}, {operation}};
  CHECK(PrepareFile(task.outputs[0], operation.element_count * 4, {}).ok());
  test::RunTask(engine, task);
  return ref::Decode(Dtype::kF32, test::ReadFile(task.outputs[0]));
}

TEST("worked examples come out of the engine and of the reference") {
  const std::unique_ptr<Engine> engine = test::MakeEngine(1);
  for (const Example& example : kExamples) {
    Operation operation;
    operation.kernel = example.kernel;
    operation.output_dtype = Dtype::kF32;
    operation.element_count = static_cast<int64_t>(example.want.size());
    operation.tensor_element_count = operation.element_count;
    operation.destinations = {{0, 0}};
    operation.t = example.t;
    operation.pruning = example.pruning;
    operation.elect_sign = example.elect_sign;
    operation.normalize = example.normalize;
    operation.rescale = example.rescale;
    operation.lambda = example.lambda;
    std::vector<Values> values;
    for (const Input& from : example.inputs) {
      OperationInput& input = operation.inputs.emplace_back();
      input.dtype = Dtype::kF32;
      input.weight = from.weight;
      input.density = example.density;
      values.push_back(from.values);
    }
    CheckClose(example.name, "reference", ref::Merge(operation, values).value, example.want);
    CheckClose(example.name, "engine", RunThroughEngine(*engine, operation, example.inputs),
               example.want);
  }
}

}  // namespace
}  // namespace graft
