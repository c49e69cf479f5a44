// The final pass: computes the output of a unit in memory, digests it while it is in cache, writes
// it to its planned places.
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "engine/operation_run.h"

namespace graft {
namespace {

constexpr double kDivisorMin = 1e-8;

int64_t RoundUp(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

int64_t OperationRun::OutputRoom() const {
  return RoundUp(unit_elements_ * output_bytes_, kDirectAlignment) + 2 * kDirectAlignment;
}

int64_t OperationRun::FirstDestinationOffset(Range range) const {
  return op_.destinations.front().offset_bytes + range.first * output_bytes_;
}

void OperationRun::PrepareFinal() {
  if (op_.kernel == Kernel::kLinear) {
    for (const OperationInput& input : op_.inputs) {
      scales_.push_back(static_cast<float>(input.weight));
    }
  }
  if (op_.kernel != Kernel::kTaskVector) return;
  double weight_sum = 0;
  for (size_t i = 1; i < op_.inputs.size(); ++i) {
    const double weight = op_.inputs[i].weight;
    scales_.push_back(static_cast<float>(weight * prunings_[i - 1].factor()));
    weights_.push_back(static_cast<float>(weight));
    weight_sum += weight;
  }
  combine_.elect_sign = op_.elect_sign;
  combine_.normalize = op_.normalize;
  combine_.divisor = std::abs(weight_sum) < kDivisorMin ? 1.0f : static_cast<float>(weight_sum);
  combine_.lambda = static_cast<float>(op_.lambda);
}

Status OperationRun::RunFinal(Range range, Scratch& scratch) {
  InputReader reader(op_, *context_.inputs, context_.counters, &kept_);
  const int64_t input_room = InputRoom(std::min(SubElements(true), range.count));
  uint8_t* memory = scratch.arena.Reserve(static_cast<size_t>(OutputRoom() + input_room));
  if (memory == nullptr) return Status::FromErrno(ENOMEM, op_.stream_name, "allocate buffers");
  uint8_t* out = memory + FirstDestinationOffset(range) % kDirectAlignment;
  Status status = ForEachSubRange(range, reader, memory + OutputRoom(), [&](Range sub) {
    const int64_t relative = sub.first - op_.element_start;
    for (size_t i = 0; i < op_.inputs.size(); ++i) {
      const int64_t size = reader.ElementBytes(i);
      input_digests_[i].Update(relative * size, reader.data(i), sub.count * size);
    }
    uint8_t* to = out + (sub.first - range.first) * output_bytes_;
    Compute(sub, reader, to, scratch);
    output_digest_.Update(relative * output_bytes_, to, sub.count * output_bytes_);
  });
  if (!status.ok()) return status;
  return WriteOut(range, memory, out);
}

Status OperationRun::RunCopy(Range range, Scratch& scratch) {
  const OperationInput& input = op_.inputs.front();
  const File& file = (*context_.inputs)[static_cast<size_t>(input.file)];
  const int64_t offset = input.offset_bytes + range.first * output_bytes_;
  const int64_t length = range.count * output_bytes_;
  if (*context_.abort) return Status::Error("CANCELLED");
  uint8_t* memory = scratch.arena.Reserve(static_cast<size_t>(2 * OutputRoom()));
  if (memory == nullptr) return Status::FromErrno(ENOMEM, op_.stream_name, "allocate buffers");
  const int64_t shift = FirstDestinationOffset(range) % kDirectAlignment;
  uint8_t* out = memory + shift;
  const bool buffered = file.PreferBuffered(offset, length);
  // A direct read lands where the write wants it when both sit alike in their pages.
  const bool aligned_alike = offset % kDirectAlignment == shift;
  uint8_t* landing = aligned_alike ? memory : memory + OutputRoom();
  if (!buffered) {
    Status status = file.ReadDirect(offset, length, landing, context_.counters);
    if (!status.ok()) return status;
  }
  {
    Gate::Pass pass(*context_.gate);
    if (buffered) {
      Status status = file.ReadBuffered(offset, length, out, context_.counters);
      if (!status.ok()) return status;
    } else if (!aligned_alike) {
      std::memcpy(out, landing + offset % kDirectAlignment, static_cast<size_t>(length));
    }
    const int64_t relative = (range.first - op_.element_start) * output_bytes_;
    output_digest_.Update(relative, out, length);
  }
  return WriteOut(range, memory, out);
}

Status OperationRun::WriteOut(Range range, uint8_t* memory, uint8_t* out) const {
  const int64_t length = range.count * output_bytes_;
  for (const OperationDestination& destination : op_.destinations) {
    if (*context_.abort) return Status::Error("CANCELLED");
    const int64_t offset = destination.offset_bytes + range.first * output_bytes_;
    uint8_t* wanted = memory + offset % kDirectAlignment;
    if (wanted != out) {
      std::memmove(wanted, out, static_cast<size_t>(length));
      out = wanted;
    }
    const File& file = (*context_.outputs)[static_cast<size_t>(destination.file)];
    Status status = file.Write(offset, length, out, context_.counters);
    if (!status.ok()) return status;
  }
  return Status::Ok();
}

void OperationRun::Compute(Range sub, const InputReader& reader, uint8_t* out, Scratch& scratch) {
  const KernelTable& kernels = *context_.kernels;
  const size_t count = op_.inputs.size();
  const int input_count = static_cast<int>(count);
  float* result = scratch.result.values;
  std::vector<RawBlock> x(count);
  std::vector<DeltaInput> deltas;
  for (size_t i = 1; i <= prunings_.size(); ++i) {
    deltas.push_back({{}, &prunings_[i - 1].spec(), scales_[i - 1], weights_[i - 1]});
  }
  for (int64_t at = 0; at < sub.count; at += kBlockElements) {
    const int n = static_cast<int>(std::min<int64_t>(kBlockElements, sub.count - at));
    for (size_t i = 0; i < count; ++i) {
      x[i] = scratch.Block(i, reader.data(i), op_.inputs[i].dtype, at, n);
    }
    bool odd;
    if (op_.kernel == Kernel::kTaskVector) {
      for (size_t i = 1; i < count; ++i) deltas[i - 1].x = x[i];
      odd = kernels.widen(x[0], scratch.base.values);
      odd |= kernels.combine(scratch.base.values, deltas.data(), input_count - 1, combine_,
                             sub.first + at, n, result);
    } else {
      odd = kernels.linear(x.data(), scales_.data(), input_count, result);
    }
    if (odd) {
      for (size_t i = 0; i < count; ++i) CountNonFinite(i + 1, x[i], sub.first + at, n);
    }
    uint8_t* to = out + at * output_bytes_;
    kernels.narrow(op_.output_dtype, result, n, to);
    // Only float16 is narrow enough for finite inputs to overflow it unnoticed.
    if (op_.output_dtype == Dtype::kF16 && !odd) {
      const RawBlock written = scratch.Block(0, to, Dtype::kF16, 0, n);
      if (kernels.widen(written, result)) CountNonFinite(0, written, sub.first + at, n);
    }
  }
}

void OperationRun::CountNonFinite(size_t slot, RawBlock block, int64_t first, int count) {
  FloatBlock wide;
  if (!context_.kernels->widen(block, wide.values)) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  NonFiniteCount& found = non_finite_[slot];
  for (int i = 0; i < count; ++i) {
    if (std::isfinite(wide.values[i])) continue;
    ++found.count;
    found.first_index = std::min(found.first_index, first + i);
  }
}

}  // namespace graft
