// The queue of jobs that want a coordinator. It delivers at least once and decides nothing: who owns a
// job is the claim's business, whether it exists the record's, which is written before anything is sent.
import { setInterval } from "node:timers";
import {
  type DeadLetter,
  DURABLES,
  deadLetterSubject,
  GraftError,
  jobSubject,
  MESSAGE_BYTES_MAX,
  MESSAGES,
  openMessage,
  type QueuedJob,
  STREAMS,
  SUBJECTS,
  sealMessage,
} from "@graft/proto";
import { type JetStreamManager, type JsMsg, jetstream, type StoredMsg } from "@nats-io/jetstream";
import type { NatsLink } from "./connection.js";
import type { OnIgnored } from "./membership.js";
import { createReviver, type Reviver } from "./revive.js";
import { ensureStreams, natsFailure, openManager, WORKING_INTERVAL_MS } from "./streams.js";

export interface Delivery {
  readonly job: QueuedJob;
  /** 1 the first time. Grows when an owner died, or gave the job back. */
  readonly deliveryCount: number;
  /** Keeps NATS from delivering the job to others until one of the next two is called. */
  acknowledge(): Promise<void>;
  /** Delivers it again, to anybody, after a while. */
  giveBack(delayMs: number): void;
}

export interface JobQueue {
  /**
   * Runs `record`, which must make the job durable, and only then publishes. Throws NATS_UNAVAILABLE
   * before `record` when NATS cannot be reached, so that what is refused was not written either; when
   * it throws after `record`, NATS may or may not have the job, and the same submit again is harmless.
   */
  submit(job: QueuedJob, record: () => Promise<void>): Promise<void>;
  /** Publishes a job that is recorded but, after a crash or a lost store, perhaps not queued. */
  requeue(job: QueuedJob): Promise<void>;
  /** One job, or undefined after `waitMs` (at least 1000) without any. */
  next(waitMs: number): Promise<Delivery | undefined>;
  /** Whether NATS still has a message of this job. */
  contains(jobId: string): Promise<boolean>;
  /** Takes every message of this job out of the queue, whoever has been given it. */
  forget(jobId: string): Promise<void>;
  /** Puts a job where people look for those that were given up. */
  bury(letter: DeadLetter): Promise<void>;
  /** Jobs that NATS will deliver no more because they were delivered too often; each once. */
  exhausted(signal: AbortSignal): AsyncGenerator<QueuedJob, void, undefined>;
}

export interface QueueOptions {
  readonly link: NatsLink;
  readonly replicas?: number;
  readonly onIgnored?: OnIgnored;
}

const REQUEST_TIMEOUT_MS = 2_000;
const PUBLISH_ATTEMPT_COUNT = 3;

/** Makes the streams. */
export async function openQueue(options: QueueOptions): Promise<JobQueue> {
  const queue = new StreamQueue(options);
  await queue.ensure();
  return queue;
}

class StreamQueue implements JobQueue {
  readonly #link: NatsLink;
  readonly #replicas: number;
  readonly #onIgnored: OnIgnored | undefined;
  readonly #reviver: Reviver;

  constructor({ link, replicas = 1, onIgnored }: QueueOptions) {
    this.#link = link;
    this.#replicas = replicas;
    this.#onIgnored = onIgnored;
    this.#reviver = createReviver(link, replicas);
  }

