// Ranges of sparse files: what a cache of parts of files needs.
#include "graft/sparse.h"

#include "addon/convert.h"
#include "addon/groups.h"
#include "addon/promise_worker.h"

namespace graft::addon {
namespace {

Napi::Value WriteBool(Napi::Env env, const bool& value) { return Napi::Boolean::New(env, value); }

Napi::Value RangeWrite(const Napi::CallbackInfo& info) {
  Reader reader(info.Env());
  const std::string path = info[0].As<Napi::String>();
  const int64_t offset = reader.Int64(info[1], "offsetBytes");
  if (!reader.ok()) return reader.Throw(), info.Env().Undefined();
  const auto view = info[2].As<Napi::Uint8Array>();
  const std::span<const uint8_t> bytes(view.Data(), view.ElementLength());
  const std::string digest = info[3].As<Napi::String>();
  // Pieces are megabytes: the buffer is kept alive instead of copied.
  auto* pinned = new Napi::ObjectReference(Napi::Persistent(view.As<Napi::Object>()));
  return RunAsync<bool>(
      info.Env(), [path, offset, bytes, digest] { return WriteRange(path, offset, bytes, digest); },
      WriteBool, [pinned] { delete pinned; });
}

Napi::Value RangeDigest(const Napi::CallbackInfo& info) {
  Reader reader(info.Env());
  const std::string path = info[0].As<Napi::String>();
  const int64_t offset = reader.Int64(info[1], "offsetBytes");
  const int64_t length = info[2].As<Napi::Number>().Int64Value();
  if (!reader.ok()) return reader.Throw(), info.Env().Undefined();
  return RunAsync<std::string>(
      info.Env(), [path, offset, length] { return DigestRange(path, offset, length); },
      [](Napi::Env env, const std::string& digest) -> Napi::Value {
        return digest.empty() ? env.Null() : Napi::String::New(env, digest);
      });
}

Napi::Value RangeFree(const Napi::CallbackInfo& info) {
  Reader reader(info.Env());
  const std::string path = info[0].As<Napi::String>();
  const int64_t offset = reader.Int64(info[1], "offsetBytes");
  const int64_t length = info[2].As<Napi::Number>().Int64Value();
  if (!reader.ok()) return reader.Throw(), info.Env().Undefined();
  return RunAsync<bool>(
      info.Env(), [path, offset, length] { return FreeRange(path, offset, length); }, WriteBool);
}

}  // namespace

void RegisterSparse(Napi::Env env, Napi::Object exports) {
  exports.Set("rangeWrite", Napi::Function::New(env, RangeWrite));
  exports.Set("rangeDigest", Napi::Function::New(env, RangeDigest));
  exports.Set("rangeFree", Napi::Function::New(env, RangeFree));
}

}  // namespace graft::addon
