// The worker's error boundary: whatever is thrown becomes one GraftError here, and one gRPC status with
// the whole error in the trailer "graft-error-bin". Trailers are small, so long texts are cut.

import { NativeError } from "@graft/native";
import { ErrorDetail, GraftError, isErrorCode } from "@graft/proto";
import { Metadata, type StatusObject } from "@grpc/grpc-js";

export const ERROR_TRAILER = "graft-error-bin";

/** HTTP/2 peers refuse header blocks of more than 16 KiB by default; message and details share it. */
const TEXT_LENGTH_MAX = 2000;

/** Anything thrown in this process as a GraftError. Idempotent. */
export function toGraftError(error: unknown): GraftError {
  if (error instanceof GraftError) return error;
  if (error instanceof NativeError && isErrorCode(error.code)) {
    return new GraftError(error.code, error.details, { cause: error });
  }
  if (error instanceof Error) {
    if (error.name === "AbortError" || error.name === "TimeoutError") {
      return new GraftError("CANCELLED", {}, { cause: error });
    }
    const system = fromSystemError(error);
    if (system !== undefined) return system;
  }
  return GraftError.from(error);
}

/** A failed system call of node:fs. */
function fromSystemError(error: NodeJS.ErrnoException): GraftError | undefined {
  const { code, syscall, path } = error;
  if (code === undefined || syscall === undefined || path === undefined) return undefined;
  const cause = { cause: error };
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new GraftError("DISK_FULL", { path, output: path }, cause);
  }
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return new GraftError("PERMISSION", { path, operation: syscall }, cause);
  }
  return new GraftError("IO", { path, operation: syscall, problem: code }, cause);
}

export function toErrorDetail(error: unknown): ErrorDetail {
  const { code, message, details } = toGraftError(error);
  const texts = Object.entries(details).map(([key, value]) => [key, cut(value)] as const);
  return { code, message: cut(message), details: Object.fromEntries(texts) };
}

/** What a handler gives back to gRPC for an error of any kind. */
export function toStatus(error: unknown): StatusObject {
  const detail = toErrorDetail(error);
  const metadata = new Metadata();
  metadata.set(ERROR_TRAILER, Buffer.from(ErrorDetail.encode(detail).finish()));
  return { code: toGraftError(error).info.status, details: detail.message, metadata };
}

function cut(text: string): string {
  return text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}…` : text;
}
