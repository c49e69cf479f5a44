// Reads headers from memory and from files. A length is judged before anything is allocated for it.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "digest/xxh3.h"
#include "format/entry.h"
#include "format/header_parser.h"
#include "graft/format.h"

namespace graft {
namespace {

using Bytes = std::span<const uint8_t>;

constexpr uint64_t kHeaderBytesMin = 2;  // {}
constexpr std::string_view kLfsPointerStart = "version https://git-lfs.github.com/spec/";

uint64_t LoadLittleEndian64(Bytes bytes) {
  uint64_t value = 0;
  for (size_t i = 8; i-- > 0;) value = (value << 8) | bytes[i];
  return value;
}

/// The header length that a file of `file_bytes` bytes starting with `start` declares, if possible.
Result<uint64_t> HeaderLength(Bytes start, uint64_t file_bytes, const std::string& path) {
  if (std::equal(kLfsPointerStart.begin(), kLfsPointerStart.end(), start.begin(),
                 start.begin() + std::min(start.size(), kLfsPointerStart.size()))) {
    return Status::Error("LFS_POINTER", {{"path", path}});
  }
  if (file_bytes < kHeaderLengthFieldBytes + kHeaderBytesMin) {
    return Status::Error("ST_TOO_SHORT", {{"path", path}, {"size", std::to_string(file_bytes)}});
  }
  const uint64_t length = LoadLittleEndian64(start);
  const uint64_t allowed = std::min(kHeaderBytesMax, file_bytes - kHeaderLengthFieldBytes);
  if (length >= kHeaderBytesMin && length <= allowed) return length;
  return Status::Error(
      "ST_HEADER_LENGTH",
      {{"path", path}, {"length", std::to_string(length)}, {"allowed", std::to_string(allowed)}});
}

/// Parses `prefix`, the length field and header of a file of `file_bytes` bytes.
Result<Header> ParsePrefix(Bytes prefix, uint64_t file_bytes, const std::string& path) {
  Result<Header> parsed =
      ParseHeader(prefix.subspan(kHeaderLengthFieldBytes), file_bytes - prefix.size(), path);
  if (parsed.ok()) parsed.value().header_digest = ToHex(Xxh3(prefix));
  return parsed;
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int number) : number_(number) {}
  ~FileDescriptor() {
    if (number_ >= 0) ::close(number_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return number_; }

 private:
  int number_;
};

/// Fills `bytes` from `offset`; a file that ends before is one that shrank since its size was
/// taken.
Status ReadExactly(int file, std::span<uint8_t> bytes, uint64_t offset, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t count = ::pread(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Status::FromErrno(errno, path, "read");
    if (count == 0) {
      return Status::Error("INPUT_CHANGED", {{"path", path}, {"what", "it became shorter"}});
    }
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return Status::Ok();
}

/// Since 1970. Times that 64 bits cannot hold wrap around: the value only pins the file.
int64_t Nanoseconds(const timespec& time) {
  return static_cast<int64_t>(static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 +
                              static_cast<uint64_t>(time.tv_nsec));
}

}  // namespace

Result<Header> ParseHeader(Bytes header_json, uint64_t data_bytes, const std::string& path) {
  if (header_json.size() < kHeaderBytesMin || header_json.size() > kHeaderBytesMax) {
    return Status::Error("ST_HEADER_LENGTH", {{"path", path},
                                              {"length", std::to_string(header_json.size())},
                                              {"allowed", std::to_string(kHeaderBytesMax)}});
  }
  HeaderParser parser(header_json, path);
  if (Status status = parser.Run(); !status.ok()) return status;
  std::vector<Entry>& entries = parser.entries();
  const uint64_t data_start = kHeaderLengthFieldBytes + header_json.size();
  if (Status status = CheckNames(entries, path); !status.ok()) return status;
  if (Status status = CheckLayout(entries, data_start, data_bytes, path); !status.ok()) {
    return status;
  }
  Header header;
  header.tensors.reserve(entries.size());
  for (const Entry& entry : entries) {
    header.tensors.push_back({.name = std::string(entry.name),
                              .dtype = entry.dtype,
                              .shape = parser.ShapeOf(entry),
                              .offset_bytes = data_start + entry.begin,
                              .length_bytes = entry.end - entry.begin});
  }
  return header;
}

Result<Header> ParseFile(Bytes file, const std::string& path) {
  const Result<uint64_t> length = HeaderLength(file, file.size(), path);
  if (!length.ok()) return length.status();
  return ParsePrefix(file.first(kHeaderLengthFieldBytes + length.value()), file.size(), path);
}

Result<Header> ReadHeader(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  // Opening a socket by name gives ENXIO; other special files open and are told apart by fstat.
  if (file.get() < 0 && errno == ENXIO) return Status::Error("NOT_A_FILE", {{"path", path}});
  if (file.get() < 0) return Status::FromErrno(errno, path, "open");
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return Status::FromErrno(errno, path, "stat");
  if (!S_ISREG(info.st_mode)) return Status::Error("NOT_A_FILE", {{"path", path}});
  const auto file_bytes = static_cast<uint64_t>(info.st_size);

  std::array<uint8_t, kLfsPointerStart.size()> start{};
  const std::span<uint8_t> head(start.data(), std::min<uint64_t>(start.size(), file_bytes));
  if (Status status = ReadExactly(file.get(), head, 0, path); !status.ok()) return status;
  const Result<uint64_t> length = HeaderLength(head, file_bytes, path);
  if (!length.ok()) return length.status();

  const uint64_t prefix_bytes = kHeaderLengthFieldBytes + length.value();
  const auto buffer = std::make_unique_for_overwrite<uint8_t[]>(prefix_bytes);
  const std::span<uint8_t> prefix(buffer.get(), prefix_bytes);
  if (Status status = ReadExactly(file.get(), prefix, 0, path); !status.ok()) return status;
  // The length may have changed between the two reads; only the checked one was allocated for.
  if (LoadLittleEndian64(prefix) != length.value()) {
    return Status::Error("INPUT_CHANGED", {{"path", path}, {"what", "its header length"}});
  }
  Result<Header> header = ParsePrefix(prefix, file_bytes, path);
  if (!header.ok()) return header;
  header.value().size_bytes = file_bytes;
  header.value().modified_time_ns = Nanoseconds(info.st_mtim);
  header.value().inode = info.st_ino;
  return header;
}

}  // namespace graft
