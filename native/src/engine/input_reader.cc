#include "engine/input_reader.h"

#include <algorithm>

namespace graft {

InputReader::InputReader(const Operation& operation, const std::vector<File>& files,
                         IoCounters* counters, KeptInputs* kept)
    : op_(operation),
      files_(files),
      counters_(counters),
      kept_(kept),
      places_(operation.inputs.size()),
      data_(operation.inputs.size()) {
  for (const OperationInput& input : operation.inputs) {
    element_bytes_.push_back(FindDtype(input.dtype)->size_bytes);
  }
}

int64_t InputReader::FileOffset(size_t input, int64_t element) const {
  return op_.inputs[input].offset_bytes + element * element_bytes_[input];
}

const File& InputReader::FileOf(size_t input) const {
  return files_[static_cast<size_t>(op_.inputs[input].file)];
}

bool InputReader::AnyDirect(const Plan& plan) {
  return std::find(plan.begin(), plan.end(), Way::kDirect) != plan.end();
}

Result<InputReader::Plan> InputReader::Choose(Range unit, const std::vector<bool>& wanted) {
  Plan plan(op_.inputs.size(), Way::kNotWanted);
  for (size_t i = 0; i < plan.size(); ++i) {
    if (!wanted[i]) continue;
    const int64_t offset = FileOffset(i, unit.first);
    const int64_t length = unit.count * element_bytes_[i];
    if (kept_->Has(i, unit.first)) {
      plan[i] = Way::kKept;
    } else if (kept_->InPageCache(i) || FileOf(i).PreferBuffered(offset, length)) {
      plan[i] = Way::kBuffered;
    } else if (!kept_->Keeps(i) || !kept_->IsUnit(unit)) {
      plan[i] = Way::kDirect;
    } else {
      Status status = FileOf(i).ReadDirect(offset, length, kept_->PageOf(i, unit.first), counters_);
      if (!status.ok()) return status;
      kept_->SetLoaded(i, unit.first);
      plan[i] = Way::kKept;
    }
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
    if (plan[i] == Way::kKept) data_[i] = kept_->ByteOf(i, range.first);
    if (plan[i] != Way::kDirect) continue;
    const int64_t offset = FileOffset(i, range.first);
    Status status =
        FileOf(i).ReadDirect(offset, range.count * element_bytes_[i], places_[i], counters_);
    if (!status.ok()) return status;
    data_[i] = places_[i] + offset % kDirectAlignment;
  }
  return Status::Ok();
}

Status InputReader::ReadBuffered(const Plan& plan, Range range) {
  for (size_t i = 0; i < places_.size(); ++i) {
    if (plan[i] != Way::kBuffered) continue;
    Status status = FileOf(i).ReadBuffered(FileOffset(i, range.first),
                                           range.count * element_bytes_[i], places_[i], counters_);
    if (!status.ok()) return status;
    data_[i] = places_[i];
  }
  return Status::Ok();
}

}  // namespace graft
