// libFuzzer target of the header reader. Input is a whole file, or a bare header if it starts with
// '{' (no file does: its length field would be absurd). What is accepted is checked again from
// scratch.
//   header_fuzz -dict=fuzz/header.dict CORPUS_DIRECTORY fuzz/corpus
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "graft/format.h"

namespace {

using Bytes = std::span<const uint8_t>;

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "invariant broken: %s\n", what);
  std::abort();
}

/// Every byte of [data_start, data_start + data_bytes) belongs to exactly one tensor, shapes fit,
/// and names are distinct. Deliberately other means than the reader's: sums and a map instead of a
/// sweep.
void CheckAccepted(const graft::Header& header, uint64_t data_start, uint64_t data_bytes) {
  std::set<std::string> names;
  std::map<uint64_t, uint64_t> owned;  // begin -> end of the tensors that have bytes
  unsigned __int128 total = 0;
  uint64_t previous = data_start;
  for (const graft::HeaderTensor& tensor : header.tensors) {
    Require(names.insert(tensor.name).second, "names are distinct");
    Require(tensor.name.find('\0') == std::string::npos, "names hold no NUL");
    Require(tensor.offset_bytes >= previous, "tensors are in file order");
    previous = tensor.offset_bytes;
    const graft::DtypeInfo* dtype = graft::FindDtype(tensor.dtype);
    Require(dtype != nullptr, "the dtype is in the table");
    Require(tensor.shape.size() <= graft::kRankMax, "the rank is in bounds");
    unsigned __int128 count = 1;  // elements first, as a later 0 hides what only bytes would exceed
    for (const int64_t dimension : tensor.shape) {
      Require(dimension >= 0 && dimension <= int64_t{1} << 48, "dimensions are in bounds");
      count *= static_cast<uint64_t>(dimension);
      Require(count >> 64 == 0, "the count fits in 64 bits");
    }
    Require(count * dtype->size_bytes == tensor.length_bytes, "the shape gives the length");
    Require(tensor.offset_bytes - data_start <= data_bytes, "tensors begin in the data");
    const uint64_t space = data_bytes - (tensor.offset_bytes - data_start);
    Require(tensor.length_bytes <= space, "tensors end in the data");
    total += tensor.length_bytes;
    if (tensor.length_bytes == 0) continue;
    const uint64_t end = tensor.offset_bytes + tensor.length_bytes;
    const auto [place, inserted] = owned.emplace(tensor.offset_bytes, end);
    Require(inserted, "no two tensors begin together");
    Require(place == owned.begin() || std::prev(place)->second <= place->first,
            "no overlap before");
    Require(std::next(place) == owned.end() || end <= std::next(place)->first, "no overlap after");
  }
  Require(total == data_bytes, "all data is owned");
}

/// A rejection has a code of the table, names the path first and is safe to print.
void CheckRejected(const graft::Status& status) {
  Require(status.code().starts_with("ST_") || status.code() == "LFS_POINTER", "the code is known");
  Require(!status.details().empty() && status.details()[0].first == "path", "the path comes first");
  for (const auto& [key, value] : status.details()) {
    Require(value.size() < 2000, "details are short");
    for (const unsigned char byte : value) Require(byte >= 0x20 && byte != 0x7F, "details print");
  }
}

std::string_view Detail(const graft::Status& status, std::string_view wanted) {
  for (const auto& [key, value] : status.details()) {
    if (key == wanted) return value;
  }
  return "";
}

/// A consistent header is accepted with the data it asks for, whatever that is; random bytes would
/// almost never have just the right length behind them.
void FuzzHeader(Bytes json) {
  constexpr uint64_t kPlenty = uint64_t{1} << 63;
  const uint64_t data_start = graft::kHeaderLengthFieldBytes + json.size();
  const graft::Result<graft::Header> first = graft::ParseHeader(json, kPlenty, "f");
  Require(!first.ok(), "no header owns 2^63 bytes");
  CheckRejected(first.status());
  if (first.status().code() != "ST_TRAILING") return;
  const std::string_view extra_text = Detail(first.status(), "extra");
  uint64_t extra = 0;
  std::from_chars(extra_text.data(), extra_text.data() + extra_text.size(), extra);
  const uint64_t data_bytes = kPlenty - extra;
  const graft::Result<graft::Header> exact = graft::ParseHeader(json, data_bytes, "f");
  Require(exact.ok(), "a header without rivals for its bytes is accepted");
  CheckAccepted(exact.value(), data_start, data_bytes);
  if (data_bytes == 0) return;
  const graft::Result<graft::Header> cut = graft::ParseHeader(json, data_bytes - 1, "f");
  Require(!cut.ok(), "one byte less is refused");
  CheckRejected(cut.status());
}

void FuzzFile(Bytes file) {
  const graft::Result<graft::Header> result = graft::ParseFile(file, "f");
  if (!result.ok()) return CheckRejected(result.status());
  uint64_t length = 0;
  for (size_t i = 0; i < 8; ++i) length |= uint64_t{file[i]} << (8 * i);
  const uint64_t data_start = graft::kHeaderLengthFieldBytes + length;
  CheckAccepted(result.value(), data_start, file.size() - data_start);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes input(data, size);
  if (size > 0 && data[0] == '{') {
    FuzzHeader(input);
  } else {
    FuzzFile(input);
  }
  return 0;
}
