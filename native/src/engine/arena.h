// Buffer memory backed by huge pages: with 4 KiB pages O_DIRECT is half as fast. Grows, never
// shrinks; pages are touched when they are first used.
#pragma once

#include <cstddef>
#include <cstdint>

namespace graft {

class Arena {
 public:
  Arena() = default;
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// At least `bytes` of memory, 2 MiB aligned; the content is lost when it has to grow. Returns
  /// nullptr when the system refuses.
  uint8_t* Reserve(size_t bytes);
  size_t size() const { return size_; }

 private:
  void Release();

  uint8_t* memory_ = nullptr;
  size_t size_ = 0;
  void* mapping_ = nullptr;
  size_t mapping_size_ = 0;
};

}  // namespace graft
