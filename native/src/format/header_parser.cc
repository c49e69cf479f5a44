#include "format/header_parser.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "format/quote.h"

namespace graft {
namespace {

constexpr std::string_view kMetadata = "__metadata__";
constexpr std::array<std::string_view, 3> kFields = {"dtype", "shape", "data_offsets"};
constexpr size_t kDepthMax = 3;                 // header, tensor, shape
constexpr size_t kMetadataKeysMax = 1'000'000;  // bounds memory like kTensorCountMax
constexpr size_t kTextMax = 120;

constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// Digits only, no leading zero: the one form in which every reader sees the same number.
bool IsPlainNumber(std::string_view token) {
  return !token.empty() && std::all_of(token.begin(), token.end(), IsDigit) &&
         (token.size() == 1 || token[0] != '0');
}

std::string Cut(std::string_view text) {
  return text.size() > kTextMax ? std::string(text.substr(0, kTextMax)) + "…" : std::string(text);
}

std::string ShapeText(std::span<const uint64_t> shape) {
  std::string text = "[";
  for (const uint64_t dimension : shape) {
    if (text.size() > 1) text += ',';
    text += std::to_string(dimension);
  }
  return Cut(text + ']');
}

/// a * b, or nothing if that needs more than 64 bits.
std::optional<uint64_t> Multiply(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

/// Bytes of a tensor. Multiplied in the order written, so that [2^48, 2^48, 0] overflows here as it
/// does in the reference reader.
std::optional<uint64_t> SizeBytes(std::span<const uint64_t> shape, uint64_t element_bytes) {
  std::optional<uint64_t> count = 1;
  for (const uint64_t dimension : shape) {
    count = Multiply(*count, dimension);
    if (!count) return std::nullopt;
  }
  return Multiply(*count, element_bytes);
}

}  // namespace

Status HeaderParser::Run() {
  if (ParseHeaderObject()) return Status::Ok();
  return std::move(status_);
}

bool HeaderParser::ParseHeaderObject() {
  if (!scanner_.rest().starts_with('{')) return Fail("ST_START");
  std::string scratch;
  const bool parsed = ForEachMember(scratch, [&](std::string_view key) {
    return key == kMetadata ? ParseMetadata() : ParseTensor(Keep(key, scratch));
  });
  if (!parsed) return false;
  const size_t padding = scanner_.rest().find_first_not_of(' ');
  if (padding == std::string_view::npos) return true;
  scanner_.MoveTo(scanner_.position() + padding);
  return FailSyntax("only spaces may follow the header object");
}

bool HeaderParser::ParseMetadata() {
  if (has_metadata_) {
    return Fail("ST_DUP_KEY", {{"tensor", "header"}, {"key", Quoted(kMetadata)}});
  }
  has_metadata_ = true;
  if (scanner_.Peek() != '{') return FailKind("ST_METADATA", {});
  std::vector<std::string_view> keys;
  std::string key_scratch;
  std::string value_scratch;
  const bool parsed = ForEachMember(key_scratch, [&](std::string_view key) {
    if (keys.size() == kMetadataKeysMax) return FailSyntax("more than 1000000 metadata keys");
    keys.push_back(Keep(key, key_scratch));
    if (scanner_.Peek() != '"') return FailKind("ST_METADATA", {});
    return scanner_.String(value_scratch).has_value() || FailScan();
  });
  if (!parsed) return false;
  std::sort(keys.begin(), keys.end());
  const auto twin = std::adjacent_find(keys.begin(), keys.end());
  if (twin == keys.end()) return true;
  return Fail("ST_DUP_KEY", {{"tensor", Quoted(kMetadata)}, {"key", Quoted(*twin)}});
}

bool HeaderParser::ParseTensor(std::string_view name) {
  if (name.find('\0') != std::string_view::npos) return Fail("ST_NAME");
  if (entries_.size() == kTensorCountMax) {
    return Fail("ST_TENSOR_COUNT", {{"allowed", std::to_string(kTensorCountMax)}});
  }
  tensor_ = name;
  seen_.fill(false);
  Entry entry{.name = name};
  if (scanner_.Peek() != '{') return FailFieldKind("expected an object");
  std::string scratch;
  const bool parsed =
      ForEachMember(scratch, [&](std::string_view key) { return ParseField(key, entry); });
  if (!parsed) return false;
  for (size_t i = 0; i < kFields.size(); ++i) {
    if (!seen_[i]) return FailField("missing key " + Quoted(kFields[i]));
  }
  if (!CheckTensor(entry)) return false;
  entries_.push_back(entry);
  return true;
}

bool HeaderParser::ParseField(std::string_view key, Entry& entry) {
  const auto field = std::find(kFields.begin(), kFields.end(), key);
  if (field == kFields.end()) return FailField("unknown key " + Quoted(key));
  bool& seen = seen_[field - kFields.begin()];
  if (seen) return FailTensor("ST_DUP_KEY", {{"key", Quoted(key)}});
  seen = true;
  if (*field == "dtype") return ParseDtype(entry);
  return *field == "shape" ? ParseShape(entry) : ParseOffsets(entry);
}

bool HeaderParser::ParseDtype(Entry& entry) {
  if (scanner_.Peek() != '"') return FailFieldKind("dtype: expected a string");
  std::string scratch;
  const std::optional<std::string_view> name = scanner_.String(scratch);
  if (!name) return FailScan();
  const DtypeInfo* info = FindDtype(*name);
  if (info == nullptr) return FailTensor("ST_DTYPE", {{"dtype", Quoted(*name)}});
  entry.dtype = info->code;
  return true;
}

bool HeaderParser::ParseShape(Entry& entry) {
  if (scanner_.Peek() != '[') return FailFieldKind("shape: expected an array of whole numbers");
  entry.shape_position = static_cast<uint32_t>(scanner_.position());
  size_t rank = 0;
  const bool parsed = ForEachElement([&](size_t index) {
    const std::optional<uint64_t> dimension = ParseNumber("shape", index);
    if (!dimension) return false;
    if (*dimension > kDimensionMax) {
      return FailTensor("ST_DIMENSION", {{"dimension", std::to_string(*dimension)}});
    }
    if (index < kRankMax) shape_[index] = *dimension;
    rank = index + 1;
    return true;
  });
  if (!parsed) return false;
  if (rank > kRankMax) return FailTensor("ST_RANK", {{"rank", std::to_string(rank)}});
  entry.rank = static_cast<uint8_t>(rank);
  return true;
}

bool HeaderParser::ParseOffsets(Entry& entry) {
  if (scanner_.Peek() != '[') return FailFieldKind("data_offsets: expected two whole numbers");
  size_t count = 0;
  const bool parsed = ForEachElement([&](size_t index) {
    const std::optional<uint64_t> offset = ParseNumber("data_offsets", index);
    if (!offset) return false;
    if (index < 2) (index == 0 ? entry.begin : entry.end) = *offset;
    count = index + 1;
    return true;
  });
  if (!parsed) return false;
  if (count != 2) {
    return FailField("data_offsets: expected two whole numbers, got " + std::to_string(count));
  }
  return true;
}

std::optional<uint64_t> HeaderParser::ParseNumber(std::string_view field, size_t index) {
  const char first = scanner_.Peek();
  const auto where = [&] { return std::string(field) + '[' + std::to_string(index) + ']'; };
  if (!IsDigit(first) && first != '-' && first != '+' && first != '.') {
    FailFieldKind(where() + ": expected a whole number");
    return std::nullopt;
  }
  const std::string_view token = scanner_.NumberToken();
  const auto fail = [&](std::string_view problem) {
    FailTensor("ST_NUMBER", {{"problem", where() + " is " + Cut(token) + std::string(problem)}});
    return std::nullopt;
  };
  if (!IsPlainNumber(token)) return fail(", expected plain decimal digits");
  uint64_t value = 0;
  const auto result = std::from_chars(token.data(), token.data() + token.size(), value);
  if (result.ec != std::errc()) return fail(", which does not fit in 64 bits");
  return value;
}

bool HeaderParser::CheckTensor(const Entry& entry) {
  const std::span<const uint64_t> shape(shape_.data(), entry.rank);
  const DtypeInfo& dtype = *FindDtype(entry.dtype);
  const std::optional<uint64_t> expected = SizeBytes(shape, dtype.size_bytes);
  if (!expected) return FailTensor("ST_OVERFLOW", {{"shape", ShapeText(shape)}});
  if (entry.begin > entry.end) {
    return FailTensor("ST_OFFSETS", {{"begin", std::to_string(entry.begin)},
                                     {"end", std::to_string(entry.end)},
                                     {"problem", "end before they begin"}});
  }
  const uint64_t actual = entry.end - entry.begin;
  if (*expected == actual) return true;
  return FailTensor("ST_SIZE", {{"shape", ShapeText(shape)},
                                {"dtype", std::string(dtype.name)},
                                {"expected", std::to_string(*expected)},
                                {"actual", std::to_string(actual)}});
}

std::vector<int64_t> HeaderParser::ShapeOf(const Entry& entry) {
  std::vector<int64_t> shape(entry.rank);
  scanner_.MoveTo(entry.shape_position);
  scanner_.Take('[');
  for (int64_t& dimension : shape) {
    const std::string_view token = scanner_.NumberToken();
    std::from_chars(token.data(), token.data() + token.size(), dimension);
    scanner_.Take(',');
  }
  return shape;
}

template <typename Member>
bool HeaderParser::ForEachMember(std::string& key_scratch, Member member) {
  scanner_.Take('{');
  ++depth_;
  if (!scanner_.Take('}')) {
    do {
      const std::optional<std::string_view> key = scanner_.String(key_scratch);
      if (!key) return FailScan();
      if (!scanner_.Take(':')) return FailSyntax("expected ':'");
      if (!member(*key)) return false;
    } while (scanner_.Take(','));
    if (!scanner_.Take('}')) return FailSyntax("expected ',' or '}'");
  }
  --depth_;
  return true;
}

template <typename Element>
bool HeaderParser::ForEachElement(Element element) {
  scanner_.Take('[');
  ++depth_;
  if (!scanner_.Take(']')) {
    size_t index = 0;
    do {
      if (!element(index++)) return false;
    } while (scanner_.Take(','));
    if (!scanner_.Take(']')) return FailSyntax("expected ',' or ']'");
  }
  --depth_;
  return true;
}

bool HeaderParser::Fail(std::string_view code, Status::Details details) {
  details.insert(details.begin(), {"path", path_});
  status_ = Status::Error(code, std::move(details));
  return false;
}

bool HeaderParser::FailTensor(std::string_view code, Status::Details details) {
  details.insert(details.begin(), {"tensor", Quoted(tensor_)});
  return Fail(code, std::move(details));
}

bool HeaderParser::FailField(std::string problem) {
  return FailTensor("ST_FIELD", {{"problem", std::move(problem)}});
}

bool HeaderParser::FailSyntax(const char* problem) {
  return Fail("ST_SYNTAX",
              {{"position", std::to_string(scanner_.position())}, {"problem", problem}});
}

bool HeaderParser::FailScan() {
  if (scanner_.fault() == JsonScanner::Fault::kSyntax) return FailSyntax(scanner_.problem());
  return Fail("ST_UTF8", {{"position", std::to_string(scanner_.position())}});
}

bool HeaderParser::FailKind(std::string_view code, Status::Details details) {
  constexpr std::string_view kValueStarts = "\"{[tfn-0123456789";
  const char first = scanner_.Peek();
  if (scanner_.rest().empty()) return FailSyntax("the header ends early");
  if (kValueStarts.find(first) == std::string_view::npos) return FailSyntax("expected a value");
  if (depth_ + scanner_.OpenBracketRun(kDepthMax) > kDepthMax) {
    return Fail("ST_DEPTH", {{"position", std::to_string(scanner_.position())}});
  }
  return Fail(code, std::move(details));
}

bool HeaderParser::FailFieldKind(std::string problem) {
  return FailKind("ST_FIELD", {{"tensor", Quoted(tensor_)}, {"problem", std::move(problem)}});
}

/// `text`, copied if it lies in the scratch that the next string overwrites.
std::string_view HeaderParser::Keep(std::string_view text, const std::string& scratch) {
  if (text.data() != scratch.data()) return text;
  return decoded_.emplace_back(text);
}

}  // namespace graft
