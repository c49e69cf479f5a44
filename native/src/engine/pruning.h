// How much of one task vector is kept: what the statistics passes collect, and the exact decisions
// drawn from it. Selection of the k largest magnitudes is by histogram of the 31 magnitude bits
// (high 16, then low 15), never by sorting; elements equal to the threshold are kept in flat index
// order.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/table.h"
#include "graft/task.h"

namespace graft {

inline constexpr int kHighBits = 16;
inline constexpr int kLowBits = 15;

class PruningState {
 public:
  /// Of the input at `index` of a task-vector operation with `chunk_count` chunks.
  PruningState(const Operation& operation, const OperationInput& input, int64_t chunk_count);

  const PruneSpec& spec() const { return spec_; }
  bool Pruned() const { return spec_.kind != PruneSpec::Kind::kKeepAll; }
  /// Still needs its threshold found.
  bool Selecting() const { return keep_ > 0; }
  /// Fewer elements equal to the threshold are kept than there are.
  bool TiesOpen() const { return ties_open_; }

  /// Histogram of the current selection pass; the caller serialises additions.
  std::vector<uint64_t> histogram;
  std::vector<uint32_t> ties;   // per chunk, elements equal to the threshold
  std::vector<NormSums> norms;  // per chunk

  /// The high bits that hold the threshold, once the first histogram is complete.
  uint32_t threshold_high() const { return high_; }
  void FinishHigh();
  void FinishLow();
  void FinishTies();
  void FinishNorms();

  /// Where the last kept tie is, after FinishTies: the chunk, and how many of its ties are kept.
  int64_t tie_chunk() const { return tie_chunk_; }
  int64_t ties_in_chunk() const { return ties_in_chunk_; }
  void SetTieEnd(int64_t flat_index) { spec_.tie_end = flat_index; }

  /// L1 rescale: sum of all magnitudes over sum of kept ones, 1 when not asked for.
  double factor() const { return factor_; }

 private:
  /// Bin that holds the keep_-th largest; keep_ becomes its rank inside the bin.
  uint32_t TakeBin();

  PruneSpec spec_;
  int64_t keep_ = 0;
  uint32_t high_ = 0;
  bool ties_open_ = false;
  int64_t tie_chunk_ = 0;
  int64_t ties_in_chunk_ = 0;
  double factor_ = 1;
};

}  // namespace graft
