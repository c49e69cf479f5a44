// Hostile and odd safetensors files, one literal each, with the exact code and values that the user
// gets.
#include "graft/format.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "check.h"
#include "digest/xxh3.h"
#include "format/quote.h"

namespace graft {
namespace {

using namespace std::string_literals;

std::span<const uint8_t> AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::string LengthField(uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(length >> (8 * i));
  return bytes;
}

std::string FileBytes(std::string_view json, size_t data_bytes) {
  return LengthField(json.size()) + std::string(json) + std::string(data_bytes, 'x');
}

/// "CODE key=value key=value" without the path, which every rejection must name first.
std::string Text(const Result<Header>& result, const std::string& path = "f") {
  if (result.ok()) return "accepted " + std::to_string(result.value().tensors.size());
  std::string text = result.status().code();
  const Status::Details& details = result.status().details();
  CHECK(!details.empty() && details[0].first == "path" && details[0].second == path);
  for (size_t i = 1; i < details.size(); ++i) {
    text += ' ' + details[i].first + '=' + details[i].second;
  }
  return text;
}

std::string Repeat(std::string_view text, size_t count) {
  std::string out;
  out.reserve(text.size() * count);
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

struct HeaderCase {
  const char* what;
  std::string json;
  size_t data_bytes;
  std::string want;
};

void CheckHeaders(const std::vector<HeaderCase>& cases) {
  for (const HeaderCase& c : cases) {
    const std::string got = Text(ParseFile(AsBytes(FileBytes(c.json, c.data_bytes)), "f"));
    if (got != c.want) {
      test::ReportFailure(__FILE__, __LINE__,
                          c.what + "\n    got:  "s + got + "\n    want: " + c.want);
    }
  }
}

TEST("two tensors that the rules between tensors forbid are refused") {
  CheckHeaders({
      {"duplicate tensor name",
       R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       4, R"(ST_DUP_NAME tensor="a")"},
      {"duplicate tensor name, once escaped",
       R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"\u0061":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
       8, R"(ST_DUP_NAME tensor="a")"},
      {"overlap",
       R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
       6, R"(ST_OVERLAP tensor="b" begin=2 end=6 other="a")"},
      {"same bytes twice",
       R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
       4, R"(ST_OVERLAP tensor="b" begin=0 end=4 other="a")"},
      {"empty tensor strictly inside another",
       R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
       4, R"(ST_OVERLAP tensor="b" begin=2 end=2 other="a")"},
      {"hole between",
       R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[6,10]}})",
       10, "ST_HOLE begin=4 end=6"},
      {"hole at the start", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[1,5]}})", 5,
       "ST_HOLE begin=0 end=1"},
      {"trailing byte", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 5,
       "ST_TRAILING extra=1"},
      {"bytes but no tensors", "{}", 3, "ST_TRAILING extra=3"},
      {"truncated by one byte", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 3,
       "ST_TRUNCATED actual=64 expected=65"},
      {"offset 2^53+1 is not rounded",
       R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[9007199254740993,9007199254740997]}})", 4,
       R"(ST_OFFSETS tensor="a" begin=9007199254740993 end=9007199254740997 problem=lie outside the 4 bytes of data)"},
      {"offsets that no file reaches",
       R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[18446744073709551615,18446744073709551615]}})",
       0,
       R"(ST_OFFSETS tensor="a" begin=18446744073709551615 end=18446744073709551615 problem=lie outside the 0 bytes of data)"},
  });
}

