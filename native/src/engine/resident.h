// Memory that keeps a tensor's inputs from one pass to the next, so that a method that looks twice
// reads the device once. Only bytes that did not come from the page cache are kept: those are cheap
// to read again, and fresh memory is not. Never blocks: what does not fit is read again.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/arena.h"

namespace graft {

class ResidentPool {
 public:
  explicit ResidentPool(int64_t bytes_max) : bytes_max_(bytes_max) {}

  /// Gives its memory back when it goes.
  class Lease {
   public:
    Lease() = default;
    Lease(ResidentPool* pool, std::unique_ptr<Arena> arena);
    Lease(Lease&&) noexcept = default;
    Lease& operator=(Lease&& other) noexcept;
    ~Lease();

    explicit operator bool() const { return arena_ != nullptr; }
    uint8_t* memory() { return arena_->Reserve(0); }

   private:
    ResidentPool* pool_ = nullptr;
    std::unique_ptr<Arena> arena_;
  };

  /// An empty lease when the bytes do not fit now.
  Lease TryTake(int64_t bytes);

 private:
  void Give(std::unique_ptr<Arena> arena);

  const int64_t bytes_max_;
  std::mutex mutex_;
  int64_t bytes_ = 0;                         // of all arenas, leased and free
  std::vector<std::unique_ptr<Arena>> free_;  // the last one given back is the first one taken
};

}  // namespace graft
