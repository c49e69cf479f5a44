// The inputs of one operation that stay in memory from its first pass to its last. Each unit has a
// place of its own, in whole pages of the file: the page on a border is read for both its units, by
// two threads at once.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "engine/file_io.h"
#include "engine/range.h"
#include "engine/resident.h"
#include "graft/task.h"

namespace graft {

class KeptInputs {
 public:
  KeptInputs(const Operation& operation, int64_t unit_elements, ResidentPool* pool);

  /// Before anything is read: looks which inputs the page cache holds and, with `more_passes` to
  /// come, takes memory for the others, if there is room. Any thread; the first call decides.
  void Begin(const std::vector<File>& files, bool more_passes);

  /// Whether the page cache held all of an input at the beginning.
  bool InPageCache(size_t input) const { return in_page_cache_[input] != 0; }

  /// Whether bytes of this input are to be kept at all.
  bool Keeps(size_t input) const { return !images_.empty() && images_[input].memory != nullptr; }
  /// Whether the unit that holds the element has been read.
  bool Has(size_t input, int64_t element) const;
  void SetLoaded(size_t input, int64_t element);
  /// Whether the range is one whole unit, the only thing that can be loaded.
  bool IsUnit(Range range) const;

  /// Where the page of the unit's first byte is in memory, and where an element's first byte is.
  uint8_t* PageOf(size_t input, int64_t unit_first) const;
  const uint8_t* ByteOf(size_t input, int64_t element) const;

  /// After the last pass.
  void End() { lease_ = ResidentPool::Lease(); }

 private:
  struct Image {
    uint8_t* memory = nullptr;
    int64_t unit_bytes = 0;  // from one unit's place to the next
  };
  int64_t FileOffset(size_t input, int64_t element) const;
  int64_t Unit(int64_t element) const;
  size_t Slot(size_t input, int64_t element) const;

  const Operation& op_;
  const int64_t unit_elements_;
  ResidentPool* const pool_;
  std::once_flag begun_;
  ResidentPool::Lease lease_;
  std::vector<uint8_t> in_page_cache_;
  std::vector<Image> images_;
  // Per unit and input. Written by the unit's thread in one pass, read in later ones: the engine's
  // queue orders the two.
  std::vector<uint8_t> loaded_;
};

}  // namespace graft
