// Errors as values: a code of the project's error table (proto/src/errors.ts) and the values that
// fill its text template. The library never throws; the text is made in TypeScript.
#pragma once

#include <cassert>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace graft {

class [[nodiscard]] Status {
 public:
  using Details = std::vector<std::pair<std::string, std::string>>;

  static Status Ok() { return Status(); }
  static Status Error(std::string_view code, Details details = {}) {
    Status status;
    status.code_ = code;
    status.details_ = std::move(details);
    return status;
  }
  /// A failed system call on `path`; maps ENOSPC, EDQUOT, EACCES and EPERM to their own codes.
  static Status FromErrno(int error, const std::string& path, std::string_view operation);

  bool ok() const { return code_.empty(); }
  const std::string& code() const { return code_; }
  const Details& details() const { return details_; }

 private:
  std::string code_;
  Details details_;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}
  Result(Status status) : state_(std::move(status)) { assert(!this->status().ok()); }

  bool ok() const { return std::holds_alternative<T>(state_); }
  T& value() { return std::get<T>(state_); }
  const T& value() const { return std::get<T>(state_); }
  const Status& status() const { return std::get<Status>(state_); }

 private:
  std::variant<T, Status> state_;
};

}  // namespace graft
