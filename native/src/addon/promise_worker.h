// Runs a function on a thread of its own and settles a promise with its result. Not on libuv's
// pool: a task may take seconds and the pool has four threads, which file system calls share.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "addon/convert.h"
#include "graft/status.h"

namespace graft::addon {

/// `work` runs off the JavaScript thread and must not touch JavaScript values; `convert` runs on
/// it. `release` runs on it too, after either end: it drops references that keep the arguments
/// alive. The call keeps the event loop alive until it settles.
template <typename T>
Napi::Promise RunAsync(Napi::Env env, std::function<Result<T>()> work,
                       std::function<Napi::Value(Napi::Env, const T&)> convert,
                       std::function<void()> release = {}) {
  auto deferred = std::make_shared<Napi::Promise::Deferred>(env);
  auto settle = Napi::ThreadSafeFunction::New(env, Napi::Function(), "graft", 0, 1);
  std::thread([work = std::move(work), convert = std::move(convert), release = std::move(release),
               deferred, settle]() mutable {
    auto result = std::make_shared<Result<T>>(work());
    settle.BlockingCall([result, convert, release, deferred](Napi::Env loop, Napi::Function) {
      const Napi::HandleScope scope(loop);
      if (result->ok()) {
        deferred->Resolve(convert(loop, result->value()));
      } else {
        deferred->Reject(ToError(loop, result->status()).Value());
      }
      if (release) release();
    });
    settle.Release();
  }).detach();
  return deferred->Promise();
}

/// For work that only succeeds or fails.
inline Napi::Promise RunAsync(Napi::Env env, std::function<Status()> work) {
  return RunAsync<bool>(
      env,
      [work = std::move(work)]() -> Result<bool> {
        Status status = work();
        if (!status.ok()) return status;
        return true;
      },
      [](Napi::Env loop, const bool&) { return loop.Undefined(); });
}

}  // namespace graft::addon
