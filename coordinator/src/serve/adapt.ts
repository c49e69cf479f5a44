// Between gRPC's callbacks and async functions: cancellation becomes an AbortSignal, a full send
// buffer becomes a promise, anything thrown becomes a status with the error in a trailer.
import { once } from "node:events";
import { ErrorDetail, GraftError } from "@graft/proto";
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type StatusObject,
} from "@grpc/grpc-js";

const ERROR_TRAILER = "graft-error-bin";
/** HTTP/2 peers refuse header blocks of more than 16 KiB by default; message and details share it. */
const TEXT_LENGTH_MAX = 2000;

export function toStatus(error: unknown): StatusObject {
  const { code, message, details, info } = GraftError.from(error);
  const texts = Object.entries(details).map(([key, value]) => [key, cut(value)] as const);
  const detail = { code, message: cut(message), details: Object.fromEntries(texts) };
  const metadata = new Metadata();
  metadata.set(ERROR_TRAILER, Buffer.from(ErrorDetail.encode(detail).finish()));
  return { code: info.status, details: detail.message, metadata };
}

function cut(text: string): string {
  return text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}…` : text;
}

interface Cancellable {
  on(event: "cancelled", listener: () => void): unknown;
}

function signalOf(call: Cancellable): AbortSignal {
  const controller = new AbortController();
  call.on("cancelled", () => controller.abort(new GraftError("CANCELLED")));
  return controller.signal;
}

export function unary<Q, R>(
  handler: (request: Q, signal: AbortSignal) => R | Promise<R>,
): handleUnaryCall<Q, R> {
  return async (call, callback) => {
    try {
      callback(null, await handler(call.request, signalOf(call)));
    } catch (error) {
      callback(toStatus(error));
    }
  };
}

/** Sends what the handler yields, at the pace of the reader. */
export function serverStream<Q, R>(
  handler: (request: Q, signal: AbortSignal) => AsyncIterable<R>,
): handleServerStreamingCall<Q, R> {
  return async (call) => {
    const signal = signalOf(call);
    try {
      for await (const response of handler(call.request, signal)) {
        signal.throwIfAborted();
        if (!call.write(response)) await once(call, "drain", { signal });
      }
      call.end();
    } catch (error) {
      call.emit("error", toStatus(error));
    }
  };
}
