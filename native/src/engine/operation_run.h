// One operation in progress: a list of passes over the tensor, each cut into units that any thread
// may run in any order, with a serial reduction in index order between passes. So thread count,
// tile size and instruction set never reach the result.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "cpu/table.h"
#include "engine/digest_tree.h"
#include "engine/file_io.h"
#include "engine/gate.h"
#include "engine/input_reader.h"
#include "engine/kept_inputs.h"
#include "engine/pruning.h"
#include "engine/scratch.h"
#include "graft/task.h"

namespace graft {

/// What an operation needs from its task and engine; outlives it.
struct RunContext {
  const KernelTable* kernels = nullptr;
  Gate* gate = nullptr;
  IoCounters* counters = nullptr;
  const std::vector<File>* inputs = nullptr;
  const std::vector<File>* outputs = nullptr;
  const std::atomic<bool>* abort = nullptr;
  int64_t tile_bytes = 0;
  int64_t scratch_bytes_max = 0;
  ResidentPool* resident = nullptr;
};

class OperationRun {
 public:
  OperationRun(const Operation& operation, const RunContext& context);

  /// MEMORY_TOO_SMALL when a chunk of every input does not fit a thread's buffers.
  Status Check() const;

  int UnitCount() const;
  /// Whether the current pass is the one that writes.
  bool Writes() const { return passes_[pass_] == Pass::kFinal; }
  /// Runs one unit of the current pass on the calling thread.
  Status RunUnit(int unit, Scratch& scratch);
  /// After the last unit of a pass: reduces and moves on. Returns whether there is another pass.
  bool FinishPass();

  std::string OutputDigest() const { return output_digest_.Finish(); }
  std::vector<std::string> InputDigests() const;
  void AppendNonFinite(int operation_index, std::vector<NonFinite>* out) const;

  /// Units of the current pass that have not finished; kept by the engine.
  std::atomic<int> units_left{0};

 private:
  enum class Pass { kSlerpSums, kHistogramHigh, kHistogramLow, kTies, kTieScan, kNorms, kFinal };

  struct NonFiniteCount {
    int64_t count = 0;
    int64_t first_index = INT64_MAX;
  };

  // operation_run.cc: the walk over passes, units and sub-ranges.
  Range UnitRange(int unit) const;
  int64_t SubElements(bool direct) const;
  int64_t InputRoom(int64_t elements) const;
  std::vector<bool> WantedInputs() const;
  bool PassNeeded(Pass pass) const;
  template <typename Body>
  Status ForEachSubRange(Range range, InputReader& reader, uint8_t* memory, Body body);

  // statistics.cc: what is known only after a look at the whole tensor.
  Status RunStatistics(Range range, Scratch& scratch);
  Status RunTieScan(size_t input, Scratch& scratch);
  void SumSlerp(Range sub, const InputReader& reader, Scratch& scratch);
  bool CountsKeys() const;
  void BeginHistograms(const std::vector<bool>& wanted, Scratch& scratch) const;
  void AddHistograms(const std::vector<bool>& wanted, const Scratch& scratch);
  void CountKeys(size_t input, Range sub, const InputReader& reader, Scratch& scratch);
  void CountTies(size_t input, Range sub, const InputReader& reader, Scratch& scratch);
  void SumNorms(Range sub, const InputReader& reader, const std::vector<bool>& wanted,
                Scratch& scratch);
  const uint32_t* Keys(size_t input, const InputReader& reader, int64_t at, int n,
                       Scratch& scratch) const;
  void FinishSlerp();

  // final_pass.cc: the bytes that are written.
  Status RunFinal(Range range, Scratch& scratch);
  Status RunCopy(Range range, Scratch& scratch);
  void Compute(Range sub, const InputReader& reader, uint8_t* out, Scratch& scratch);
  void CountNonFinite(size_t slot, RawBlock block, int64_t first, int count);
  Status WriteOut(Range range, uint8_t* memory, uint8_t* out) const;
  int64_t OutputRoom() const;
  int64_t FirstDestinationOffset(Range range) const;
  void PrepareFinal();

  const Operation& op_;
  const RunContext context_;
  const int64_t output_bytes_;  // per element
  int64_t input_bytes_ = 0;     // per element, of all inputs
  const int64_t unit_elements_;
  const int64_t chunk_count_;
  KeptInputs kept_;
  std::vector<Pass> passes_;
  size_t pass_ = 0;

  std::vector<SlerpSums> slerp_sums_;   // per chunk
  std::vector<PruningState> prunings_;  // per input after the base
  std::vector<float> scales_;           // per input of the final sum
  std::vector<float> weights_;          // per input of the final sum
  TaskVectorSpec combine_;

  DigestTree output_digest_;
  std::vector<DigestTree> input_digests_;
  mutable std::mutex mutex_;                // histograms and non-finite counts
  std::vector<NonFiniteCount> non_finite_;  // [0] the result, [i + 1] input i
};

/// Calls body(sub) for every sub-range with its inputs in memory and the gate held.
template <typename Body>
Status OperationRun::ForEachSubRange(Range range, InputReader& reader, uint8_t* memory, Body body) {
  kept_.Begin(*context_.inputs, !Writes());
  Result<InputReader::Plan> chosen = reader.Choose(range, WantedInputs());
  if (!chosen.ok()) return chosen.status();
  const InputReader::Plan& plan = chosen.value();
  const int64_t step = SubElements(InputReader::AnyDirect(plan));
  reader.Begin(memory, std::min(step, range.count));
  for (int64_t at = 0; at < range.count; at += step) {
    if (*context_.abort) return Status::Error("CANCELLED");
    const Range sub{range.first + at, std::min(step, range.count - at)};
    if (Status status = reader.ReadDirect(plan, sub); !status.ok()) return status;
    Gate::Pass pass(*context_.gate);
    if (Status status = reader.ReadBuffered(plan, sub); !status.ok()) return status;
    body(sub);
  }
  return Status::Ok();
}

}  // namespace graft
