// Room for whole tasks: a request gets all of its pieces at once or waits, first come first served, and
// holds nothing while it waits. So two tasks never wait for each other's half.
import { GraftError } from "@graft/proto";
import { type CachedFile, UNUSED } from "./cached-file.js";
import type { Piece } from "./piece-index.js";
import { type Range, splitPieces, totalBytes } from "./ranges.js";
import type { Shelf } from "./shelf.js";

export interface Demand {
  readonly file: CachedFile;
  /** Merged. */
  readonly ranges: readonly Range[];
}

export interface Admitted {
  /** Per demand; those that have no bytes yet are absent. */
  readonly pieces: readonly (readonly Piece[])[];
  /** Bytes that were here, or on their way, already. */
  readonly hitBytes: number;
  /** Idempotent. */
  release(): void;
}

export interface Admission {
  admit(demands: readonly Demand[], signal: AbortSignal): Promise<Admitted>;
}

export interface AdmissionOptions {
  readonly shelf: Shelf;
  readonly bytesMax: number;
  /** For messages. */
  readonly directory: string;
}

interface Request {
  readonly demands: readonly Demand[];
  readonly resolve: (admitted: Admitted) => void;
  readonly reject: (error: unknown) => void;
}

const MIB = 1024 * 1024;

export function createAdmission({ shelf, bytesMax, directory }: AdmissionOptions): Admission {
  const queue: Request[] = [];
  let admittedCount = 0;

  const take = (demands: readonly Demand[]): Admitted | undefined => {
    const taken = takePieces(shelf, bytesMax, demands);
    if (taken === undefined) return undefined;
    admittedCount += 1;
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      admittedCount -= 1;
      dropPieces(demands, taken.pieces);
      pump();
    };
    return { ...taken, release };
  };
  const pump = (): void => {
    for (let first = queue[0]; first !== undefined; first = queue[0]) {
      const admitted = take(first.demands);
      if (admitted === undefined && admittedCount > 0) return;
      queue.shift();
      // With nobody else in the way it will never fit.
      if (admitted === undefined)
        first.reject(tooSmall(directory, bytesMax, demandedBytes(first.demands)));
      else first.resolve(admitted);
    }
  };

  return {
    admit: async (demands, signal) => {
      signal.throwIfAborted();
      let leave: () => void = () => undefined;
      try {
        return await new Promise<Admitted>((resolve, reject) => {
          const request = { demands, resolve, reject };
          leave = () => {
            const at = queue.indexOf(request);
            if (at < 0) return;
            queue.splice(at, 1);
            reject(signal.reason);
            pump();
          };
          signal.addEventListener("abort", leave, { once: true });
          queue.push(request);
          pump();
        });
      } finally {
        signal.removeEventListener("abort", leave);
      }
    },
  };
}

/** Reserves what is missing and holds all of it, or changes nothing. */
function takePieces(
  shelf: Shelf,
  bytesMax: number,
  demands: readonly Demand[],
): Omit<Admitted, "release"> | undefined {
  const gaps = demands.map(({ file, ranges }) => file.index.gaps(ranges));
  const neededBytes = totalBytes(gaps.flat());
  const found = demands.flatMap(({ file, ranges }) => file.index.overlapping(ranges));
  const excess = shelf.usedBytes + neededBytes - bytesMax;
  if (excess > 0 && !shelf.makeRoom(excess, new Set(found))) return undefined;
  for (const [at, { file }] of demands.entries()) {
    for (const piece of splitPieces(gaps[at] ?? [])) file.index.add(reserved(piece));
  }
  const pieces = demands.map(({ file, ranges }) => file.index.overlapping(ranges));
  for (const piece of pieces.flat()) {
    piece.leaseCount += 1;
    piece.lastUsed = shelf.nextUse();
  }
  return { pieces, hitBytes: demandedBytes(demands) - neededBytes };
}

/** Room that was reserved and never filled is free again. */
function dropPieces(demands: readonly Demand[], pieces: readonly (readonly Piece[])[]): void {
  for (const [at, { file }] of demands.entries()) {
    for (const piece of pieces[at] ?? []) {
      piece.leaseCount -= 1;
      if (piece.leaseCount === 0 && piece.state === "absent") file.index.remove(piece);
    }
  }
}

function reserved({ start, end }: Range): Piece {
  return { start, end, state: "absent", digest: "", lastUsed: 0, ...UNUSED };
}

function demandedBytes(demands: readonly Demand[]): number {
  return totalBytes(demands.flatMap(({ ranges }) => ranges));
}

export function tooSmall(directory: string, bytesMax: number, neededBytes: number): GraftError {
  const details = { given: inMiB(bytesMax), needed: inMiB(neededBytes) };
  return new GraftError("CACHE_TOO_SMALL", { path: directory, ...details });
}

function inMiB(bytes: number): string {
  return `${Math.ceil(bytes / MIB)} MiB`;
}
