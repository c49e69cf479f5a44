// The yardstick of the benchmarks: reads every input once and writes every output once, as fast as
// pread and O_DIRECT can, and computes nothing. Stands alone: it shares no code with its subject.
//   probe --out FILE [--out FILE...] --bytes N[,N...] [--readers 0|1|2] IN...
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr uint64_t kBlockBytes = 4 << 20;         // of O_DIRECT: 2 to 8 MiB are within 10 %
constexpr uint64_t kResidentStepBytes = 1 << 20;  // of copies from the page cache
constexpr uint64_t kDirectAlignment = 4096;
constexpr size_t kSlotCount = 4;
constexpr size_t kHugePageBytes = 2 << 20;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "probe: %s\n", what.c_str());
  std::exit(1);
}

[[noreturn]] void DieErrno(const std::string& path, const char* operation) {
  Die(path + ": " + operation + ": " + std::strerror(errno));
}

uint64_t RoundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

/// A piece of one file, and how much of all files lies up to its end.
struct Chunk {
  size_t file;
  uint64_t offset;
  uint64_t bytes;
  uint64_t total_end;
};

std::vector<Chunk> Split(const std::vector<uint64_t>& sizes) {
  std::vector<Chunk> chunks;
  uint64_t total = 0;
  for (size_t file = 0; file < sizes.size(); ++file) {
    for (uint64_t offset = 0; offset < sizes[file]; offset += kBlockBytes) {
      const uint64_t bytes = std::min(kBlockBytes, sizes[file] - offset);
      total += bytes;
      chunks.push_back({file, offset, bytes, total});
    }
  }
  return chunks;
}

/// Whether at least 90 % of a file's pages are in the page cache. Has no side effects on them.
bool IsResident(int fd, uint64_t size) {
  struct {
    uint64_t offset, length;
  } range = {0, 0};
  struct {
    uint64_t cached, dirty, writeback, evicted, recently_evicted;
  } counts{};
  constexpr long kCachestat = 451;  // Linux 6.5; older C libraries have no name for it
  const uint64_t page_bytes = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const uint64_t page_count = RoundUp(size, page_bytes) / page_bytes;
  if (::syscall(kCachestat, fd, &range, &counts, 0) == 0) {
    return counts.cached * 10 >= page_count * 9;
  }
  if (size == 0) return true;
  void* mapping = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (mapping == MAP_FAILED) return false;
  std::vector<unsigned char> in_core(page_count);
  const bool known = ::mincore(mapping, size, in_core.data()) == 0;
  ::munmap(mapping, size);
  const auto cached = std::count_if(in_core.begin(), in_core.end(),
                                    [](unsigned char flags) { return (flags & 1) != 0; });
  return known && static_cast<uint64_t>(cached) * 10 >= page_count * 9;
}

/// Opens for O_DIRECT where the file system can, else plainly.
int OpenDirect(const std::string& path, int flags) {
  int fd = ::open(path.c_str(), flags | O_DIRECT | O_CLOEXEC, 0644);
  if (fd < 0 && errno == EINVAL) fd = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  if (fd < 0) DieErrno(path, "open");
  return fd;
}

class Input {
 public:
  explicit Input(const std::string& path) : path_(path), fd_(OpenDirect(path, O_RDONLY)) {
    struct stat info {};
    if (::fstat(fd_, &info) != 0) DieErrno(path, "stat");
    size_ = static_cast<uint64_t>(info.st_size);
    resident_ = IsResident(fd_, size_);
    if (resident_ && ::fcntl(fd_, F_SETFL, 0) != 0) DieErrno(path, "fcntl");  // drops O_DIRECT
  }

  uint64_t size() const { return size_; }
  bool resident() const { return resident_; }

  void Read(const Chunk& chunk, uint8_t* to) const {
    uint64_t done = 0;
    while (done < chunk.bytes) {
      const uint64_t rest = chunk.bytes - done;
      const uint64_t step =
          resident_ ? std::min(rest, kResidentStepBytes) : RoundUp(rest, kDirectAlignment);
      const ssize_t count = ::pread(fd_, to + done, step, static_cast<off_t>(chunk.offset + done));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) DieErrno(path_, "read");
      if (count == 0) Die(path_ + ": became shorter");
      done += static_cast<uint64_t>(count);
    }
  }

 private:
  std::string path_;
  int fd_;  // closed by the end of the process, like the output's
  uint64_t size_ = 0;
  bool resident_ = false;
};

