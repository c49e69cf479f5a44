#include "engine/kept_inputs.h"

#include <algorithm>

namespace graft {
namespace {

int64_t PageFloor(int64_t offset) { return offset / kDirectAlignment * kDirectAlignment; }

}  // namespace

KeptInputs::KeptInputs(const Operation& operation, int64_t unit_elements, ResidentPool* pool)
    : op_(operation), unit_elements_(unit_elements), pool_(pool) {}

int64_t KeptInputs::FileOffset(size_t input, int64_t element) const {
  const OperationInput& from = op_.inputs[input];
  return from.offset_bytes + element * FindDtype(from.dtype)->size_bytes;
}

void KeptInputs::Begin(const std::vector<File>& files) {
  std::call_once(begun_, [&] {
    const int64_t end = op_.element_start + op_.element_count;
    std::vector<int64_t> sizes;
    int64_t total = 0;
    for (size_t i = 0; i < op_.inputs.size(); ++i) {
      const int64_t first_byte = FileOffset(i, op_.element_start);
      const int64_t length = FileOffset(i, end) - first_byte;
      const bool cached =
          files[static_cast<size_t>(op_.inputs[i].file)].PreferBuffered(first_byte, length);
      const int64_t pages = PageFloor(FileOffset(i, end) + kDirectAlignment - 1);
      sizes.push_back(cached ? 0 : pages - PageFloor(first_byte));
      total += sizes.back();
    }
    if (total == 0) return;
    lease_ = pool_->TryTake(total);
    if (!lease_) return;
    uint8_t* memory = lease_.memory();
    for (size_t i = 0; i < sizes.size(); ++i) {
      const int64_t start = PageFloor(FileOffset(i, op_.element_start));
      images_.push_back({sizes[i] > 0 ? memory : nullptr, start});
      memory += sizes[i];
    }
    loaded_.resize(Slot(0, end - 1) + op_.inputs.size());
  });
}

size_t KeptInputs::Slot(size_t input, int64_t element) const {
  const int64_t unit = (element - op_.element_start) / unit_elements_;
  return static_cast<size_t>(unit) * op_.inputs.size() + input;
}

bool KeptInputs::Has(size_t input, int64_t element) const {
  return Keeps(input) && loaded_[Slot(input, element)] != 0;
}

bool KeptInputs::IsUnit(Range range) const {
  const int64_t at = range.first - op_.element_start;
  return at % unit_elements_ == 0 &&
         range.count == std::min(unit_elements_, op_.element_count - at);
}

void KeptInputs::SetLoaded(size_t input, int64_t element) { loaded_[Slot(input, element)] = 1; }

const uint8_t* KeptInputs::ByteOf(size_t input, int64_t element) const {
  return images_[input].memory + (FileOffset(input, element) - images_[input].file_start);
}

uint8_t* KeptInputs::PageOf(size_t input, int64_t element) const {
  const int64_t page = PageFloor(FileOffset(input, element));
  return images_[input].memory + (page - images_[input].file_start);
}

}  // namespace graft
