// The engine's threads: one queue of units from all running tasks. There are more threads than may
// compute at once (Gate), so that some always wait for the device while others work.
#include "graft/engine.h"

#include <time.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "engine/operation_run.h"

namespace graft {
namespace {

constexpr int64_t kDefaultTileBytes = int64_t{4} << 20;
constexpr int64_t kTileStep = int64_t{1} << 20;
/// Enough for a tile of 15 inputs; what is left of the memory keeps inputs between passes, up to a
/// point where touching fresh memory costs more than reading again.
constexpr int64_t kScratchBytesMax = int64_t{64} << 20;
constexpr int64_t kResidentBytesMax = int64_t{1} << 30;
/// Threads beyond the computing ones; with fewer, a device that answers in milliseconds idles.
constexpr int kWaitingThreads = 4;

double ThreadCpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// One task in progress; lives on the stack of Run().
struct TaskRun {
  std::vector<File> inputs, outputs;
  std::deque<OperationRun> operations;
  AbortFlag abort;

  std::mutex mutex;
  std::condition_variable done;
  int operations_left = 0;
  Status status = Status::Ok();
  std::atomic<bool> failed{false};
  std::atomic<int64_t> cpu_nanoseconds{0};

  void Fail(Status error) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (status.ok()) status = std::move(error);
    failed = true;
  }
  void OperationDone() {
    const std::lock_guard<std::mutex> lock(mutex);
    if (--operations_left == 0) done.notify_all();
  }
};

struct Unit {
  TaskRun* task;
  OperationRun* operation;
  int index;
};

class ThreadedEngine final : public Engine {
 public:
  ThreadedEngine(const EngineOptions& options, const KernelTable* kernels)
      : options_(options),
        kernels_(kernels),
        gate_(options.thread_count),
        scratch_bytes_max_(
            std::min(options.buffer_bytes_max / ThreadCount(options), kScratchBytesMax)),
        resident_(std::min(options.buffer_bytes_max - scratch_bytes_max_ * ThreadCount(options),
                           kResidentBytesMax)) {
    const int count = ThreadCount(options);
    // With little memory the output takes no more than its share.
    const int64_t share = std::max(scratch_bytes_max_ / 4 / kTileStep * kTileStep, kTileStep);
    tile_bytes_ = std::min(options.tile_bytes, share);
    writers_max_ = count - options.thread_count;
    scratches_ = std::vector<Scratch>(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) {
      threads_.emplace_back([this, i] { Work(scratches_[static_cast<size_t>(i)]); });
    }
  }

