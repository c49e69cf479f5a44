// What a finished merge reports, as data.
import type { LedgerEntry } from "../plan/types.js";

export interface StageTime {
  readonly stage: string;
  readonly seconds: number;
  /** Bytes read and written in the stage; 0 where none of note. */
  readonly bytes: number;
}

export interface StorageSpeed {
  readonly readBytesPerSecond: number;
  readonly writeBytesPerSecond: number;
}

export interface NonFiniteSummary {
  readonly model: string;
  readonly tensor: string;
  readonly count: number;
  readonly firstIndex: number;
}

export type LedgerCounts = Readonly<Record<LedgerEntry["fate"], number>>;

export interface MergeSummary {
  readonly output: string;
  readonly planDigest: string;
  readonly outputBytes: number;
  readonly parameterCount: number;
  readonly tensorCount: number;
  readonly fileCount: number;
  readonly taskCount: number;
  /** Tasks that an earlier run had done. */
  readonly skippedTaskCount: number;
  /** Bytes moved by the merge stage of this run. */
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly pageCacheBytes: number;
  readonly mergeBytesPerSecond: number;
  /** Of the worker process, at its peak. */
  readonly workerMemoryBytes: number;
  readonly seconds: number;
  readonly stages: readonly StageTime[];
  /** Null when it could not be measured. */
  readonly storage: StorageSpeed | null;
  /** Time the storage alone would have taken for the bytes moved, over the time of the merge stage. */
  readonly diskSpeedFraction: number | null;
  readonly nonFinite: readonly NonFiniteSummary[];
  readonly ledger: LedgerCounts;
  readonly notes: readonly string[];
}

export function countLedger(ledger: readonly LedgerEntry[]): LedgerCounts {
  const counts = { merged: 0, copied: 0, aliased: 0, ignored: 0 };
  for (const { fate } of ledger) counts[fate] += 1;
  return counts;
}

/** Null when nothing was moved or nothing measured. Page-cache reads cost the storage nothing. */
export function diskSpeedFraction(
  storage: StorageSpeed | null,
  moved: {
    readonly readBytes: number;
    readonly pageCacheBytes: number;
    readonly writtenBytes: number;
  },
  seconds: number,
): number | null {
  if (storage === null || seconds <= 0 || moved.writtenBytes === 0) return null;
  const { readBytesPerSecond, writeBytesPerSecond } = storage;
  if (readBytesPerSecond <= 0 || writeBytesPerSecond <= 0) return null;
  const fromDisk = Math.max(0, moved.readBytes - moved.pageCacheBytes);
  return (fromDisk / readBytesPerSecond + moved.writtenBytes / writeBytesPerSecond) / seconds;
}
