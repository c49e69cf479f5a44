#include "engine/operation_run.h"

#include <algorithm>

namespace graft {
namespace {

/// Copies from the page cache are worked on while they are in the CPU's caches.
constexpr int64_t kBufferedSubBytes = int64_t{1} << 20;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

OperationRun::OperationRun(const Operation& operation, const RunContext& context)
    : op_(operation),
      context_(context),
      output_bytes_(FindDtype(operation.output_dtype)->size_bytes),
      unit_elements_(std::max(context.tile_bytes / output_bytes_ / kChunkElements * kChunkElements,
                              kChunkElements)),
      chunk_count_(CeilDiv(operation.element_count, kChunkElements)),
      kept_(operation, unit_elements_, context.resident),
      output_digest_(operation.element_count * FindDtype(operation.output_dtype)->size_bytes),
      non_finite_(operation.inputs.size() + 1) {
  for (const OperationInput& input : op_.inputs) {
    input_bytes_ += FindDtype(input.dtype)->size_bytes;
    if (op_.kernel == Kernel::kCopy) continue;
    input_digests_.emplace_back(op_.element_count * FindDtype(input.dtype)->size_bytes);
  }
  if (op_.kernel == Kernel::kSlerp) {
    slerp_sums_.resize(static_cast<size_t>(chunk_count_));
    passes_.push_back(Pass::kSlerpSums);
  }
  if (op_.kernel == Kernel::kTaskVector) {
    for (size_t i = 1; i < op_.inputs.size(); ++i) {
      prunings_.emplace_back(op_, op_.inputs[i], chunk_count_);
    }
    passes_ = {Pass::kHistogramHigh, Pass::kHistogramLow, Pass::kTies, Pass::kTieScan,
               Pass::kNorms};
  }
  passes_.push_back(Pass::kFinal);
  while (!PassNeeded(passes_[pass_])) ++pass_;
  if (passes_[pass_] == Pass::kFinal) PrepareFinal();
}

Status OperationRun::Check() const {
  if (SubElements(true) >= kChunkElements) return Status::Ok();
  const int64_t needed = OutputRoom() + InputRoom(kChunkElements);
  return Status::Error("MEMORY_TOO_SMALL",
                       {{"given", std::to_string(context_.scratch_bytes_max) + " bytes a thread"},
                        {"needed", std::to_string(needed) + " bytes a thread"},
                        {"reason", std::to_string(op_.inputs.size()) + " inputs at once"}});
}

int OperationRun::UnitCount() const {
  if (passes_[pass_] == Pass::kTieScan) return static_cast<int>(op_.inputs.size());
  return static_cast<int>(CeilDiv(op_.element_count, unit_elements_));
}

Range OperationRun::UnitRange(int unit) const {
  const int64_t at = unit * unit_elements_;
  return {op_.element_start + at, std::min(unit_elements_, op_.element_count - at)};
}

int64_t OperationRun::InputRoom(int64_t elements) const {
  const auto inputs = static_cast<int64_t>(op_.inputs.size());
  return elements * input_bytes_ + inputs * 2 * kDirectAlignment;
}

int64_t OperationRun::SubElements(bool direct) const {
  const int64_t room = context_.scratch_bytes_max - OutputRoom() - InputRoom(0);
  int64_t elements = room / input_bytes_ / kChunkElements * kChunkElements;
  if (!direct) {
    const int64_t chunks = kBufferedSubBytes / input_bytes_ / kChunkElements;
    elements = std::min(elements, chunks > 0 ? chunks * kChunkElements : kChunkElements / 2);
  }
  return std::min(elements, unit_elements_);
}

bool OperationRun::PassNeeded(Pass pass) const {
  if (op_.element_count == 0) return pass == Pass::kFinal;
  const auto any = [this](auto test) {
    return std::any_of(prunings_.begin(), prunings_.end(), test);
  };
  switch (pass) {
    case Pass::kHistogramHigh:
    case Pass::kHistogramLow:
      return any([](const PruningState& state) { return state.Selecting(); });
    case Pass::kTies:
    case Pass::kTieScan:
      return any([](const PruningState& state) { return state.TiesOpen(); });
    case Pass::kNorms:
      return op_.rescale && any([](const PruningState& state) { return state.Pruned(); });
    case Pass::kSlerpSums:
    case Pass::kFinal:
      return true;
  }
  return true;
}

std::vector<bool> OperationRun::WantedInputs() const {
  std::vector<bool> wanted(op_.inputs.size(), true);
  for (size_t i = 1; i < wanted.size() && !prunings_.empty(); ++i) {
    const PruningState& state = prunings_[i - 1];
    switch (passes_[pass_]) {
      case Pass::kHistogramHigh:
      case Pass::kHistogramLow:
        wanted[i] = state.Selecting();
        break;
      case Pass::kTies:
      case Pass::kTieScan:
        wanted[i] = state.TiesOpen();
        break;
      case Pass::kNorms:
        wanted[i] = state.Pruned();
        break;
      case Pass::kSlerpSums:
      case Pass::kFinal:
        break;
    }
  }
  return wanted;
}

Status OperationRun::RunUnit(int unit, Scratch& scratch) {
  const Pass pass = passes_[pass_];
  if (pass == Pass::kTieScan) return RunTieScan(static_cast<size_t>(unit), scratch);
  const Range range = UnitRange(unit);
  if (pass != Pass::kFinal) return RunStatistics(range, scratch);
  return op_.kernel == Kernel::kCopy ? RunCopy(range, scratch) : RunFinal(range, scratch);
}

bool OperationRun::FinishPass() {
  const Pass pass = passes_[pass_];
  if (pass == Pass::kSlerpSums) FinishSlerp();
  for (PruningState& state : prunings_) {
    if (pass == Pass::kHistogramHigh && state.Selecting()) state.FinishHigh();
    if (pass == Pass::kHistogramLow && state.Selecting()) state.FinishLow();
    if (pass == Pass::kTies && state.TiesOpen()) state.FinishTies();
    if (pass == Pass::kNorms && state.Pruned()) state.FinishNorms();
  }
  if (pass == Pass::kFinal) {
    kept_.End();
    return false;
  }
  do {
    ++pass_;
  } while (!PassNeeded(passes_[pass_]));
  if (passes_[pass_] == Pass::kFinal) PrepareFinal();
  return true;
}

std::vector<std::string> OperationRun::InputDigests() const {
  if (op_.kernel == Kernel::kCopy) return {OutputDigest()};  // the same bytes
  std::vector<std::string> digests;
  for (const DigestTree& tree : input_digests_) digests.push_back(tree.Finish());
  return digests;
}

void OperationRun::AppendNonFinite(int operation_index, std::vector<NonFinite>* out) const {
  for (size_t slot = 0; slot < non_finite_.size(); ++slot) {
    const NonFiniteCount& found = non_finite_[slot];
    if (found.count == 0) continue;
    out->push_back({operation_index, static_cast<int>(slot) - 1, found.count, found.first_index});
  }
}

}  // namespace graft
