// The tiled engine: runs whole tasks (read, convert, compute, round, digest, write) on its own
// threads within a fixed amount of buffer memory. Plain C++; the addon is a thin layer over it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "graft/status.h"
#include "graft/task.h"

namespace graft {

struct EngineOptions {
  int thread_count = 1;
  int64_t buffer_bytes_max = int64_t{1} << 30;
  /// Empty: the best this CPU runs.
  std::string isa;
  /// Bytes of output per work unit; 0 for the default. Never changes the bytes written.
  int64_t tile_bytes = 0;
  bool direct_io = true;
};

struct EngineCounters {
  int64_t read_bytes = 0;
  int64_t written_bytes = 0;
  int64_t page_cache_bytes = 0;
  int64_t buffer_bytes = 0;
};

using AbortFlag = std::shared_ptr<std::atomic<bool>>;

class Engine {
 public:
  /// INTERNAL for an instruction set that this build or CPU lacks.
  static Result<std::unique_ptr<Engine>> Create(const EngineOptions& options);
  virtual ~Engine() = default;

  /// Blocks until the task is done; any number may run at once and share the threads. CANCELLED
  /// when the flag is set meanwhile. Output files must have been prepared.
  virtual Result<TaskResult> Run(const Task& task, const AbortFlag& abort) = 0;
  virtual EngineCounters counters() const = 0;
  virtual std::string isa() const = 0;
};

/// Names of the instruction sets that this build holds and this CPU runs, best last.
std::vector<std::string> AvailableIsas();

}  // namespace graft
