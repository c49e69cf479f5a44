// How a call to another worker failed: with what that worker said, or with what became of the call.
import { ErrorDetail, GraftError } from "@graft/proto";
import { type StatusObject, status } from "@grpc/grpc-js";
import { ERROR_TRAILER } from "../errors.js";

export function peerError(worker: string, { code, details, metadata }: StatusObject): GraftError {
  const [trailer] = metadata.get(ERROR_TRAILER);
  if (Buffer.isBuffer(trailer)) return GraftError.fromDetail(ErrorDetail.decode(trailer));
  const problem = `${status[code] ?? code}: ${details}`;
  return new GraftError("WORKER_LOST", { worker, problem });
}
