// Ranges of sparse files: written only with the right digest, freed without touching neighbours.
#include "graft/sparse.h"

#include <sys/stat.h>

#include <algorithm>

#include "check.h"
#include "digest/xxh3.h"
#include "graft/storage.h"
#include "workbench.h"

namespace graft {
namespace {

using test::Bytes;

struct stat StatOf(const std::string& path) {
  struct stat now = {};
  CHECK_EQ(stat(path.c_str(), &now), 0);
  return now;
}

TEST("a range is written when its digest is right and left alone when it is not") {
  const test::TempDirectory directory;
  const std::string path = directory.File("cached");
  test::WriteFile(path, Bytes(100, 7));
  Bytes bytes = test::RandomBytes(40, 1);
  const std::string digest = ToHex(Xxh3(bytes));
  bytes[20] ^= 1;
  const Result<bool> refused = WriteRange(path, 30, bytes, digest);
  CHECK(refused.ok() && !refused.value());
  CHECK(test::ReadFile(path) == Bytes(100, 7));
  bytes[20] ^= 1;
  const Result<bool> written = WriteRange(path, 30, bytes, digest);
  CHECK(written.ok() && written.value());
  CHECK(test::Slice(test::ReadFile(path), 30, 40) == bytes);
  const Result<std::string> found = DigestRange(path, 30, 40);
  CHECK(found.ok());
  CHECK_EQ(found.value(), digest);
  const Result<std::string> beyond = DigestRange(path, 70, 40);
  CHECK(beyond.ok() && beyond.value().empty());
}

TEST("a freed range reads as zeros, its neighbours and the size stay") {
  const test::TempDirectory directory;
  const std::string path = directory.File("cached");
  const Bytes bytes = test::RandomBytes(1'000'000, 2);
  test::WriteFile(path, bytes);
  CHECK(SyncFile(path).ok());
  const auto before = StatOf(path).st_blocks;
  const Result<bool> freed = FreeRange(path, 100'001, 700'003);
  CHECK(freed.ok());
  if (!freed.value()) {
    std::printf("skipped: this file system has no holes\n");
    return;
  }
  Bytes want = bytes;
  std::fill(want.begin() + 100'001, want.begin() + 800'004, uint8_t{0});
  CHECK(test::ReadFile(path) == want);
  CHECK(StatOf(path).st_blocks < before);
}

TEST("a range of a file that is not there is an error that names it") {
  const test::TempDirectory directory;
  const std::string path = directory.File("missing");
  const Bytes bytes(10, 1);
  const Result<bool> written = WriteRange(path, 0, bytes, ToHex(Xxh3(bytes)));
  const Result<std::string> found = DigestRange(path, 0, 10);
  const Result<bool> freed = FreeRange(path, 0, 10);
  for (const Status& status : {written.status(), found.status(), freed.status()}) {
    CHECK_EQ(status.code(), "IO");
    CHECK_EQ(status.details()[0].second, path);
  }
}

TEST("a pin of any time lets a reader work while other ranges are written") {
  const test::TempDirectory directory;
  const std::string path = directory.File("cached");
  test::WriteFile(path, Bytes(100, 7));
  const auto inode = static_cast<int64_t>(StatOf(path).st_ino);
  const TaskFile pin = {path, 100, kAnyTime, inode};
  CHECK(ReadRange(pin, 0, 100).ok());
  const Bytes bytes = test::RandomBytes(10, 3);
  CHECK(WriteRange(path, 90, bytes, ToHex(Xxh3(bytes))).ok());
  CHECK(ReadRange(pin, 0, 100).ok());
  CHECK_EQ(ReadRange({path, 100, kAnyTime, inode + 1}, 0, 100).status().code(), "INPUT_CHANGED");
  CHECK_EQ(ReadRange({path, 101, kAnyTime, inode}, 0, 100).status().code(), "INPUT_CHANGED");
}

}  // namespace
}  // namespace graft
