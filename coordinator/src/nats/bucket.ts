// A key-value bucket that is made again when it vanishes, and a watch on it that outlives servers,
// stores and lost consumers. The watch also ticks, because nats-server 2.9 tells nobody that a key's
// time ran out: who waits for silence has to look at a clock.
import { setTimeout as delay } from "node:timers/promises";
import {
  JetStreamApiCodes,
  JetStreamApiError,
  jetstream,
  jetstreamManager,
} from "@nats-io/jetstream";
import { type KV, type KvEntry, Kvm, type KvWatchEntry } from "@nats-io/kv";
import type { NatsLink } from "./connection.js";

export interface BucketOptions {
  readonly link: NatsLink;
  readonly name: string;
  /** Keys that are not written again vanish after this. */
  readonly ttlMs: number;
  readonly replicas: number;
}

export interface BucketEntry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly revision: number;
  /** Only the mark of a removal is left, with its revision. */
  readonly removed: boolean;
}

export type BucketNotice =
  /** The watch starts (again): all present entries follow. */
  | { readonly kind: "opened" }
  | { readonly kind: "written"; readonly entry: BucketEntry }
  | { readonly kind: "removed"; readonly key: string }
  /** Every half second; `listening` is false while news would not arrive. */
  | { readonly kind: "tick"; readonly listening: boolean };

export interface Bucket {
  /** null when there is no such key, not even removed. */
  read(key: string): Promise<BucketEntry | null>;
  put(key: string, value: Uint8Array): Promise<number>;
  /** Writes when the key's last revision is `previous` (0: not even removed); null when it is not. */
  replace(key: string, value: Uint8Array, previous: number): Promise<number | null>;
  /** Removes; with `previous` only when that is the last revision, and says whether it was. */
  remove(key: string, previous?: number): Promise<boolean>;
  watch(signal: AbortSignal): AsyncGenerator<BucketNotice, void, undefined>;
}

/** Of one request; a renewal must fail early enough to be tried again. */
const REQUEST_TIMEOUT_MS = 2_000;
const TICK_MS = 500;
/** How often the watch is compared with the bucket, in ticks. */
const CHECK_EVERY_TICKS = 4;
const VALUE_BYTES_MAX = 64 * 1024;

export function createBucket(options: BucketOptions): Bucket {
  return new RemadeBucket(options);
}

class RemadeBucket implements Bucket {
  readonly #options: BucketOptions;
  #store: Promise<KV> | undefined;

  constructor(options: BucketOptions) {
    this.#options = options;
  }

  async read(key: string): Promise<BucketEntry | null> {
    const entry = await this.#withStore((store) => store.get(key));
    return entry === null ? null : entryOf(entry);
  }

  async put(key: string, value: Uint8Array): Promise<number> {
    return await this.#withStore((store) => store.put(key, value));
  }

  async replace(key: string, value: Uint8Array, previous: number): Promise<number | null> {
    return await this.#unlessConflict((store) => store.put(key, value, { previousSeq: previous }));
  }

  async remove(key: string, previous?: number): Promise<boolean> {
    const done = await this.#unlessConflict(async (store) => {
      await store.delete(key, previous === undefined ? {} : { previousSeq: previous });
      return true;
    });
    return done ?? false;
  }

  async *watch(signal: AbortSignal): AsyncGenerator<BucketNotice, void, undefined> {
    while (!signal.aborted && !this.#options.link.signal.aborted) {
      try {
        yield* this.#watchOnce(signal);
      } catch (error) {
        if (signal.aborted) return;
        // The server is away or its store is gone; the next round finds or makes the bucket.
        if (!(error instanceof Error)) throw error;
        this.#store = undefined;
      }
      yield { kind: "tick", listening: false };
      await delay(TICK_MS, undefined, { signal }).catch(() => {
        // Aborted: the loop's condition sees it.
      });
    }
  }

  /** Returns when the watch can no longer be believed. */
  async *#watchOnce(signal: AbortSignal): AsyncGenerator<BucketNotice, void, undefined> {
    const store = await this.#open();
    const created = (await this.#state()).created;
    const entries = await store.watch();
    try {
      yield { kind: "opened" };
      const iterator = entries[Symbol.asyncIterator]();
      let next = iterator.next();
      let ticking = tick(signal);
      let seen = 0;
      let seenAtCheck = 0;
      for (let ticks = 1; ; ) {
        const result = await Promise.race([next, ticking]);
        if (signal.aborted) return;
        if (result === TICK) {
          ticking = tick(signal);
          yield { kind: "tick", listening: this.#options.link.connectedSinceMs() !== undefined };
          ticks += 1;
          if (ticks % CHECK_EVERY_TICKS !== 0) continue;
          const state = await this.#state();
          // Another stream of the same name, or news that did not come for two rounds.
          if (state.created !== created || (seen < seenAtCheck && seen < state.last)) return;
          seenAtCheck = state.last;
          continue;
        }
        if (result.done === true) return;
        seen = Math.max(seen, result.value.revision);
        yield noticeOf(result.value);
        next = iterator.next();
      }
    } finally {
      entries.stop();
    }
  }

  async #state(): Promise<{ readonly created: string; readonly last: number }> {
    const { connection } = this.#options.link;
    const manager = await jetstreamManager(connection, {
      timeout: REQUEST_TIMEOUT_MS,
      checkAPI: false,
    });
    const { created, state } = await manager.streams.info(`KV_${this.#options.name}`);
    return { created, last: state.messages === 0 ? 0 : state.last_seq };
  }

  async #open(): Promise<KV> {
    this.#store ??= this.#create();
    try {
      return await this.#store;
    } catch (error) {
      this.#store = undefined;
      throw error;
    }
  }

  async #create(): Promise<KV> {
    const { link, name, ttlMs, replicas } = this.#options;
    const client = jetstream(link.connection, { timeout: REQUEST_TIMEOUT_MS });
    return await new Kvm(client).create(name, {
      ttl: ttlMs,
      history: 1,
      replicas,
      maxValueSize: VALUE_BYTES_MAX,
      allow_direct: false,
    });
  }

  /** Once more with a bucket made anew, when the failure may be that it is gone. */
  async #withStore<T>(call: (store: KV) => Promise<T>): Promise<T> {
    try {
      return await call(await this.#open());
    } catch (error) {
      if (isConflict(error)) throw error;
      this.#store = undefined;
      return await call(await this.#open());
    }
  }

  async #unlessConflict<T>(call: (store: KV) => Promise<T>): Promise<T | null> {
    try {
      return await this.#withStore(call);
    } catch (error) {
      if (isConflict(error)) return null;
      throw error;
    }
  }
}

const TICK = Symbol("tick");
/** Comes at once when aborted. */
const tick = (signal: AbortSignal): Promise<typeof TICK> =>
  delay(TICK_MS, TICK, { ref: false, signal }).catch(() => TICK);

function entryOf({ key, value, revision, operation }: KvEntry): BucketEntry {
  return { key, value, revision, removed: operation !== "PUT" };
}

function noticeOf(watched: KvWatchEntry): BucketNotice {
  const entry = entryOf(watched);
  return entry.removed ? { kind: "removed", key: entry.key } : { kind: "written", entry };
}

function isConflict(error: unknown): boolean {
  if (!(error instanceof JetStreamApiError)) return false;
  return (
    error.code === JetStreamApiCodes.StreamWrongLastSequence ||
    error.code === JetStreamApiCodes.StreamWrongLastSequenceUnknown
  );
}
