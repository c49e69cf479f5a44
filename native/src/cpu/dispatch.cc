// Which instruction sets this build holds and this CPU runs.
#include "cpu/table.h"

namespace graft {

namespace scalar {
extern const KernelTable kTable;
}
#if defined(__x86_64__)
namespace avx2 {
extern const KernelTable kTable;
}
namespace avx512 {
extern const KernelTable kTable;
}
#elif defined(__aarch64__)
namespace neon {
extern const KernelTable kTable;
}
#endif

const std::vector<const KernelTable*>& AvailableKernels() {
  static const std::vector<const KernelTable*> tables = [] {
    std::vector<const KernelTable*> found = {&scalar::kTable};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("bmi2")) {
      found.push_back(&avx2::kTable);
    }
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512cd")) {
      found.push_back(&avx512::kTable);
    }
#elif defined(__aarch64__)
    found.push_back(&neon::kTable);
#endif
    return found;
  }();
  return tables;
}

const KernelTable* FindKernels(std::string_view isa) {
  const auto& tables = AvailableKernels();
  if (isa.empty()) return tables.back();
  for (const KernelTable* table : tables) {
    if (table->isa == isa) return table;
  }
  return nullptr;
}

}  // namespace graft
