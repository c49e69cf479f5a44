// The statistics passes: sums and histograms per chunk, collected in any order, reduced in index
// order.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/operation_run.h"
#include "kernels/math.h"

namespace graft {
namespace {

int BlockCount(int64_t left) { return static_cast<int>(std::min<int64_t>(kBlockElements, left)); }

}  // namespace

Status OperationRun::RunStatistics(Range range, Scratch& scratch) {
  InputReader reader(op_, *context_.inputs, context_.counters, &kept_);
  uint8_t* memory = scratch.arena.Reserve(
      static_cast<size_t>(InputRoom(std::min(SubElements(true), range.count))));
  if (memory == nullptr) return Status::FromErrno(ENOMEM, op_.stream_name, "allocate buffers");
  const std::vector<bool> wanted = WantedInputs();
  BeginHistograms(wanted, scratch);
  Status status = ForEachSubRange(range, reader, memory, [&](Range sub) {
    const Pass pass = passes_[pass_];
    if (pass == Pass::kSlerpSums) return SumSlerp(sub, reader, scratch);
    if (pass == Pass::kNorms) return SumNorms(sub, reader, wanted, scratch);
    for (size_t input = 1; input < op_.inputs.size(); ++input) {
      if (!wanted[input]) continue;
      if (pass == Pass::kTies) {
        CountTies(input, sub, reader, scratch);
      } else {
        CountKeys(input, sub, reader, scratch);
      }
    }
  });
  if (status.ok()) AddHistograms(wanted, scratch);
  return status;
}

/// A histogram is as large as the bytes that it counts in one sub-range, so a whole unit shares it.
void OperationRun::BeginHistograms(const std::vector<bool>& wanted, Scratch& scratch) const {
  if (!CountsKeys()) return;
  scratch.histograms.resize(op_.inputs.size());
  for (size_t input = 1; input < op_.inputs.size(); ++input) {
    if (wanted[input]) scratch.histograms[input].assign(prunings_[input - 1].histogram.size(), 0);
  }
}

void OperationRun::AddHistograms(const std::vector<bool>& wanted, const Scratch& scratch) {
  if (!CountsKeys()) return;
  for (size_t input = 1; input < op_.inputs.size(); ++input) {
    if (!wanted[input]) continue;
    const std::vector<uint32_t>& counts = scratch.histograms[input];
    std::vector<uint64_t>& total = prunings_[input - 1].histogram;
    const std::lock_guard<std::mutex> lock(mutex_);
    for (size_t bin = 0; bin < total.size(); ++bin) total[bin] += counts[bin];
  }
}

bool OperationRun::CountsKeys() const {
  return passes_[pass_] == Pass::kHistogramHigh || passes_[pass_] == Pass::kHistogramLow;
}

void OperationRun::SumSlerp(Range sub, const InputReader& reader, Scratch& scratch) {
  for (int64_t chunk = 0; chunk < sub.count; chunk += kChunkElements) {
    SlerpSums& sums = slerp_sums_[static_cast<size_t>((sub.first + chunk) / kChunkElements)];
    const int64_t end = std::min(chunk + kChunkElements, sub.count);
    for (int64_t at = chunk; at < end; at += kBlockElements) {
      const int n = BlockCount(end - at);
      context_.kernels->slerp_sums(scratch.Block(0, reader.data(0), op_.inputs[0].dtype, at, n),
                                   scratch.Block(1, reader.data(1), op_.inputs[1].dtype, at, n),
                                   &sums);
    }
  }
}

void OperationRun::FinishSlerp() {
  double dot = 0, base_squared = 0, other_squared = 0;
  for (const SlerpSums& chunk : slerp_sums_) {
    dot += SumOfLanes(chunk.dot);
    base_squared += SumOfLanes(chunk.base_squared);
    other_squared += SumOfLanes(chunk.other_squared);
  }
  const SlerpCoefficients coefficients =
      ComputeSlerpCoefficients(dot, base_squared, other_squared, op_.t);
  scales_ = {coefficients.base, coefficients.other};
}

const uint32_t* OperationRun::Keys(size_t input, const InputReader& reader, int64_t at, int n,
                                   Scratch& scratch) const {
  const KernelTable& kernels = *context_.kernels;
  kernels.widen(scratch.Block(0, reader.data(0), op_.inputs[0].dtype, at, n), scratch.base.values);
  kernels.keys(scratch.base.values,
               scratch.Block(input, reader.data(input), op_.inputs[input].dtype, at, n),
               scratch.keys.data());
  return scratch.keys.data();
}

void OperationRun::CountKeys(size_t input, Range sub, const InputReader& reader, Scratch& scratch) {
  const bool high = passes_[pass_] == Pass::kHistogramHigh;
  const uint32_t wanted_high = prunings_[input - 1].threshold_high();
  uint32_t* counts = scratch.histograms[input].data();
  for (int64_t at = 0; at < sub.count; at += kBlockElements) {
    const int n = BlockCount(sub.count - at);
    const uint32_t* keys = Keys(input, reader, at, n, scratch);
    if (high) {
      for (int i = 0; i < n; ++i) ++counts[keys[i] >> kLowBits];
    } else {
      for (int i = 0; i < n; ++i) {
        counts[keys[i] & ((1u << kLowBits) - 1)] += (keys[i] >> kLowBits) == wanted_high;
      }
    }
  }
}

void OperationRun::CountTies(size_t input, Range sub, const InputReader& reader, Scratch& scratch) {
  PruningState& state = prunings_[input - 1];
  const uint32_t threshold = state.spec().threshold;
  for (int64_t chunk = 0; chunk < sub.count; chunk += kChunkElements) {
    uint32_t ties = 0;
    const int64_t end = std::min(chunk + kChunkElements, sub.count);
    for (int64_t at = chunk; at < end; at += kBlockElements) {
      const int n = BlockCount(end - at);
      const uint32_t* keys = Keys(input, reader, at, n, scratch);
      for (int i = 0; i < n; ++i) ties += keys[i] == threshold;
    }
    state.ties[static_cast<size_t>((sub.first + chunk) / kChunkElements)] += ties;
  }
}

Status OperationRun::RunTieScan(size_t input, Scratch& scratch) {
  if (input == 0 || !prunings_[input - 1].TiesOpen()) return Status::Ok();
  PruningState& state = prunings_[input - 1];
  const int64_t first = state.tie_chunk() * kChunkElements;
  const Range chunk{first, std::min(kChunkElements, op_.element_count - first)};
  InputReader reader(op_, *context_.inputs, context_.counters, &kept_);
  uint8_t* memory = scratch.arena.Reserve(static_cast<size_t>(InputRoom(chunk.count)));
  if (memory == nullptr) return Status::FromErrno(ENOMEM, op_.stream_name, "allocate buffers");
  int64_t left = state.ties_in_chunk();
  return ForEachSubRange(chunk, reader, memory, [&](Range sub) {
    for (int64_t at = 0; at < sub.count && left > 0; at += kBlockElements) {
      const int n = BlockCount(sub.count - at);
      const uint32_t* keys = Keys(input, reader, at, n, scratch);
      for (int i = 0; i < n && left > 0; ++i) {
        if (keys[i] == state.spec().threshold && --left == 0)
          state.SetTieEnd(sub.first + at + i + 1);
      }
    }
  });
}

void OperationRun::SumNorms(Range sub, const InputReader& reader, const std::vector<bool>& wanted,
                            Scratch& scratch) {
  const KernelTable& kernels = *context_.kernels;
  for (int64_t chunk = 0; chunk < sub.count; chunk += kChunkElements) {
    const auto index = static_cast<size_t>((sub.first + chunk) / kChunkElements);
    const int64_t end = std::min(chunk + kChunkElements, sub.count);
    // A run of blocks of one input after the other: long enough for the hardware's prefetch, short
    // enough that the base stays in the first-level cache.
    for (int64_t first = chunk; first < end; first += kBaseBlocks * kBlockElements) {
      const int64_t last = std::min(first + kBaseBlocks * kBlockElements, end);
      FloatBlock* base = scratch.bases;
      for (int64_t at = first; at < last; at += kBlockElements) {
        const RawBlock x =
            scratch.Block(0, reader.data(0), op_.inputs[0].dtype, at, BlockCount(end - at));
        kernels.widen(x, (base++)->values);
      }
      for (size_t input = 1; input < op_.inputs.size(); ++input) {
        if (!wanted[input]) continue;
        PruningState& state = prunings_[input - 1];
        base = scratch.bases;
        for (int64_t at = first; at < last; at += kBlockElements) {
          const RawBlock x = scratch.Block(input, reader.data(input), op_.inputs[input].dtype, at,
                                           BlockCount(end - at));
          kernels.norm_sums((base++)->values, x, state.spec(), sub.first + at, &state.norms[index]);
        }
      }
    }
  }
}

}  // namespace graft
