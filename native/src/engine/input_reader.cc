#include "engine/input_reader.h"

#include <utility>

namespace graft {

InputReader::InputReader(const Operation& operation, const std::vector<File>& files,
                         IoCounters* counters)
    : op_(operation),
      files_(files),
      counters_(counters),
      places_(operation.inputs.size()),
      data_(operation.inputs.size()) {
  for (const OperationInput& input : operation.inputs) {
    element_bytes_.push_back(FindDtype(input.dtype)->size_bytes);
    bytes_per_element_ += element_bytes_.back();
  }
}

bool InputReader::Plan::AnyDirect() const {
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] && !buffered[i]) return true;
  }
  return false;
}

InputReader::Plan InputReader::Choose(Range range, std::vector<bool> wanted) const {
  Plan plan{std::move(wanted), std::vector<bool>(op_.inputs.size(), true)};
  for (size_t i = 0; i < op_.inputs.size(); ++i) {
    if (!plan.wanted[i]) continue;
    const OperationInput& input = op_.inputs[i];
    const File& file = files_[static_cast<size_t>(input.file)];
    plan.buffered[i] = file.PreferBuffered(input.offset_bytes + range.first * element_bytes_[i],
                                           range.count * element_bytes_[i]);
  }
  return plan;
}

void InputReader::Begin(uint8_t* memory, int64_t count) {
  for (size_t i = 0; i < places_.size(); ++i) {
    places_[i] = memory;
    const int64_t bytes = count * element_bytes_[i] + 2 * kDirectAlignment - 1;
    memory += bytes / kDirectAlignment * kDirectAlignment;
  }
}

Status InputReader::ReadDirect(const Plan& plan, Range range) {
  for (size_t i = 0; i < places_.size(); ++i) {
    if (!plan.wanted[i] || plan.buffered[i]) continue;
    const OperationInput& input = op_.inputs[i];
    const int64_t offset = input.offset_bytes + range.first * element_bytes_[i];
    Status status = files_[static_cast<size_t>(input.file)].ReadDirect(
        offset, range.count * element_bytes_[i], places_[i], counters_);
    if (!status.ok()) return status;
    data_[i] = places_[i] + offset % kDirectAlignment;
  }
  return Status::Ok();
}

Status InputReader::ReadBuffered(const Plan& plan, Range range) {
  for (size_t i = 0; i < places_.size(); ++i) {
    if (!plan.wanted[i] || !plan.buffered[i]) continue;
    const OperationInput& input = op_.inputs[i];
    const int64_t offset = input.offset_bytes + range.first * element_bytes_[i];
    Status status = files_[static_cast<size_t>(input.file)].ReadBuffered(
        offset, range.count * element_bytes_[i], places_[i], counters_);
    if (!status.ok()) return status;
    data_[i] = places_[i];
  }
  return Status::Ok();
}

}  // namespace graft
