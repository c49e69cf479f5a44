// Task vectors: delta = x - base, pruned, weighted, summed with or without sign election (Task
// Arithmetic 2212.04089, TIES 2306.01708, DARE 2311.03099). No include guard: see vec.h.

namespace graft::GRAFT_NS {

/// |delta| as an integer that orders like the magnitude; 31 bits.
inline U MagnitudeKey(F delta) { return Bits<U>(delta) & 0x7fffffffu; }

/// Keeps magnitudes above the threshold, and those equal to it below a flat index (ties go to the
/// lower index).
inline F PruneByMagnitude(F delta, U index, uint32_t threshold, uint32_t tie_end) {
  U key = MagnitudeKey(delta);
  Mask keep = (key > threshold) | ((key == threshold) & (index < tie_end));
  return Select(keep, delta, Splat(0.0f));
}

/// Plain weighted sum of task vectors.
struct SumOfDeltas {
  F sum = Splat(0.0f);
  void Add(F delta, float scale, float /*weight*/, int /*input*/, int /*input_count*/) {
    sum += delta * Splat(scale);
  }
  F Total() const { return sum; }
};

/// A vote: the sum of all contributions, added one after the other.
struct VoteInOrder {
  F sum = Splat(0.0f);
  void Add(F omega, int /*input*/, int /*input_count*/) { sum += omega; }
  F Result() const { return sum; }
};

/// The same sum in four interleaved parts. Where contributions cancel exactly, the rounding of this
/// sum elects the sign; the reference adds the last elements of a tensor (those past a multiple of
/// 32) in this order, and published merges depend on it.
struct VoteInterleaved {
  F parts[4] = {};
  void Add(F omega, int input, int input_count) {
    parts[input < input_count / 4 * 4 ? input % 4 : 0] += omega;
  }
  F Result() const { return ((parts[0] + parts[1]) + parts[2]) + parts[3]; }
};

/// Weighted sum of the contributions whose sign is the sign of the weighted sum of all (zero elects
/// +; a zero contribution never agrees). Both candidate sums are kept, so that one pass is enough.
template <typename Vote>
struct ElectedDeltas {
  Vote vote;
  F positive = Splat(0.0f);
  F negative = Splat(0.0f);
  F positive_weight = Splat(0.0f);
  F negative_weight = Splat(0.0f);

  void Add(F delta, float scale, float weight, int input, int input_count) {
    F omega = delta * Splat(scale);
    F zero = Splat(0.0f);
    vote.Add(omega, input, input_count);
    positive += PositivePart(omega);
    negative += NegativePart(omega);
    positive_weight += Select(omega > 0.0f, Splat(weight), zero);
    negative_weight += Select(omega < 0.0f, Splat(weight), zero);
  }
  F Total() const { return Select(vote.Result() >= 0.0f, positive, negative); }
  /// Sum of agreeing weights, 1 where it is exactly zero.
  F Divisor() const {
    F divisor = Select(vote.Result() >= 0.0f, positive_weight, negative_weight);
    return Select(divisor == 0.0f, Splat(1.0f), divisor);
  }
};

}  // namespace graft::GRAFT_NS
