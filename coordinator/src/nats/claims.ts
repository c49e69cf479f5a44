// Which coordinator owns a job. A claim is a key written by compare-and-set, so two cannot both get it;
// its owner stops by its own clock before any other may take over, because JetStream cannot fence.
import {
  BUCKETS,
  JobClaim,
  MESSAGES,
  openMessage,
  type QueuedJob,
  sealMessage,
  subjectToken,
} from "@graft/proto";
import { type Bucket, type BucketEntry, createBucket } from "./bucket.js";
import { type Claim, OwnedClaim } from "./claim.js";
import type { NatsLink } from "./connection.js";
import type { OnIgnored } from "./membership.js";
import { jobIdOf } from "./queue.js";
import { natsFailure } from "./streams.js";

/** Keys of dead owners vanish after this; takeover does not wait for it. */
const CLAIM_TTL_MS = 10_000;
/** Silence after which a claim may be taken over. Above CLAIM_STOP_MS, after which its owner has stopped. */
export const CLAIM_SILENT_MS = 8_000;

export interface ClaimsOptions {
  readonly link: NatsLink;
  /** Unique to this process: a restarted coordinator is another one. */
  readonly coordinatorId: string;
  /** Where this coordinator's API answers, for people who ask the wrong one. */
  readonly address: string;
  readonly replicas?: number;
  readonly onIgnored?: OnIgnored;
}

export interface TakeOptions {
  /** The highest epoch in the job's own journal; the new one is above it. */
  readonly epochFloor: bigint;
}

export type TakeResult =
  | { readonly kind: "mine"; readonly claim: Claim }
  /** Another coordinator's, or unknown whose, so far. */
  | { readonly kind: "held"; readonly by: JobClaim | undefined };

export interface Claims extends AsyncDisposable {
  /** Takes a job that nobody owns or whose owner is silent. Throws NATS_UNAVAILABLE. */
  take(job: QueuedJob, options: TakeOptions): Promise<TakeResult>;
  /** The live claim of any coordinator, this one too, as far as heard. */
  holder(jobId: string): JobClaim | undefined;
  /** Claims whose owners were silent for eight seconds while this coordinator listened. */
  silent(): readonly JobClaim[];
}

interface Heard {
  readonly claim: JobClaim;
  readonly revision: number;
  heardMs: number;
}

/** Listens until disposed. */
export function openClaims(options: ClaimsOptions): Claims {
  return new HeardClaims(options);
}

class HeardClaims implements Claims {
  readonly #options: ClaimsOptions;
  readonly #bucket: Bucket;
  readonly #heard = new Map<string, Heard>();
  /** The last claim of each job that was this coordinator's. */
  readonly #own = new Map<string, Claim>();
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;
  #listening = false;

  constructor(options: ClaimsOptions) {
    const { link, replicas = 1 } = options;
    this.#options = options;
    this.#bucket = createBucket({ link, name: BUCKETS.claims, ttlMs: CLAIM_TTL_MS, replicas });
    this.#loop = this.#listen();
  }

  async take(job: QueuedJob, { epochFloor }: TakeOptions): Promise<TakeResult> {
    try {
      return await this.#take(job, epochFloor);
    } catch (error) {
      throw natsFailure(this.#options.link, error);
    }
  }

  holder(jobId: string): JobClaim | undefined {
    const key = subjectToken(jobId);
    const heard = this.#heard.get(key);
    if (heard === undefined) return undefined;
    const live = this.#isOwn(heard.claim) ? this.#holds(key) : !this.#isSilent(heard);
    return live ? heard.claim : undefined;
  }

  silent(): readonly JobClaim[] {
    return [...this.#heard.values()].flatMap((heard) =>
      this.#isSilent(heard) && !this.#isOwn(heard.claim) ? [heard.claim] : [],
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #take(job: QueuedJob, epochFloor: bigint): Promise<TakeResult> {
    const { coordinatorId, address } = this.#options;
    const jobId = jobIdOf(job);
    const key = subjectToken(jobId);
    const present = await this.#bucket.read(key);
    const before = present === null ? undefined : openClaim(present);
    if (present !== null && !this.#mayReplace(present, before)) return { kind: "held", by: before };
    const wanted = JobClaim.create({ jobId, coordinatorId, address, job });
    const first = await this.#bucket.replace(key, seal(wanted), present?.revision ?? 0);
    if (first === null) return { kind: "held", by: undefined };
    const epoch = nextEpoch(first, [epochFloor, before?.epoch ?? 0n]);
    const claim = new OwnedClaim({
      bucket: this.#bucket,
      wanted: { ...wanted, epoch },
      revision: first,
    });
    this.#own.set(key, claim);
    if (await claim.stillMine()) return { kind: "mine", claim };
    await claim[Symbol.asyncDispose]();
    return { kind: "held", by: undefined };
  }

  /** A key may be replaced when it is removed or damaged, or its owner was heard to fall silent. */
  #mayReplace(present: BucketEntry, claim: JobClaim | undefined): boolean {
    if (claim === undefined) return true;
    if (this.#isOwn(claim)) return !this.#holds(present.key);
    const heard = this.#heard.get(present.key);
    if (heard === undefined || heard.revision < present.revision) return false;
    return this.#isSilent(heard);
  }

  #holds(key: string): boolean {
    return this.#own.get(key)?.signal.aborted === false;
  }

  #isOwn(claim: JobClaim): boolean {
    return claim.coordinatorId === this.#options.coordinatorId;
  }

  #isSilent({ heardMs }: Heard): boolean {
    return this.#listening && performance.now() - heardMs >= CLAIM_SILENT_MS;
  }

  async #listen(): Promise<void> {
    for await (const notice of this.#bucket.watch(this.#stop.signal)) {
      const nowMs = performance.now();
      switch (notice.kind) {
        case "written": {
          const { key, revision } = notice.entry;
          const claim = openClaim(notice.entry);
          if (claim !== undefined) this.#heard.set(key, { claim, revision, heardMs: nowMs });
          else this.#options.onIgnored?.(key, "damaged, or another job's claim");
          break;
        }
        case "removed":
          this.#heard.delete(notice.key);
          break;
        case "opened":
          this.#listening = true;
          this.#forgive(nowMs);
          break;
        case "tick":
          this.#listening = notice.listening;
          if (!notice.listening) this.#forgive(nowMs);
          break;
      }
    }
  }

  /** Nobody could have been heard until now, so everybody's time starts again. */
  #forgive(nowMs: number): void {
    for (const heard of this.#heard.values()) heard.heardMs = nowMs;
  }
}

/**
 * The revision of the first write only grows while the bucket lives, also across keys that vanished;
 * the floor, from the journal, covers a bucket that was lost.
 */
function nextEpoch(revision: number, floors: readonly bigint[]): bigint {
  return floors.reduce((epoch, floor) => (floor >= epoch ? floor + 1n : epoch), BigInt(revision));
}

function seal(claim: JobClaim): Uint8Array {
  return sealMessage(MESSAGES.claim, claim);
}

function openClaim({ key, value, removed }: BucketEntry): JobClaim | undefined {
  if (removed) return undefined;
  const claim = openMessage(MESSAGES.claim, value);
  if (!claim?.jobId || subjectToken(claim.jobId) !== key) return undefined;
  return claim;
}
