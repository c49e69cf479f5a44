// A claim in its owner's hands: renewed every three seconds, and given up by the owner's own clock when
// renewing fails for six, two seconds before others may take the job over.
import { setTimeout as delay } from "node:timers/promises";
import {
  GraftError,
  type JobClaim,
  MESSAGES,
  openMessage,
  sealMessage,
  subjectToken,
} from "@graft/proto";
import type { Bucket } from "./bucket.js";

export const CLAIM_RENEW_MS = 3_000;
export const CLAIM_STOP_MS = 6_000;
const RETRY_MS = 500;

export interface Claim extends AsyncDisposable {
  readonly jobId: string;
  /** Goes into the journal before anything else is written under this claim. */
  readonly epoch: bigint;
  /** Aborted with CLAIM_LOST when the job may be another coordinator's. */
  readonly signal: AbortSignal;
  /**
   * Asks NATS by a compare-and-set: true means that the job was this owner's when the answer was
   * given. To be asked before each step that others must not see twice, such as publishing.
   */
  stillMine(): Promise<boolean>;
  /** Gives the job up, so that others need not wait. Idempotent; never throws. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface OwnedClaimOptions {
  readonly bucket: Bucket;
  readonly wanted: JobClaim;
  /** Of the key, as this owner wrote it. */
  readonly revision: number;
}

export class OwnedClaim implements Claim {
  readonly jobId: string;
  readonly epoch: bigint;
  readonly #bucket: Bucket;
  readonly #claim: JobClaim;
  readonly #key: string;
  readonly #lost = new AbortController();
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;
  #revision: number;
  #renewedMs = performance.now();
  /** Renewals follow each other: each needs the revision of the one before. */
  #renewal: Promise<void> = Promise.resolve();

  constructor({ bucket, wanted, revision }: OwnedClaimOptions) {
    this.jobId = wanted.jobId;
    this.epoch = wanted.epoch;
    this.#bucket = bucket;
    this.#claim = wanted;
    this.#key = subjectToken(wanted.jobId);
    this.#revision = revision;
    this.#loop = this.#run();
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  async stillMine(): Promise<boolean> {
    if (this.signal.aborted || this.#stop.signal.aborted) return false;
    const askedMs = performance.now();
    try {
      await this.#renew();
    } catch {
      // Not known, so not claimed; the loop gives up when it stays unknown.
      return false;
    }
    return !this.signal.aborted && this.#renewedMs >= askedMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    await this.#loop;
    this.#lose("given up");
    await this.#bucket.remove(this.#key, this.#revision).catch(() => {
      // Not reached: the claim falls silent instead.
    });
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let waitMs = CLAIM_RENEW_MS;
    while (!signal.aborted && !this.signal.aborted) {
      await delay(waitMs, undefined, { signal }).catch(() => {
        // Aborted: the loop's condition sees it.
      });
      if (signal.aborted) return;
      const deadline = this.#giveUpInTime();
      const renewed = await this.stillMine();
      clearTimeout(deadline);
      if (performance.now() - this.#renewedMs >= CLAIM_STOP_MS) this.#lose("NATS does not answer");
      waitMs = renewed ? CLAIM_RENEW_MS : RETRY_MS;
    }
  }

  /** A request that hangs must not hide that the time is over. */
  #giveUpInTime(): NodeJS.Timeout {
    const leftMs = this.#renewedMs + CLAIM_STOP_MS - performance.now();
    return setTimeout(() => this.#lose("NATS does not answer"), Math.max(0, leftMs));
  }

  #renew(): Promise<void> {
    this.#renewal = this.#renewal
      .catch(() => {
        // That caller was told.
      })
      .then(() => this.#renewNow());
    return this.#renewal;
  }

  async #renewNow(): Promise<void> {
    const sentMs = performance.now();
    // After a pause of the whole process, the owner must not come back as if nothing had been.
    if (sentMs - this.#renewedMs >= CLAIM_STOP_MS) return this.#lose("not renewed in time");
    const value = sealMessage(MESSAGES.claim, this.#claim);
    const revision = await this.#bucket.replace(this.#key, value, this.#revision);
    if (revision !== null) return this.#renewed(revision, sentMs);
    const present = await this.#bucket.read(this.#key);
    if (present === null) {
      // The bucket is new and empty: whoever writes first has the job, as at the beginning.
      const again = await this.#bucket.replace(this.#key, value, 0);
      if (again !== null) return this.#renewed(again, sentMs);
      return this.#lose("taken over after the bucket was lost");
    }
    const claim = openMessage(MESSAGES.claim, present.value);
    if (claim?.coordinatorId === this.#claim.coordinatorId && claim.epoch === this.epoch) {
      // A renewal that seemed to fail was stored after all.
      return this.#renewed(present.revision, sentMs);
    }
    this.#lose(`now owned by ${claim?.coordinatorId ?? "another"} (epoch ${claim?.epoch ?? "?"})`);
  }

  #renewed(revision: number, sentMs: number): void {
    this.#revision = revision;
    // Counted from before the request: others count from after it.
    this.#renewedMs = sentMs;
  }

  #lose(problem: string): void {
    if (this.signal.aborted) return;
    const { jobId: job, epoch } = this;
    this.#lost.abort(new GraftError("CLAIM_LOST", { job, epoch, problem }));
  }
}
