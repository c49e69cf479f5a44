// Whole-file chores: preparing, syncing, digesting spans, pinned ranges. Expected digests come from
// other programs (sha256sum) or from the definition in workbench.cc.
#include "graft/storage.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "check.h"
#include "digest/xxh3.h"
#include "workbench.h"

namespace graft {
namespace {

using test::Bytes;

constexpr int64_t kPiece = kPieceBytes;
constexpr int64_t kBlock = int64_t{4} << 20;  // how much DigestFile reads at once

TEST("a prepared file has its size, its header and zeros") {
  const test::TempDirectory directory;
  const std::string path = directory.File("model.safetensors");
  const Bytes header = test::RandomBytes(1234, 1);
  CHECK(PrepareFile(path, 1'000'000, header).ok());
  const Bytes file = test::ReadFile(path);
  CHECK_EQ(file.size(), 1'000'000u);
  CHECK(test::Slice(file, 0, header.size()) == header);
  CHECK(std::all_of(file.begin() + 1234, file.end(), [](uint8_t byte) { return byte == 0; }));
  struct stat now = {};
  CHECK_EQ(stat(path.c_str(), &now), 0);
  // Blocks are reserved, where the file system can: a full disk shows before the merge.
  if (now.st_blocks * 512 < 1'000'000) {
    std::printf("skipped: this file system reserves no blocks\n");
  }
}

TEST("preparing again keeps the data and replaces the header") {
  const test::TempDirectory directory;
  const std::string path = directory.File("model.safetensors");
  const Bytes content = test::RandomBytes(300'000, 2);
  test::WriteFile(path, content);
  const Bytes header = test::RandomBytes(100, 3);
  CHECK(PrepareFile(path, 300'000, header).ok());
  Bytes want = content;
  std::copy(header.begin(), header.end(), want.begin());
  CHECK(test::ReadFile(path) == want);
  CHECK(PrepareFile(path, 300'000, {}).ok());
  CHECK(test::ReadFile(path) == want);
  CHECK(PrepareFile(path, 1000, {}).ok());
  want.resize(1000);
  CHECK(test::ReadFile(path) == want);
  CHECK(PrepareFile(path, 0, {}).ok());
  CHECK(test::ReadFile(path).empty());
}

TEST("a symbolic link is not prepared: what it points at is not ours") {
  const test::TempDirectory directory;
  const Bytes precious = test::RandomBytes(10, 4);
  test::WriteFile(directory.File("precious"), precious);
  std::filesystem::create_symlink(directory.File("precious"), directory.File("link"));
  CHECK(!PrepareFile(directory.File("link"), 5, {}).ok());
  CHECK(test::ReadFile(directory.File("precious")) == precious);
}

TEST("files that are not there or not files are errors that name them") {
  const test::TempDirectory directory;
  const std::string missing = directory.File("missing");
  const std::string below_nothing = directory.File("no/such/place");
  const std::vector<Status> errors = {
      PrepareFile(below_nothing, 10, {}),
      SyncFile(missing),
      DigestFile(missing, {}, true, test::NoAbort(), [](int64_t) {}).status(),
      DigestFile(directory.path(), {}, true, test::NoAbort(), [](int64_t) {}).status(),
      MeasureStorage(below_nothing, 1 << 20).status(),
  };
  const std::vector<std::string> codes = {"IO", "IO", "IO", "NOT_A_FILE", "IO"};
  for (size_t i = 0; i < errors.size(); ++i) {
    CHECK_EQ(errors[i].code(), codes[i]);
    CHECK(test::Detail(errors[i], "path").starts_with(directory.path()));
  }
}

TEST("a file can be synced") {
  const test::TempDirectory directory;
  test::WriteFile(directory.File("a"), test::RandomBytes(10'000, 5));
  CHECK(SyncFile(directory.File("a")).ok());
}

struct Sha256Case {
  size_t count;  // of the letter a
  const char* want;
};

// From: head -c N /dev/zero | tr '\0' a | sha256sum
constexpr Sha256Case kSha256Cases[] = {
    {0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {1, "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"},
    {1'000'000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    {4'194'304, "299285fc41a44cdb038b9fdaf494c76ca9d0c866672b2b266c1a0c17dda60a05"},
    {9'000'001, "b9e1a83460a44df25da4627ddb8271e3dbdfc7685d468e930187b57b20ad93f7"},
};

TEST("the sha256 of a file is the published one, cached or not") {
  const test::TempDirectory directory;
  const std::string path = directory.File("a");
  for (const auto& [count, want] : kSha256Cases) {
    test::WriteFile(path, Bytes(count, 'a'));
    for (const bool evict : {false, true}) {
      if (evict) test::Evict(path);
      const auto digests = DigestFile(path, {}, true, test::NoAbort(), [](int64_t) {});
      CHECK(digests.ok());
      if (!digests.ok()) continue;
      CHECK_EQ(digests.value().sha256, want);
      CHECK_EQ(digests.value().size_bytes, static_cast<int64_t>(count));
    }
  }
}

TEST("spans that start and end anywhere have the digest of their own pieces") {
  const test::TempDirectory directory;
  const Bytes content = test::RandomBytes(static_cast<size_t>(2 * kBlock + 54'321), 6);
  const std::string path = directory.File("model");
  test::WriteFile(path, content);
  const auto size = static_cast<int64_t>(content.size());
  // In no order, nested, overlapping, empty, and across the blocks in which the file is read.
  const std::vector<FileSpan> spans = {
      {kBlock - 1, 2},
      {0, size},
      {0, 0},
      {size, 0},
      {7, 1},
      {kPiece - 3, kPiece},
      {kBlock - kPiece, kPiece},
      {kBlock - kPiece + 1, kPiece},
      {kBlock, kPiece + 1},
      {12'345, 2 * kBlock},
      {size - 1, 1},
      {100, kPiece - 1},
      {100, kPiece},
      {100, kPiece + 1},
      {kBlock + 5, kBlock - 9},
      {12'345, 3},
      {1, 3 * kPiece},
  };
  for (const bool evict : {false, true}) {
    if (evict) test::Evict(path);
    const auto digests = DigestFile(path, spans, false, test::NoAbort(), [](int64_t) {});
    CHECK(digests.ok());
    if (!digests.ok()) continue;
    CHECK_EQ(digests.value().sha256, "");
    CHECK_EQ(digests.value().spans.size(), spans.size());
    for (size_t i = 0; i < spans.size(); ++i) {
      const Bytes bytes =
          test::Slice(content, spans[i].offset_bytes, static_cast<size_t>(spans[i].length_bytes));
      CHECK_EQ(digests.value().spans[i], test::SpanDigest(bytes));
    }
  }
}

TEST("digesting reports progress up to the whole file and stops when aborted") {
  const test::TempDirectory directory;
  const std::string path = directory.File("a");
  test::WriteFile(path, Bytes(static_cast<size_t>(2 * kBlock + 1), 'a'));
  std::vector<int64_t> seen;
  const AbortFlag abort = test::NoAbort();
  CHECK(DigestFile(path, {}, true, abort, [&seen](int64_t bytes) { seen.push_back(bytes); }).ok());
  CHECK(!seen.empty() && seen.back() == 2 * kBlock + 1);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
  // Set while it runs, after the first report.
  const auto aborted = DigestFile(path, {}, true, abort, [&abort](int64_t) { *abort = true; });
  CHECK_EQ(aborted.status().code(), "CANCELLED");
}

TEST("a range of a pinned file comes with the digest of its bytes") {
  const test::TempDirectory directory;
  const Bytes content = test::RandomBytes(100'000, 7);
  const TaskFile pin = test::WriteFile(directory.File("a"), content);
  for (const auto& [offset, length] : std::vector<std::pair<int64_t, int64_t>>{
           {0, 100'000}, {1, 1}, {99'999, 1}, {0, 0}, {4095, 4098}}) {
    const Result<RangeBytes> range = ReadRange(pin, offset, length);
    CHECK(range.ok());
    if (!range.ok()) continue;
    const Bytes want = test::Slice(content, offset, static_cast<size_t>(length));
    CHECK(range.value().data == want);
    CHECK_EQ(range.value().digest, ToHex(Xxh3(want)));
  }
}

TEST("a range is refused when the file is another one by now or too short") {
  const test::TempDirectory directory;
  const TaskFile pin = test::WriteFile(directory.File("a"), test::RandomBytes(1000, 8));
  CHECK_EQ(ReadRange(pin, 999, 2).status().code(), "INPUT_CHANGED");
  CHECK_EQ(ReadRange(pin, 5000, 1).status().code(), "INPUT_CHANGED");
  std::filesystem::rename(pin.path, directory.File("b"));
  CHECK_EQ(ReadRange(pin, 0, 1).status().code(), "IO");
  test::WriteFile(pin.path, test::RandomBytes(1000, 8));
  CHECK_EQ(ReadRange(pin, 0, 1).status().code(), "INPUT_CHANGED");
  test::WriteFile(pin.path, test::RandomBytes(1001, 8));
  CHECK_EQ(ReadRange(pin, 0, 1).status().code(), "INPUT_CHANGED");
}

TEST("measuring storage gives rates above zero and leaves nothing behind") {
  const test::TempDirectory directory;
  const Result<StorageRates> rates = MeasureStorage(directory.path(), 1);
  CHECK(rates.ok());
  if (rates.ok()) {
    CHECK(rates.value().read_bytes_per_second > 0);
    CHECK(rates.value().write_bytes_per_second > 0);
  }
  CHECK(std::filesystem::is_empty(directory.path()));
}

}  // namespace
}  // namespace graft