  ~ThreadedEngine() override {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  Result<TaskResult> Run(const Task& task, const AbortFlag& abort) override;

  EngineCounters counters() const override {
    EngineCounters now;
    now.read_bytes = io_.read;
    now.written_bytes = io_.written;
    now.page_cache_bytes = io_.page_cache;
    now.buffer_bytes = scratch_bytes_max_ * static_cast<int64_t>(threads_.size());
    return now;
  }

  std::string isa() const override { return std::string(kernels_->isa); }

 private:
  static int ThreadCount(const EngineOptions& options) {
    return options.thread_count + kWaitingThreads;
  }
  Status Prepare(const Task& task, TaskRun* run);
  void Work(Scratch& scratch);
  void RunUnit(const Unit& unit, Scratch& scratch);
  void Enqueue(TaskRun* task, OperationRun* operation);
  Unit TakeUnit();

  const EngineOptions options_;
  const KernelTable* const kernels_;
  Gate gate_;
  IoCounters io_;
  const int64_t scratch_bytes_max_;
  ResidentPool resident_;
  int64_t tile_bytes_ = 0;
  int writers_max_ = 0;

  std::mutex mutex_;
  std::condition_variable wake_;
  // Units that write, and units that only look. Writing goes first, but never takes the last
  // threads while there is something to look at: those would all wait for the device and leave the
  // CPU idle.
  std::deque<Unit> writing_, looking_;
  int writers_ = 0;
  bool stopping_ = false;
  std::vector<Scratch> scratches_;
  std::vector<std::thread> threads_;
};

Status ThreadedEngine::Prepare(const Task& task, TaskRun* run) {
  for (const TaskFile& pin : task.inputs) {
    Result<File> file = File::OpenInput(pin, options_.direct_io);
    if (!file.ok()) return file.status();
    run->inputs.push_back(std::move(file.value()));
  }
  for (const std::string& path : task.outputs) {
    Result<File> file = File::OpenOutput(path, options_.direct_io);
    if (!file.ok()) return file.status();
    run->outputs.push_back(std::move(file.value()));
  }
  RunContext context;
  context.kernels = kernels_;
  context.gate = &gate_;
  context.counters = &io_;
  context.inputs = &run->inputs;
  context.outputs = &run->outputs;
  context.abort = run->abort.get();
  context.tile_bytes = tile_bytes_;
  context.scratch_bytes_max = scratch_bytes_max_;
  context.resident = &resident_;
  for (const Operation& operation : task.operations) {
    OperationRun& added = run->operations.emplace_back(operation, context);
    if (Status status = added.Check(); !status.ok()) return status;
  }
  run->operations_left = static_cast<int>(run->operations.size());
  return Status::Ok();
}

Result<TaskResult> ThreadedEngine::Run(const Task& task, const AbortFlag& abort) {
  TaskRun run;
  run.abort = abort;
  if (Status status = Prepare(task, &run); !status.ok()) return status;
  for (OperationRun& operation : run.operations) Enqueue(&run, &operation);
  {
    std::unique_lock<std::mutex> lock(run.mutex);
    run.done.wait(lock, [&run] { return run.operations_left == 0; });
  }
  if (!run.status.ok()) return run.status;
  for (const File& file : run.inputs) {
    if (Status status = file.CheckUnchanged(); !status.ok()) return status;
  }
  TaskResult result;
  int index = 0;
  for (const OperationRun& operation : run.operations) {
    result.output_digests.push_back(operation.OutputDigest());
    result.input_digests.push_back(operation.InputDigests());
    operation.AppendNonFinite(index++, &result.non_finite);
  }
  result.cpu_seconds = static_cast<double>(run.cpu_nanoseconds) * 1e-9;
  return result;
}

void ThreadedEngine::Enqueue(TaskRun* task, OperationRun* operation) {
  const int count = operation->UnitCount();
  operation->units_left = count;
  if (count == 0) {  // an empty tensor: nothing to read or write
    task->OperationDone();
    return;
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::deque<Unit>& queue = operation->Writes() ? writing_ : looking_;
    for (int i = 0; i < count; ++i) queue.push_back({task, operation, i});
  }
  wake_.notify_all();
}

Unit ThreadedEngine::TakeUnit() {
  const bool write = !writing_.empty() && (writers_ < writers_max_ || looking_.empty());
  std::deque<Unit>& queue = write ? writing_ : looking_;
  const Unit unit = queue.front();
  queue.pop_front();
  if (write) ++writers_;
  return unit;
}

void ThreadedEngine::Work(Scratch& scratch) {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !writing_.empty() || !looking_.empty(); });
    if (writing_.empty() && looking_.empty()) return;
    const Unit unit = TakeUnit();
    const bool writes = unit.operation->Writes();
    lock.unlock();
    RunUnit(unit, scratch);
    lock.lock();
    if (writes) --writers_;
  }
}

void ThreadedEngine::RunUnit(const Unit& unit, Scratch& scratch) {
  TaskRun* task = unit.task;
  if (!task->failed) {
    const double start = ThreadCpuSeconds();
    Status status = unit.operation->RunUnit(unit.index, scratch);
    task->cpu_nanoseconds += static_cast<int64_t>((ThreadCpuSeconds() - start) * 1e9);
    if (!status.ok()) task->Fail(std::move(status));
  }
  if (--unit.operation->units_left > 0) return;
  if (!task->failed && unit.operation->FinishPass()) {
    Enqueue(task, unit.operation);
  } else {
    task->OperationDone();
  }
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::Create(const EngineOptions& options) {
  const KernelTable* kernels = FindKernels(options.isa);
  if (kernels == nullptr) {
    return Status::Error(
        "FLAG", {{"flag", "isa"}, {"problem", "\"" + options.isa + "\" is not available here"}});
  }
  EngineOptions complete = options;
  complete.thread_count = std::clamp(options.thread_count, 1, 512);
  if (complete.tile_bytes <= 0) complete.tile_bytes = kDefaultTileBytes;
  return std::unique_ptr<Engine>(new ThreadedEngine(complete, kernels));
}

std::vector<std::string> AvailableIsas() {
  std::vector<std::string> names;
  for (const KernelTable* table : AvailableKernels()) names.emplace_back(table->isa);
  return names;
}

}  // namespace graft
