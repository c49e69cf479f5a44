// The one set of loops; re-included per instruction set with GRAFT_NS and GRAFT_LANES set.
// Arithmetic lives in kernels/*.h; here are only loads, stores and the walk over a block. No
// include guard on purpose.

// Everything is built on vec.h, so it comes first.
// clang-format off
#include "kernels/vec.h"
#include "kernels/convert.h"
#include "kernels/linear.h"
#include "kernels/philox.h"
#include "kernels/task_vector.h"
// clang-format on

namespace graft::GRAFT_NS {

/// Inputs whose random bytes are drawn ahead of one pass over a block.
inline constexpr int kInputBatch = 16;

/// Calls body with the conversion of a dtype as a value; chosen once per block.
template <typename Body>
auto WithType(Dtype dtype, Body body) {
  switch (dtype) {
    case Dtype::kBF16:
      return body(Bf16());
    case Dtype::kF16:
      return body(F16());
    case Dtype::kF32:
      return body(F32());
    default:
      return body(F64());
  }
}

template <typename Type>
F WidenAt(Type, const void* bytes, int i) {
  return Type::Widen(static_cast<const char*>(bytes) + i * Type::kSize);
}

/// Asks for the bytes one block further on: with many inputs in turn the hardware's prefetch starts
/// anew in every block.
template <typename Type>
void PrefetchAhead(Type, const void* bytes, int i) {
  __builtin_prefetch(static_cast<const char*>(bytes) + (i + kBlockElements) * Type::kSize);
}

inline bool Widen(RawBlock from, float* to) {
  return WithType(from.dtype, [&](auto type) {
    FiniteWatch watch;
    for (int i = 0; i < kBlockElements; i += GRAFT_LANES) {
      F x = WidenAt(type, from.bytes, i);
      watch.See(x);
      Store(to + i, x);
    }
    return watch.SawNonFinite();
  });
}

inline void Narrow(Dtype dtype, const float* from, int n, void* to) {
  WithType(dtype, [&](auto type) {
    using Type = decltype(type);
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
  });
}

/// All inputs of one dtype, the usual case: the sum stays in a register.
template <typename Type>
bool LinearUniform(Type type, const RawBlock* inputs, const float* weights, int input_count,
                   float* to) {
  FiniteWatch watch;
  for (int i = 0; i < kBlockElements; i += GRAFT_LANES) {
    Linear op;
    for (int k = 0; k < input_count; ++k) {
      F x = WidenAt(type, inputs[k].bytes, i);
      watch.See(x);
      op.Add(x, weights[k]);
    }
    Store(to + i, op.Finish());
  }
  return watch.SawNonFinite();
}

/// Anything else: input by input, the sums in memory.
inline bool LinearMixed(const RawBlock* inputs, const float* weights, int input_count, float* to) {
  FiniteWatch watch;
  for (int k = 0; k < input_count; ++k) {
    WithType(inputs[k].dtype, [&](auto type) {
      for (int i = 0; i < kBlockElements; i += GRAFT_LANES) {
        F x = WidenAt(type, inputs[k].bytes, i);
        watch.See(x);
        Linear op;
        if (k > 0) op.sum = Load<F>(to + i);
        op.Add(x, weights[k]);
        Store(to + i, op.Finish());
      }
    });
  }
  return watch.SawNonFinite();
}

inline bool LinearBlock(const RawBlock* inputs, const float* weights, int input_count, float* to) {
  for (int k = 1; k < input_count; ++k) {
    if (inputs[k].dtype != inputs[0].dtype) {
      return LinearMixed(inputs, weights, input_count, to);
    }
  }
  return WithType(inputs[0].dtype,
                  [&](auto type) { return LinearUniform(type, inputs, weights, input_count, to); });
}

/// Float sums within a block, two for every lane: one addition can start while another is under
/// way.
struct BlockSums {
  static constexpr int kStep = 2 * kSumLanes;  // elements
  static constexpr int kVectors = kStep / GRAFT_LANES;
  F sums[kVectors] = {};

