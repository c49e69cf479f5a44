#include "engine/arena.h"

#include <sys/mman.h>

namespace graft {
namespace {
constexpr size_t kHugePage = size_t{2} << 20;
}

Arena::~Arena() { Release(); }

void Arena::Release() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_size_);
  mapping_ = nullptr;
  memory_ = nullptr;
  size_ = 0;
}

uint8_t* Arena::Reserve(size_t bytes) {
  if (bytes <= size_) return memory_;
  Release();
  const size_t size = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  const size_t mapping_size = size + kHugePage;
  void* mapping =
      mmap(nullptr, mapping_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return nullptr;
  const auto address = reinterpret_cast<uintptr_t>(mapping);
  const uintptr_t aligned = (address + kHugePage - 1) / kHugePage * kHugePage;
  mapping_ = mapping;
  mapping_size_ = mapping_size;
  memory_ = reinterpret_cast<uint8_t*>(aligned);
  size_ = size;
#ifdef MADV_HUGEPAGE
  madvise(memory_, size_,
          MADV_HUGEPAGE);  // advice only: without it the engine is slower, not wrong
#endif
  return memory_;
}

}  // namespace graft
