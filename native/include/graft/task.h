// A task as the engine runs it: plain data, everything resolved. Mirrors graft.v1.Task and
// native/ts/native.ts field by field.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "graft/dtype.h"

namespace graft {

/// Changes whenever output bytes could: arithmetic, reduction trees, random streams, rounding.
inline constexpr const char* kKernelVersion = "1";

/// Bytes of one digest piece; the piece grid starts at a tensor's first byte.
inline constexpr int64_t kPieceBytes = 128 * 1024;

/// Elements of one reduction chunk; statistics are summed per chunk, then over chunks in index
/// order.
inline constexpr int64_t kChunkElements = 128 * 1024;

/// Numbers of graft.v1.Kernel.
enum class Kernel : uint8_t { kCopy = 1, kLinear = 2, kSlerp = 3, kTaskVector = 4 };

/// Numbers of graft.v1.Pruning.
enum class Pruning : uint8_t { kNone = 1, kMagnitude = 2, kBernoulli = 3 };

/// A modification time that is not compared: the owner of the file writes other ranges of it while
/// it is read, and knows by digests that the bytes are right.
inline constexpr int64_t kAnyTime = std::numeric_limits<int64_t>::min();

struct TaskFile {
  std::string path;
  int64_t size_bytes = 0;
  int64_t modified_time_ns = 0;  // or kAnyTime
  int64_t inode = 0;
};

struct OperationInput {
  int file = 0;
  int64_t offset_bytes = 0;  // of the tensor's first byte
  Dtype dtype = Dtype::kUnspecified;
  double weight = 0;
  double density = 1;
  int model_index = 0;
  std::string model;
  std::string tensor;
};

struct OperationDestination {
  int file = 0;
  int64_t offset_bytes = 0;  // of the tensor's first byte
};

struct Operation {
  Kernel kernel = Kernel::kCopy;
  Dtype output_dtype = Dtype::kUnspecified;
  int64_t tensor_element_count = 0;
  int64_t element_start = 0;
  int64_t element_count = 0;
  std::vector<OperationInput> inputs;
  std::vector<OperationDestination> destinations;
  double t = 0;
  Pruning pruning = Pruning::kNone;
  bool elect_sign = false;
  bool normalize = false;
  bool rescale = false;
  double lambda = 1;
  uint64_t seed = 0;
  std::string stream_name;
};

struct Task {
  std::vector<TaskFile> inputs;
  std::vector<std::string> outputs;
  std::vector<Operation> operations;
};

/// Values that are NaN or infinite: counted per operation and input. input -1 is the result itself
/// (an overflow of the output dtype).
struct NonFinite {
  int operation = 0;
  int input = 0;
  int64_t count = 0;
  int64_t first_index = 0;
};

struct TaskResult {
  std::vector<std::string> output_digests;              // per operation
  std::vector<std::vector<std::string>> input_digests;  // per operation, per input
  std::vector<NonFinite> non_finite;
  double cpu_seconds = 0;
};

}  // namespace graft
