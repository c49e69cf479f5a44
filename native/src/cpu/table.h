// The kernels of one instruction set as a table of functions, chosen once at start. Every function
// takes one whole block of 512 elements, so that no loop has a tail; the caller pads the last block
// of a tensor with zeros. Raw blocks are as stored in the file, at any alignment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "graft/dtype.h"

namespace graft {

inline constexpr int kBlockElements = 512;

/// What a pass needs to know of one pruned input of a task-vector merge.
struct PruneSpec {
  enum class Kind : uint8_t { kKeepAll, kMagnitude, kChance };
  Kind kind = Kind::kKeepAll;
  uint32_t threshold = 0;   // magnitude: key that ties; chance: probability times 2^16
  int64_t tie_end = 0;      // magnitude: flat index before which ties are kept
  uint64_t stream_key = 0;  // chance
};

/// Lanes of every reduction, whatever the vector width: the sum tree is part of the result.
inline constexpr int kSumLanes = 16;

/// Sums over a chunk, lane by lane: float32 within a block, float64 from block to block.
struct SlerpSums {
  double dot[kSumLanes] = {}, base_squared[kSumLanes] = {}, other_squared[kSumLanes] = {};
};
struct NormSums {
  double all[kSumLanes] = {}, kept[kSumLanes] = {};  // of magnitudes
};
/// The lanes' total, in lane order.
inline double SumOfLanes(const double (&lanes)[kSumLanes]) {
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

struct TaskVectorSpec {
  bool elect_sign = false;
  bool normalize = false;
  float divisor = 1;  // used when normalize without election
  float lambda = 1;
};

/// 512 elements as they are in the file.
struct RawBlock {
  const void* bytes = nullptr;
  Dtype dtype = Dtype::kUnspecified;
};

/// One pruned input of a task-vector sum.
struct DeltaInput {
  RawBlock x;
  const PruneSpec* prune = nullptr;
  float scale = 0;   // factor of the task vector: weight times rescale
  float weight = 0;  // what counts in the divisor
};

/// All functions that widen return whether a value was NaN or infinite, where they say so.
struct KernelTable {
  std::string_view isa;

  bool (*widen)(RawBlock from, float* to);
  /// Rounds the first n elements of `from` into `to`.
  void (*narrow)(Dtype dtype, const float* from, int n, void* to);

  /// to = sum of weights[i] * inputs[i], in order; reports non-finite inputs.
  bool (*linear)(const RawBlock* inputs, const float* weights, int input_count, float* to);

  /// Adds one block to the three sums.
  void (*slerp_sums)(RawBlock base, RawBlock other, SlerpSums* sums);

  /// Adds sums of |x - base| and of its pruned form; `index` is the flat index of the block's first
  /// element.
  void (*norm_sums)(const float* base, RawBlock x, const PruneSpec& prune, int64_t index,
                    NormSums* sums);
  /// to = base + combination of the pruned task vectors, of which n elements are real; reports
  /// non-finite inputs.
  bool (*combine)(const float* base, const DeltaInput* inputs, int input_count,
                  const TaskVectorSpec& spec, int64_t index, int n, float* to);
  /// keys[i] = magnitude key of x - base.
  void (*keys)(const float* base, RawBlock x, uint32_t* keys);
};

/// Tables this CPU can run, best last; the first is always "scalar".
const std::vector<const KernelTable*>& AvailableKernels();

/// The named table, the best one for an empty name, or nullptr.
const KernelTable* FindKernels(std::string_view isa);

}  // namespace graft
