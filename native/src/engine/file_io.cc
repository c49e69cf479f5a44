#include "engine/file_io.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace graft {
namespace {

constexpr double kResidentShare = 0.9;
constexpr int64_t kPage = 4096;

/// cachestat(2), Linux 6.5: resident pages of a range without side effects. -1 when unavailable.
int64_t ResidentPagesByCachestat(int fd, int64_t offset, int64_t length) {
#ifdef __linux__
  struct Range {
    uint64_t offset, length;
  } range = {static_cast<uint64_t>(offset), static_cast<uint64_t>(length)};
  struct Stat {
    uint64_t cached, dirty, writeback, evicted, recently_evicted;
  } stat = {};
  constexpr long kCachestat = 451;
  if (syscall(kCachestat, fd, &range, &stat, 0) != 0) return -1;
  return static_cast<int64_t>(stat.cached);
#else
  (void)fd, (void)offset, (void)length;
  return -1;
#endif
}

/// mincore(2) on a mapping that is never touched (so no SIGBUS): for kernels before 6.5.
int64_t ResidentPagesByMincore(int fd, int64_t offset, int64_t length) {
  const int64_t start = offset / kPage * kPage;
  const auto size = static_cast<size_t>(offset + length - start);
  void* mapping = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, start);
  if (mapping == MAP_FAILED) return 0;
  std::vector<unsigned char> pages((size + kPage - 1) / kPage);
  int64_t resident = 0;
  if (mincore(mapping, size, pages.data()) == 0) {
    for (unsigned char page : pages) resident += page & 1;
  }
  munmap(mapping, size);
  return resident;
}

Status CheckPin(int fd, const TaskFile& pin) {
  struct stat now;
  if (fstat(fd, &now) != 0) return Status::FromErrno(errno, pin.path, "stat");
  const int64_t modified =
      static_cast<int64_t>(now.st_mtim.tv_sec) * 1'000'000'000 + now.st_mtim.tv_nsec;
  const char* what = nullptr;
  if (now.st_size != pin.size_bytes) {
    what = "size";
  } else if (static_cast<int64_t>(now.st_ino) != pin.inode) {
    what = "replaced by another file";
  } else if (pin.modified_time_ns != kAnyTime && modified != pin.modified_time_ns) {
    what = "modification time";
  }
  if (what == nullptr) return Status::Ok();
  return Status::Error("INPUT_CHANGED", {{"path", pin.path}, {"what", what}});
}

}  // namespace

File::~File() {
  if (buffered_ >= 0) close(buffered_);
  if (direct_ >= 0) close(direct_);
}

File::File(File&& other) noexcept
    : path_(std::move(other.path_)),
      buffered_(std::exchange(other.buffered_, -1)),
      direct_(std::exchange(other.direct_, -1)),
      pin_(std::move(other.pin_)) {}

Result<File> File::OpenInput(const TaskFile& pin, bool direct_io) {
  File file;
  file.path_ = pin.path;
  file.pin_ = pin;
  file.buffered_ = open(pin.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file.buffered_ < 0) return Status::FromErrno(errno, pin.path, "open");
  if (Status status = CheckPin(file.buffered_, pin); !status.ok()) return status;
#ifdef O_DIRECT
  // A file system without O_DIRECT answers EINVAL; reads then go through the page cache.
  if (direct_io) file.direct_ = open(pin.path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT);
#endif
  return file;
}

Result<File> File::OpenOutput(const std::string& path, bool direct_io) {
  File file;
  file.path_ = path;
  file.buffered_ = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file.buffered_ < 0) return Status::FromErrno(errno, path, "open");
#ifdef O_DIRECT
  if (direct_io) file.direct_ = open(path.c_str(), O_WRONLY | O_CLOEXEC | O_DIRECT);
#endif
  return file;
}