TEST("a tensor whose own numbers disagree is refused") {
  CheckHeaders({
      {"shape product wraps to 4",
       R"({"a":{"dtype":"U8","shape":[4194305,4194305,211106198978564],"data_offsets":[0,4]}})", 4,
       R"(ST_OVERFLOW tensor="a" shape=[4194305,4194305,211106198978564])"},
      {"byte size overflows",
       R"({"a":{"dtype":"F64","shape":[281474976710656,16384],"data_offsets":[0,0]}})", 0,
       R"(ST_OVERFLOW tensor="a" shape=[281474976710656,16384])"},
      {"overflow before a zero, as in the reference reader",
       R"({"a":{"dtype":"U8","shape":[281474976710656,281474976710656,0],"data_offsets":[0,0]}})",
       0, R"(ST_OVERFLOW tensor="a" shape=[281474976710656,281474976710656,0])"},
      {"size too small", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4,
       R"(ST_SIZE tensor="a" shape=[2] dtype=F32 expected=8 actual=4)"},
      {"size too large", R"({"a":{"dtype":"BF16","shape":[],"data_offsets":[0,4]}})", 4,
       R"(ST_SIZE tensor="a" shape=[] dtype=BF16 expected=2 actual=4)"},
      {"offsets in reverse", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}})", 4,
       R"(ST_OFFSETS tensor="a" begin=4 end=0 problem=end before they begin)"},
      {"dimension over 2^48",
       R"({"a":{"dtype":"U8","shape":[0,4611686018427387904],"data_offsets":[0,0]}})", 0,
       R"(ST_DIMENSION tensor="a" dimension=4611686018427387904)"},
      {"dimension 2^48 + 1",
       R"({"a":{"dtype":"U8","shape":[0,281474976710657],"data_offsets":[0,0]}})", 0,
       R"(ST_DIMENSION tensor="a" dimension=281474976710657)"},
      {"rank 65",
       R"({"a":{"dtype":"U8","shape":[)" + Repeat("1,", 64) + R"(1],"data_offsets":[0,1]}})", 1,
       R"(ST_RANK tensor="a" rank=65)"},
      {"rank 100,000",
       R"({"a":{"dtype":"U8","shape":[)" + Repeat("1,", 99'999) + R"(1],"data_offsets":[0,1]}})", 1,
       R"(ST_RANK tensor="a" rank=100000)"},
      {"unknown dtype", R"({"a":{"dtype":"Q4_K","shape":[4],"data_offsets":[0,4]}})", 4,
       R"(ST_DTYPE tensor="a" dtype="Q4_K")"},
      {"sub-byte dtype", R"({"a":{"dtype":"F4","shape":[8],"data_offsets":[0,4]}})", 4,
       R"(ST_DTYPE tensor="a" dtype="F4")"},
      {"dtype in lower case", R"({"a":{"dtype":"u8","shape":[4],"data_offsets":[0,4]}})", 4,
       R"(ST_DTYPE tensor="a" dtype="u8")"},
  });
}

TEST("a number that readers could read differently is refused") {
  const auto shape = [](const char* number) {
    return R"({"a":{"dtype":"U8","shape":[2,)"s + number + R"(],"data_offsets":[0,4]}})";
  };
  const auto offset = [](const char* number) {
    return R"({"a":{"dtype":"U8","shape":[2,2],"data_offsets":[)"s + number + R"(,4]}})";
  };
  const std::string plain = ", expected plain decimal digits";
  const std::string at_shape = R"(ST_NUMBER tensor="a" problem=shape[1] is )";
  const std::string at_offset = R"(ST_NUMBER tensor="a" problem=data_offsets[0] is )";
  const std::string field = R"(ST_FIELD tensor="a" problem=)";
  CheckHeaders({
      {"negative dimension", shape("-2"), 4, at_shape + "-2" + plain},
      {"negative offset", offset("-4"), 4, at_offset + "-4" + plain},
      {"minus zero", offset("-0"), 4, at_offset + "-0" + plain},
      {"plus", shape("+2"), 4, at_shape + "+2" + plain},
      {"fraction", shape("2.0"), 4, at_shape + "2.0" + plain},
      {"exponent", shape("2e0"), 4, at_shape + "2e0" + plain},
      {"leading zero", shape("02"), 4, at_shape + "02" + plain},
      {"2^64", offset("18446744073709551616"), 4,
       at_offset + "18446744073709551616, which does not fit in 64 bits"},
      {"long number", shape(Repeat("9", 200).c_str()), 4,
       at_shape + Repeat("9", 120) + "…, which does not fit in 64 bits"},
      {"string for a number", shape(R"("2")"), 4, field + "shape[1]: expected a whole number"},
      {"null for a number", offset("null"), 4, field + "data_offsets[0]: expected a whole number"},
  });
}

