#include "workbench.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "check.h"
#include "digest/xxh3.h"

namespace graft::test {

TempDirectory::TempDirectory(Place place) {
  constexpr uintmax_t kRoomWanted = 256 << 20;
  std::filesystem::path parent = std::filesystem::temp_directory_path();
  std::error_code missing;
  const std::filesystem::space_info memory = std::filesystem::space("/dev/shm", missing);
  if (place == Place::kMemory && !missing && memory.available >= kRoomWanted) parent = "/dev/shm";
  path_ = (parent / "graft-native-XXXXXX").string();
  if (mkdtemp(path_.data()) == nullptr) {
    std::perror(path_.c_str());
    std::exit(2);
  }
}

TempDirectory::~TempDirectory() {
  std::error_code ignored;  // what is left over is in the system's directory for such things
  std::filesystem::remove_all(path_, ignored);
}

int64_t Place(Bytes* image, const Bytes& tensor, int64_t misalignment) {
  const size_t offset = (image->size() + 4095) / 4096 * 4096 + static_cast<size_t>(misalignment);
  image->resize(offset, 0xee);
  image->insert(image->end(), tensor.begin(), tensor.end());
  return static_cast<int64_t>(offset);
}

TaskFile Pin(const std::string& path) {
  struct stat now = {};
  CHECK_EQ(stat(path.c_str(), &now), 0);
  TaskFile pin;
  pin.path = path;
  pin.size_bytes = now.st_size;
  pin.modified_time_ns = int64_t{now.st_mtim.tv_sec} * 1'000'000'000 + now.st_mtim.tv_nsec;
  pin.inode = static_cast<int64_t>(now.st_ino);
  return pin;
}

TaskFile WriteFile(const std::string& path, const Bytes& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  file.close();
  CHECK(file.good());
  return Pin(path);
}

Bytes ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  CHECK(file.good());
  Bytes bytes(static_cast<size_t>(std::max<std::streamoff>(file.tellg(), 0)));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

Bytes Slice(const Bytes& bytes, int64_t offset, size_t length) {
  const auto from = static_cast<size_t>(offset);
  if (from + length > bytes.size()) {
    CHECK(!"slice beyond the end of a file");
    return {};
  }
  return {bytes.begin() + offset, bytes.begin() + static_cast<std::ptrdiff_t>(from + length)};
}

void Evict(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  CHECK(fd >= 0);
  fdatasync(fd);
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  close(fd);
}

std::string SpanDigest(std::span<const uint8_t> bytes) {
  constexpr size_t kPiece = 131072;
  Bytes digests;
  for (size_t at = 0; at < bytes.size(); at += kPiece) {
    const std::string hex = ToHex(Xxh3(bytes.subspan(at, std::min(kPiece, bytes.size() - at))));
    for (size_t i = 0; i < hex.size(); i += 2) {
      digests.push_back(static_cast<uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    }
  }
  return ToHex(Xxh3(digests));
}

std::unique_ptr<Engine> MakeEngine(const EngineOptions& options) {
  Result<std::unique_ptr<Engine>> engine = Engine::Create(options);
  if (!engine.ok()) {
    std::printf("no engine: %s\n", engine.status().code().c_str());
    std::exit(2);
  }
  return std::move(engine.value());
}

std::unique_ptr<Engine> MakeEngine(int thread_count, int64_t tile_bytes) {
  EngineOptions options;
  options.thread_count = thread_count;
  options.tile_bytes = tile_bytes;
  return MakeEngine(options);
}

AbortFlag NoAbort() { return std::make_shared<std::atomic<bool>>(false); }

TaskResult RunTask(Engine& engine, const Task& task) {
  const Result<TaskResult> result = engine.Run(task, NoAbort());
  if (result.ok()) return result.value();
  CHECK_EQ(result.status().code(), "");
  for (const auto& [key, value] : result.status().details()) {
    std::printf("    %s: %s\n", key.c_str(), value.c_str());
  }
  TaskResult empty;
  empty.output_digests.resize(task.operations.size());
  for (const Operation& operation : task.operations) {
    empty.input_digests.emplace_back(operation.inputs.size());
  }
  return empty;
}

std::string RunForCode(Engine& engine, const Task& task) {
  const Result<TaskResult> result = engine.Run(task, NoAbort());
  return result.ok() ? "" : result.status().code();
}

std::string Detail(const Status& status, const std::string& name) {
  for (const auto& [key, value] : status.details()) {
    if (key == name) return value;
  }
  return "";
}

Bytes RandomBytes(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  Bytes bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random() >> 56);
  return bytes;
}

}  // namespace graft::test
