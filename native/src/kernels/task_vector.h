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

/// Keeps an element whose 16 random bits are below the density's threshold.
inline F PruneByChance(F delta, U random16, uint32_t keep_below) {
  return Select(random16 < keep_below, delta, Splat(0.0f));
}

/// Plain weighted sum of task vectors.
struct SumOfDeltas {
  F sum = Splat(0.0f);
  void Add(F delta, float scale, float /*weight*/) { sum += delta * Splat(scale); }
  F Total() const { return sum; }
};

/// Weighted sum of the contributions whose sign is the sign of the weighted sum of all (zero elects +;
/// a zero contribution never agrees). Both candidate sums are kept, so that one pass is enough.
struct ElectedDeltas {
  F all = Splat(0.0f);
  F positive = Splat(0.0f);
  F negative = Splat(0.0f);
  F positive_weight = Splat(0.0f);
  F negative_weight = Splat(0.0f);

  void Add(F delta, float scale, float weight) {
    F omega = delta * Splat(scale);
    Mask up = omega > 0.0f;
    Mask down = omega < 0.0f;
    F zero = Splat(0.0f);
    all += omega;
    positive += Select(up, omega, zero);
    negative += Select(down, omega, zero);
    positive_weight += Select(up, Splat(weight), zero);
    negative_weight += Select(down, Splat(weight), zero);
  }
  F Total() const { return Select(all >= 0.0f, positive, negative); }
  /// Sum of agreeing weights, 1 where it is exactly zero.
  F Divisor() const {
    F divisor = Select(all >= 0.0f, positive_weight, negative_weight);
    return Select(divisor == 0.0f, Splat(1.0f), divisor);
  }
};

}  // namespace graft::GRAFT_NS