TEST("a tensor entry with other keys or kinds than dtype, shape and data_offsets is refused") {
  const std::string field = R"(ST_FIELD tensor="a" problem=)";
  CheckHeaders({
      {"missing dtype", R"({"a":{"shape":[4],"data_offsets":[0,4]}})", 4,
       field + R"(missing key "dtype")"},
      {"missing shape", R"({"a":{"dtype":"U8","data_offsets":[0,4]}})", 4,
       field + R"(missing key "shape")"},
      {"missing data_offsets", R"({"a":{"dtype":"U8","shape":[4]}})", 4,
       field + R"(missing key "data_offsets")"},
      {"unknown key", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"x":1}})", 4,
       field + R"(unknown key "x")"},
      {"entry is a string", R"({"a":"U8"})", 0, field + "expected an object"},
      {"entry is an array", R"({"a":[1]})", 0, field + "expected an object"},
      {"dtype is a number", R"({"a":{"dtype":8,"shape":[4],"data_offsets":[0,4]}})", 4,
       field + "dtype: expected a string"},
      {"shape is a number", R"({"a":{"dtype":"U8","shape":4,"data_offsets":[0,4]}})", 4,
       field + "shape: expected an array of whole numbers"},
      {"data_offsets is an object", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":{}}})", 4,
       field + "data_offsets: expected two whole numbers"},
      {"one offset", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[4]}})", 4,
       field + "data_offsets: expected two whole numbers, got 1"},
      {"three offsets", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4,8]}})", 4,
       field + "data_offsets: expected two whole numbers, got 3"},
      {"duplicate dtype", R"({"a":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
       4, R"(ST_DUP_KEY tensor="a" key="dtype")"},
      {"duplicate dtype, once escaped",
       R"({"a":{"dtype":"U8","\u0064type":"U8","shape":[4],"data_offsets":[0,4]}})", 4,
       R"(ST_DUP_KEY tensor="a" key="dtype")"},
      {"duplicate shape", R"({"a":{"dtype":"U8","shape":[4],"shape":[4],"data_offsets":[0,4]}})", 4,
       R"(ST_DUP_KEY tensor="a" key="shape")"},
  });
}

TEST("metadata other than strings by distinct strings is refused") {
  CheckHeaders({
      {"number", R"({"__metadata__":{"a":1}})", 0, "ST_METADATA"},
      {"null", R"({"__metadata__":{"a":null}})", 0, "ST_METADATA"},
      {"object inside", R"({"__metadata__":{"a":{}}})", 0, "ST_METADATA"},
      {"not an object", R"({"__metadata__":"pt"})", 0, "ST_METADATA"},
      {"twice", R"({"__metadata__":{},"__metadata__":{}})", 0,
       R"(ST_DUP_KEY tensor=header key="__metadata__")"},
      {"key twice", R"({"__metadata__":{"k":"1","j":"2","k":"3"}})", 0,
       R"(ST_DUP_KEY tensor="__metadata__" key="k")"},
      {"bad UTF-8 in a value", "{\"__metadata__\":{\"k\":\"\xff\"}}", 0, "ST_UTF8 position=22"},
  });
}

