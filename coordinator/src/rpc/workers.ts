// The workers of one merge as its parts see them: anybody at all for a call on a file, each by itself
// for tasks. A cluster of one and a list of machines look the same from here.
import type { ErrorCode } from "@graft/proto/errors";
import type { WorkerClient } from "./worker-client.js";

export interface Workers {
  readonly members: readonly Member[];
  /**
   * Runs an idempotent call on a worker, and again on another one, or on its successor, when that one
   * died under it. Errors in `elsewhere` mean that another machine may know better.
   */
  use<Result>(
    call: (client: WorkerClient) => Promise<Result>,
    elsewhere?: readonly ErrorCode[],
  ): Promise<Result>;
}

export interface Member {
  /** Names it in messages and in the schedule; stays the same when it dies and comes back. */
  readonly name: string;
  /** Ours alone and on this machine: sees what the coordinator sees, and runs the same build. */
  readonly isPrivate: boolean;
  /** A client that answers at this moment; rejects within seconds when there is none. */
  answering(): Promise<WorkerClient>;
  /** Started or reached again when it was lost; rejects when that does not succeed for a while. */
  connect(signal: AbortSignal): Promise<Connection>;
}

export interface Connection {
  /** A process of its own for every connection after a loss. */
  readonly workerId: string;
  readonly client: WorkerClient;
  /** Gives up what a broken stream leaves behind; how the worker ended, where that is known. */
  drop(): Promise<string | null>;
}
