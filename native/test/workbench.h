// Files and engines for the tests that run whole operations: a directory that goes away, tensors at
// odd places in files, pins, and the digest of a span written out from its definition.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graft/engine.h"
#include "graft/task.h"

namespace graft::test {

using Bytes = std::vector<uint8_t>;

/// A fresh directory, removed with everything in it at the end.
class TempDirectory {
 public:
  /// Where O_DIRECT and the page cache behave as they do for models.
  enum class Place { kDisk, kMemory };
  /// kMemory asks for a file system in memory, for tests of arithmetic that write thousands of
  /// files; it is the usual place where there is none with room.
  explicit TempDirectory(Place place = Place::kDisk);
  ~TempDirectory();
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  std::string File(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Adds the tensor to the file image at `misalignment` bytes past a page border; returns its
/// offset.
int64_t Place(Bytes* image, const Bytes& tensor, int64_t misalignment);

TaskFile Pin(const std::string& path);
TaskFile WriteFile(const std::string& path, const Bytes& bytes);
Bytes ReadFile(const std::string& path);
Bytes Slice(const Bytes& bytes, int64_t offset, size_t length);
/// Writes the file back and drops it from the page cache, as far as the system lets us.
void Evict(const std::string& path);

/// XXH3-128 of every 128 KiB piece, then XXH3-128 of those digests in order.
std::string SpanDigest(std::span<const uint8_t> bytes);

std::unique_ptr<Engine> MakeEngine(const EngineOptions& options);
/// A tile of 0 is the default, one of 1 byte the smallest: one chunk.
std::unique_ptr<Engine> MakeEngine(int thread_count, int64_t tile_bytes = 0);
AbortFlag NoAbort();
/// Runs a task that has to succeed; an empty result after a reported failure.
TaskResult RunTask(Engine& engine, const Task& task);
/// The code of the error that a task ends with, empty for none.
std::string RunForCode(Engine& engine, const Task& task);
/// The value of a detail, empty when the error has none of that name.
std::string Detail(const Status& status, const std::string& name);

Bytes RandomBytes(size_t count, uint64_t seed);

}  // namespace graft::test
