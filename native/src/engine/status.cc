#include "graft/status.h"

#include <cerrno>
#include <cstring>

namespace graft {

Status Status::FromErrno(int error, const std::string& path, std::string_view operation) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return Error("DISK_FULL", {{"path", path}, {"output", path}});
    case EACCES:
    case EPERM:
    case EROFS:
      return Error("PERMISSION", {{"path", path}, {"operation", std::string(operation)}});
    default:
      return Error("IO", {{"path", path},
                          {"operation", std::string(operation)},
                          {"problem", std::strerror(error)}});
  }
}

}  // namespace graft