  async ensure(): Promise<void> {
    try {
      await ensureStreams(this.#link, this.#replicas);
    } catch (error) {
      throw natsFailure(this.#link, error);
    }
  }

  async submit(job: QueuedJob, record: () => Promise<void>): Promise<void> {
    const message = sealJob(job);
    await this.ensure();
    await record();
    await this.#publish(jobSubject(jobIdOf(job)), message, jobIdOf(job));
  }

  async requeue(job: QueuedJob): Promise<void> {
    await this.ensure();
    if (await this.contains(jobIdOf(job))) return;
    // Not the identity of the first message: within two minutes of that one, NATS would drop this.
    const messageId = `${jobIdOf(job)}:${Date.now()}`;
    await this.#publish(jobSubject(jobIdOf(job)), sealJob(job), messageId);
  }

  async next(waitMs: number): Promise<Delivery | undefined> {
    try {
      const client = jetstream(this.#link.connection, { timeout: REQUEST_TIMEOUT_MS });
      const consumer = await client.consumers.get(STREAMS.jobs, DURABLES.coordinators);
      const message = await consumer.next({ expires: waitMs });
      if (message === null) {
        const revived = await this.#reviver.idle(await consumer.info());
        if (revived) this.#onIgnored?.(SUBJECTS.jobs, "jobs were stuck and are delivered anew");
        return undefined;
      }
      this.#reviver.delivered();
      const job = openJob(message.subject, message.data);
      if (job !== undefined) return new HeldMessage(message, job);
      this.#onIgnored?.(message.subject, "damaged, or another job's");
      message.term();
      return undefined;
    } catch (error) {
      const failure = natsFailure(this.#link, error);
      // The store may be new and empty; if NATS is away, this fails too and the caller waits.
      await this.ensure().catch(() => {
        throw failure;
      });
      return undefined;
    }
  }

  async contains(jobId: string): Promise<boolean> {
    return (await this.#lastMessage(await openManager(this.#link), jobId)) !== null;
  }

  /** One by one: a purge by subject makes 2.9's durable skip other subjects' messages (measured). */
  async forget(jobId: string): Promise<void> {
    const manager = await openManager(this.#link);
    for (;;) {
      const message = await this.#lastMessage(manager, jobId);
      if (message === null) return;
      await manager.streams.deleteMessage(STREAMS.jobs, message.seq, false);
    }
  }

  async bury(letter: DeadLetter): Promise<void> {
    if (letter.job === undefined) throw new Error("invariant: a dead letter has its job");
    const jobId = jobIdOf(letter.job);
    const messageId = `dead:${jobId}:${letter.deliveryCount}`;
    const message = sealMessage(MESSAGES.deadLetter, letter);
    await this.#publish(deadLetterSubject(jobId), message, messageId);
  }

  async *exhausted(signal: AbortSignal): AsyncGenerator<QueuedJob, void, undefined> {
    const advisories = this.#link.connection.subscribe(SUBJECTS.maxDeliveries);
    const stop = (): void => advisories.unsubscribe();
    signal.addEventListener("abort", stop, { once: true });
    try {
      for await (const advisory of advisories) {
        const { stream_seq: sequence } = advisory.json<{ readonly stream_seq: number }>();
        const manager = await openManager(this.#link);
        const query = { seq: sequence };
        const message = await manager.streams.getMessage(STREAMS.jobs, query).catch(() => null);
        const job = message === null ? undefined : openJob(message.subject, message.data);
        if (job !== undefined) yield job;
      }
    } finally {
      signal.removeEventListener("abort", stop);
      stop();
    }
  }

  async #lastMessage(manager: JetStreamManager, jobId: string): Promise<StoredMsg | null> {
    return await manager.streams.getMessage(STREAMS.jobs, { last_by_subj: jobSubject(jobId) });
  }

  /** Always with an identity: a publish that timed out may have been stored. */
  async #publish(subject: string, message: Uint8Array, msgID: string): Promise<void> {
    const client = jetstream(this.#link.connection, { timeout: REQUEST_TIMEOUT_MS });
    for (let attempt = 1; ; attempt += 1) {
      try {
        await client.publish(subject, message, { msgID, timeout: REQUEST_TIMEOUT_MS });
        return;
      } catch (error) {
        if (attempt === PUBLISH_ATTEMPT_COUNT) throw natsFailure(this.#link, error);
        await this.ensure().catch(() => {
          // The next attempt tells what is wrong.
        });
      }
    }
  }
}

class HeldMessage implements Delivery {
  readonly deliveryCount: number;
  readonly #message: JsMsg;
  readonly #working: NodeJS.Timeout;

  constructor(
    message: JsMsg,
    readonly job: QueuedJob,
  ) {
    this.#message = message;
    this.deliveryCount = message.info.deliveryCount;
    this.#working = setInterval(() => this.#tell(() => message.working()), WORKING_INTERVAL_MS);
    this.#working.unref();
  }

  async acknowledge(): Promise<void> {
    clearInterval(this.#working);
    await this.#message.ackAck({ timeout: REQUEST_TIMEOUT_MS }).catch(() => {
      // Not confirmed: at worst the job is delivered again, and whoever gets it sees its record.
    });
  }

  giveBack(delayMs: number): void {
    clearInterval(this.#working);
    this.#tell(() => this.#message.nak(delayMs));
  }

  #tell(send: () => void): void {
    try {
      send();
    } catch {
      // The link is closed: NATS delivers the job again by itself, as after any silence.
    }
  }
}

export function jobIdOf(job: QueuedJob): string {
  const jobId = job.request?.jobId;
  if (!jobId) throw new Error("invariant: a queued job has an identity");
  return jobId;
}

function sealJob(job: QueuedJob): Uint8Array {
  const message = sealMessage(MESSAGES.queuedJob, job);
  if (message.length <= MESSAGE_BYTES_MAX) return message;
  const problem = `${message.length} bytes with its options, over ${MESSAGE_BYTES_MAX}`;
  throw new GraftError("FLAG", { flag: "recipe", problem });
}

function openJob(subject: string, data: Uint8Array): QueuedJob | undefined {
  const job = openMessage(MESSAGES.queuedJob, data);
  if (!job?.request?.jobId || jobSubject(job.request.jobId) !== subject) return undefined;
  return job;
}
