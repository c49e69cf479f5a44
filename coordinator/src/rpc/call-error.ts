// The one place where a gRPC failure becomes a GraftError: the detail the worker sent, or what the
// status says about the connection.
import { ErrorDetail, GraftError } from "@graft/proto";
import { type ServiceError, status } from "@grpc/grpc-js";

const ERROR_TRAILER = "graft-error-bin";

/** The reason of an aborted signal wins: the caller knows why it gave up. */
export function callError(
  error: unknown,
  worker: string,
  signal: AbortSignal | undefined,
): GraftError {
  if (error instanceof GraftError) return error;
  if (signal?.aborted) return abortError(signal);
  if (!isServiceError(error)) return GraftError.from(error);
  const [trailer] = error.metadata?.get(ERROR_TRAILER) ?? [];
  if (Buffer.isBuffer(trailer)) return GraftError.fromDetail(ErrorDetail.decode(trailer));
  const options = { cause: error };
  switch (error.code) {
    case status.UNAVAILABLE:
      return new GraftError("WORKER_LOST", { worker, problem: connectionProblem(error) }, options);
    case status.DEADLINE_EXCEEDED:
      return new GraftError("WORKER_LOST", { worker, problem: "no answer in time" }, options);
    case status.CANCELLED:
      return new GraftError("WORKER_LOST", { worker, problem: "call cancelled" }, options);
    default: {
      const problem = `${status[error.code] ?? error.code}: ${error.details}`;
      return new GraftError("INTERNAL", { problem: `worker ${worker}: ${problem}` }, options);
    }
  }
}

/** What TLS refused is worth telling; what else breaks connections says nothing to a user. */
function connectionProblem({ details }: ServiceError): string {
  const told = /certificate|TLS|SSL|handshake|role/i.exec(details) !== null;
  return told ? `connection lost: ${details}` : "connection lost";
}

export function abortError(signal: AbortSignal): GraftError {
  const reason: unknown = signal.reason;
  if (reason instanceof GraftError) return reason;
  return new GraftError("CANCELLED", {}, { cause: reason });
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "details" in error;
}
