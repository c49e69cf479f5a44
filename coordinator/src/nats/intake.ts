// Jobs for this coordinator, one at a time as it asks: new ones from the queue, and those whose owners
// fell silent. A delivered job that another owns is kept in hand, so that waiting for that owner's end
// costs no delivery and the count of deliveries stays a count of failures.
import { setTimeout as delay } from "node:timers/promises";
import { DeadLetter, type QueuedJob } from "@graft/proto";
import type { Claim } from "./claim.js";
import type { Claims } from "./claims.js";
import { type Delivery, type JobQueue, jobIdOf } from "./queue.js";
import { DELIVERY_COUNT_MAX } from "./streams.js";

export interface OwnedJob extends AsyncDisposable {
  readonly job: QueuedJob;
  readonly claim: Claim;
  /** Of the queue; 0 when the job came from an owner that fell silent. */
  readonly deliveryCount: number;
  /** Why it must not be run again, when it was delivered too often: record the failure, then `bury`. */
  readonly exhausted: string | undefined;
  /** The job has ended and its record says so: out of the queue with it. Idempotent. */
  finish(): Promise<void>;
  /** As `finish`, leaving a letter for people. */
  bury(reason: string): Promise<void>;
  /** Disposing without either: the job goes back to the queue, for anybody, after `delayMs` (0). */
  giveBack(delayMs: number): Promise<void>;
}

export interface IntakeOptions {
  readonly queue: JobQueue;
  readonly claims: Claims;
  /** The highest epoch in the job's journal, 0n without one. */
  readonly epochFloorOf: (job: QueuedJob) => Promise<bigint>;
  readonly signal: AbortSignal;
  /** NATS cannot be asked just now; the intake waits and goes on. */
  readonly onFailure?: (error: unknown) => void;
}

/** The least that NATS takes; a takeover waits no longer than this for the queue. */
const QUEUE_WAIT_MS = 1_000;
const FAILURE_WAIT_MS = 1_000;

/** Ends when `signal` is aborted, giving back what it has in hand. Ask for the next job only with room. */
export async function* takeJobs(options: IntakeOptions): AsyncGenerator<OwnedJob, void, undefined> {
  const left = new AbortController();
  const signal = AbortSignal.any([options.signal, left.signal]);
  const { onFailure } = options;
  const intake = new Intake({ ...options, signal });
  const following = intake.followExhausted();
  try {
    while (!signal.aborted) {
      try {
        const owned = await intake.next();
        if (owned !== undefined) yield owned;
      } catch (error) {
        onFailure?.(error);
        await delay(FAILURE_WAIT_MS, undefined, { signal }).catch(() => {
          // Aborted: the loop's condition sees it.
        });
      }
    }
  } finally {
    left.abort();
    intake.giveBack();
    await following;
  }
}

class Intake {
  readonly #options: IntakeOptions;
  /** In hand, but another's; by delivery, since a job may be queued twice. */
  readonly #parked = new Set<Delivery>();
  readonly #exhausted: QueuedJob[] = [];

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** A job, or undefined after about a second. */
  async next(): Promise<OwnedJob | undefined> {
    const { queue, claims } = this.#options;
    for (const { job } of claims.silent()) {
      const owned = job === undefined ? undefined : await this.#take(job);
      if (owned !== undefined) return owned;
    }
    for (const delivery of this.#parked) {
      const jobId = jobIdOf(delivery.job);
      if (claims.holder(jobId) !== undefined) continue;
      if (!(await queue.contains(jobId))) {
        this.#parked.delete(delivery);
        await delivery.acknowledge();
        continue;
      }
      const owned = await this.#take(delivery.job, delivery);
      if (owned !== undefined) return owned;
    }
    for (const job of this.#exhausted.splice(0)) {
      const owned = await this.#take(job, undefined, "its coordinators kept dying");
      if (owned !== undefined) return owned;
    }
    const delivery = await queue.next(QUEUE_WAIT_MS);
    return delivery === undefined ? undefined : await this.#take(delivery.job, delivery);
  }

  /** Takes a delivered job, or parks it when it is another's. */
  async #take(
    job: QueuedJob,
    delivery?: Delivery,
    problem?: string,
  ): Promise<OwnedJob | undefined> {
    const { claims, epochFloorOf, queue } = this.#options;
    if (delivery !== undefined) this.#parked.add(delivery);
    const taken = await claims.take(job, { epochFloor: await epochFloorOf(job) });
    if (taken.kind === "held") return undefined;
    if (delivery !== undefined) this.#parked.delete(delivery);
    const deliveryCount = delivery?.deliveryCount ?? 0;
    const exhausted =
      problem ??
      (deliveryCount > DELIVERY_COUNT_MAX ? `delivered ${deliveryCount} times` : undefined);
    return new TakenJob({ queue, job, claim: taken.claim, delivery, exhausted });
  }

  giveBack(): void {
    for (const delivery of this.#parked) delivery.giveBack(0);
  }

  async followExhausted(): Promise<void> {
    const { queue, signal, onFailure } = this.#options;
    try {
      for await (const job of queue.exhausted(signal)) this.#exhausted.push(job);
    } catch (error) {
      onFailure?.(error);
    }
  }
}

interface TakenJobParts {
  readonly queue: JobQueue;
  readonly job: QueuedJob;
  readonly claim: Claim;
  readonly delivery: Delivery | undefined;
  readonly exhausted: string | undefined;
}

class TakenJob implements OwnedJob {
  readonly job: QueuedJob;
  readonly claim: Claim;
  readonly deliveryCount: number;
  readonly exhausted: string | undefined;
  readonly #queue: JobQueue;
  readonly #delivery: Delivery | undefined;
  #settled = false;

  constructor({ queue, job, claim, delivery, exhausted }: TakenJobParts) {
    this.#queue = queue;
    this.job = job;
    this.claim = claim;
    this.#delivery = delivery;
    this.deliveryCount = delivery?.deliveryCount ?? 0;
    this.exhausted = exhausted;
  }

  async finish(): Promise<void> {
    if (this.#settled) return;
    // The queue first: a claim that is free while the job is queued would be taken.
    await this.#delivery?.acknowledge();
    await this.#queue.forget(this.claim.jobId);
    this.#settled = true;
    await this.claim[Symbol.asyncDispose]();
  }

  async bury(reason: string): Promise<void> {
    if (this.#settled) return;
    const { job, deliveryCount } = this;
    await this.#queue.bury(DeadLetter.create({ job, deliveryCount, reason }));
    await this.finish();
  }

  async giveBack(delayMs: number): Promise<void> {
    if (this.#settled) return;
    this.#settled = true;
    const wasMine = !this.claim.signal.aborted;
    await this.claim[Symbol.asyncDispose]();
    if (this.#delivery !== undefined) this.#delivery.giveBack(delayMs);
    else if (wasMine) await this.#queue.requeue(this.job);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.giveBack(0);
  }
}
