// Ranges of a sparse file, for a cache that keeps parts of large files at their own offsets.
// Blocking; callers bring their own thread and keep ranges that are in use apart.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "graft/status.h"

namespace graft {

/// Writes the bytes at the offset when their XXH3-128 is `digest` (32 hex digits); false, with
/// nothing written, when it is not. The file must exist.
Result<bool> WriteRange(const std::string& path, int64_t offset_bytes,
                        std::span<const uint8_t> bytes, const std::string& digest);

/// XXH3-128 of a range, 32 hex digits; empty when the file ends before it.
Result<std::string> DigestRange(const std::string& path, int64_t offset_bytes,
                                int64_t length_bytes);

/// Makes the range zeros and gives its blocks back; the size stays. False where the file system
/// cannot.
Result<bool> FreeRange(const std::string& path, int64_t offset_bytes, int64_t length_bytes);

}  // namespace graft