TEST("bytes that are not the JSON of a header are refused where they stand") {
  const std::string nested = Repeat("[", 200'000);
  CheckHeaders({
      {"leading space", R"( {})", 0, "ST_START"},
      {"byte order mark", "\xEF\xBB\xBF{}", 0, "ST_START"},
      {"array", "[]", 0, "ST_START"},
      {"tab padding", "{}\t", 0,
       "ST_SYNTAX position=2 problem=only spaces may follow the header object"},
      {"newline padding", "{}  \n", 0,
       "ST_SYNTAX position=4 problem=only spaces may follow the header object"},
      {"NUL padding", "{}\0"s, 0,
       "ST_SYNTAX position=2 problem=only spaces may follow the header object"},
      {"second object", "{}{}", 0,
       "ST_SYNTAX position=2 problem=only spaces may follow the header object"},
      {"no end", "{ ", 0, "ST_SYNTAX position=2 problem=expected a string"},
      {"ends in a value", R"({"a":)", 0, "ST_SYNTAX position=5 problem=the header ends early"},
      {"no colon", R"({"a" {}})", 0, "ST_SYNTAX position=5 problem=expected ':'"},
      {"comma before the brace", R"({"a":{"dtype":"U8",}})", 0,
       "ST_SYNTAX position=19 problem=expected a string"},
      {"comma before the bracket", R"({"a":{"shape":[4,]}})", 0,
       "ST_SYNTAX position=17 problem=expected a value"},
      {"no comma in an object", R"({"__metadata__":{"a":"b" "c":"d"}})", 0,
       "ST_SYNTAX position=25 problem=expected ',' or '}'"},
      {"no comma in an array", R"({"a":{"shape":[4 4]}})", 0,
       "ST_SYNTAX position=17 problem=expected ',' or ']'"},
      {"single quotes", "{'a':{}}", 0, "ST_SYNTAX position=1 problem=expected a string"},
      {"no value", R"({"a":x})", 0, "ST_SYNTAX position=5 problem=expected a value"},
      {"string without an end", R"({"a)", 0, "ST_SYNTAX position=3 problem=the string has no end"},
      {"raw newline in a string", "{\"a\nb\":{}}", 0,
       "ST_SYNTAX position=3 problem=control character in a string"},
      {"raw NUL in a name", "{\"a\0b\":{}}"s, 0,
       "ST_SYNTAX position=3 problem=control character in a string"},
      {"unknown escape", R"({"a\x":{}})", 0, "ST_SYNTAX position=3 problem=bad escape in a string"},
      {"short escape", R"({"a\u00":{}})", 0, "ST_SYNTAX position=3 problem=bad escape in a string"},
      {"escaped NUL in a name", R"({"a\u0000b":{}})", 0, "ST_NAME"},
      {"invalid UTF-8", "{\"a\xff\":{}}", 0, "ST_UTF8 position=3"},
      {"overlong UTF-8", "{\"\xC0\xAF\":{}}", 0, "ST_UTF8 position=2"},
      {"overlong UTF-8 of three bytes", "{\"\xE0\x80\xAF\":{}}", 0, "ST_UTF8 position=2"},
      {"raw surrogate", "{\"\xED\xA0\x80\":{}}", 0, "ST_UTF8 position=2"},
      {"above U+10FFFF", "{\"\xF4\x90\x80\x80\":{}}", 0, "ST_UTF8 position=2"},
      {"cut UTF-8", "{\"\xE2\x82\":{}}", 0, "ST_UTF8 position=2"},
      {"lone high surrogate", R"({"\ud800":{}})", 0, "ST_UTF8 position=2"},
      {"lone low surrogate", R"({"\udc00":{}})", 0, "ST_UTF8 position=2"},
      {"high surrogate and a letter", R"({"\ud800\u0061":{}})", 0, "ST_UTF8 position=2"},
      {"200,000 brackets as a tensor", R"({"a":)" + nested, 0, "ST_DEPTH position=5"},
      {"200,000 brackets as a shape", R"({"a":{"shape":)" + nested, 0, "ST_DEPTH position=15"},
      {"200,000 brackets as metadata", R"({"__metadata__":)" + nested, 0, "ST_DEPTH position=16"},
      {"shape in a shape", R"({"a":{"dtype":"U8","shape":[[4]],"data_offsets":[0,4]}})", 4,
       "ST_DEPTH position=28"},
  });
}

TEST("legal oddities are accepted") {
  CheckHeaders({
      {"no tensors", "{}", 0, "accepted 0"},
      {"space padding", "{}      ", 0, "accepted 0"},
      {"metadata only", R"({"__metadata__":{"format":"pt","":""}})", 0, "accepted 0"},
      {"space between tokens",
       "{ \"a\" :\t{ \"dtype\" : \"U8\" ,\r\n \"shape\" : [ 2 , 2 ] , \"data_offsets\" : [ 0 , 4 ] "
       "} }",
       4, "accepted 1"},
      {"scalar", R"({"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})", 4, "accepted 1"},
      {"unaligned F32",
       R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})",
       5, "accepted 2"},
      {"reversed order",
       R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
       8, "accepted 2"},
      {"empty tensors at a shared offset",
       R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[0,7],"data_offsets":[4,4]},"c":{"dtype":"F32","shape":[0],"data_offsets":[4,4]},"d":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}})",
       5, "accepted 4"},
      {"zero times 2^48",
       R"({"a":{"dtype":"F64","shape":[0,281474976710656,281474976710656],"data_offsets":[0,0]}})",
       0, "accepted 1"},
      {"rank 64",
       R"({"a":{"dtype":"U8","shape":[)" + Repeat("1,", 63) + R"(1],"data_offsets":[0,1]}})", 1,
       "accepted 1"},
      {"eight-bit floats",
       R"({"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"F8_E5M2","shape":[2],"data_offsets":[2,4]}})",
       4, "accepted 2"},
      {"empty name", R"({"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1, "accepted 1"},
      {"names that are no paths",
       R"({"../../etc/x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
       2, "accepted 2"},
      {"unicode names",
       "{\"\xD0\xB2\xE5\xB1\x82\xF0\x9F\xA7\xAA\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":"
       "[0,1]}}",
       1, "accepted 1"},
  });
}

