// JavaScript values to plain structs and back; the field names are those of native/ts/native.ts.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "graft/engine.h"
#include "graft/status.h"

namespace graft::addon {

/// Reads fields of a data transfer object; the first missing or mistyped one is remembered.
class Reader {
 public:
  explicit Reader(Napi::Env env) : env_(env) {}

  std::string String(const Napi::Object& object, const char* key);
  double Number(const Napi::Object& object, const char* key);
  int Int(const Napi::Object& object, const char* key);
  bool Bool(const Napi::Object& object, const char* key);
  int64_t Int64(const Napi::Object& object, const char* key);
  Napi::Array Array(const Napi::Object& object, const char* key);

  int64_t Int64(const Napi::Value& value, const char* what);

  bool ok() const { return problem_.empty(); }
  /// Throws a TypeError naming the field; call when !ok().
  void Throw() const;

 private:
  void Note(const char* key, const char* wanted);

  Napi::Env env_;
  std::string problem_;
};

TaskFile ReadFile(Reader& reader, const Napi::Object& object);
Task ReadTask(Reader& reader, const Napi::Object& object);
Napi::Object WriteTaskResult(Napi::Env env, const TaskResult& result);
Napi::BigInt Big(Napi::Env env, int64_t value);

/// An Error with `code` and `details`, as native/ts/errors.ts expects it.
Napi::Error ToError(Napi::Env env, const Status& status);

}  // namespace graft::addon
