// A pull scanner over JSON bytes: no tree, no allocation per value, no floating point. The caller
// asks for what the grammar of a header allows next, so nothing nests and nothing recurses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace graft {

class JsonScanner {
 public:
  enum class Fault { kNone, kSyntax, kUtf8 };

  explicit JsonScanner(std::span<const uint8_t> text)
      : text_(reinterpret_cast<const char*>(text.data()), text.size()) {}

  /// The next byte after whitespace, not consumed; 0 at the end.
  char Peek();
  /// Consumes `expected` if it is next.
  bool Take(char expected);
  /// The string that starts here, decoded: a view of the input, or of `scratch` if it holds
  /// escapes. Invalid UTF-8, lone surrogates and raw control characters are faults.
  std::optional<std::string_view> String(std::string& scratch);
  /// The run of bytes that numbers are made of; the caller judges it.
  std::string_view NumberToken();
  /// How many brackets open in a row here, consuming none; stops counting at `limit`.
  size_t OpenBracketRun(size_t limit) const;

  /// Byte offset of the next unread byte, or of the fault.
  size_t position() const { return position_; }
  void MoveTo(size_t position) { position_ = position; }
  std::string_view rest() const { return text_.substr(position_); }

  Fault fault() const { return fault_; }
  /// What is wrong, for kSyntax.
  const char* problem() const { return problem_; }

 private:
  void SkipSpace();
  std::nullopt_t Fail(size_t position, Fault fault, const char* problem);
  bool SkipCodePoint();
  bool AppendEscape(std::string& out);
  std::optional<uint32_t> HexUnit(size_t at) const;

  std::string_view text_;
  size_t position_ = 0;
  Fault fault_ = Fault::kNone;
  const char* problem_ = "";
};

}  // namespace graft
