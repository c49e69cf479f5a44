// The strict safetensors reader. It accepts less than the reference reader (duplicate names,
// leading spaces and the like are refused, each with its own code) and never more.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "graft/dtype.h"
#include "graft/status.h"

namespace graft {

inline constexpr uint64_t kHeaderLengthFieldBytes = 8;
inline constexpr uint64_t kHeaderBytesMax = 100'000'000;
inline constexpr uint64_t kTensorCountMax = 1'000'000;
inline constexpr uint64_t kRankMax = 64;
inline constexpr uint64_t kDimensionMax = uint64_t{1} << 48;

struct HeaderTensor {
  std::string name;
  Dtype dtype = Dtype::kUnspecified;
  std::vector<int64_t> shape;
  uint64_t offset_bytes = 0;  // from the start of the file; any alignment
  uint64_t length_bytes = 0;
};

struct Header {
  /// What pins the file: zero where the header did not come from a file.
  uint64_t size_bytes = 0;
  int64_t modified_time_ns = 0;
  uint64_t inode = 0;
  /// XXH3-128 of the length field and the header, 32 hex digits; empty from ParseHeader.
  std::string header_digest;
  /// In file order. Tensors without bytes that share an offset are in order of name.
  std::vector<HeaderTensor> tensors;
};

/// Checks the JSON part of a file whose data section has `data_bytes` bytes. `path` is for
/// messages. Fails with an ST_* code. Time is linear in the header but for one sort; scratch memory
/// stays below the header's own size plus the result.
Result<Header> ParseHeader(std::span<const uint8_t> header_json, uint64_t data_bytes,
                           const std::string& path);

/// The same for the bytes of a whole file, length field included.
Result<Header> ParseFile(std::span<const uint8_t> file, const std::string& path);

/// Opens `path` and reads only its header. Never blocks on a FIFO or device; allocates nothing that
/// depends on the length field before that field is checked. Fails with NOT_A_FILE, LFS_POINTER, an
/// ST_* code, INPUT_CHANGED (the file shrank meanwhile), IO or PERMISSION.
Result<Header> ReadHeader(const std::string& path);

}  // namespace graft
