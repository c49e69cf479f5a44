// What happens to jobs, for whoever watches: other coordinators, scripts, the live page. A copy of the
// job's own log: publishing never holds a job up, and what NATS loses is shown as a gap, not hidden.
import { setTimeout as delay } from "node:timers/promises";
import {
  eventSubject,
  type JobEvent,
  MESSAGE_BYTES_MAX,
  MESSAGES,
  openMessage,
  STREAMS,
  sealMessage,
} from "@graft/proto";
import { jetstream } from "@nats-io/jetstream";
import type { NatsLink } from "./connection.js";
import type { OnIgnored } from "./membership.js";

export interface EventPublisher extends AsyncDisposable {
  /** Queues and returns. An event too large for a message goes without its text. */
  publish(event: JobEvent): void;
  /** Events that were dropped because NATS was away for too long. */
  readonly droppedCount: number;
}

export type WatchedEvent =
  | { readonly kind: "event"; readonly event: JobEvent }
  /** Events from `first` to `last` are not on NATS; the job's own log has them. */
  | { readonly kind: "gap"; readonly first: bigint; readonly last: bigint };

export interface WatchEventsOptions {
  readonly link: NatsLink;
  readonly jobId: string;
  /** Events with a higher sequence number follow; 0n for all. */
  readonly afterSequence: bigint;
  readonly signal: AbortSignal;
  readonly onIgnored?: OnIgnored;
}

const REQUEST_TIMEOUT_MS = 2_000;
const RETRY_MS = 1_000;
/** A watch that hears nothing from NATS for two of these starts anew. */
const HEARTBEAT_MS = 2_000;
const PULL_MS = 10_000;
/** Some minutes of a busy coordinator; above it the oldest go. */
const WAITING_COUNT_MAX = 4_096;
/** Events of a closing publisher that NATS does not take are in the job's log anyway. */
const CLOSE_TIMEOUT_MS = 2_000;

export function createEventPublisher(link: NatsLink): EventPublisher {
  return new OrderedPublisher(link);
}

class OrderedPublisher implements EventPublisher {
  readonly #link: NatsLink;
  readonly #waiting: JobEvent[] = [];
  readonly #stop = new AbortController();
  #sending: Promise<void> | undefined;
  #droppedCount = 0;

  constructor(link: NatsLink) {
    this.#link = link;
  }

  get droppedCount(): number {
    return this.#droppedCount;
  }

  publish(event: JobEvent): void {
    if (this.#stop.signal.aborted) return;
    this.#waiting.push(event);
    if (this.#waiting.length > WAITING_COUNT_MAX) {
      this.#waiting.shift();
      this.#droppedCount += 1;
    }
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const deadline = setTimeout(() => this.#stop.abort(), CLOSE_TIMEOUT_MS);
    await this.#sending;
    clearTimeout(deadline);
    this.#stop.abort();
  }

  async #send(): Promise<void> {
    const { signal } = this.#stop;
    const client = jetstream(this.#link.connection, { timeout: REQUEST_TIMEOUT_MS });
    while (!signal.aborted && !this.#link.signal.aborted) {
      const event = this.#waiting[0];
      if (event === undefined) return;
      try {
        const msgID = `event:${event.jobId}:${event.sequence}`;
        await client.publish(eventSubject(event.jobId), sealEvent(event), { msgID });
        if (this.#waiting[0] === event) this.#waiting.shift();
      } catch {
        // NATS is away, or its stream not made again yet: the same event follows later.
        await delay(RETRY_MS, undefined, { signal }).catch(() => {
          // Aborted: the loop's condition sees it.
        });
      }
    }
  }
}

function sealEvent(event: JobEvent): Uint8Array {
  const message = sealMessage(MESSAGES.event, event);
  if (message.length <= MESSAGE_BYTES_MAX) return message;
  const json = JSON.stringify({ kind: "too-large", bytes: message.length });
  return sealMessage(MESSAGES.event, { ...event, json });
}

/** Ends when `signal` is aborted or the link is closed; survives servers, streams and their stores. */
export async function* watchEvents(
  options: WatchEventsOptions,
): AsyncGenerator<WatchedEvent, void, undefined> {
  const { link, signal } = options;
  let last = options.afterSequence;
  while (!signal.aborted && !link.signal.aborted) {
    try {
      for await (const event of readStream(options)) {
        // Seen before: the stream is read from its beginning after every interruption.
        if (event.sequence <= last) continue;
        if (event.sequence > last + 1n) {
          yield { kind: "gap", first: last + 1n, last: event.sequence - 1n };
        }
        last = event.sequence;
        yield { kind: "event", event };
      }
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
    await delay(RETRY_MS, undefined, { signal }).catch(() => {
      // Aborted: the loop's condition sees it.
    });
  }
}

/** The job's events from the first that the stream has; ends when the stream may be another one. */
async function* readStream({
  link,
  jobId,
  signal,
  onIgnored,
}: WatchEventsOptions): AsyncGenerator<JobEvent, void, undefined> {
  const client = jetstream(link.connection, { timeout: REQUEST_TIMEOUT_MS });
  const subject = eventSubject(jobId);
  const consumer = await client.consumers.get(STREAMS.events, { filter_subjects: subject });
  const messages = await consumer.consume({ expires: PULL_MS, idle_heartbeat: HEARTBEAT_MS });
  const stop = (): void => messages.stop();
  signal.addEventListener("abort", stop, { once: true });
  // A store made anew counts from 1 again, which an ordered consumer would wait for in vain.
  void (async () => {
    for await (const status of messages.status()) {
      if (status.type === "stream_not_found" || status.type === "heartbeats_missed") stop();
    }
  })();
  try {
    for await (const message of messages) {
      const event = openMessage(MESSAGES.event, message.data);
      if (event?.jobId === jobId) yield event;
      else onIgnored?.(message.subject, "damaged, or another job's");
    }
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}
