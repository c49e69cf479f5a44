// Type tags of the handles that JavaScript holds: a wrong handle is an error, not a crash.
#pragma once

#include <napi.h>

#include <memory>

#include "graft/engine.h"

namespace graft::addon {

inline constexpr napi_type_tag kEngineTag = {0x6772616674656e67ull, 0x0000000000000001ull};
inline constexpr napi_type_tag kAbortTag = {0x6772616674616272ull, 0x0000000000000002ull};

/// What an engine handle points to; closing empties it.
struct EngineBox {
  std::shared_ptr<Engine> engine;
};

struct AbortBox {
  AbortFlag flag = std::make_shared<std::atomic<bool>>(false);
};

template <typename Box>
Napi::Value WrapHandle(Napi::Env env, Box* box, const napi_type_tag& tag) {
  auto external = Napi::External<Box>::New(env, box, [](Napi::Env, Box* held) { delete held; });
  napi_type_tag_object(env, external, &tag);
  return external;
}

/// The box of a handle, or nullptr with a pending JavaScript exception.
template <typename Box>
Box* UnwrapHandle(const Napi::Value& value, const napi_type_tag& tag, const char* what) {
  bool matches = false;
  if (value.IsExternal()) {
    napi_check_object_type_tag(value.Env(), value, &tag, &matches);
  }
  if (!matches) {
    Napi::TypeError::New(value.Env(), std::string("expected a handle of type ") + what)
        .ThrowAsJavaScriptException();
    return nullptr;
  }
  return value.As<Napi::External<Box>>().Data();
}

}  // namespace graft::addon
