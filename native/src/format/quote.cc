#include "format/quote.h"

#include <cstdint>
#include <cstdio>

namespace graft {
namespace {

constexpr int kQuoteMax = 120;

/// Reads one code point and moves `at` behind it. The caller guarantees valid UTF-8.
uint32_t NextCodePoint(std::string_view text, size_t& at) {
  const auto byte = [&] { return static_cast<uint8_t>(text[at++]); };
  const uint32_t lead = byte();
  if (lead < 0x80) return lead;
  const int continuation_count = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  uint32_t point = lead & (0x3Fu >> continuation_count);
  for (int i = 0; i < continuation_count && at < text.size(); ++i) {
    point = (point << 6) | (byte() & 0x3Fu);
  }
  return point;
}

bool NeedsNumericEscape(uint32_t point) {
  return point < 0x20 || (point >= 0x7F && point <= 0x9F) || point == 0x2028 || point == 0x2029;
}

/// The letter of a two-character escape such as \n, or 0.
char ShortEscape(uint32_t point) {
  switch (point) {
    case '"':
      return '"';
    case '\\':
      return '\\';
    case '\b':
      return 'b';
    case '\f':
      return 'f';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    default:
      return 0;
  }
}

}  // namespace

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  int units = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    const uint32_t point = NextCodePoint(text, at);
    units += point > 0xFFFF ? 2 : 1;
    if (units > kQuoteMax) {
      out += "…";
      break;
    }
    if (const char letter = ShortEscape(point)) {
      out += '\\';
      out += letter;
    } else if (NeedsNumericEscape(point)) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(point));
      out += escape;
    } else {
      out += text.substr(start, at - start);
    }
  }
  return out + '"';
}

}  // namespace graft
