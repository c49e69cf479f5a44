// Task vectors: delta = x - base, pruned, weighted, summed with or without sign election (Task Arithmetic
// 2212.04089, TIES 2306.01708, DARE 2311.03099). No include guard: see vec.h.

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

/// Keeps an element whose random byte is below its run's limit.
inline F PruneByChance(F delta, U random, uint32_t limit) {
  return Select(random < limit, delta, Splat(0.0f));
}

/// Plain weighted sum of task vectors.
struct SumOfDeltas {
  F sum = Splat(0.0f);
  void Add(F delta, float scale, float /*weight*/) { sum += delta * Splat(scale); }
  F Total() const { return sum; }
};

/// Weighted sum of the contributions whose sign is the sign of the weighted sum of all (zero elects +;
/// a zero contribution never agrees). Both candidate sums are kept, so that one pass is enough. The vote is
/// counted in float64, where products are exact: contributions that cancel give exactly zero.
struct ElectedDeltas {
  D vote = {};
  F positive = Splat(0.0f);
  F negative = Splat(0.0f);
  F positive_weight = Splat(0.0f);
  F negative_weight = Splat(0.0f);

  void Add(F delta, float scale, float weight) {
    F omega = delta * Splat(scale);
    Mask up = omega > 0.0f;
    Mask down = omega < 0.0f;
    F zero = Splat(0.0f);
    vote += Convert<D>(delta) * static_cast<double>(scale);
    positive += Select(up, omega, zero);
    negative += Select(down, omega, zero);
    positive_weight += Select(up, Splat(weight), zero);
    negative_weight += Select(down, Splat(weight), zero);
  }
  Mask ElectsPlus() const { return Convert<Mask>(vote >= 0.0); }
  F Total() const { return Select(ElectsPlus(), positive, negative); }
  /// Sum of agreeing weights, 1 where it is exactly zero.
  F Divisor() const {
    F divisor = Select(ElectsPlus(), positive_weight, negative_weight);
    return Select(divisor == 0.0f, Splat(1.0f), divisor);
  }
};

}  // namespace graft::GRAFT_NS
