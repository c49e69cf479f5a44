// Which worker a task without local bytes prefers: rendezvous hashing, so that the same task meets the
// same worker in the next job. Tasks hash to slots and slots to workers, which keeps a membership change
// at one comparison per slot in use, however many tasks there are.

const SLOT_COUNT = 4096;

export interface Affinity {
  /** Grows with every change of owners. */
  readonly version: number;
  ownerOf(slot: number): string | undefined;
  join(workerId: string): void;
  leave(workerId: string): void;
}

interface Claim {
  readonly workerId: string;
  readonly score: number;
}

function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** FNV-1a, then mixed. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return mix(hash);
}

export const slotOf = (key: string): number => hashText(key) % SLOT_COUNT;

const scoreOf = (slot: number, workerHash: number): number => mix(workerHash ^ mix(slot + 1));

/** Of the given workers the one that the slot prefers. Equal scores go to the smaller name. */
export function rendezvous(slot: number, workerIds: Iterable<string>): string | undefined {
  let best: Claim | undefined;
  for (const workerId of workerIds) {
    best = better(best, { workerId, score: scoreOf(slot, hashText(workerId)) });
  }
  return best?.workerId;
}

function better(one: Claim | undefined, other: Claim): Claim {
  if (one === undefined || other.score > one.score) return other;
  return other.score === one.score && other.workerId < one.workerId ? other : one;
}

export function createAffinity(): Affinity {
  const hashes = new Map<string, number>();
  /** Slots that somebody asked for. */
  const claims = new Map<number, Claim>();
  let version = 0;

  return {
    get version() {
      return version;
    },
    ownerOf(slot) {
      const known = claims.get(slot);
      if (known !== undefined) return known.workerId;
      let best: Claim | undefined;
      for (const [workerId, hash] of hashes) {
        best = better(best, { workerId, score: scoreOf(slot, hash) });
      }
      if (best !== undefined) claims.set(slot, best);
      return best?.workerId;
    },
    join(workerId) {
      if (hashes.has(workerId)) return;
      const hash = hashText(workerId);
      hashes.set(workerId, hash);
      version += 1;
      for (const [slot, claim] of claims) {
        claims.set(slot, better(claim, { workerId, score: scoreOf(slot, hash) }));
      }
    },
    leave(workerId) {
      if (!hashes.delete(workerId)) return;
      version += 1;
      for (const [slot, claim] of claims) if (claim.workerId === workerId) claims.delete(slot);
    },
  };
}