bool File::PreferBuffered(int64_t offset, int64_t length) const {
  if (direct_ < 0) return true;
  int64_t resident = ResidentPagesByCachestat(buffered_, offset, length);
  if (resident < 0) resident = ResidentPagesByMincore(buffered_, offset, length);
  return static_cast<double>(resident) * kPage >= kResidentShare * static_cast<double>(length);
}

Status File::ReadBuffered(int64_t offset, int64_t length, uint8_t* to, IoCounters* counters) const {
  int64_t done = 0;
  while (done < length) {
    const ssize_t got =
        pread(buffered_, to + done, static_cast<size_t>(length - done), offset + done);
    if (got < 0) {
      if (errno == EINTR) continue;
      return Status::FromErrno(errno, path_, "read");
    }
    if (got == 0) return Status::Error("INPUT_CHANGED", {{"path", path_}, {"what", "truncated"}});
    done += got;
  }
  counters->read += length;
  counters->page_cache += length;
  return Status::Ok();
}

Status File::ReadDirect(int64_t offset, int64_t length, uint8_t* to, IoCounters* counters) const {
  const int64_t start = offset / kDirectAlignment * kDirectAlignment;
  const int64_t end = offset + length;
  const int64_t aligned_end = (end + kDirectAlignment - 1) / kDirectAlignment * kDirectAlignment;
  int64_t done = 0;
  while (start + done < end) {
    const ssize_t got =
        pread(direct_, to + done, static_cast<size_t>(aligned_end - start - done), start + done);
    if (got < 0) {
      if (errno == EINTR) continue;
      return Status::FromErrno(errno, path_, "read");
    }
    if (got == 0) return Status::Error("INPUT_CHANGED", {{"path", path_}, {"what", "truncated"}});
    done += got;
    // A short direct read is only legal at the end of the file.
    if (done % kDirectAlignment != 0 && start + done < end) {
      return Status::Error("INPUT_CHANGED", {{"path", path_}, {"what", "truncated"}});
    }
  }
  counters->read += length;
  return Status::Ok();
}

Status File::WriteAll(int fd, int64_t offset, int64_t length, const uint8_t* from) const {
  int64_t done = 0;
  while (done < length) {
    const ssize_t put = pwrite(fd, from + done, static_cast<size_t>(length - done), offset + done);
    if (put < 0) {
      if (errno == EINTR) continue;
      return Status::FromErrno(errno, path_, "write");
    }
    if (put == 0) return Status::FromErrno(EIO, path_, "write");
    done += put;
  }
  return Status::Ok();
}

Status File::Write(int64_t offset, int64_t length, const uint8_t* from,
                   IoCounters* counters) const {
  const int64_t end = offset + length;
  int64_t direct_start = (offset + kDirectAlignment - 1) / kDirectAlignment * kDirectAlignment;
  int64_t direct_end = end / kDirectAlignment * kDirectAlignment;
  const auto address = reinterpret_cast<uintptr_t>(from + (direct_start - offset));
  if (direct_ < 0 || direct_start >= direct_end || address % kDirectAlignment != 0) {
    direct_start = direct_end = end;
  }
  if (offset < direct_start) {
    const int64_t head = std::min(direct_start, end) - offset;
    if (Status status = WriteAll(buffered_, offset, head, from); !status.ok()) return status;
#ifdef SYNC_FILE_RANGE_WRITE
    // Starts write-back early, so that the final fsync finds little to do.
    if (head >= (int64_t{1} << 20)) sync_file_range(buffered_, offset, head, SYNC_FILE_RANGE_WRITE);
#endif
  }
  if (direct_start < direct_end) {
    Status status =
        WriteAll(direct_, direct_start, direct_end - direct_start, from + (direct_start - offset));
    if (!status.ok()) return status;
    if (direct_end < end) {
      status = WriteAll(buffered_, direct_end, end - direct_end, from + (direct_end - offset));
      if (!status.ok()) return status;
    }
  }
  counters->written += length;
  return Status::Ok();
}

Status File::CheckUnchanged() const { return CheckPin(buffered_, pin_); }

}  // namespace graft
