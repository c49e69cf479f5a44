// The merge methods in scalar float64, written from their published formulas and not from the
// kernels: the yardstick of the tests. Only the inputs and the task vectors are rounded to float32,
// as documented: which magnitudes are the largest is decided on float32 differences.
#pragma once

#include <cstddef>
#include <vector>

#include "graft/task.h"

namespace graft::ref {

using Values = std::vector<double>;

struct Expected {
  Values value;
  /// Sum of the magnitudes that were added up: what rounding errors of the result are relative to.
  Values scale;
  /// The result of the opposite election where rounding may decide it, else the same as value.
  Values rival;
};

/// What the operation, which covers a whole tensor, makes of its inputs' values.
Expected Merge(const Operation& operation, std::vector<Values> inputs);

/// The k = trunc(density * n) largest magnitudes by a stable sort, so that ties go to the lower
/// index; at least one unless the density is 0. NaN counts as larger than infinity.
std::vector<bool> KeepLargest(const std::vector<float>& deltas, double density);

/// Which elements of one pruned input are kept; `deltas` are its float32 task vector.
std::vector<bool> Keep(const Operation& operation, const OperationInput& input,
                       const std::vector<float>& deltas);

}  // namespace graft::ref
