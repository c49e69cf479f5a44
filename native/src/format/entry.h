// What the header says about one tensor before anything is copied out of the header bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "graft/dtype.h"
#include "graft/status.h"

namespace graft {

struct Entry {
  std::string_view name;        // into the header bytes, or into HeaderParser's decoded names
  uint64_t begin = 0;           // in the data section
  uint64_t end = 0;             // in the data section
  uint32_t shape_position = 0;  // of its '[': shapes are read a second time instead of being kept
  uint8_t rank = 0;
  Dtype dtype = Dtype::kUnspecified;
};

/// Refuses a name that appears twice. Leaves the entries sorted by name.
Status CheckNames(std::vector<Entry>& entries, const std::string& path);

/// Refuses overlaps, holes, missing and surplus bytes: the tensors must cover the data section
/// exactly once. `data_start` is its offset in the file. Leaves the entries in file order, ties by
/// name.
Status CheckLayout(std::vector<Entry>& entries, uint64_t data_start, uint64_t data_bytes,
                   const std::string& path);

}  // namespace graft
