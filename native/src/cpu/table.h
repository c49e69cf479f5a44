// The kernels of one instruction set as a table of functions, chosen once at start. A block is at most
// kBlockElements elements; every function takes whole blocks whose float buffers are padded with zeros to
// a full block, so that no arithmetic loop has a tail.
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
  uint32_t threshold = 0;   // magnitude: key that ties; chance: keep below this 16-bit number
  int64_t tie_end = 0;      // magnitude: flat index before which ties are kept
  uint64_t stream_key = 0;  // chance
};

/// Float64 sums over a chunk: fixed lanes, fixed order.
struct SlerpSums {
  double dot = 0, base_squared = 0, other_squared = 0;
};
struct NormSums {
  double all = 0, kept = 0;
};

struct TaskVectorSpec {
  bool elect_sign = false;
  bool normalize = false;
  float divisor = 1;  // used when normalize without election
  float lambda = 1;
};

struct KernelTable {
  std::string_view isa;

  /// Widens n <= 512 elements into `to`, pads it with zeros; returns whether any is NaN or infinite.
  bool (*widen)(Dtype dtype, const void* from, int n, float* to);
  /// Rounds n <= 512 elements of `from` (padded) into `to`.
  void (*narrow)(Dtype dtype, const float* from, int n, void* to);

  /// to = sum of weights[i] * inputs[i].
  void (*linear)(const float* const* inputs, const float* weights, int input_count, float* to);

  /// Adds one block to 16 fixed lanes of each of the three sums (lanes[48]).
  void (*slerp_sums)(const float* base, const float* other, double* lanes);

  /// delta = prune(x - base); `index` is the flat index of the block's first element.
  void (*prune)(const float* base, const float* x, const PruneSpec& spec, int64_t index, float* delta);
  /// Adds sums of |x - base| and |delta| to 16 fixed lanes each (lanes[32]).
  void (*norm_sums)(const float* base, const float* x, const float* delta, double* lanes);
  /// to = base + combination of the deltas.
  void (*combine)(const float* base, const float* const* deltas, const float* scales,
                  const float* weights, int input_count, const TaskVectorSpec& spec, float* to);
  /// keys[i] = magnitude key of x - base.
  void (*keys)(const float* base, const float* x, uint32_t* keys);
};

/// Tables this CPU can run, best last; the first is always "scalar".
const std::vector<const KernelTable*>& AvailableKernels();

/// The named table, the best one for an empty name, or nullptr.
const KernelTable* FindKernels(std::string_view isa);

}  // namespace graft
