// The engine around the arithmetic: digests, ranges, pins, aborts, several tasks at once, memory
// bounds and the reports of values that are not finite.
#include "graft/engine.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "check.h"
#include "graft/storage.h"
#include "workbench.h"

namespace graft {
namespace {

using test::Bytes;

constexpr int64_t kChunk = kChunkElements;

OperationInput Input(int file, int64_t offset_bytes, Dtype dtype, double weight = 1) {
  OperationInput input;
  input.file = file;
  input.offset_bytes = offset_bytes;
  input.dtype = dtype;
  input.weight = weight;
  return input;
}

Operation MakeOperation(Kernel kernel, Dtype output_dtype, int64_t n,
                        std::vector<OperationInput> inputs,
                        std::vector<OperationDestination> destinations) {
  Operation operation;
  operation.kernel = kernel;
  operation.output_dtype = output_dtype;
  operation.tensor_element_count = operation.element_count = n;
  operation.inputs = std::move(inputs);
  operation.destinations = std::move(destinations);
  operation.pruning = Pruning::kNone;
  operation.t = 0.25;
  return operation;
}

/// Random bf16 weights between -1 and 1.
Bytes Bf16Tensor(int64_t n, uint64_t seed) {
  Bytes bytes = test::RandomBytes(static_cast<size_t>(n) * 2, seed);
  for (size_t i = 1; i < bytes.size(); i += 2)
    bytes[i] = static_cast<uint8_t>((bytes[i] & 0x80) | 0x3e);
  return bytes;
}

/// One input file that holds two bf16 tensors of n elements, and one output file.
struct Scene {
  explicit Scene(int64_t n) : count(n), a(Bf16Tensor(n, 1)), b(Bf16Tensor(n, 2)) {
    Bytes image;
    a_offset = test::Place(&image, a, 2);
    b_offset = test::Place(&image, b, 8);
    input = test::WriteFile(directory.File("input"), image);
    output = directory.File("output");
    CHECK(PrepareFile(output, 4 * n + 16384, {}).ok());
  }
  Task With(std::vector<Operation> operations) const {
    return {{input}, {output}, std::move(operations)};
  }
  Operation Linear(int64_t to = 0) const {
    return MakeOperation(
        Kernel::kLinear, Dtype::kBF16, count,
        {Input(0, a_offset, Dtype::kBF16, 0.5), Input(0, b_offset, Dtype::kBF16, 0.5)}, {{0, to}});
  }
  Operation Copy(int64_t to) const {
    return MakeOperation(Kernel::kCopy, Dtype::kBF16, count, {Input(0, b_offset, Dtype::kBF16)},
                         {{0, to}});
  }
  /// Thousands of times the work of its bytes: the same tensor as every one of many task vectors.
  Operation Slow() const {
    Operation operation = Linear();
    operation.kernel = Kernel::kTaskVector;
    operation.pruning = Pruning::kBernoulli;
    operation.elect_sign = true;
    for (int i = 0; i < 30; ++i) operation.inputs.push_back(Input(0, b_offset, Dtype::kBF16, 0.1));
    for (OperationInput& input : operation.inputs) input.density = 0.5;
    return operation;
  }

