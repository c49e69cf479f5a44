// linear: y = sum of w_i * x_i, in input order (model soups, arXiv 2203.05482). The caller has
// divided the weights by their sum where that is asked for. No include guard: see vec.h.

namespace graft::GRAFT_NS {

struct Linear {
  F sum = Splat(0.0f);
  void Add(F x, float weight) { sum += x * Splat(weight); }
  F Finish() const { return sum; }
};

}  // namespace graft::GRAFT_NS
