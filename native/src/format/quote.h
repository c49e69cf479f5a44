// Text of unknown origin made safe for a log line; the twin of quoted() in proto/src/errors.ts.
#pragma once

#include <string>
#include <string_view>

namespace graft {

/// `text` (valid UTF-8) as a JSON string literal: control characters and line separators escaped,
/// cut at 120 UTF-16 units.
std::string Quoted(std::string_view text);

}  // namespace graft
