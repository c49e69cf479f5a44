#include "format/json_scanner.h"

#include <array>

namespace graft {
namespace {

constexpr bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// Bytes of a string that stand for themselves and end nothing.
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (int byte = 0x20; byte < 0x80; ++byte) plain[byte] = byte != '"' && byte != '\\';
  return plain;
}();

constexpr bool IsHighSurrogate(uint32_t unit) { return unit >= 0xD800 && unit < 0xDC00; }
constexpr bool IsLowSurrogate(uint32_t unit) { return unit >= 0xDC00 && unit < 0xE000; }

void AppendUtf8(std::string& out, uint32_t point) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((point >> shift) & 0x3F)); };
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | (point >> 6));
    tail(0);
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0 | (point >> 12));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | (point >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

/// Length of the well-formed multi-byte sequence at the start of `text`, or 0. The bounds of the
/// second byte exclude overlong forms, surrogates and everything above U+10FFFF.
size_t SequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  size_t length = 0;
  uint8_t low = 0x80;
  uint8_t high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  }
  if (length == 0 || text.size() < length || byte(1) < low || byte(1) > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

void JsonScanner::SkipSpace() {
  while (position_ < text_.size() && IsSpace(text_[position_])) ++position_;
}

std::nullopt_t JsonScanner::Fail(size_t position, Fault fault, const char* problem) {
  position_ = position;
  fault_ = fault;
  problem_ = problem;
  return std::nullopt;
}

char JsonScanner::Peek() {
  SkipSpace();
  return position_ < text_.size() ? text_[position_] : '\0';
}

bool JsonScanner::Take(char expected) {
  if (Peek() != expected || position_ == text_.size()) return false;
  ++position_;
  return true;
}

std::optional<std::string_view> JsonScanner::String(std::string& scratch) {
  if (!Take('"')) return Fail(position_, Fault::kSyntax, "expected a string");
  const size_t start = position_;
  size_t plain_start = start;
  bool escaped = false;
  while (true) {
    while (position_ < text_.size() && kPlain[static_cast<uint8_t>(text_[position_])]) ++position_;
    if (position_ == text_.size()) return Fail(position_, Fault::kSyntax, "the string has no end");
    const char c = text_[position_];
    if (c == '"') break;
    if (c == '\\') {
      if (!escaped) scratch.clear();
      escaped = true;
      scratch.append(text_, plain_start, position_ - plain_start);
      if (!AppendEscape(scratch)) return std::nullopt;
      plain_start = position_;
    } else if (!SkipCodePoint()) {
      return std::nullopt;
    }
  }
  const size_t end = position_++;
  if (!escaped) return text_.substr(start, end - start);
  scratch.append(text_, plain_start, end - plain_start);
  return scratch;
}

bool JsonScanner::SkipCodePoint() {
  const auto lead = static_cast<uint8_t>(text_[position_]);
  if (lead < 0x20) {
    Fail(position_, Fault::kSyntax, "control character in a string");
    return false;
  }
  const size_t length = SequenceLength(text_.substr(position_));
  if (length == 0) {
    Fail(position_, Fault::kUtf8, "");
    return false;
  }
  position_ += length;
  return true;
}

/// Decodes the escape that starts at the backslash under the cursor.
bool JsonScanner::AppendEscape(std::string& out) {
  constexpr std::string_view kLetters = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  const size_t start = position_;
  const char letter = start + 1 < text_.size() ? text_[start + 1] : '\0';
  const size_t index = kLetters.find(letter);
  if (index != std::string_view::npos) {
    out += kMeanings[index];
    position_ += 2;
    return true;
  }
  const std::optional<uint32_t> unit = letter == 'u' ? HexUnit(start) : std::nullopt;
  if (!unit) {
    Fail(start, Fault::kSyntax, "bad escape in a string");
    return false;
  }
  if (!IsHighSurrogate(*unit) && !IsLowSurrogate(*unit)) {
    AppendUtf8(out, *unit);
    position_ += 6;
    return true;
  }
  const std::optional<uint32_t> low = HexUnit(start + 6);
  if (!IsHighSurrogate(*unit) || !low || !IsLowSurrogate(*low)) {
    Fail(start, Fault::kUtf8, "");
    return false;
  }
  AppendUtf8(out, 0x10000 + ((*unit - 0xD800) << 10) + (*low - 0xDC00));
  position_ += 12;
  return true;
}

/// The UTF-16 unit that a \uXXXX escape at `at` stands for.
std::optional<uint32_t> JsonScanner::HexUnit(size_t at) const {
  if (at + 6 > text_.size() || text_[at] != '\\' || text_[at + 1] != 'u') return std::nullopt;
  uint32_t unit = 0;
  for (size_t i = at + 2; i < at + 6; ++i) {
    const char c = text_[i];
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return std::nullopt;
    unit = unit * 16 + static_cast<uint32_t>(digit);
  }
  return unit;
}

std::string_view JsonScanner::NumberToken() {
  SkipSpace();
  const size_t start = position_;
  position_ = text_.find_first_not_of("+-.0123456789eE", start);
  if (position_ == std::string_view::npos) position_ = text_.size();
  return text_.substr(start, position_ - start);
}

size_t JsonScanner::OpenBracketRun(size_t limit) const {
  size_t count = 0;
  for (size_t at = position_; at < text_.size() && count < limit; ++at) {
    if (text_[at] == '[' || text_[at] == '{') {
      ++count;
    } else if (!IsSpace(text_[at])) {
      break;
    }
  }
  return count;
}

}  // namespace graft
