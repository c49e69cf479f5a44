// Reads ranges of an operation's inputs into a thread's arena, each the cheaper way: resident bytes
// through the page cache (copying costs CPU, so inside the gate), others with O_DIRECT (sleeps, so
// outside it).
#pragma once

#include <cstdint>
#include <vector>

#include "engine/file_io.h"
#include "graft/task.h"

namespace graft {

/// A run of elements [first, first + count) of the tensor.
struct Range {
  int64_t first = 0;
  int64_t count = 0;
};

class InputReader {
 public:
  InputReader(const Operation& operation, const std::vector<File>& files, IoCounters* counters);

  int64_t ElementBytes(size_t input) const { return element_bytes_[input]; }
  /// Bytes of arena one element of every input takes, and the fixed slack on top.
  int64_t BytesPerElement() const { return bytes_per_element_; }
  int64_t Slack() const {
    return static_cast<int64_t>(element_bytes_.size()) * 2 * kDirectAlignment;
  }

  /// One plan for a unit: how each wanted input is read, decided once.
  struct Plan {
    std::vector<bool> wanted, buffered;
    bool AnyDirect() const;
  };
  Plan Choose(Range range, std::vector<bool> wanted) const;

  /// Places for `count` elements of each input in `memory`; data[i] is set by the reads below.
  void Begin(uint8_t* memory, int64_t count);
  Status ReadDirect(const Plan& plan, Range range);
  Status ReadBuffered(const Plan& plan, Range range);

  const uint8_t* data(size_t input) const { return data_[input]; }

 private:
  const Operation& op_;
  const std::vector<File>& files_;
  IoCounters* counters_;
  std::vector<int64_t> element_bytes_;
  int64_t bytes_per_element_ = 0;
  std::vector<uint8_t*> places_;
  std::vector<const uint8_t*> data_;
};

}  // namespace graft
