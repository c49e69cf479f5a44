// The grammar of a header: an object of tensors and at most one __metadata__, three levels deep.
// Every rule about a single tensor is checked here; rules between tensors are in entry.h.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/entry.h"
#include "format/json_scanner.h"
#include "graft/format.h"
#include "graft/status.h"

namespace graft {

/// Parses one header; `json` must outlive the parser, and the parser its entries.
class HeaderParser {
 public:
  HeaderParser(std::span<const uint8_t> json, const std::string& path)
      : scanner_(json), path_(path) {}

  Status Run();

  std::vector<Entry>& entries() { return entries_; }
  /// The shape of an entry that Run() has accepted, read again from the header.
  std::vector<int64_t> ShapeOf(const Entry& entry);

 private:
  // Each of these returns false once status_ holds the reason.
  bool ParseHeaderObject();
  bool ParseMetadata();
  bool ParseTensor(std::string_view name);
  bool ParseField(std::string_view key, Entry& entry);
  bool ParseDtype(Entry& entry);
  bool ParseShape(Entry& entry);
  bool ParseOffsets(Entry& entry);
  bool CheckTensor(const Entry& entry);
  std::optional<uint64_t> ParseNumber(std::string_view field, size_t index);

  /// Walks the members of the object that starts here. `Member` gets the key and consumes the
  /// value.
  template <typename Member>
  bool ForEachMember(std::string& key_scratch, Member member);
  /// Walks the array that starts here. `Element` gets the index and consumes the value.
  template <typename Element>
  bool ForEachElement(Element element);

  bool Fail(std::string_view code, Status::Details details = {});
  bool FailTensor(std::string_view code, Status::Details details);
  bool FailField(std::string problem);
  bool FailSyntax(const char* problem);
  bool FailScan();
  /// The value that starts here is of another kind than the format allows: `code` says what was
  /// expected, unless the value is no JSON or nests too deep.
  bool FailKind(std::string_view code, Status::Details details);
  bool FailFieldKind(std::string problem);
  std::string_view Keep(std::string_view text, const std::string& scratch);

  JsonScanner scanner_;
  const std::string& path_;
  Status status_ = Status::Ok();
  std::vector<Entry> entries_;
  std::deque<std::string> decoded_;  // names and keys that held escapes; a deque never moves them
  bool has_metadata_ = false;
  size_t depth_ = 0;  // objects and arrays open at the cursor

  // Of the tensor being parsed.
  std::string_view tensor_;
  std::array<bool, 3> seen_{};  // by index in kFields
  std::array<uint64_t, kRankMax> shape_{};
};

}  // namespace graft
