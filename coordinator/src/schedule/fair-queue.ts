// Whose turn it is: jobs with something to offer, by priority and then by the bytes that each was given
// in proportion to its weight. A job that comes late or back starts level with the others.
import { createHeap } from "./heap.js";

export interface FairQueue {
  /** The job has something to offer. Entering twice is entering once. */
  enter(job: number, share: Share): void;
  /** The job whose turn it is, which leaves the queue: then it enters again or rests. */
  next(): number | undefined;
  /** The job has nothing to offer: when it enters again it claims nothing for that time. */
  rest(job: number): void;
  charge(job: number, cost: number): void;
  /** The job has ended. */
  forget(job: number): void;
}

export interface Share {
  /** Larger ones first, always. */
  readonly priority: number;
  /** Bytes in proportion to those of others of the same priority. */
  readonly weight: number;
}

interface Entry extends Share {
  /** Cost given so far by weight, in the common time of its priority. */
  virtual: number;
  isQueued: boolean;
  isResting: boolean;
}

/** Every operation costs O(log jobs). */
export function createFairQueue(): FairQueue {
  const entries = new Map<number, Entry>();
  /** Per priority, how far the job that was last served had come. */
  const served = new Map<number, number>();
  const at = (job: number): Entry => entries.get(job) as Entry;
  const queue = createHeap((a, b) => {
    const [one, other] = [at(a), at(b)];
    if (one.priority !== other.priority) return one.priority > other.priority;
    return one.virtual === other.virtual ? a < b : one.virtual < other.virtual;
  });

  return {
    enter(job, { priority, weight }) {
      let entry = entries.get(job);
      if (entry === undefined) {
        entry = { priority, weight, virtual: 0, isQueued: false, isResting: true };
        entries.set(job, entry);
      }
      if (entry.isQueued) return;
      if (entry.isResting) entry.virtual = Math.max(entry.virtual, served.get(priority) ?? 0);
      entry.isResting = false;
      entry.isQueued = true;
      queue.push(job);
    },
    next() {
      const job = queue.pop();
      if (job === undefined) return undefined;
      const entry = at(job);
      entry.isQueued = false;
      served.set(entry.priority, Math.max(entry.virtual, served.get(entry.priority) ?? 0));
      return job;
    },
    charge(job, cost) {
      const entry = at(job);
      entry.virtual += cost / entry.weight;
    },
    rest(job) {
      at(job).isResting = true;
    },
    forget(job) {
      // An entry in the queue leaves with its turn.
      if (entries.get(job)?.isQueued !== true) entries.delete(job);
    },
  };
}