class Output {
 public:
  Output(const std::string& path, uint64_t size)
      : path_(path), size_(size), fd_(OpenDirect(path, O_WRONLY | O_CREAT | O_EXCL)) {
    if (size_ > 0 && ::fallocate(fd_, 0, 0, static_cast<off_t>(size_)) != 0 &&
        errno != EOPNOTSUPP) {
      DieErrno(path_, "fallocate");
    }
  }

  /// Writes whole aligned pages; Finish cuts what the last one has too much.
  void Write(const Chunk& chunk, const uint8_t* from) const {
    const uint64_t bytes = RoundUp(chunk.bytes, kDirectAlignment);
    uint64_t done = 0;
    while (done < bytes) {
      const ssize_t count =
          ::pwrite(fd_, from + done, bytes - done, static_cast<off_t>(chunk.offset + done));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) DieErrno(path_, "write");
      done += static_cast<uint64_t>(count);
    }
  }

  void Finish() const {
    if (size_ % kDirectAlignment != 0 && ::ftruncate(fd_, static_cast<off_t>(size_)) != 0) {
      DieErrno(path_, "truncate");
    }
    if (::fsync(fd_) != 0) DieErrno(path_, "fsync");
  }

 private:
  std::string path_;
  uint64_t size_;
  int fd_;
};

/// Touched huge pages, 2 MiB aligned: with small pages O_DIRECT is half as fast.
uint8_t* MakeBuffer(size_t bytes) {
  void* memory = std::aligned_alloc(kHugePageBytes, RoundUp(bytes, kHugePageBytes));
  if (memory == nullptr) Die("out of memory");
  ::madvise(memory, bytes, MADV_HUGEPAGE);  // only a hint: without it the probe is slower
  std::memset(memory, 0, bytes);
  return static_cast<uint8_t*>(memory);
}

/// What is to be moved. Input chunk k lies in slot k % slot_count while it waits to be written.
struct Job {
  std::vector<Input> inputs;
  std::vector<Output> outputs;
  std::vector<Chunk> reads;
  std::vector<Chunk> writes;
  uint8_t* buffer = nullptr;
  size_t slot_count = kSlotCount;

  uint8_t* Slot(size_t read_index) const {
    return buffer + (read_index % slot_count) * kBlockBytes;
  }
  void Read(size_t read_index) const {
    const Chunk& chunk = reads[read_index];
    inputs[chunk.file].Read(chunk, Slot(read_index));
  }
  /// Writes what is due once input chunk `read_index` is there, from `next_write` on.
  void WriteDue(size_t read_index, size_t& next_write) const {
    if (writes.empty()) return;
    const auto read_total = static_cast<double>(reads.back().total_end);
    const auto write_total = static_cast<double>(writes.back().total_end);
    const bool last = read_index + 1 == reads.size();
    const auto due = static_cast<uint64_t>(static_cast<double>(reads[read_index].total_end) *
                                           (write_total / read_total));
    for (; next_write < writes.size(); ++next_write) {
      const Chunk& chunk = writes[next_write];
      if (!last && chunk.total_end > due) return;
      outputs[chunk.file].Write(chunk, Slot(read_index));
    }
  }
};

void RunAlternating(const Job& job) {
  size_t next_write = 0;
  for (size_t i = 0; i < job.reads.size(); ++i) {
    job.Read(i);
    job.WriteDue(i, next_write);
  }
}

