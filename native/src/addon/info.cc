// Facts about the build: kernel version, dtypes, instruction sets.
#include "addon/groups.h"
#include "graft/dtype.h"
#include "graft/engine.h"
#include "graft/task.h"

namespace graft::addon {
namespace {

Napi::Value KernelVersion(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), kKernelVersion);
}

Napi::Value DtypeTable(const Napi::CallbackInfo& info) {
  static constexpr const char* kKinds[] = {"float", "quantised", "integer"};
  Napi::Array rows = Napi::Array::New(info.Env(), kDtypes.size());
  for (uint32_t i = 0; i < kDtypes.size(); ++i) {
    Napi::Array row = Napi::Array::New(info.Env(), 4);
    row.Set(0u, static_cast<int>(kDtypes[i].code));
    row.Set(1u, std::string(kDtypes[i].name));
    row.Set(2u, static_cast<int>(kDtypes[i].size_bytes));
    row.Set(3u, kKinds[static_cast<int>(kDtypes[i].kind)]);
    rows.Set(i, row);
  }
  return rows;
}

Napi::Value AvailableIsas(const Napi::CallbackInfo& info) {
  const std::vector<std::string> names = graft::AvailableIsas();
  Napi::Array array = Napi::Array::New(info.Env(), names.size());
  for (uint32_t i = 0; i < names.size(); ++i) array.Set(i, names[i]);
  return array;
}

}  // namespace

void RegisterInfo(Napi::Env env, Napi::Object exports) {
  exports.Set("kernelVersion", Napi::Function::New(env, KernelVersion));
  exports.Set("dtypeTable", Napi::Function::New(env, DtypeTable));
  exports.Set("availableIsas", Napi::Function::New(env, AvailableIsas));
}

}  // namespace graft::addon
