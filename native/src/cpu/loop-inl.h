// The one set of loops; re-included per instruction set with GRAFT_NS and GRAFT_LANES set. Arithmetic lives
// in kernels/*.h; here are only loads, stores and the walk over a block. No include guard on purpose.

#include "kernels/vec.h"
#include "kernels/convert.h"
#include "kernels/linear.h"
#include "kernels/philox.h"
#include "kernels/task_vector.h"

namespace graft::GRAFT_NS {

/// Lanes of every reduction, whatever the vector width: the sum tree is part of the result.
inline constexpr int kSumLanes = 16;

template <typename Type>
bool WidenAs(const void* from, int n, float* to) {
  const auto* bytes = static_cast<const char*>(from);
  Mask odd = IsNonFinite(Splat(0.0f));
  int i = 0;
  for (; i + GRAFT_LANES <= n; i += GRAFT_LANES) {
    F x = Type::Widen(bytes + i * Type::kSize);
    odd = odd | IsNonFinite(x);
    Store(to + i, x);
  }
  if (i < n) {
    char tail[GRAFT_LANES * 8] = {};
    std::memcpy(tail, bytes + i * Type::kSize, static_cast<size_t>(n - i) * Type::kSize);
    F x = Type::Widen(tail);
    odd = odd | IsNonFinite(x);
    Store(to + i, x);
    i += GRAFT_LANES;
  }
  for (; i < kBlockElements; i += GRAFT_LANES) Store(to + i, Splat(0.0f));
  return Any(odd);
}

inline bool Widen(Dtype dtype, const void* from, int n, float* to) {
  switch (dtype) {
    case Dtype::kBF16:
      return WidenAs<Bf16>(from, n, to);
    case Dtype::kF16:
      return WidenAs<F16>(from, n, to);
    case Dtype::kF32:
      return WidenAs<F32>(from, n, to);
    default:
      return WidenAs<F64>(from, n, to);
  }
}

template <typename Type>
void NarrowAs(const float* from, int n, void* to) {
  auto* bytes = static_cast<char*>(to);
  int i = 0;
  for (; i + GRAFT_LANES <= n; i += GRAFT_LANES) {
    Type::Narrow(bytes + i * Type::kSize, Load<F>(from + i));
  }
  if (i < n) {
    char tail[GRAFT_LANES * 8];
    Type::Narrow(tail, Load<F>(from + i));
    std::memcpy(bytes + i * Type::kSize, tail, static_cast<size_t>(n - i) * Type::kSize);
  }
}

inline void Narrow(Dtype dtype, const float* from, int n, void* to) {
  switch (dtype) {
    case Dtype::kBF16:
      return NarrowAs<Bf16>(from, n, to);
    case Dtype::kF16:
      return NarrowAs<F16>(from, n, to);
    case Dtype::kF32:
      return NarrowAs<F32>(from, n, to);
    default:
      return NarrowAs<F64>(from, n, to);
  }
}

inline void LinearBlock(const float* const* inputs, const float* weights, int input_count, float* to) {
  for (int i = 0; i < kBlockElements; i += GRAFT_LANES) {
    Linear op;
    for (int k = 0; k < input_count; ++k) op.Add(Load<F>(inputs[k] + i), weights[k]);
    Store(to + i, op.Finish());
  }
}

/// Sixteen running float64 sums, held as vectors of the instruction set's width.
struct SumLanes {
  static constexpr int kVectors = kSumLanes / GRAFT_LANES;
  D parts[kVectors];
  explicit SumLanes(const double* from) {
    for (int v = 0; v < kVectors; ++v) parts[v] = Load<D>(from + v * GRAFT_LANES);
  }
  void SaveTo(double* to) const {
    for (int v = 0; v < kVectors; ++v) Store(to + v * GRAFT_LANES, parts[v]);
  }
};

inline void SlerpSumsBlock(const float* base, const float* other, double* lanes) {
  SumLanes dot(lanes), aa(lanes + kSumLanes), bb(lanes + 2 * kSumLanes);
  for (int i = 0; i < kBlockElements; i += kSumLanes) {
    for (int v = 0; v < SumLanes::kVectors; ++v) {
      D a = Convert<D>(Load<F>(base + i + v * GRAFT_LANES));
      D b = Convert<D>(Load<F>(other + i + v * GRAFT_LANES));
      dot.parts[v] += a * b;
      aa.parts[v] += a * a;
      bb.parts[v] += b * b;
    }
  }
  dot.SaveTo(lanes);
  aa.SaveTo(lanes + kSumLanes);
  bb.SaveTo(lanes + 2 * kSumLanes);
}

inline void PruneBlock(const float* base, const float* x, const PruneSpec& spec, int64_t index,
                       float* delta) {
  switch (spec.kind) {
    case PruneSpec::Kind::kKeepAll:
      for (int i = 0; i < kBlockElements; i += GRAFT_LANES) {
        Store(delta + i, Load<F>(x + i) - Load<F>(base + i));
      }
      return;
    case PruneSpec::Kind::kMagnitude: {
      int64_t ties = spec.tie_end - index;
      ties = ties < 0 ? 0 : ties > kBlockElements ? kBlockElements : ties;
      U position = Splat(0u);
#if GRAFT_LANES > 1
      for (int lane = 0; lane < GRAFT_LANES; ++lane) position[lane] = static_cast<uint32_t>(lane);
#endif
      for (int i = 0; i < kBlockElements; i += GRAFT_LANES) {
        F difference = Load<F>(x + i) - Load<F>(base + i);
        Store(delta + i,
              PruneByMagnitude(difference, position, spec.threshold, static_cast<uint32_t>(ties)));
        position += static_cast<uint32_t>(GRAFT_LANES);
      }
      return;
    }
    case PruneSpec::Kind::kChance: {
      uint16_t random[kRandomGroup];
      RandomGroup(static_cast<uint64_t>(index) / kRandomGroup, spec.stream_key, random);
      for (int i = 0; i < kBlockElements; i += GRAFT_LANES) {
        F difference = Load<F>(x + i) - Load<F>(base + i);
        Store(delta + i, PruneByChance(difference, Convert<U>(Load<H>(random + i)), spec.threshold));
      }
      return;
    }
  }
}

inline void NormSumsBlock(const float* base, const float* x, const float* delta, double* lanes) {
  SumLanes all(lanes), kept(lanes + kSumLanes);
  for (int i = 0; i < kBlockElements; i += kSumLanes) {
    for (int v = 0; v < SumLanes::kVectors; ++v) {
      const int at = i + v * GRAFT_LANES;
      F difference = Load<F>(x + at) - Load<F>(base + at);
      all.parts[v] += Convert<D>(Bits<F>(MagnitudeKey(difference)));
      kept.parts[v] += Convert<D>(Bits<F>(MagnitudeKey(Load<F>(delta + at))));
    }
  }
  all.SaveTo(lanes);
  kept.SaveTo(lanes + kSumLanes);
}

template <typename Op, bool kNormalize>
void CombineAs(const float* base, const float* const* deltas, const float* scales,
               const float* weights, int input_count, const TaskVectorSpec& spec, float* to) {
  for (int i = 0; i < kBlockElements; i += GRAFT_LANES) {
    Op op;
    for (int k = 0; k < input_count; ++k) op.Add(Load<F>(deltas[k] + i), scales[k], weights[k]);
    F total = op.Total();
    if constexpr (kNormalize) {
      if constexpr (requires { op.Divisor(); }) {
        total = total / op.Divisor();
      } else {
        total = total / Splat(spec.divisor);
      }
    }
    Store(to + i, Load<F>(base + i) + total * Splat(spec.lambda));
  }
}

inline void CombineBlock(const float* base, const float* const* deltas, const float* scales,
                         const float* weights, int input_count, const TaskVectorSpec& spec,
                         float* to) {
  auto* run = spec.elect_sign ? (spec.normalize ? CombineAs<ElectedDeltas, true>
                                                : CombineAs<ElectedDeltas, false>)
                              : (spec.normalize ? CombineAs<SumOfDeltas, true>
                                                : CombineAs<SumOfDeltas, false>);
  run(base, deltas, scales, weights, input_count, spec, to);
}

inline void KeysBlock(const float* base, const float* x, uint32_t* keys) {
  for (int i = 0; i < kBlockElements; i += GRAFT_LANES) {
    Store(keys + i, MagnitudeKey(Load<F>(x + i) - Load<F>(base + i)));
  }
}

extern const KernelTable kTable;
const KernelTable kTable = {GRAFT_ISA_NAME, Widen,         Narrow,       LinearBlock, SlerpSumsBlock,
                            PruneBlock,     NormSumsBlock, CombineBlock, KeysBlock};

}  // namespace graft::GRAFT_NS
