// Workers that were started by somebody else, at addresses that are given. One that cannot be reached
// is tried again for as long as a merge runs: machines restart.
import { setTimeout as sleep } from "node:timers/promises";
import { GraftError } from "@graft/proto/errors";
import type { ChannelCredentials } from "@grpc/grpc-js";
import { connectWorker, type WorkerClient } from "./worker-client.js";
import type { Connection, Member, Workers } from "./workers.js";

export interface RemoteWorkersOptions {
  /** HOST:PORT or unix:PATH, each once. */
  readonly addresses: readonly string[];
  readonly credentials: ChannelCredentials;
}

export interface RemoteWorkers extends Workers, AsyncDisposable {}

/** A worker that restarts is back within a minute; a longer absence is for a person to look at. */
const CONNECT_MAX_MS = 60_000;
const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 5_000;
/** Of a call that may be repeated: every worker may fail it once, and a single one twice. */
const ATTEMPTS_MIN = 2;

/** Connects lazily; nothing is sent until the first call. */
export function createRemoteWorkers(options: RemoteWorkersOptions): RemoteWorkers {
  const { addresses, credentials } = options;
  const members = addresses.map((address) => new RemoteMember(address, credentials));
  // Whoever answered last is asked first.
  let preferred = 0;
  return {
    members,
    async use(call, elsewhere = []) {
      const attemptsMax = Math.max(ATTEMPTS_MIN, members.length);
      const first = preferred;
      for (let attempt = 0; ; attempt += 1) {
        const index = (first + attempt) % members.length;
        try {
          const answer = await call(await (members[index] as RemoteMember).answering());
          preferred = index;
          return answer;
        } catch (error) {
          const failure = GraftError.from(error);
          const mayHelp = failure.code === "WORKER_LOST" || elsewhere.includes(failure.code);
          if (!mayHelp || attempt + 1 >= attemptsMax) throw failure;
        }
      }
    },
    async [Symbol.asyncDispose]() {
      for (const member of members) member.close();
    },
  };
}

class RemoteMember implements Member {
  readonly name: string;
  readonly isPrivate = false;
  readonly #credentials: ChannelCredentials;
  #client: WorkerClient | null = null;

  constructor(address: string, credentials: ChannelCredentials) {
    this.name = address;
    this.#credentials = credentials;
  }

  async answering(): Promise<WorkerClient> {
    this.#client ??= connectWorker(this.name, this.name, this.#credentials);
    const client = this.#client;
    try {
      await client.ready();
    } catch (error) {
      this.#drop(client);
      throw error;
    }
    return client;
  }

  async connect(signal: AbortSignal): Promise<Connection> {
    const startMs = performance.now();
    for (let delayMs = RETRY_FIRST_MS; ; delayMs = Math.min(2 * delayMs, RETRY_MAX_MS)) {
      try {
        const client = await this.answering();
        signal.throwIfAborted();
        return { workerId: this.name, client, drop: async () => this.#drop(client) };
      } catch (error) {
        signal.throwIfAborted();
        if (performance.now() - startMs > CONNECT_MAX_MS) throw error;
      }
      await sleep(delayMs, null, { signal });
    }
  }

  /** A channel that broke is not trusted with another stream. */
  #drop(client: WorkerClient): null {
    client.close();
    if (this.#client === client) this.#client = null;
    return null;
  }

  close(): void {
    this.#client?.close();
  }
}
