// One worker's part in a run: connected, admitted, its task stream read, and all of it again when it is
// lost. Counters go on over its lives, although every stream counts from its own start.
import { GraftError, type RunTasksResponse, type Task } from "@graft/proto";
import type { TaskStream } from "../rpc/task-stream.js";
import type { Connection, Member } from "../rpc/workers.js";

export interface MovedBytes {
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly pageCacheBytes: number;
  readonly residentMemoryBytes: number;
}

export type MemberMessage = NonNullable<RunTasksResponse["message"]>;

export interface MemberRunOptions {
  readonly member: Member;
  /** Why it gets no task, or null. Asked once per connection. */
  readonly admit: (connection: Connection, signal: AbortSignal) => Promise<string | null>;
  readonly onJoined: (run: MemberRun) => void;
  readonly onMessage: (run: MemberRun, message: MemberMessage) => void;
  /** After onJoined: its stream is gone and nothing that it ran counts. */
  readonly onLost: (run: MemberRun, problem: string) => void;
  /** Could not be reached, or not be admitted; it is not tried again after the latter. */
  readonly onUnusable: (run: MemberRun, error: GraftError) => void;
  /** Ends the run; set before anything else is undone. */
  readonly signal: AbortSignal;
}

const NOTHING: MovedBytes = {
  readBytes: 0,
  writtenBytes: 0,
  pageCacheBytes: 0,
  residentMemoryBytes: 0,
};

export class MemberRun {
  readonly #options: MemberRunOptions;
  #workerId: string;
  #stream: TaskStream | null = null;
  #base = NOTHING;
  #moved = NOTHING;

  constructor(options: MemberRunOptions) {
    this.#options = options;
    this.#workerId = options.member.name;
  }

  /** Of its present life. */
  get workerId(): string {
    return this.#workerId;
  }

  get isPrivate(): boolean {
    return this.#options.member.isPrivate;
  }

  /** Over all its lives. */
  get moved(): MovedBytes {
    return this.#moved;
  }

  assign(task: Task, epoch: number, outputDirectory: string): void {
    this.#stream?.assign(task, epoch, outputDirectory);
  }

  cancel(taskId: string, epoch: number): void {
    this.#stream?.cancel(taskId, epoch);
  }

  /** Ends the stream; onLost follows unless the run is over. */
  close(): void {
    this.#stream?.close();
  }

  /** Ends the stream of a worker that hangs and reports the loss, before anything else is assigned. */
  giveUp(problem: string): void {
    const stream = this.#stream;
    if (stream === null) return;
    this.#stream = null;
    stream.close();
    queueMicrotask(() => this.#options.onLost(this, problem));
  }

  /** One stream after the other until the run is over or the worker is not admitted. Never rejects. */
  async serve(): Promise<void> {
    const { member, signal, onUnusable, admit } = this.#options;
    while (!signal.aborted) {
      try {
        const connection = await member.connect(signal);
        this.#workerId = connection.workerId;
        const refusal = await admit(connection, signal);
        if (refusal !== null) {
          const details = { worker: member.name, problem: refusal };
          return onUnusable(this, new GraftError("WORKER_UNFIT", details));
        }
        if (!signal.aborted) await this.#serveStream(connection);
      } catch (error) {
        if (!signal.aborted) onUnusable(this, GraftError.from(error));
      }
    }
  }

  async #serveStream(connection: Connection): Promise<void> {
    const { signal, onJoined, onLost, onMessage } = this.#options;
    const stream = connection.client.runTasks();
    this.#stream = stream;
    this.#base = this.#moved;
    onJoined(this);
    let problem = "its task stream ended";
    try {
      for await (const { message } of stream) {
        if (message === undefined || signal.aborted) continue;
        if (message.$case === "progress") this.#count(message.value);
        onMessage(this, message);
      }
    } catch (error) {
      const { details, message } = GraftError.from(error);
      problem = details.problem ?? message;
    }
    const isReported = this.#stream === null;
    this.#stream = null;
    if (signal.aborted) return;
    // What broke once is not trusted with another stream.
    const death = await connection.drop();
    if (!isReported) onLost(this, death ?? problem);
  }

  #count(totals: {
    readonly readBytes: bigint;
    readonly writtenBytes: bigint;
    readonly pageCacheBytes: bigint;
    readonly residentMemoryBytes: bigint;
  }): void {
    const base = this.#base;
    this.#moved = {
      readBytes: base.readBytes + Number(totals.readBytes),
      writtenBytes: base.writtenBytes + Number(totals.writtenBytes),
      pageCacheBytes: base.pageCacheBytes + Number(totals.pageCacheBytes),
      residentMemoryBytes: Math.max(base.residentMemoryBytes, Number(totals.residentMemoryBytes)),
    };
  }
}
