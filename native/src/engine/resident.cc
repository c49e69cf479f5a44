#include "engine/resident.h"

#include <algorithm>
#include <utility>

namespace graft {

ResidentPool::Lease::Lease(ResidentPool* pool, std::unique_ptr<Arena> arena)
    : pool_(pool), arena_(std::move(arena)) {}

ResidentPool::Lease& ResidentPool::Lease::operator=(Lease&& other) noexcept {
  if (arena_ != nullptr) pool_->Give(std::move(arena_));
  pool_ = other.pool_;
  arena_ = std::move(other.arena_);
  return *this;
}

ResidentPool::Lease::~Lease() {
  if (arena_ != nullptr) pool_->Give(std::move(arena_));
}

ResidentPool::Lease ResidentPool::TryTake(int64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto arena = free_.rbegin(); arena != free_.rend(); ++arena) {
    if (static_cast<int64_t>((*arena)->size()) < bytes) continue;
    std::unique_ptr<Arena> taken = std::move(*arena);
    free_.erase(std::next(arena).base());
    return Lease(this, std::move(taken));
  }
  // Too small ones make room for one that fits.
  while (bytes_ + bytes > bytes_max_ && !free_.empty()) {
    bytes_ -= static_cast<int64_t>(free_.front()->size());
    free_.erase(free_.begin());
  }
  if (bytes_ + bytes > bytes_max_) return Lease();
  auto arena = std::make_unique<Arena>();
  if (arena->Reserve(static_cast<size_t>(bytes)) == nullptr) return Lease();
  bytes_ += static_cast<int64_t>(arena->size());
  return Lease(this, std::move(arena));
}

void ResidentPool::Give(std::unique_ptr<Arena> arena) {
  const std::lock_guard<std::mutex> lock(mutex_);
  free_.push_back(std::move(arena));
}

}  // namespace graft
