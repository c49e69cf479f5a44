// Between gRPC's callbacks and async functions: cancellation becomes an AbortSignal, a full send
// buffer becomes a promise, anything thrown becomes a status with its trailer.
import { once } from "node:events";
import type { handleServerStreamingCall, handleUnaryCall } from "@grpc/grpc-js";
import { toStatus } from "../errors.js";

interface Cancellable {
  on(event: "cancelled", listener: () => void): unknown;
}

function signalOf(call: Cancellable): AbortSignal {
  const controller = new AbortController();
  call.on("cancelled", () => controller.abort());
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

export interface ResponseStream<R> {
  readonly signal: AbortSignal;
  /** Resolves when there is room for the next message; rejects when the caller has gone. */
  readonly write: (response: R) => Promise<void>;
}

export function serverStream<Q, R>(
  handler: (request: Q, stream: ResponseStream<R>) => Promise<void>,
): handleServerStreamingCall<Q, R> {
  return async (call) => {
    const signal = signalOf(call);
    const write = async (response: R): Promise<void> => {
      signal.throwIfAborted();
      if (!call.write(response)) await once(call, "drain", { signal });
    };
    try {
      await handler(call.request, { signal, write });
      call.end();
    } catch (error) {
      call.emit("error", toStatus(error));
    }
  };
}
