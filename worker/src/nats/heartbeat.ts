// Tells the cluster that this worker lives. It publishes to its own key and nothing else, so that its
// login needs no right to manage streams; a missing bucket is the coordinators' to make, and waited for.
import { setTimeout as delay } from "node:timers/promises";
import {
  CacheSummary,
  MESSAGE_BYTES_MAX,
  MESSAGES,
  sealMessage,
  WorkerHeartbeat,
  workerSubject,
} from "@graft/proto";
import { jetstream } from "@nats-io/jetstream";
import { headers } from "@nats-io/transport-node";
import type { NatsLink } from "./connection.js";

export interface HeartbeatOptions {
  readonly link: NatsLink;
  readonly workerId: string;
  /** Asked before each heartbeat. */
  readonly facts: () => WorkerHeartbeat;
  /** A heartbeat that did not arrive, for the log; the next one follows anyway. */
  readonly onFailure?: (problem: string) => void;
}

export interface Heartbeat extends AsyncDisposable {
  /** Sends one now, e.g. when draining begins. False when it did not arrive. */
  beat(): Promise<boolean>;
}

/** A third of the time after which coordinators call a worker silent. */
const INTERVAL_MS = 3_000;
const TIMEOUT_MS = 2_000;

/** Beats until disposed; disposing takes the worker out of the cluster at once. */
export function startHeartbeat(options: HeartbeatOptions): Heartbeat {
  return new Beating(options);
}

class Beating implements Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#loop = this.#run();
  }

  async beat(): Promise<boolean> {
    const { facts, workerId, link, onFailure } = this.#options;
    const message = sealHeartbeat(facts());
    try {
      const client = jetstream(link.connection, { timeout: TIMEOUT_MS });
      await client.publish(workerSubject(workerId), message, { timeout: TIMEOUT_MS });
      return true;
    } catch (error) {
      onFailure?.(error instanceof Error ? error.message : String(error));
      return false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    await this.#loop;
    const { link, workerId, onFailure } = this.#options;
    if (link.connectedSinceMs() === undefined) return;
    const marker = headers();
    marker.set("KV-Operation", "DEL");
    const client = jetstream(link.connection, { timeout: TIMEOUT_MS });
    try {
      await client.publish(workerSubject(workerId), new Uint8Array(), {
        headers: marker,
        timeout: TIMEOUT_MS,
      });
    } catch (error) {
      // Not heard, it is called silent ten seconds later.
      onFailure?.(error instanceof Error ? error.message : String(error));
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted && !this.#options.link.signal.aborted) {
      await this.beat();
      await delay(INTERVAL_MS, undefined, { signal }).catch(() => {
        // Aborted: the loop's condition sees it.
      });
    }
  }
}

/** Names of cached models go first when the message would be too large: they are only hints. */
function sealHeartbeat(facts: WorkerHeartbeat): Uint8Array {
  const message = sealMessage(MESSAGES.heartbeat, facts);
  if (message.length <= MESSAGE_BYTES_MAX || !facts.cache?.models.length) return message;
  const models = facts.cache.models.slice(0, facts.cache.models.length >> 1);
  const cache = CacheSummary.create({ ...facts.cache, models });
  return sealHeartbeat(WorkerHeartbeat.create({ ...facts, cache }));
}