TEST("an accepted header gives its tensors in file order with absolute offsets") {
  const std::string json =
      R"({"z":{"data_offsets":[4,8],"shape":[2,1],"dtype":"F16"},"n\u00e4\ud83e\uddea\n":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"e2":{"dtype":"I64","shape":[3,0],"data_offsets":[4,4]},"e1":{"dtype":"BOOL","shape":[0],"data_offsets":[4,4]}}  )";
  const std::string file = FileBytes(json, 8);
  const Result<Header> result = ParseFile(AsBytes(file), "f");
  CHECK_EQ(Text(result), "accepted 4");
  if (!result.ok()) return;
  const std::vector<HeaderTensor>& tensors = result.value().tensors;
  const std::string names[] = {"n\xC3\xA4\xF0\x9F\xA7\xAA\n", "e1", "e2", "z"};
  for (size_t i = 0; i < 4; ++i) CHECK_EQ(tensors[i].name, names[i]);
  CHECK(tensors[3].shape == (std::vector<int64_t>{2, 1}));
  CHECK(tensors[2].shape == (std::vector<int64_t>{3, 0}));
  CHECK_EQ(tensors[3].dtype, Dtype::kF16);
  CHECK_EQ(tensors[3].offset_bytes, 8 + json.size() + 4);
  CHECK_EQ(tensors[3].length_bytes, 4u);
  CHECK_EQ(tensors[2].offset_bytes, 8 + json.size() + 4);
  CHECK_EQ(tensors[2].length_bytes, 0u);
  CHECK_EQ(result.value().header_digest, ToHex(Xxh3(AsBytes(file).first(8 + json.size()))));
}

