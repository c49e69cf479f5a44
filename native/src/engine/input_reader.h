// Reads ranges of an operation's inputs into a thread's arena, each the cheaper way: cached bytes
// through the page cache (copying costs CPU, so inside the gate), others with O_DIRECT (sleeps, so
// outside it).
#pragma once

#include <cstdint>
#include <vector>

#include "engine/file_io.h"
#include "engine/kept_inputs.h"
#include "engine/range.h"
#include "graft/task.h"

namespace graft {

class InputReader {
 public:
  InputReader(const Operation& operation, const std::vector<File>& files, IoCounters* counters,
              KeptInputs* kept);

  int64_t ElementBytes(size_t input) const { return element_bytes_[input]; }
  /// How an input's bytes of one unit get into memory.
  enum class Way { kNotWanted, kKept, kBuffered, kDirect };
  using Plan = std::vector<Way>;

  /// Decides for a unit; what is to be kept for later passes is read here.
  Result<Plan> Choose(Range unit, const std::vector<bool>& wanted);
  static bool AnyDirect(const Plan& plan);

  /// Places for `count` elements of each input in `memory`; data[i] is set by the reads below.
  void Begin(uint8_t* memory, int64_t count);
  Status ReadDirect(const Plan& plan, Range range);
  Status ReadBuffered(const Plan& plan, Range range);

  const uint8_t* data(size_t input) const { return data_[input]; }

 private:
  int64_t FileOffset(size_t input, int64_t element) const;
  const File& FileOf(size_t input) const;

  const Operation& op_;
  const std::vector<File>& files_;
  IoCounters* counters_;
  KeptInputs* kept_;
  std::vector<int64_t> element_bytes_;
  std::vector<uint8_t*> places_;
  std::vector<const uint8_t*> data_;
};

}  // namespace graft
