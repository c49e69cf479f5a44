// Files as the engine reads and writes them: resident ranges through the page cache, everything
// else with O_DIRECT, always with exact-length checks and never by mmap (a file truncated by
// somebody else would kill the process). Thread-safe: only positioned calls.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "graft/status.h"
#include "graft/task.h"

namespace graft {

/// Alignment of offsets, lengths and addresses for O_DIRECT.
inline constexpr int64_t kDirectAlignment = 4096;

/// Bytes moved, summed over all files of an engine.
struct IoCounters {
  std::atomic<int64_t> read{0};
  std::atomic<int64_t> written{0};
  std::atomic<int64_t> page_cache{0};
};

class File {
 public:
  File() = default;
  ~File();
  File(File&& other) noexcept;
  File& operator=(File&&) = delete;

  /// Opens for reading and checks the pin (INPUT_CHANGED). direct_io false never opens with
  /// O_DIRECT.
  static Result<File> OpenInput(const TaskFile& pin, bool direct_io);
  /// Opens a prepared output file for writing.
  static Result<File> OpenOutput(const std::string& path, bool direct_io);

  /// Whether the range can be read without the device: then buffered reads are cheaper than
  /// O_DIRECT.
  bool PreferBuffered(int64_t offset, int64_t length) const;

  /// Reads exactly `length` bytes through the page cache.
  Status ReadBuffered(int64_t offset, int64_t length, uint8_t* to, IoCounters* counters) const;

  /// Reads the aligned superset of the range with O_DIRECT into `to` (aligned, with room for
  /// length + 2 * kDirectAlignment); the range itself then starts at to + offset %
  /// kDirectAlignment.
  Status ReadDirect(int64_t offset, int64_t length, uint8_t* to, IoCounters* counters) const;

  /// Writes exactly `length` bytes. Whole pages whose memory is aligned like their offset go by
  /// O_DIRECT, the ragged ends through the page cache.
  Status Write(int64_t offset, int64_t length, const uint8_t* from, IoCounters* counters) const;

  /// The pin again, after the last read: the file must still be the one that was opened.
  Status CheckUnchanged() const;

  const std::string& path() const { return path_; }

 private:
  Status WriteAll(int fd, int64_t offset, int64_t length, const uint8_t* from) const;

  std::string path_;
  int buffered_ = -1;
  int direct_ = -1;
  TaskFile pin_;
};

}  // namespace graft