TEST("a file whose length field cannot be is refused") {
  const std::string header = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})";
  const std::string rest = header + "data";  // 57 bytes
  const struct {
    const char* what;
    std::string bytes;
    std::string want;
  } cases[] = {
      {"0 bytes", "", "ST_TOO_SHORT size=0"},
      {"7 bytes", "\2\0\0\0\0\0\0"s, "ST_TOO_SHORT size=7"},
      {"8 bytes", LengthField(2), "ST_TOO_SHORT size=8"},
      {"9 bytes", LengthField(1) + "{", "ST_TOO_SHORT size=9"},
      {"n = 0", LengthField(0) + rest, "ST_HEADER_LENGTH length=0 allowed=57"},
      {"n = 1", LengthField(1) + rest, "ST_HEADER_LENGTH length=1 allowed=57"},
      {"n = size - 7", LengthField(58) + rest, "ST_HEADER_LENGTH length=58 allowed=57"},
      {"n = size - 8", LengthField(57) + rest,
       "ST_SYNTAX position=53 problem=only spaces may follow the header object"},
      {"n = 100,000,001", LengthField(100'000'001) + rest,
       "ST_HEADER_LENGTH length=100000001 allowed=57"},
      {"n = 2^63", LengthField(uint64_t{1} << 63) + rest,
       "ST_HEADER_LENGTH length=9223372036854775808 allowed=57"},
      {"n = 2^64 - 1", LengthField(~uint64_t{0}) + rest,
       "ST_HEADER_LENGTH length=18446744073709551615 allowed=57"},
      {"Git LFS pointer",
       "version https://git-lfs.github.com/spec/v1\noid sha256:"s + Repeat("a", 64) + "\nsize 1\n",
       "LFS_POINTER"},
      {"legal", LengthField(53) + rest, "accepted 1"},
  };
  for (const auto& c : cases) {
    const std::string got = Text(ParseFile(AsBytes(c.bytes), "f"));
    if (got != c.want)
      test::ReportFailure(__FILE__, __LINE__, c.what + ": "s + got + " instead of " + c.want);
  }
}

