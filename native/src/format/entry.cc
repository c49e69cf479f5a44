#include "format/entry.h"

#include <algorithm>
#include <cstdint>
#include <tuple>

#include "format/quote.h"

namespace graft {
namespace {

/// Beyond this no file can reach, and sums with a header length cannot overflow.
constexpr uint64_t kDataBytesMax = uint64_t{1} << 62;

std::string Text(uint64_t number) { return std::to_string(number); }

Status OutsideError(const Entry& entry, uint64_t data_bytes, const std::string& path) {
  return Status::Error("ST_OFFSETS",
                       {{"path", path},
                        {"tensor", Quoted(entry.name)},
                        {"begin", Text(entry.begin)},
                        {"end", Text(entry.end)},
                        {"problem", "lie outside the " + Text(data_bytes) + " bytes of data"}});
}

Status OverlapError(const Entry& entry, const Entry& owner, const std::string& path) {
  return Status::Error("ST_OVERLAP", {{"path", path},
                                      {"tensor", Quoted(entry.name)},
                                      {"begin", Text(entry.begin)},
                                      {"end", Text(entry.end)},
                                      {"other", Quoted(owner.name)}});
}

}  // namespace

Status CheckNames(std::vector<Entry>& entries, const std::string& path) {
  // Sorting costs the same for hostile names as for honest ones; a hash table would not.
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  const auto twin =
      std::adjacent_find(entries.begin(), entries.end(),
                         [](const Entry& a, const Entry& b) { return a.name == b.name; });
  if (twin == entries.end()) return Status::Ok();
  return Status::Error("ST_DUP_NAME", {{"path", path}, {"tensor", Quoted(twin->name)}});
}

Status CheckLayout(std::vector<Entry>& entries, uint64_t data_start, uint64_t data_bytes,
                   const std::string& path) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t covered = 0;
  const Entry* owner = nullptr;
  for (const Entry& entry : entries) {
    if (entry.end > kDataBytesMax) return OutsideError(entry, data_bytes, path);
    if (entry.begin < covered) return OverlapError(entry, *owner, path);
    if (entry.begin > covered) {
      if (entry.end > data_bytes) return OutsideError(entry, data_bytes, path);
      return Status::Error("ST_HOLE",
                           {{"path", path}, {"begin", Text(covered)}, {"end", Text(entry.begin)}});
    }
    covered = entry.end;
    owner = &entry;
  }
  if (covered > data_bytes) {
    return Status::Error("ST_TRUNCATED", {{"path", path},
                                          {"actual", Text(data_start + data_bytes)},
                                          {"expected", Text(data_start + covered)}});
  }
  if (covered < data_bytes) {
    return Status::Error("ST_TRAILING", {{"path", path}, {"extra", Text(data_bytes - covered)}});
  }
  return Status::Ok();
}

}  // namespace graft
