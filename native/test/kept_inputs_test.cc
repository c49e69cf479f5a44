// Methods that look twice keep what they read from the device: the same bytes as without, and every
// input byte read once.
#include "engine/kept_inputs.h"

#include <cstring>
#include <random>

#include "check.h"
#include "graft/storage.h"
#include "workbench.h"

namespace graft {
namespace {

constexpr int kInputs = 4;
constexpr const char* kNames[kInputs] = {"base", "first", "second", "third"};
/// Several units of 4 MiB and a ragged end.
constexpr int64_t kElements = (int64_t{5} << 20) + 12'347;
constexpr int64_t kMiB = int64_t{1} << 20;

/// Four bf16 tensors at odd places of four files; quantised, so that magnitudes tie.
struct Models {
  Models() {
    std::mt19937 random(7);
    for (int i = 0; i < kInputs; ++i) {
      test::Bytes tensor(2 * kElements);
      for (int64_t e = 0; e < kElements; ++e) {
        const auto bits =
            static_cast<uint16_t>((random() & 0x8000u) | 0x3c00u | (random() & 0x3fu));
        std::memcpy(tensor.data() + 2 * e, &bits, 2);
      }
      test::Bytes image;
      offsets.push_back(test::Place(&image, tensor, 2 + 1030 * i));
      pins.push_back(test::WriteFile(directory.File(kNames[i]), image));
    }
  }

  Operation Merge(Kernel kernel, Pruning pruning) const {
    Operation operation;
    operation.kernel = kernel;
    operation.output_dtype = Dtype::kBF16;
    operation.tensor_element_count = operation.element_count = kElements;
    operation.destinations = {{0, 4096}};
    operation.t = 0.3;
    operation.pruning = pruning;
    operation.elect_sign = operation.rescale = true;
    const int count = kernel == Kernel::kSlerp ? 2 : kInputs;
    for (int i = 0; i < count; ++i) {
      // The last model is not pruned, so the passes that look do not read it.
      const double density = i == kInputs - 1 ? 1 : 0.4;
      operation.inputs.push_back(
          {i, offsets[static_cast<size_t>(i)], Dtype::kBF16, 0.5, density, i, "m", "t"});
    }
    return operation;
  }

  struct Outcome {
    std::string digest;
    int64_t bytes_read;
  };
  Outcome Run(const Operation& operation, int64_t buffer_bytes, bool evict) const {
    const std::string output = directory.File("output");
    CHECK(PrepareFile(output, 4096 + 2 * kElements, {}).ok());
    for (const TaskFile& pin : pins) {
      if (evict) test::Evict(pin.path);
    }
    EngineOptions options;
    options.thread_count = 2;
    options.buffer_bytes_max = buffer_bytes;
    const std::unique_ptr<Engine> engine = test::MakeEngine(options);
    const TaskResult result = test::RunTask(*engine, {pins, {output}, {operation}});
    const test::Bytes written = test::ReadFile(output);
    CHECK_EQ(result.output_digests.at(0), test::SpanDigest(std::span(written).subspan(4096)));
    for (size_t i = 0; i < operation.inputs.size(); ++i) {
      const test::Bytes file = test::ReadFile(pins[i].path);
      const auto tensor = std::span(file).subspan(static_cast<size_t>(offsets[i]), 2 * kElements);
      CHECK_EQ(result.input_digests.at(0).at(i), test::SpanDigest(tensor));
    }
    return {result.output_digests.at(0), engine->counters().read_bytes};
  }

  const test::TempDirectory directory;
  std::vector<int64_t> offsets;
  std::vector<TaskFile> pins;
};

TEST("inputs kept between passes give the same bytes and are read from the device once") {
  const Models models;
  for (const auto& [kernel, pruning] : {std::pair(Kernel::kSlerp, Pruning::kNone),
                                        std::pair(Kernel::kTaskVector, Pruning::kBernoulli),
                                        std::pair(Kernel::kTaskVector, Pruning::kMagnitude)}) {
    const Operation merge = models.Merge(kernel, pruning);
    const int64_t once = static_cast<int64_t>(merge.inputs.size()) * 2 * kElements;
    const Models::Outcome cached = models.Run(merge, 1024 * kMiB, false);
    const Models::Outcome kept = models.Run(merge, 1024 * kMiB, true);
    // Two compute threads and four that wait take 64 MiB each before anything is kept.
    const Models::Outcome again = models.Run(merge, 6 * 64 * kMiB, true);
    CHECK_EQ(kept.digest, cached.digest);
    CHECK_EQ(again.digest, cached.digest);
    // Eviction is a wish; where it was not granted, reads come from the page cache and repeat.
    CHECK(kept.bytes_read == once || kept.bytes_read == cached.bytes_read);
    CHECK(again.bytes_read > once);
  }
}

TEST("kept units share no memory, though they share the page of the file on their border") {
  const Models models;
  const Operation merge = models.Merge(Kernel::kSlerp, Pruning::kNone);
  constexpr int64_t kUnit = 3 * kChunkElements;
  std::vector<File> files;
  for (const TaskFile& pin : models.pins) {
    test::Evict(pin.path);
    Result<File> file = File::OpenInput(pin, true);
    CHECK(file.ok());
    if (file.ok()) files.push_back(std::move(file.value()));
  }
  ResidentPool pool(64 * kMiB);
  KeptInputs kept(merge, kUnit, &pool);
  kept.Begin(files, true);
  if (!kept.Keeps(0) || !kept.Keeps(1)) {
    std::printf("skipped: this file system does not let go of cached pages\n");
    return;
  }
  const uint8_t* free_from = nullptr;  // behind all pages of the unit before
  for (size_t input = 0; input < 2; ++input) {
    for (int64_t first = 0; first < kElements; first += kUnit) {
      const int64_t last = std::min(first + kUnit, kElements) - 1;
      const uint8_t* pages = kept.PageOf(input, first);
      CHECK(pages >= free_from);
      CHECK_EQ((kept.ByteOf(input, first) - pages) % 4096,
               (models.offsets[input] + 2 * first) % 4096);
      CHECK_EQ(kept.ByteOf(input, last) - kept.ByteOf(input, first), 2 * (last - first));
      const int64_t used = kept.ByteOf(input, last) + 2 - pages;
      free_from = pages + (used + 4095) / 4096 * 4096;
    }
  }
}

TEST("a pool lends what fits, takes it back and makes room for larger pieces") {
  ResidentPool pool(32 * kMiB);
  ResidentPool::Lease first = pool.TryTake(20 * kMiB);
  CHECK(static_cast<bool>(first));
  CHECK(!pool.TryTake(20 * kMiB));
  uint8_t* memory = first.memory();
  first = ResidentPool::Lease();
  ResidentPool::Lease second = pool.TryTake(10 * kMiB);
  CHECK(second.memory() == memory);
  second = ResidentPool::Lease();
  CHECK(static_cast<bool>(pool.TryTake(30 * kMiB)));
  CHECK(!pool.TryTake(33 * kMiB));
}

}  // namespace
}  // namespace graft
