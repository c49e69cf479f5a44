#include "engine/kept_inputs.h"

#include <algorithm>
#include <utility>

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

int64_t KeptInputs::Unit(int64_t element) const {
  return (element - op_.element_start) / unit_elements_;
}

void KeptInputs::Begin(const std::vector<File>& files, bool more_passes) {
  std::call_once(begun_, [&] {
    in_page_cache_.resize(op_.inputs.size());
    const int64_t end = op_.element_start + op_.element_count;
    const int64_t units = Unit(end - 1) + 1;
    std::vector<Image> images(op_.inputs.size());
    std::vector<int64_t> sizes(op_.inputs.size());
    int64_t total = 0;
    for (size_t i = 0; i < images.size(); ++i) {
      const int64_t first_byte = FileOffset(i, op_.element_start);
      const int64_t length = FileOffset(i, end) - first_byte;
      const File& file = files[static_cast<size_t>(op_.inputs[i].file)];
      in_page_cache_[i] = file.PreferBuffered(first_byte, length) ? 1 : 0;
      if (in_page_cache_[i] != 0 || !more_passes) continue;
      // A unit that begins inside a page ends inside one too: up to a page more than its bytes.
      const auto pages = [](int64_t bytes) { return PageFloor(bytes + 2 * kDirectAlignment - 1); };
      const int64_t unit_length = unit_elements_ * FindDtype(op_.inputs[i].dtype)->size_bytes;
      images[i].unit_bytes = pages(unit_length);
      sizes[i] = (units - 1) * images[i].unit_bytes + pages(length - (units - 1) * unit_length);
      total += sizes[i];
    }
    if (total == 0) return;
    lease_ = pool_->TryTake(total);
    if (!lease_) return;
    uint8_t* memory = lease_.memory();
    for (size_t i = 0; i < images.size(); ++i) {
      if (sizes[i] > 0) images[i].memory = memory;
      memory += sizes[i];
    }
    images_ = std::move(images);
    loaded_.resize(static_cast<size_t>(units) * op_.inputs.size());
  });
}

size_t KeptInputs::Slot(size_t input, int64_t element) const {
  return static_cast<size_t>(Unit(element)) * op_.inputs.size() + input;
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

uint8_t* KeptInputs::PageOf(size_t input, int64_t unit_first) const {
  return images_[input].memory + Unit(unit_first) * images_[input].unit_bytes;
}

const uint8_t* KeptInputs::ByteOf(size_t input, int64_t element) const {
  const int64_t unit_first = op_.element_start + Unit(element) * unit_elements_;
  const int64_t page = PageFloor(FileOffset(input, unit_first));
  return PageOf(input, unit_first) + (FileOffset(input, element) - page);
}

}  // namespace graft