/// Readers fill slots ahead of the writer, which is the calling thread and takes them in order.
void RunOverlapped(const Job& job, size_t reader_count) {
  std::mutex mutex;
  std::condition_variable changed;
  size_t next_read = 0;                       // guarded by mutex, like the next two
  size_t written = 0;                         // input chunks whose slot is free again
  std::vector<bool> ready(job.reads.size());  // input chunks that are in their slot
  const auto read = [&] {
    while (true) {
      std::unique_lock lock(mutex);
      const size_t index = next_read++;
      if (index >= job.reads.size()) return;
      changed.wait(lock, [&] { return index < written + job.slot_count; });
      lock.unlock();
      job.Read(index);
      lock.lock();
      ready[index] = true;
      changed.notify_all();
    }
  };
  std::vector<std::jthread> readers;
  for (size_t i = 0; i < reader_count; ++i) readers.emplace_back(read);
  size_t next_write = 0;
  for (size_t i = 0; i < job.reads.size(); ++i) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return ready[i]; });
    lock.unlock();
    job.WriteDue(i, next_write);
    lock.lock();
    ++written;
    changed.notify_all();
  }
}

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Options {
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<uint64_t> output_bytes;
  int reader_count = -1;  // -1: whatever is fastest
};

std::vector<uint64_t> ParseSizes(const std::string& list) {
  std::vector<uint64_t> sizes;
  for (size_t at = 0; at <= list.size();) {
    const size_t end = std::min(list.find(',', at), list.size());
    const std::string item = list.substr(at, end - at);
    if (item.empty() || item.find_first_not_of("0123456789") != std::string::npos) {
      Die("--bytes: expected N[,N...], got " + list);
    }
    sizes.push_back(std::strtoull(item.c_str(), nullptr, 10));
    at = end + 1;
  }
  return sizes;
}

Options ParseOptions(std::span<char*> arguments) {
  Options options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view name = arguments[i];
    if (!name.starts_with("--")) {
      options.inputs.emplace_back(name);
      continue;
    }
    if (++i == arguments.size()) Die(std::string(name) + ": expected a value");
    const std::string value = arguments[i];
    if (name == "--out") {
      options.outputs.push_back(value);
    } else if (name == "--bytes") {
      options.output_bytes = ParseSizes(value);
    } else if (name == "--readers" && (value == "0" || value == "1" || value == "2")) {
      options.reader_count = value[0] - '0';
    } else {
      Die(std::string(name) + " " + value + ": no such flag or value");
    }
  }
  if (options.inputs.empty()) Die("expected at least one input file");
  if (options.output_bytes.size() != options.outputs.size()) {
    Die("expected one size in --bytes for each --out");
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = ParseOptions({argv + 1, static_cast<size_t>(argc - 1)});
  // Left-over outputs and the first touch of the buffer are not part of the work.
  for (const std::string& path : options.outputs) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) DieErrno(path, "unlink");
  }
  Job job;
  job.buffer = MakeBuffer(kSlotCount * kBlockBytes);

  const auto start = std::chrono::steady_clock::now();
  const double cpu_start = CpuSeconds();
  std::vector<uint64_t> input_bytes;
  for (const std::string& path : options.inputs) {
    input_bytes.push_back(job.inputs.emplace_back(path).size());
  }
  for (size_t i = 0; i < options.outputs.size(); ++i) {
    job.outputs.emplace_back(options.outputs[i], options.output_bytes[i]);
  }
  job.reads = Split(input_bytes);
  job.writes = Split(options.output_bytes);
  if (job.reads.empty()) Die("the inputs are empty");
  const bool resident = std::any_of(job.inputs.begin(), job.inputs.end(),
                                    [](const Input& input) { return input.resident(); });
  // Two cold transfers share one device queue and gain nothing by overlapping; copies from the page
  // cache run beside a write.
  const int readers = options.reader_count >= 0 ? options.reader_count : resident ? 1 : 0;
  if (readers == 0) {
    job.slot_count = 1;  // a small buffer stays in the cache
    RunAlternating(job);
  } else {
    RunOverlapped(job, static_cast<size_t>(readers));
  }
  for (const Output& output : job.outputs) output.Finish();
  const double cpu_seconds = CpuSeconds() - cpu_start;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  const auto sum = [](const std::vector<uint64_t>& values) {
    return static_cast<unsigned long long>(
        std::accumulate(values.begin(), values.end(), uint64_t{0}));
  };
  std::printf(
      "{\"seconds\":%.6f,\"read_bytes\":%llu,\"written_bytes\":%llu,\"cpu_seconds\":%.6f,"
      "\"resident\":%s,\"readers\":%d}\n",
      elapsed.count(), sum(input_bytes), sum(options.output_bytes), cpu_seconds,
      resident ? "true" : "false", readers);
  return 0;
}
