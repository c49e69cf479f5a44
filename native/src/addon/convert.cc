#include "addon/convert.h"

namespace graft::addon {

void Reader::Note(const char* key, const char* wanted) {
  if (problem_.empty()) problem_ = std::string(key) + ": expected " + wanted;
}

void Reader::Throw() const { Napi::TypeError::New(env_, problem_).ThrowAsJavaScriptException(); }

std::string Reader::String(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  if (!value.IsString()) return Note(key, "a string"), "";
  return value.As<Napi::String>().Utf8Value();
}

double Reader::Number(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  if (!value.IsNumber()) return Note(key, "a number"), 0;
  return value.As<Napi::Number>().DoubleValue();
}

int Reader::Int(const Napi::Object& object, const char* key) {
  return static_cast<int>(Number(object, key));
}

bool Reader::Bool(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  if (!value.IsBoolean()) return Note(key, "a boolean"), false;
  return value.As<Napi::Boolean>().Value();
}

int64_t Reader::Int64(const Napi::Value& value, const char* what) {
  bool lossless = false;
  if (!value.IsBigInt()) return Note(what, "a bigint"), 0;
  const int64_t number = value.As<Napi::BigInt>().Int64Value(&lossless);
  if (!lossless) Note(what, "a bigint of 64 bits");
  return number;
}

int64_t Reader::Int64(const Napi::Object& object, const char* key) {
  return Int64(object.Get(key), key);
}

Napi::Array Reader::Array(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  if (!value.IsArray()) return Note(key, "an array"), Napi::Array::New(env_);
  return value.As<Napi::Array>();
}

TaskFile ReadFile(Reader& reader, const Napi::Object& object) {
  TaskFile file;
  file.path = reader.String(object, "path");
  file.size_bytes = reader.Int64(object, "sizeBytes");
  file.modified_time_ns = reader.Int64(object, "modifiedTimeNs");
  file.inode = reader.Int64(object, "inode");
  return file;
}

namespace {

OperationInput ReadInput(Reader& reader, const Napi::Object& object) {
  OperationInput input;
  input.file = reader.Int(object, "file");
  input.offset_bytes = reader.Int64(object, "offsetBytes");
  input.dtype = static_cast<Dtype>(reader.Int(object, "dtype"));
  input.weight = reader.Number(object, "weight");
  input.density = reader.Number(object, "density");
  input.model_index = reader.Int(object, "modelIndex");
  input.model = reader.String(object, "model");
  input.tensor = reader.String(object, "tensor");
  return input;
}

Operation ReadOperation(Reader& reader, const Napi::Object& object) {
  Operation operation;
  operation.kernel = static_cast<Kernel>(reader.Int(object, "kernel"));
  operation.output_dtype = static_cast<Dtype>(reader.Int(object, "outputDtype"));
  operation.tensor_element_count = reader.Int64(object, "tensorElementCount");
  operation.element_start = reader.Int64(object, "elementStart");
  operation.element_count = reader.Int64(object, "elementCount");
  const Napi::Array inputs = reader.Array(object, "inputs");
  for (uint32_t i = 0; i < inputs.Length() && reader.ok(); ++i) {
    operation.inputs.push_back(ReadInput(reader, inputs.Get(i).As<Napi::Object>()));
  }
  const Napi::Array destinations = reader.Array(object, "destinations");
  for (uint32_t i = 0; i < destinations.Length() && reader.ok(); ++i) {
    const auto destination = destinations.Get(i).As<Napi::Object>();
    operation.destinations.push_back(
        {reader.Int(destination, "file"), reader.Int64(destination, "offsetBytes")});
  }
  operation.t = reader.Number(object, "t");
  operation.pruning = static_cast<Pruning>(reader.Int(object, "pruning"));
  operation.elect_sign = reader.Bool(object, "electSign");
  operation.normalize = reader.Bool(object, "normalize");
  operation.rescale = reader.Bool(object, "rescale");
  operation.lambda = reader.Number(object, "lambda");
  operation.seed = static_cast<uint64_t>(reader.Int64(object, "seed"));
  operation.stream_name = reader.String(object, "streamName");
  return operation;
}

}  // namespace

Task ReadTask(Reader& reader, const Napi::Object& object) {
  Task task;
  const Napi::Array inputs = reader.Array(object, "inputs");
  for (uint32_t i = 0; i < inputs.Length() && reader.ok(); ++i) {
    task.inputs.push_back(ReadFile(reader, inputs.Get(i).As<Napi::Object>()));
  }
  const Napi::Array outputs = reader.Array(object, "outputs");
  for (uint32_t i = 0; i < outputs.Length() && reader.ok(); ++i) {
    task.outputs.push_back(outputs.Get(i).As<Napi::String>().Utf8Value());
  }
  const Napi::Array operations = reader.Array(object, "operations");
  for (uint32_t i = 0; i < operations.Length() && reader.ok(); ++i) {
    task.operations.push_back(ReadOperation(reader, operations.Get(i).As<Napi::Object>()));
  }
  return task;
}

Napi::BigInt Big(Napi::Env env, int64_t value) { return Napi::BigInt::New(env, value); }

Napi::Object WriteTaskResult(Napi::Env env, const TaskResult& result) {
  const auto strings = [env](const std::vector<std::string>& from) {
    Napi::Array to = Napi::Array::New(env, from.size());
    for (uint32_t i = 0; i < from.size(); ++i) to.Set(i, from[i]);
    return to;
  };
  Napi::Object object = Napi::Object::New(env);
  object.Set("outputDigests", strings(result.output_digests));
  Napi::Array inputs = Napi::Array::New(env, result.input_digests.size());
  for (uint32_t i = 0; i < result.input_digests.size(); ++i) {
    inputs.Set(i, strings(result.input_digests[i]));
  }
  object.Set("inputDigests", inputs);
  Napi::Array found = Napi::Array::New(env, result.non_finite.size());
  for (uint32_t i = 0; i < result.non_finite.size(); ++i) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("operation", result.non_finite[i].operation);
    entry.Set("input", result.non_finite[i].input);
    entry.Set("count", Big(env, result.non_finite[i].count));
    entry.Set("firstIndex", Big(env, result.non_finite[i].first_index));
    found.Set(i, entry);
  }
  object.Set("nonFinite", found);
  object.Set("cpuSeconds", result.cpu_seconds);
  return object;
}

Napi::Error ToError(Napi::Env env, const Status& status) {
  Napi::Error error = Napi::Error::New(env, status.code());
  Napi::Object details = Napi::Object::New(env);
  for (const auto& [key, value] : status.details()) details.Set(key, value);
  error.Set("code", status.code());
  error.Set("details", details);
  return error;
}

}  // namespace graft::addon
