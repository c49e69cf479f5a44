// The task stream of one worker. Credits bound what is outstanding; a worker that does not read still
// cannot make this side buffer, because send() waits for the socket.
import { once } from "node:events";
import type { RunTasksRequest, RunTasksResponse, Task } from "@graft/proto";
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { callError } from "./call-error.js";

export interface TaskStream extends AsyncIterable<RunTasksResponse> {
  assign(task: Task, epoch: number, outputDirectory: string): Promise<void>;
  cancel(taskId: string, epoch: number): Promise<void>;
  /** Says that nothing more will be assigned; the iteration ends when the worker has answered. */
  end(): void;
  /** Drops the call. Idempotent. */
  close(): void;
}

export function openTaskStream(
  call: ClientDuplexStream<RunTasksRequest, RunTasksResponse>,
  worker: string,
): TaskStream {
  // Errors surface in the iteration; a write that fails because of one must not throw by itself.
  call.on("error", () => undefined);

  const send = async (request: RunTasksRequest): Promise<void> => {
    if (call.destroyed || call.writableEnded || call.write(request)) return;
    const settled = new AbortController();
    const { signal } = settled;
    try {
      await Promise.race(["drain", "close", "error"].map((name) => once(call, name, { signal })));
    } catch {
      // The stream broke: the reader of the iteration sees why.
    } finally {
      settled.abort();
    }
  };

  return {
    assign: (task, epoch, outputDirectory) =>
      send({
        message: { $case: "assign", value: { task, epoch: BigInt(epoch), outputDirectory } },
      }),
    cancel: (taskId, epoch) =>
      send({ message: { $case: "cancel", value: { taskId, epoch: BigInt(epoch) } } }),
    end: () => call.end(),
    close: () => call.cancel(),
    async *[Symbol.asyncIterator]() {
      try {
        for await (const response of call) yield response as RunTasksResponse;
      } catch (error) {
        throw callError(error, worker, undefined);
      }
    },
  };
}