TEST("names in messages are quoted, escaped and cut at 120 characters") {
  CHECK_EQ(Quoted("a\"\\\b\f\n\r\t\x01\x1b[0m"), R"("a\"\\\b\f\n\r\t\u0001\u001b[0m")");
  CHECK_EQ(Quoted("\x7f\xC2\x85\xE2\x80\xA8ä/<"), R"("\u007f\u0085\u2028ä/<")");
  CHECK_EQ(Quoted(Repeat("a", 120)), '"' + Repeat("a", 120) + '"');
  CHECK_EQ(Quoted(Repeat("a", 121)), '"' + Repeat("a", 120) + "…\"");
  CHECK_EQ(Quoted(Repeat("ä", 121)), '"' + Repeat("ä", 120) + "…\"");
  CHECK_EQ(Quoted(Repeat("🧪", 60)), '"' + Repeat("🧪", 60) + '"');
  CHECK_EQ(Quoted(Repeat("🧪", 61)), '"' + Repeat("🧪", 60) + "…\"");
  const std::string json = R"({"\u001b[31m":{"dtype":"\n","shape":[],"data_offsets":[0,0]}})";
  CHECK_EQ(Text(ParseHeader(AsBytes(json), 0, "f")), R"(ST_DTYPE tensor="\u001b[31m" dtype="\n")");
}

TEST("one million tensors are read and one more is refused, quickly") {
  const auto header = [](int count) {
    std::string json = "{";
    for (int i = 0; i < count; ++i) {
      json += (i == 0 ? "\"" : ",\"") + std::to_string(i) +
              R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
    }
    return json + '}';
  };
  CHECK_EQ(Text(ParseHeader(AsBytes(header(1'000'000)), 0, "f")), "accepted 1000000");
  const std::string hostile = header(1'600'000);
  CHECK(hostile.size() < 99'990'000);
  // Processor time, so that a busy machine does not fail the test; unoptimised or instrumented code
  // is 10 times slower.
#ifdef __OPTIMIZE__
  constexpr double kSecondsMax = test::kSanitized ? 30 : 2;
#else
  constexpr double kSecondsMax = 20;
#endif
  const std::clock_t start = std::clock();
  CHECK_EQ(Text(ParseHeader(AsBytes(hostile), 0, "f")), "ST_TENSOR_COUNT allowed=1000000");
  CHECK(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC < kSecondsMax);
}

/// A directory that is gone when the test ends.
class Scratch {
 public:
  Scratch() {
    std::string pattern = (std::filesystem::temp_directory_path() / "graft-format-XXXXXX").string();
    CHECK(::mkdtemp(pattern.data()) != nullptr);
    root_ = pattern;
  }
  ~Scratch() {
    std::error_code ignored;  // a leftover directory in /tmp is no reason to fail a test
    std::filesystem::remove_all(root_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::string Path(const char* name) const { return root_ / name; }
  std::string Write(const char* name, const std::string& bytes) const {
    std::ofstream(Path(name), std::ios::binary) << bytes;
    return Path(name);
  }

 private:
  std::filesystem::path root_;
};

TEST("a header is read from a file together with what pins the file") {
  const Scratch scratch;
  const std::string json = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})";
  const std::string path = scratch.Write("m.safetensors", FileBytes(json, 4));
  const timespec times[] = {{.tv_sec = 1, .tv_nsec = 2},
                            {.tv_sec = 1'700'000'000, .tv_nsec = 123'456'789}};
  CHECK_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  struct stat info {};
  CHECK_EQ(::stat(path.c_str(), &info), 0);
  const Result<Header> result = ReadHeader(path);
  CHECK_EQ(Text(result, path), "accepted 1");
  if (!result.ok()) return;
  CHECK_EQ(result.value().size_bytes, 8 + json.size() + 4);
  CHECK_EQ(result.value().modified_time_ns, 1'700'000'000'123'456'789);
  CHECK_EQ(result.value().inode, static_cast<uint64_t>(info.st_ino));
  CHECK_EQ(result.value().header_digest.size(), 32u);
}

TEST("a path that is no plain safetensors file is refused without blocking") {
  const Scratch scratch;
  const std::string fifo = scratch.Path("fifo.safetensors");
  CHECK_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  CHECK_EQ(Text(ReadHeader(fifo), fifo), "NOT_A_FILE");
  const std::string directory = std::filesystem::path(fifo).parent_path();
  CHECK_EQ(Text(ReadHeader(directory), directory), "NOT_A_FILE");
  CHECK_EQ(Text(ReadHeader("/dev/zero"), "/dev/zero"), "NOT_A_FILE");

  const std::string socket_path = scratch.Path("s");
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_path.copy(address.sun_path, sizeof address.sun_path - 1);
  CHECK_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  CHECK_EQ(Text(ReadHeader(socket_path), socket_path), "NOT_A_FILE");
  ::close(socket);

  const std::string missing = scratch.Path("none");
  CHECK_EQ(Text(ReadHeader(missing), missing),
           "IO operation=open problem=No such file or directory");
  const std::string empty = scratch.Write("empty", "");
  CHECK_EQ(Text(ReadHeader(empty), empty), "ST_TOO_SHORT size=0");
  const std::string lfs =
      scratch.Write("lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:00\n");
  CHECK_EQ(Text(ReadHeader(lfs), lfs), "LFS_POINTER");
  const std::string cut = scratch.Write(
      "cut", FileBytes(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 3));
  CHECK_EQ(Text(ReadHeader(cut), cut), "ST_TRUNCATED actual=64 expected=65");
}

TEST("the header of a large file may not be longer than 100,000,000 bytes") {
  const Scratch scratch;
  for (const uint64_t length : {uint64_t{100'000'001}, uint64_t{1} << 63, ~uint64_t{0}}) {
    const std::string path = scratch.Write("big", LengthField(length) + "{}");
    std::filesystem::resize_file(path, uint64_t{1} << 30);  // sparse
    CHECK_EQ(Text(ReadHeader(path), path),
             "ST_HEADER_LENGTH length=" + std::to_string(length) + " allowed=100000000");
  }
}

}  // namespace
}  // namespace graft
