#include "graft/sparse.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "digest/xxh3.h"
#include "engine/file_io.h"

namespace graft {

Result<bool> WriteRange(const std::string& path, int64_t offset_bytes,
                        std::span<const uint8_t> bytes, const std::string& digest) {
  if (ToHex(Xxh3(bytes)) != digest) return false;
  // Not O_DIRECT: the bytes are about to be read, so the page cache is where they should be.
  Result<File> file = File::OpenOutput(path, false);
  if (!file.ok()) return file.status();
  IoCounters counters;
  const auto length = static_cast<int64_t>(bytes.size());
  Status status = file.value().Write(offset_bytes, length, bytes.data(), &counters);
  if (!status.ok()) return status;
  return true;
}

Result<std::string> DigestRange(const std::string& path, int64_t offset_bytes,
                                int64_t length_bytes) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Status::FromErrno(errno, path, "open");
  std::vector<uint8_t> bytes(static_cast<size_t>(length_bytes));
  int64_t done = 0;
  while (done < length_bytes) {
    const ssize_t got = pread(fd, bytes.data() + done, static_cast<size_t>(length_bytes - done),
                              offset_bytes + done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      const int error = errno;
      close(fd);
      if (got == 0) return std::string();
      return Status::FromErrno(error, path, "read");
    }
    done += got;
  }
  close(fd);
  return ToHex(Xxh3(bytes));
}

Result<bool> FreeRange(const std::string& path, int64_t offset_bytes, int64_t length_bytes) {
#ifdef FALLOC_FL_PUNCH_HOLE
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return Status::FromErrno(errno, path, "open");
  const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  const bool freed = fallocate(fd, mode, offset_bytes, length_bytes) == 0;
  const int error = errno;
  close(fd);
  if (freed) return true;
  if (error != EOPNOTSUPP && error != ENOSYS) {
    return Status::FromErrno(error, path, "free blocks");
  }
#else
  (void)path, (void)offset_bytes, (void)length_bytes;
#endif
  return false;
}

}  // namespace graft
