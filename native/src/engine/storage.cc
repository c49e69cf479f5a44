#include "graft/storage.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <future>
#include <optional>

#include "digest/sha256.h"
#include "digest/xxh3.h"
#include "engine/arena.h"
#include "engine/digest_tree.h"
#include "engine/file_io.h"

namespace graft {
namespace {

constexpr int64_t kBlockBytes = int64_t{4} << 20;

/// Closes a descriptor at the end of a scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

/// The current state of a file as a pin.
Result<TaskFile> PinOf(const std::string& path) {
  struct stat now;
  if (stat(path.c_str(), &now) != 0) return Status::FromErrno(errno, path, "stat");
  if (!S_ISREG(now.st_mode)) return Status::Error("NOT_A_FILE", {{"path", path}});
  TaskFile pin;
  pin.path = path;
  pin.size_bytes = now.st_size;
  pin.modified_time_ns =
      static_cast<int64_t>(now.st_mtim.tv_sec) * 1'000'000'000 + now.st_mtim.tv_nsec;
  pin.inode = static_cast<int64_t>(now.st_ino);
  return pin;
}

/// Reserves blocks, so that a full disk shows now and not after hours; a file system that cannot
/// reserve only gets the size.
Status Allocate(int fd, int64_t size_bytes, const std::string& path) {
#ifdef __linux__
  if (size_bytes > 0 && fallocate(fd, 0, 0, size_bytes) != 0 && errno != EOPNOTSUPP &&
      errno != ENOSYS && errno != EINVAL) {
    return Status::FromErrno(errno, path, "allocate");
  }
#endif
  if (ftruncate(fd, size_bytes) != 0) return Status::FromErrno(errno, path, "resize");
  return Status::Ok();
}

/// Feeds consecutive file blocks to the digests of the spans that they overlap.
class SpanDigester {
 public:
  explicit SpanDigester(const std::vector<FileSpan>& spans) {
    for (size_t i = 0; i < spans.size(); ++i) {
      if (spans[i].length_bytes > 0) order_.push_back(i);
      states_.push_back({spans[i], DigestTree(spans[i].length_bytes), {}});
    }
    std::sort(order_.begin(), order_.end(), [&spans](size_t a, size_t b) {
      return spans[a].offset_bytes < spans[b].offset_bytes;
    });
  }

  void Update(int64_t offset, const uint8_t* bytes, int64_t length) {
    const int64_t end = offset + length;
    for (size_t i = first_; i < order_.size(); ++i) {
      State& state = states_[order_[i]];
      if (state.span.offset_bytes >= end) break;
      const int64_t span_end = state.span.offset_bytes + state.span.length_bytes;
      const int64_t from = std::max(offset, state.span.offset_bytes);
      const int64_t to = std::min(end, span_end);
      if (from < to) Append(state, bytes + (from - offset), to - from);
      if (span_end <= end && i == first_) ++first_;
    }
  }

  std::vector<std::string> Finish() const {
    std::vector<std::string> digests;
    for (const State& state : states_) digests.push_back(state.tree.Finish());
    return digests;
  }

 private:
  struct State {
    FileSpan span;
    DigestTree tree;
    std::vector<uint8_t> pending;  // an incomplete piece
    int64_t done = 0;
  };

  /// Pieces rarely end where file blocks do: what is left over waits for the next block.
  static void Append(State& state, const uint8_t* bytes, int64_t length) {
    if (!state.pending.empty()) {
      const int64_t wanted = kPieceBytes - static_cast<int64_t>(state.pending.size());
      const int64_t taken = std::min(wanted, length);
      state.pending.insert(state.pending.end(), bytes, bytes + taken);
      bytes += taken;
      length -= taken;
      const auto size = static_cast<int64_t>(state.pending.size());
      if (size < kPieceBytes && state.done + size < state.span.length_bytes) return;
      state.tree.Update(state.done, state.pending.data(), size);
      state.done += size;
      state.pending.clear();
    }
    const bool last = state.done + length == state.span.length_bytes;
    const int64_t whole = last ? length : length / kPieceBytes * kPieceBytes;
    if (whole > 0) state.tree.Update(state.done, bytes, whole);
    state.done += whole;
    state.pending.assign(bytes + whole, bytes + length);
  }

