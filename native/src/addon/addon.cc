// The export table: one line per group, in the order of native/ts/native.ts.
#include <napi.h>

#include "addon/groups.h"

namespace {

Napi::Object Initialise(Napi::Env env, Napi::Object exports) {
  graft::addon::RegisterInfo(env, exports);
  graft::addon::RegisterEngine(env, exports);
  graft::addon::RegisterFiles(env, exports);
  graft::addon::RegisterSparse(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(graft, Initialise)
