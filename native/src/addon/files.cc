// Headers and whole-file chores.
#include <chrono>

#include "addon/convert.h"
#include "addon/groups.h"
#include "addon/handles.h"
#include "addon/promise_worker.h"
#include "graft/format.h"
#include "graft/storage.h"

namespace graft::addon {
namespace {

Napi::Value WriteHeader(Napi::Env env, const Header& header) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("sizeBytes", Big(env, static_cast<int64_t>(header.size_bytes)));
  object.Set("modifiedTimeNs", Big(env, header.modified_time_ns));
  object.Set("inode", Big(env, static_cast<int64_t>(header.inode)));
  object.Set("headerDigest", header.header_digest);
  Napi::Array tensors = Napi::Array::New(env, header.tensors.size());
  for (uint32_t i = 0; i < header.tensors.size(); ++i) {
    const Napi::HandleScope scope(env);
    const HeaderTensor& tensor = header.tensors[i];
    Napi::Object entry = Napi::Object::New(env);
    Napi::Array shape = Napi::Array::New(env, tensor.shape.size());
    for (uint32_t d = 0; d < tensor.shape.size(); ++d) shape.Set(d, Big(env, tensor.shape[d]));
    entry.Set("name", tensor.name);
    entry.Set("dtype", static_cast<int>(tensor.dtype));
    entry.Set("shape", shape);
    entry.Set("offsetBytes", Big(env, static_cast<int64_t>(tensor.offset_bytes)));
    entry.Set("lengthBytes", Big(env, static_cast<int64_t>(tensor.length_bytes)));
    tensors.Set(i, entry);
  }
  object.Set("tensors", tensors);
  return object;
}

Napi::Value HeaderRead(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  return RunAsync<Header>(
      info.Env(), [path] { return ReadHeader(path); }, WriteHeader);
}

Napi::Value FilePrepare(const Napi::CallbackInfo& info) {
  Reader reader(info.Env());
  const std::string path = info[0].As<Napi::String>();
  const int64_t size = reader.Int64(info[1], "sizeBytes");
  if (!reader.ok()) return reader.Throw(), info.Env().Undefined();
  const auto view = info[2].As<Napi::Uint8Array>();
  // A header is small: a copy is simpler than pinning the buffer.
  std::vector<uint8_t> header(view.Data(), view.Data() + view.ElementLength());
  return RunAsync(info.Env(), [path, size, header = std::move(header)] {
    return PrepareFile(path, size, header);
  });
}

Napi::Value FileSync(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  return RunAsync(info.Env(), [path] { return SyncFile(path); });
}

Napi::Value WriteDigests(Napi::Env env, const FileDigests& digests) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("sizeBytes", Big(env, digests.size_bytes));
  object.Set("sha256",
             digests.sha256.empty() ? env.Null() : Napi::String::New(env, digests.sha256));
  Napi::Array spans = Napi::Array::New(env, digests.spans.size());
  for (uint32_t i = 0; i < digests.spans.size(); ++i) spans.Set(i, digests.spans[i]);
  object.Set("spanDigests", spans);
  return object;
}

/// Calls a JavaScript function with a byte count, at most ten times a second, from another thread.
class ProgressReporter {
 public:
  ProgressReporter(Napi::Env env, const Napi::Function& callback)
      : function_(Napi::ThreadSafeFunction::New(env, callback, "graft progress", 0, 1)) {}
  ~ProgressReporter() { function_.Release(); }

  void Report(int64_t bytes) {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    function_.NonBlockingCall(
        [bytes](Napi::Env env, Napi::Function callback) { callback.Call({Big(env, bytes)}); });
  }

 private:
  Napi::ThreadSafeFunction function_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

Napi::Value FileDigest(const Napi::CallbackInfo& info) {
  Reader reader(info.Env());
  const std::string path = info[0].As<Napi::String>();
  const auto list = info[1].As<Napi::Array>();
  std::vector<FileSpan> spans;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const auto span = list.Get(i).As<Napi::Object>();
    spans.push_back({reader.Int64(span, "offsetBytes"), reader.Int64(span, "lengthBytes")});
  }
  if (!reader.ok()) return reader.Throw(), info.Env().Undefined();
  const bool sha256 = info[2].As<Napi::Boolean>();
  auto* abort = UnwrapHandle<AbortBox>(info[3], kAbortTag, "abort");
  if (abort == nullptr) return info.Env().Undefined();
  auto reporter = std::make_shared<ProgressReporter>(info.Env(), info[4].As<Napi::Function>());
  return RunAsync<FileDigests>(
      info.Env(),
      [path, spans = std::move(spans), sha256, flag = abort->flag, reporter]() mutable {
        auto result = DigestFile(path, spans, sha256, flag,
                                 [&reporter](int64_t bytes) { reporter->Report(bytes); });
        reporter.reset();
        return result;
      },
      WriteDigests);
}

Napi::Value FileReadRange(const Napi::CallbackInfo& info) {
  Reader reader(info.Env());
  const TaskFile file = ReadFile(reader, info[0].As<Napi::Object>());
  const int64_t offset = reader.Int64(info[1], "offsetBytes");
  const int64_t length = info[2].As<Napi::Number>().Int64Value();
  if (!reader.ok()) return reader.Throw(), info.Env().Undefined();
  return RunAsync<RangeBytes>(
      info.Env(), [file, offset, length] { return ReadRange(file, offset, length); },
      [](Napi::Env env, const RangeBytes& range) -> Napi::Value {
        Napi::Object object = Napi::Object::New(env);
        object.Set("data", Napi::Buffer<uint8_t>::Copy(env, range.data.data(), range.data.size()));
        object.Set("digest", range.digest);
        return object;
      });
}

Napi::Value StorageMeasure(const Napi::CallbackInfo& info) {
  Reader reader(info.Env());
  const std::string directory = info[0].As<Napi::String>();
  const int64_t size = reader.Int64(info[1], "sizeBytes");
  if (!reader.ok()) return reader.Throw(), info.Env().Undefined();
  return RunAsync<StorageRates>(
      info.Env(), [directory, size] { return MeasureStorage(directory, size); },
      [](Napi::Env env, const StorageRates& rates) -> Napi::Value {
        Napi::Object object = Napi::Object::New(env);
        object.Set("readBytesPerSecond", rates.read_bytes_per_second);
        object.Set("writeBytesPerSecond", rates.write_bytes_per_second);
        return object;
      });
}

}  // namespace

void RegisterFiles(Napi::Env env, Napi::Object exports) {
  exports.Set("headerRead", Napi::Function::New(env, HeaderRead));
  exports.Set("filePrepare", Napi::Function::New(env, FilePrepare));
  exports.Set("fileSync", Napi::Function::New(env, FileSync));
  exports.Set("fileDigest", Napi::Function::New(env, FileDigest));
  exports.Set("fileReadRange", Napi::Function::New(env, FileReadRange));
  exports.Set("storageMeasure", Napi::Function::New(env, StorageMeasure));
}

}  // namespace graft::addon
