// The dtype table of the native side. It exists twice: here and in proto/src/dtype.ts; the codes
// are the numbers of graft.v1.Dtype and test/conformance asserts that both agree.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace graft {

enum class Dtype : uint8_t {
  kUnspecified = 0,
  kBool = 1,
  kU8 = 2,
  kI8 = 3,
  kF8E4M3 = 4,
  kF8E5M2 = 5,
  kI16 = 6,
  kU16 = 7,
  kF16 = 8,
  kBF16 = 9,
  kI32 = 10,
  kU32 = 11,
  kF32 = 12,
  kI64 = 13,
  kU64 = 14,
  kF64 = 15,
};

enum class DtypeKind : uint8_t { kFloat, kQuantised, kInteger };

struct DtypeInfo {
  Dtype code;
  std::string_view name;  // as safetensors headers write it
  uint8_t size_bytes;
  DtypeKind kind;
};

inline constexpr std::array<DtypeInfo, 15> kDtypes = {{
    {Dtype::kBool, "BOOL", 1, DtypeKind::kInteger},
    {Dtype::kU8, "U8", 1, DtypeKind::kInteger},
    {Dtype::kI8, "I8", 1, DtypeKind::kInteger},
    {Dtype::kF8E4M3, "F8_E4M3", 1, DtypeKind::kQuantised},
    {Dtype::kF8E5M2, "F8_E5M2", 1, DtypeKind::kQuantised},
    {Dtype::kI16, "I16", 2, DtypeKind::kInteger},
    {Dtype::kU16, "U16", 2, DtypeKind::kInteger},
    {Dtype::kF16, "F16", 2, DtypeKind::kFloat},
    {Dtype::kBF16, "BF16", 2, DtypeKind::kFloat},
    {Dtype::kI32, "I32", 4, DtypeKind::kInteger},
    {Dtype::kU32, "U32", 4, DtypeKind::kInteger},
    {Dtype::kF32, "F32", 4, DtypeKind::kFloat},
    {Dtype::kI64, "I64", 8, DtypeKind::kInteger},
    {Dtype::kU64, "U64", 8, DtypeKind::kInteger},
    {Dtype::kF64, "F64", 8, DtypeKind::kFloat},
}};

/// The table row of a code, or nullptr.
constexpr const DtypeInfo* FindDtype(Dtype code) {
  for (const DtypeInfo& info : kDtypes) {
    if (info.code == code) return &info;
  }
  return nullptr;
}

/// The table row of a safetensors name, or nullptr.
constexpr const DtypeInfo* FindDtype(std::string_view name) {
  for (const DtypeInfo& info : kDtypes) {
    if (info.name == name) return &info;
  }
  return nullptr;
}

}  // namespace graft
