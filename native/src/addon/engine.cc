// Engines, abort handles and tasks.
#include "addon/convert.h"
#include "addon/groups.h"
#include "addon/handles.h"
#include "addon/promise_worker.h"

namespace graft::addon {
namespace {

Napi::Value AbortCreate(const Napi::CallbackInfo& info) {
  return WrapHandle(info.Env(), new AbortBox(), kAbortTag);
}

Napi::Value AbortTrigger(const Napi::CallbackInfo& info) {
  auto* box = UnwrapHandle<AbortBox>(info[0], kAbortTag, "abort");
  if (box != nullptr) *box->flag = true;
  return info.Env().Undefined();
}

Napi::Value EngineCreate(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto object = info[0].As<Napi::Object>();
  Reader reader(env);
  EngineOptions options;
  options.thread_count = reader.Int(object, "threadCount");
  options.buffer_bytes_max = reader.Int64(object, "bufferBytesMax");
  if (!object.Get("isa").IsNull()) options.isa = reader.String(object, "isa");
  if (!object.Get("tileBytes").IsNull()) options.tile_bytes = reader.Int64(object, "tileBytes");
  options.direct_io = reader.Bool(object, "directIo");
  if (!reader.ok()) return reader.Throw(), env.Undefined();
  Result<std::unique_ptr<Engine>> engine = Engine::Create(options);
  if (!engine.ok()) {
    ToError(env, engine.status()).ThrowAsJavaScriptException();
    return env.Undefined();
  }
  return WrapHandle(env, new EngineBox{std::move(engine.value())}, kEngineTag);
}

/// The open engine behind a handle, or nullptr with a pending exception.
std::shared_ptr<Engine> OpenEngine(const Napi::CallbackInfo& info) {
  auto* box = UnwrapHandle<EngineBox>(info[0], kEngineTag, "engine");
  if (box == nullptr) return nullptr;
  if (box->engine == nullptr) {
    Napi::Error::New(info.Env(), "the engine is closed").ThrowAsJavaScriptException();
  }
  return box->engine;
}

Napi::Value EngineIsa(const Napi::CallbackInfo& info) {
  const auto engine = OpenEngine(info);
  if (engine == nullptr) return info.Env().Undefined();
  return Napi::String::New(info.Env(), engine->isa());
}

/// Indices of a task come from outside the library; everything else it can trust.
const char* CheckIndices(const Task& task) {
  for (const Operation& operation : task.operations) {
    if (operation.inputs.empty() || operation.destinations.empty()) return "an operation is empty";
    if (FindDtype(operation.output_dtype) == nullptr) return "unknown output dtype";
    if (operation.element_count < 0 || operation.element_start < 0 ||
        operation.element_start % kChunkElements != 0) {
      return "element range out of bounds";
    }
    for (const OperationInput& input : operation.inputs) {
      if (input.file < 0 || static_cast<size_t>(input.file) >= task.inputs.size()) {
        return "input file index out of bounds";
      }
      if (FindDtype(input.dtype) == nullptr) return "unknown input dtype";
      if (operation.kernel == Kernel::kCopy) {
        if (input.dtype != operation.output_dtype) return "a copy changes the dtype";
      } else if (FindDtype(input.dtype)->kind != DtypeKind::kFloat ||
                 FindDtype(operation.output_dtype)->kind != DtypeKind::kFloat) {
        return "arithmetic on a dtype that is only copied";
      }
    }
    for (const OperationDestination& destination : operation.destinations) {
      if (destination.file < 0 || static_cast<size_t>(destination.file) >= task.outputs.size()) {
        return "output file index out of bounds";
      }
    }
    if (operation.kernel == Kernel::kSlerp && operation.inputs.size() != 2) {
      return "slerp takes two inputs";
    }
    const bool whole =
        operation.element_start == 0 && operation.element_count == operation.tensor_element_count;
    if (!whole && (operation.kernel == Kernel::kSlerp || operation.kernel == Kernel::kTaskVector)) {
      return "an operation with statistics takes the whole tensor";
    }
  }
  return nullptr;
}

Napi::Value EngineRunTask(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto engine = OpenEngine(info);
  if (engine == nullptr) return env.Undefined();
  Reader reader(env);
  auto task = std::make_shared<Task>(ReadTask(reader, info[1].As<Napi::Object>()));
  if (!reader.ok()) return reader.Throw(), env.Undefined();
  if (const char* problem = CheckIndices(*task); problem != nullptr) {
    Napi::TypeError::New(env, problem).ThrowAsJavaScriptException();
    return env.Undefined();
  }
  auto* abort = UnwrapHandle<AbortBox>(info[2], kAbortTag, "abort");
  if (abort == nullptr) return env.Undefined();
  return RunAsync<TaskResult>(
      env, [engine, task, flag = abort->flag] { return engine->Run(*task, flag); },
      [](Napi::Env loop, const TaskResult& result) -> Napi::Value {
        return WriteTaskResult(loop, result);
      });
}

Napi::Value EngineCountersOf(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto engine = OpenEngine(info);
  if (engine == nullptr) return env.Undefined();
  const EngineCounters now = engine->counters();
  Napi::Object object = Napi::Object::New(env);
  object.Set("readBytes", Big(env, now.read_bytes));
  object.Set("writtenBytes", Big(env, now.written_bytes));
  object.Set("pageCacheBytes", Big(env, now.page_cache_bytes));
  object.Set("bufferBytes", Big(env, now.buffer_bytes));
  return object;
}

Napi::Value EngineClose(const Napi::CallbackInfo& info) {
  auto* box = UnwrapHandle<EngineBox>(info[0], kEngineTag, "engine");
  if (box == nullptr) return info.Env().Undefined();
  // The last reference joins the threads; running tasks hold one until they are done.
  return RunAsync(info.Env(), [engine = std::exchange(box->engine, nullptr)]() mutable {
    engine.reset();
    return Status::Ok();
  });
}

}  // namespace

void RegisterEngine(Napi::Env env, Napi::Object exports) {
  exports.Set("abortCreate", Napi::Function::New(env, AbortCreate));
  exports.Set("abortTrigger", Napi::Function::New(env, AbortTrigger));
  exports.Set("engineCreate", Napi::Function::New(env, EngineCreate));
  exports.Set("engineIsa", Napi::Function::New(env, EngineIsa));
  exports.Set("engineRunTask", Napi::Function::New(env, EngineRunTask));
  exports.Set("engineCounters", Napi::Function::New(env, EngineCountersOf));
  exports.Set("engineClose", Napi::Function::New(env, EngineClose));
}

}  // namespace graft::addon