  const test::TempDirectory directory;
  int64_t count;
  Bytes a, b;
  int64_t a_offset = 0, b_offset = 0;
  TaskFile input;
  std::string output;
};

TEST("digests of inputs and outputs are those of their bytes, by pieces of 128 KiB") {
  for (const int64_t n : {int64_t{1}, kChunk / 2, kChunk / 2 + 1, kChunk, 3 * kChunk + 5}) {
    Scene scene(n);
    const std::unique_ptr<Engine> engine = test::MakeEngine(2, 1);
    Operation slerp = scene.Linear();
    slerp.kernel = Kernel::kSlerp;
    const Operation copy = scene.Copy(n * 2 + 1);
    const TaskResult result = test::RunTask(*engine, scene.With({slerp, copy}));
    const Bytes file = test::ReadFile(scene.output);
    const auto length = static_cast<size_t>(n) * 2;
    CHECK_EQ(result.output_digests[0], test::SpanDigest(test::Slice(file, 0, length)));
    CHECK_EQ(result.output_digests[1], test::SpanDigest(scene.b));
    CHECK(test::Slice(file, n * 2 + 1, length) == scene.b);
    CHECK_EQ(result.input_digests[0].size(), 2u);
    CHECK_EQ(result.input_digests[0][0], test::SpanDigest(scene.a));
    CHECK_EQ(result.input_digests[0][1], test::SpanDigest(scene.b));
    CHECK_EQ(result.input_digests[1].size(), 1u);
    CHECK_EQ(result.input_digests[1][0], test::SpanDigest(scene.b));
    CHECK(result.non_finite.empty());
    CHECK(result.cpu_seconds >= 0);
  }
}

TEST("runs of a tensor's elements compose to the whole, each with its own digest") {
  const int64_t n = 5 * kChunk + 321;
  Scene scene(n);
  const std::unique_ptr<Engine> engine = test::MakeEngine(2);
  for (const bool copy : {false, true}) {
    const Operation whole = copy ? scene.Copy(1000) : scene.Linear(1000);
    test::RunTask(*engine, scene.With({whole}));
    const Bytes want = test::Slice(test::ReadFile(scene.output), 1000, static_cast<size_t>(n) * 2);
    CHECK(PrepareFile(scene.output, 0, {}).ok());
    CHECK(PrepareFile(scene.output, 2 * n + 1000, {}).ok());
    for (const auto& [start, count] : std::vector<std::pair<int64_t, int64_t>>{
             {2 * kChunk, 3 * kChunk + 321}, {0, kChunk}, {kChunk, kChunk}}) {
      Operation part = whole;
      part.element_start = start;
      part.element_count = count;
      const TaskResult result = test::RunTask(*engine, scene.With({part}));
      const Bytes bytes = test::Slice(want, start * 2, static_cast<size_t>(count) * 2);
      CHECK_EQ(result.output_digests[0], test::SpanDigest(bytes));
      const Bytes& source = copy ? scene.b : scene.a;
      CHECK_EQ(result.input_digests[0][0],
               test::SpanDigest(test::Slice(source, start * 2, static_cast<size_t>(count) * 2)));
    }
    CHECK(test::Slice(test::ReadFile(scene.output), 1000, want.size()) == want);
  }
}

TEST("one operation writes the same bytes to several places and files") {
  const int64_t n = kChunk + 7;
  Scene scene(n);
  const std::unique_ptr<Engine> engine = test::MakeEngine(2);
  for (Operation operation : {scene.Linear(), scene.Copy(0)}) {
    operation.destinations = {{0, 0}, {1, 4096}, {0, 2 * n + 4097}, {1, 2 * n + 8195}};
    Task task = scene.With({operation});
    task.outputs.push_back(scene.directory.File("second"));
    CHECK(PrepareFile(task.outputs[1], 4 * n + 8195, {}).ok());
    const TaskResult result = test::RunTask(*engine, task);
    for (const auto& [file, offset] : operation.destinations) {
      const Bytes bytes = test::ReadFile(task.outputs[static_cast<size_t>(file)]);
      const Bytes written = test::Slice(bytes, offset, static_cast<size_t>(n) * 2);
      CHECK_EQ(test::SpanDigest(written), result.output_digests[0]);
    }
  }
}

TEST("an empty tensor is done at once and has the digest of no bytes") {
  Scene scene(0);
  const std::unique_ptr<Engine> engine = test::MakeEngine(1);
  for (const Kernel kernel :
       {Kernel::kCopy, Kernel::kLinear, Kernel::kSlerp, Kernel::kTaskVector}) {
    Operation operation = scene.Linear();
    operation.kernel = kernel;
    operation.pruning = Pruning::kMagnitude;
    operation.rescale = true;
    operation.inputs[1].density = 0.5;
    const TaskResult result = test::RunTask(*engine, scene.With({operation}));
    CHECK_EQ(result.output_digests[0], "99aa06d3014798d86001c324468d497f");
  }
  const TaskResult nothing = test::RunTask(*engine, scene.With({}));
  CHECK(nothing.output_digests.empty());
}

struct PinCase {
  const char* what;
  void (*change)(TaskFile& pin);
};

const PinCase kPinCases[] = {
    {"size", [](TaskFile& pin) { ++pin.size_bytes; }},
    {"modification time", [](TaskFile& pin) { ++pin.modified_time_ns; }},
    {"replaced by another file", [](TaskFile& pin) { ++pin.inode; }},
};

TEST("an input that is not the pinned file is refused before anything is read") {
  Scene scene(100);
  const std::unique_ptr<Engine> engine = test::MakeEngine(1);
  for (const auto& [what, change] : kPinCases) {
    Task task = scene.With({scene.Linear()});
    change(task.inputs[0]);
    const Result<TaskResult> result = engine->Run(task, test::NoAbort());
    CHECK_EQ(result.status().code(), "INPUT_CHANGED");
    CHECK_EQ(test::Detail(result.status(), "what"), what);
    CHECK_EQ(test::Detail(result.status(), "path"), scene.input.path);
  }
  CHECK_EQ(engine->counters().read_bytes, 0);
}

TEST("an input that ends inside a tensor is reported as changed, read either way") {
  Scene scene(2 * kChunk);
  const std::unique_ptr<Engine> engine = test::MakeEngine(1);
  for (const bool evict : {false, true}) {
    for (Operation operation : {scene.Linear(), scene.Copy(0)}) {
      for (OperationInput& input : operation.inputs) input.offset_bytes += 2 * kChunk;
      if (evict) test::Evict(scene.input.path);
      CHECK_EQ(test::RunForCode(*engine, scene.With({operation})), "INPUT_CHANGED");
    }
  }
}

/// Runs a slow task and calls `meddle` once the engine has begun to read; returns how the task
/// ended. Again from the start where the task was done first, which is up to the scheduler.
template <typename Meddle>
Status RunMeanwhile(Meddle meddle) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    const Scene scene(16 * kChunk);
    const std::unique_ptr<Engine> engine = test::MakeEngine(1, 1);
    const AbortFlag abort = test::NoAbort();
    Status status = Status::Ok();
    std::atomic<bool> done{false};
    std::thread runner([&] {
      const Result<TaskResult> result = engine->Run(scene.With({scene.Slow()}), abort);
      if (!result.ok()) status = result.status();
      done = true;
    });
    while (!done && engine->counters().read_bytes == 0) std::this_thread::yield();
    meddle(scene, *abort);
    runner.join();
    if (!status.ok()) return status;
  }
  return Status::Ok();
}

