// Whole-file chores around a merge: preparing, syncing, re-reading and measuring. Blocking; callers
// bring their own thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "graft/engine.h"
#include "graft/status.h"
#include "graft/task.h"

namespace graft {

/// Creates the file or keeps an existing one, gives it its final size with blocks reserved, and
/// writes the header at its start. Data bytes of an existing file of that size stay.
Status PrepareFile(const std::string& path, int64_t size_bytes, std::span<const uint8_t> header);

/// fsync. LOST_WRITE when the kernel reports an I/O error: the pages are then marked clean and a
/// second fsync would lie, so the file has to be written again.
Status SyncFile(const std::string& path);

struct FileSpan {
  int64_t offset_bytes = 0;
  int64_t length_bytes = 0;
};

struct FileDigests {
  int64_t size_bytes = 0;
  std::string sha256;  // 64 hex digits, empty when not asked for
  std::vector<std::string> spans;
};

/// Reads the whole file once, from the device where it can, and digests it and the given spans
/// (each with its own piece grid, starting at the span's first byte). `progress` gets the bytes
/// read so far now and then.
Result<FileDigests> DigestFile(const std::string& path, const std::vector<FileSpan>& spans,
                               bool sha256, const AbortFlag& abort,
                               const std::function<void(int64_t)>& progress);

struct RangeBytes {
  std::vector<uint8_t> data;
  std::string digest;  // XXH3-128 of data
};

/// One range of a pinned file, for peers. INPUT_CHANGED when the file is another one by now.
Result<RangeBytes> ReadRange(const TaskFile& file, int64_t offset_bytes, int64_t length_bytes);

struct StorageRates {
  double read_bytes_per_second = 0;
  double write_bytes_per_second = 0;
};

/// Writes a scratch file of `size_bytes` into the directory and reads it back the way the engine
/// does, then removes it.
Result<StorageRates> MeasureStorage(const std::string& directory, int64_t size_bytes);

}  // namespace graft
