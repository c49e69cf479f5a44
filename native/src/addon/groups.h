// The export groups; each registers its functions on the exports object.
#pragma once

#include <napi.h>

namespace graft::addon {

void RegisterInfo(Napi::Env env, Napi::Object exports);
void RegisterEngine(Napi::Env env, Napi::Object exports);
void RegisterFiles(Napi::Env env, Napi::Object exports);
void RegisterSparse(Napi::Env env, Napi::Object exports);

}  // namespace graft::addon