  void AddTo(double* lanes) const {
    float values[kStep];
    std::memcpy(values, sums, sizeof(values));
    for (int lane = 0; lane < kSumLanes; ++lane) {
      lanes[lane] += static_cast<double>(values[lane] + values[lane + kSumLanes]);
    }
  }
};

/// 16 additions a lane in float32 lose nothing that the angle would show; blocks add up in float64.
template <typename Base, typename Other>
void SlerpSumsAs(Base base_type, const void* base, Other other_type, const void* other,
                 SlerpSums* sums) {
  BlockSums dot, aa, bb;
  for (int i = 0; i < kBlockElements; i += BlockSums::kStep) {
    for (int v = 0; v < BlockSums::kVectors; ++v) {
      F a = WidenAt(base_type, base, i + v * GRAFT_LANES);
      F b = WidenAt(other_type, other, i + v * GRAFT_LANES);
      dot.sums[v] += a * b;
      aa.sums[v] += a * a;
      bb.sums[v] += b * b;
    }
  }
  dot.AddTo(sums->dot);
  aa.AddTo(sums->base_squared);
  bb.AddTo(sums->other_squared);
}

inline void SlerpSumsBlock(RawBlock base, RawBlock other, SlerpSums* sums) {
  WithType(base.dtype, [&](auto base_type) {
    WithType(other.dtype, [&](auto other_type) {
      SlerpSumsAs(base_type, base.bytes, other_type, other.bytes, sums);
    });
  });
}

/// Pruning of the elements of one block: a rule that is made ready once and applied vector by
/// vector.
struct KeepAll {
  void Prepare(const PruneSpec&, int64_t) {}
  F operator()(F delta, int) const { return delta; }
};

struct ByMagnitude {
  uint32_t threshold, tie_end;
  void Prepare(const PruneSpec& spec, int64_t index) {
    const int64_t ties = spec.tie_end - index;
    threshold = spec.threshold;
    tie_end = static_cast<uint32_t>(ties < 0 ? 0 : ties > kBlockElements ? kBlockElements : ties);
  }
  F operator()(F delta, int i) const {
    return PruneByMagnitude(delta, Iota() + static_cast<uint32_t>(i), threshold, tie_end);
  }
};

struct ByChance {
  RandomGroup random;
  void Prepare(const PruneSpec& spec, int64_t index) {
    Draw(static_cast<uint64_t>(index) / kRandomGroup, spec.stream_key, spec.threshold, &random);
  }
  F operator()(F delta, int i) const {
    const auto at = static_cast<unsigned>(i);
    return Select(random.kept[at / GRAFT_LANES], delta);
  }
};

template <typename Body>
auto WithRule(PruneSpec::Kind kind, Body body) {
  switch (kind) {
    case PruneSpec::Kind::kMagnitude:
      return body(static_cast<ByMagnitude*>(nullptr));
    case PruneSpec::Kind::kChance:
      return body(static_cast<ByChance*>(nullptr));
    default:
      return body(static_cast<KeepAll*>(nullptr));
  }
}

inline void NormSumsBlock(const float* base, RawBlock x, const PruneSpec& prune, int64_t index,
                          NormSums* sums) {
  WithType(x.dtype, [&](auto type) {
    WithRule(prune.kind, [&](auto* rule_type) {
      std::remove_pointer_t<decltype(rule_type)> rule;
      rule.Prepare(prune, index);
      BlockSums all, kept;
      for (int i = 0; i < kBlockElements; i += BlockSums::kStep) {
        for (int v = 0; v < BlockSums::kVectors; ++v) {
          const int at = i + v * GRAFT_LANES;
          F delta = WidenAt(type, x.bytes, at) - Load<F>(base + at);
          F magnitude = Bits<F>(MagnitudeKey(delta));
          all.sums[v] += magnitude;
          kept.sums[v] += rule(magnitude, at);  // every rule looks at magnitude or place alone
        }
      }
      all.AddTo(sums->all);
      kept.AddTo(sums->kept);
    });
  });
}

template <typename Op, bool kNormalize>
F FinishSum(const Op& op, const TaskVectorSpec& spec) {
  F total = op.Total();
  if constexpr (kNormalize) {
    if constexpr (requires { op.Divisor(); }) {
      total = total / op.Divisor();
    } else {
      total = total / Splat(spec.divisor);
    }
  }
  return total * Splat(spec.lambda);
}

/// A run of elements inside a block, whole vectors.
struct Span {
  int begin, end;
};

/// All inputs of one dtype and one kind of pruning, the usual case: sums stay in registers over all
/// inputs.
template <typename Op, bool kNormalize, typename Type, typename Rule>
bool CombineUniform(Span span, const float* base, Type type, const DeltaInput* inputs,
                    int input_count, const Rule* rules, const TaskVectorSpec& spec, float* to) {
  constexpr int kAtOnce = GRAFT_LANES > 1 ? 2 : 1;  // an addition waits for the one before
  FiniteWatch watch;
  for (int i = span.begin; i < span.end; i += kAtOnce * GRAFT_LANES) {
    F origins[kAtOnce];
    Op ops[kAtOnce];
    for (int v = 0; v < kAtOnce; ++v) origins[v] = Load<F>(base + i + v * GRAFT_LANES);
    for (int k = 0; k < input_count; ++k) {
      PrefetchAhead(type, inputs[k].x.bytes, i);
      for (int v = 0; v < kAtOnce; ++v) {
        const int at = i + v * GRAFT_LANES;
        F x = WidenAt(type, inputs[k].x.bytes, at);
        watch.See(x);
        ops[v].Add(rules[k](x - origins[v], at), inputs[k].scale, inputs[k].weight, k, input_count);
      }
    }
    for (int v = 0; v < kAtOnce; ++v) {
      Store(to + i + v * GRAFT_LANES, origins[v] + FinishSum<Op, kNormalize>(ops[v], spec));
    }
  }
  return watch.SawNonFinite();
}

/// Anything else: sums live in memory between inputs.
template <typename Op, bool kNormalize>
bool CombineMixed(Span span, const float* base, const DeltaInput* inputs, int input_count,
                  const TaskVectorSpec& spec, int64_t index, float* to) {
  Op ops[kBlockElements / GRAFT_LANES];
  FiniteWatch watch;
  for (int k = 0; k < input_count; ++k) {
    WithType(inputs[k].x.dtype, [&](auto type) {
      WithRule(inputs[k].prune->kind, [&](auto* rule_type) {
        std::remove_pointer_t<decltype(rule_type)> rule;
        rule.Prepare(*inputs[k].prune, index);
        for (int i = span.begin; i < span.end; i += GRAFT_LANES) {
          F x = WidenAt(type, inputs[k].x.bytes, i);
          watch.See(x);
          ops[i / GRAFT_LANES].Add(rule(x - Load<F>(base + i), i), inputs[k].scale,
                                   inputs[k].weight, k, input_count);
        }
      });
    });
  }
  for (int i = span.begin; i < span.end; i += GRAFT_LANES) {
    Store(to + i, Load<F>(base + i) + FinishSum<Op, kNormalize>(ops[i / GRAFT_LANES], spec));
  }
  return watch.SawNonFinite();
}

/// Head is used up to the block's last multiple of 32 elements, Tail past it (VoteInterleaved says
/// why).
template <typename Head, typename Tail, bool kNormalize>
bool CombineAs(const float* base, const DeltaInput* inputs, int input_count,
               const TaskVectorSpec& spec, int64_t index, int n, float* to) {
  const Span head{0, n / 32 * 32};
  const Span tail{head.end, kBlockElements};
  bool uniform = input_count > 0 && input_count <= kInputBatch;
  for (int k = 1; k < input_count && uniform; ++k) {
    uniform =
        inputs[k].x.dtype == inputs[0].x.dtype && inputs[k].prune->kind == inputs[0].prune->kind;
  }
  if (!uniform) {
    const bool odd =
        CombineMixed<Head, kNormalize>(head, base, inputs, input_count, spec, index, to);
    return CombineMixed<Tail, kNormalize>(tail, base, inputs, input_count, spec, index, to) || odd;
  }
  return WithType(inputs[0].x.dtype, [&](auto type) {
    return WithRule(inputs[0].prune->kind, [&](auto* rule_type) {
      std::remove_pointer_t<decltype(rule_type)> rules[kInputBatch];
      for (int k = 0; k < input_count; ++k) rules[k].Prepare(*inputs[k].prune, index);
      const bool odd =
          CombineUniform<Head, kNormalize>(head, base, type, inputs, input_count, rules, spec, to);
      return CombineUniform<Tail, kNormalize>(tail, base, type, inputs, input_count, rules, spec,
                                              to) ||
             odd;
    });
  });
}

inline bool CombineBlock(const float* base, const DeltaInput* inputs, int input_count,
                         const TaskVectorSpec& spec, int64_t index, int n, float* to) {
  using Elected = ElectedDeltas<VoteInOrder>;
  using ElectedTail = ElectedDeltas<VoteInterleaved>;
  auto* run = spec.elect_sign ? (spec.normalize ? CombineAs<Elected, ElectedTail, true>
                                                : CombineAs<Elected, ElectedTail, false>)
                              : (spec.normalize ? CombineAs<SumOfDeltas, SumOfDeltas, true>
                                                : CombineAs<SumOfDeltas, SumOfDeltas, false>);
  return run(base, inputs, input_count, spec, index, n, to);
}

inline void KeysBlock(const float* base, RawBlock x, uint32_t* keys) {
  WithType(x.dtype, [&](auto type) {
    for (int i = 0; i < kBlockElements; i += GRAFT_LANES) {
      Store(keys + i, MagnitudeKey(WidenAt(type, x.bytes, i) - Load<F>(base + i)));
    }
  });
}

extern const KernelTable kTable;
const KernelTable kTable = {GRAFT_ISA_NAME, Widen,         Narrow,       LinearBlock,
                            SlerpSumsBlock, NormSumsBlock, CombineBlock, KeysBlock};

}  // namespace graft::GRAFT_NS