TEST("an input that changes while it is read fails the task") {
  const Status status = RunMeanwhile([](const Scene& scene, std::atomic<bool>&) {
    const timespec now_and_zero[2] = {{0, UTIME_NOW}, {1, 0}};
    CHECK_EQ(utimensat(AT_FDCWD, scene.input.path.c_str(), now_and_zero, 0), 0);
  });
  CHECK_EQ(status.code(), "INPUT_CHANGED");
  CHECK_EQ(test::Detail(status, "what"), "modification time");
}

TEST("an input that is truncated while it is read fails the task and does not kill the process") {
  const Status status = RunMeanwhile([](const Scene& scene, std::atomic<bool>&) {
    CHECK_EQ(truncate(scene.input.path.c_str(), 10'000), 0);
  });
  CHECK_EQ(status.code(), "INPUT_CHANGED");
  CHECK_EQ(test::Detail(status, "what"), "truncated");
}

TEST("an aborted task ends as cancelled, soon") {
  std::chrono::steady_clock::time_point asked;
  const Status status = RunMeanwhile([&asked](const Scene&, std::atomic<bool>& abort) {
    abort = true;
    asked = std::chrono::steady_clock::now();
  });
  CHECK_EQ(status.code(), "CANCELLED");
  CHECK(std::chrono::steady_clock::now() - asked < std::chrono::seconds(5));
}

TEST("an engine goes on after an aborted task") {
  const Scene scene(kChunk);
  const std::unique_ptr<Engine> engine = test::MakeEngine(2);
  const AbortFlag abort = test::NoAbort();
  *abort = true;
  for (const Operation& operation : {scene.Linear(), scene.Copy(0), scene.Slow()}) {
    CHECK_EQ(engine->Run(scene.With({operation}), abort).status().code(), "CANCELLED");
    CHECK_EQ(test::RunForCode(*engine, scene.With({operation})), "");
  }
}

TEST("a missing input or output file is named") {
  Scene scene(100);
  const std::unique_ptr<Engine> engine = test::MakeEngine(1);
  Task no_output = scene.With({scene.Linear()});
  no_output.outputs[0] += ".missing";
  Task no_input = scene.With({scene.Linear()});
  no_input.inputs[0].path += ".missing";
  for (const Task& task : {no_output, no_input}) {
    const Result<TaskResult> result = engine->Run(task, test::NoAbort());
    CHECK_EQ(result.status().code(), "IO");
    CHECK(test::Detail(result.status(), "path").ends_with(".missing"));
  }
  CHECK_EQ(access(no_output.outputs[0].c_str(), F_OK), -1);  // the engine creates nothing
}

TEST("too little memory is refused with what is needed, and that is enough") {
  Scene scene(3 * kChunk);
  const Task task = scene.With({scene.Slow()});
  const std::string want = test::RunTask(*test::MakeEngine(1), task).output_digests[0];
  EngineOptions options;
  options.tile_bytes = 1;
  options.buffer_bytes_max = 1 << 20;
  const Result<TaskResult> refused = test::MakeEngine(options)->Run(task, test::NoAbort());
  CHECK_EQ(refused.status().code(), "MEMORY_TOO_SMALL");
  // "1234 bytes a thread"; an engine has a few threads more than it was asked for.
  const int64_t needed = std::atoll(test::Detail(refused.status(), "needed").c_str());
  CHECK(needed > options.buffer_bytes_max / 16);
  bool enough = false;
  for (int threads = 1; threads <= 16 && !enough; ++threads) {
    options.buffer_bytes_max = needed * threads;
    const Result<TaskResult> result = test::MakeEngine(options)->Run(task, test::NoAbort());
    enough = result.ok() && result.value().output_digests[0] == want;
    if (!result.ok()) CHECK_EQ(result.status().code(), "MEMORY_TOO_SMALL");
  }
  CHECK(enough);
}

TEST("tasks that run at once on one engine do not mix") {
  Scene scene(4 * kChunk + 11);
  const std::unique_ptr<Engine> engine = test::MakeEngine(3, 1);
  Operation slerp = scene.Linear();
  slerp.kernel = Kernel::kSlerp;
  Operation ties = scene.Linear();
  ties.kernel = Kernel::kTaskVector;
  ties.pruning = Pruning::kMagnitude;
  ties.rescale = true;
  ties.inputs[1].density = 0.4;
  const std::vector<Operation> operations = {scene.Linear(), slerp, ties, scene.Copy(0)};
  std::vector<std::string> want;
  for (const Operation& operation : operations) {
    want.push_back(test::RunTask(*engine, scene.With({operation})).output_digests[0]);
  }
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (size_t at = 0; at < operations.size(); ++at) {
    const std::string path = scene.directory.File("output" + std::to_string(at));
    CHECK(PrepareFile(path, 2 * scene.count, {}).ok());
    threads.emplace_back([&, at, path] {
      const Task task{{scene.input}, {path}, {operations[at], operations[at]}};
      for (int round = 0; round < 5; ++round) {
        const Result<TaskResult> result = engine->Run(task, test::NoAbort());
        const std::vector<std::string> both = {want[at], want[at]};
        if (!result.ok() || result.value().output_digests != both) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(wrong.load(), 0);
}

TEST("a task that fails leaves the others on its engine alone") {
  Scene scene(2 * kChunk);
  const std::unique_ptr<Engine> engine = test::MakeEngine(2, 1);
  Operation broken = scene.Linear();
  broken.inputs[0].offset_bytes += 1 << 30;
  std::atomic<int> failed{0};
  std::thread other([&] {
    for (int i = 0; i < 10; ++i) {
      const Task task = scene.With({scene.Linear(), broken, scene.Linear()});
      if (test::RunForCode(*engine, task) == "INPUT_CHANGED") ++failed;
    }
  });
  const Task task = scene.With({scene.Linear()});
  for (int i = 0; i < 10; ++i) CHECK_EQ(test::RunForCode(*engine, task), "");
  other.join();
  CHECK_EQ(failed.load(), 10);
}

TEST("an engine goes away with idle threads, used or not") {
  Scene scene(100);
  for (int round = 0; round < 20; ++round) {
    const std::unique_ptr<Engine> engine = test::MakeEngine(1 + round % 4);
    if (round % 2 == 0) CHECK_EQ(test::RunForCode(*engine, scene.With({scene.Linear()})), "");
  }
}

TEST("an engine tells its instruction set and refuses one it does not have") {
  for (const std::string& isa : AvailableIsas()) {
    EngineOptions options;
    options.isa = isa;
    CHECK_EQ(test::MakeEngine(options)->isa(), isa);
  }
  CHECK_EQ(test::MakeEngine(1)->isa(), AvailableIsas().back());
  EngineOptions unknown;
  unknown.isa = "mmx";
  CHECK(!Engine::Create(unknown).ok());
}

TEST("counters tell the bytes that were read and written") {
  Scene scene(kChunk + 1);
  const std::unique_ptr<Engine> engine = test::MakeEngine(1);
  test::RunTask(*engine, scene.With({scene.Linear(), scene.Copy(2 * scene.count)}));
  const EngineCounters counters = engine->counters();
  CHECK_EQ(counters.read_bytes, 3 * 2 * scene.count);
  CHECK_EQ(counters.written_bytes, 2 * 2 * scene.count);
  CHECK(counters.page_cache_bytes <= counters.read_bytes);
  CHECK(counters.buffer_bytes > 0 && counters.buffer_bytes <= int64_t{1} << 30);
}

}  // namespace
}  // namespace graft