  std::vector<State> states_;
  std::vector<size_t> order_;
  size_t first_ = 0;
};

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Status PrepareFile(const std::string& path, int64_t size_bytes, std::span<const uint8_t> header) {
  const Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (file.get() < 0) return Status::FromErrno(errno, path, "create");
  if (Status status = Allocate(file.get(), size_bytes, path); !status.ok()) return status;
  size_t done = 0;
  while (done < header.size()) {
    const ssize_t put =
        pwrite(file.get(), header.data() + done, header.size() - done, static_cast<off_t>(done));
    if (put < 0 && errno != EINTR) return Status::FromErrno(errno, path, "write");
    if (put > 0) done += static_cast<size_t>(put);
  }
  return Status::Ok();
}

Status SyncFile(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (file.get() < 0) return Status::FromErrno(errno, path, "open");
  if (fsync(file.get()) == 0) return Status::Ok();
  if (errno == EIO) return Status::Error("LOST_WRITE", {{"path", path}, {"problem", "fsync: EIO"}});
  return Status::FromErrno(errno, path, "fsync");
}

Result<FileDigests> DigestFile(const std::string& path, const std::vector<FileSpan>& spans,
                               bool sha256, const AbortFlag& abort,
                               const std::function<void(int64_t)>& progress) {
  Result<TaskFile> pin = PinOf(path);
  if (!pin.ok()) return pin.status();
  Result<File> opened = File::OpenInput(pin.value(), true);
  if (!opened.ok()) return opened.status();
  const File& file = opened.value();
  const int64_t size = pin.value().size_bytes;

  // Two buffers: one is digested while the next block arrives.
  constexpr auto kBufferBytes = static_cast<size_t>(kBlockBytes + 2 * kDirectAlignment);
  Arena arena;
  uint8_t* memory = arena.Reserve(2 * kBufferBytes);
  if (memory == nullptr) return Status::FromErrno(ENOMEM, path, "allocate buffers");
  IoCounters counters;
  const auto fetch = [&](int64_t offset) {
    uint8_t* to = memory + (offset / kBlockBytes % 2 == 0 ? 0 : kBufferBytes);
    const int64_t length = std::min(kBlockBytes, size - offset);
    return std::async(std::launch::async, [&file, &counters, offset, length, to] {
      return file.PreferBuffered(offset, length) ? file.ReadBuffered(offset, length, to, &counters)
                                                 : file.ReadDirect(offset, length, to, &counters);
    });
  };
  Sha256 hash;
  SpanDigester digester(spans);
  std::future<Status> next;
  if (size > 0) next = fetch(0);
  for (int64_t offset = 0; offset < size; offset += kBlockBytes) {
    if (Status status = next.get(); !status.ok()) return status;
    if (*abort) return Status::Error("CANCELLED");
    if (offset + kBlockBytes < size) next = fetch(offset + kBlockBytes);
    const uint8_t* block = memory + (offset / kBlockBytes % 2 == 0 ? 0 : kBufferBytes);
    const int64_t length = std::min(kBlockBytes, size - offset);
    if (sha256) hash.Update({block, static_cast<size_t>(length)});
    digester.Update(offset, block, length);
    progress(offset + length);
  }
  FileDigests digests;
  digests.size_bytes = size;
  if (sha256) digests.sha256 = ToHex(hash.Finish());
  digests.spans = digester.Finish();
  return digests;
}

Result<RangeBytes> ReadRange(const TaskFile& pin, int64_t offset_bytes, int64_t length_bytes) {
  Result<File> file = File::OpenInput(pin, false);
  if (!file.ok()) return file.status();
  RangeBytes range;
  range.data.resize(static_cast<size_t>(length_bytes));
  IoCounters counters;
  Status status =
      file.value().ReadBuffered(offset_bytes, length_bytes, range.data.data(), &counters);
  if (status.ok()) status = file.value().CheckUnchanged();
  if (!status.ok()) return status;
  range.digest = ToHex(Xxh3(range.data));
  return range;
}

Result<StorageRates> MeasureStorage(const std::string& directory, int64_t size_bytes) {
  const std::string path = directory + "/.graft-measure-" + std::to_string(getpid());
  const int64_t size = std::max<int64_t>(size_bytes / kBlockBytes, 1) * kBlockBytes;
  struct Remover {
    const std::string& path;
    ~Remover() { unlink(path.c_str()); }
  } remover{path};
  if (Status status = PrepareFile(path, size, {}); !status.ok()) return status;
  Arena arena;
  uint8_t* memory = arena.Reserve(static_cast<size_t>(kBlockBytes + 2 * kDirectAlignment));
  if (memory == nullptr) return Status::FromErrno(ENOMEM, path, "allocate buffers");
  std::fill(memory, memory + kBlockBytes, uint8_t{0x5a});
  IoCounters counters;
  StorageRates rates;
  {
    Result<File> file = File::OpenOutput(path, true);
    if (!file.ok()) return file.status();
    const auto start = std::chrono::steady_clock::now();
    for (int64_t at = 0; at < size; at += kBlockBytes) {
      Status status = file.value().Write(at, kBlockBytes, memory, &counters);
      if (!status.ok()) return status;
    }
    if (Status status = SyncFile(path); !status.ok()) return status;
    rates.write_bytes_per_second = static_cast<double>(size) / SecondsSince(start);
  }
  Result<TaskFile> pin = PinOf(path);
  if (!pin.ok()) return pin.status();
  Result<File> file = File::OpenInput(pin.value(), true);
  if (!file.ok()) return file.status();
  const auto start = std::chrono::steady_clock::now();
  for (int64_t at = 0; at < size; at += kBlockBytes) {
    Status status = file.value().PreferBuffered(at, kBlockBytes)
                        ? file.value().ReadBuffered(at, kBlockBytes, memory, &counters)
                        : file.value().ReadDirect(at, kBlockBytes, memory, &counters);
    if (!status.ok()) return status;
  }
  rates.read_bytes_per_second = static_cast<double>(size) / SecondsSince(start);
  return rates;
}

}  // namespace graft
