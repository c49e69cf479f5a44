// Weight files for the tests of cache and peers: random bytes on disk, and a pull that reads them there.
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readRange } from "@graft/native";
import { WeightFile } from "@graft/proto";
import type { PullFile } from "./fill.js";
import { lengthOf, type Range } from "./ranges.js";

/** Bytes that differ everywhere and are the same in every run (xorshift32). */
export function testBytes(size: number, seed: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = seed | 1;
  for (let at = 0; at < size; at += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = state;
  }
  return bytes;
}

/** Whole numbers below a bound, the same in every run (mulberry32). */
export function testRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Writes a file and describes it as a worker would; the header digest does not matter here. */
export function writeWeights(folder: string, name: string, bytes: Uint8Array): WeightFile {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return pinOf(path, name);
}

export function pinOf(path: string, name: string): WeightFile {
  const { size, mtimeNs, ino } = statSync(path, { bigint: true });
  return WeightFile.fromPartial({
    path,
    name,
    sizeBytes: size,
    headerDigest: "0".repeat(32),
    modifiedTimeNs: mtimeNs,
    inode: ino,
  });
}

export interface CountingPull {
  readonly pull: PullFile;
  /** Every piece that was asked for, in order. */
  readonly asked: Range[];
}

/** Reads each piece from the original's own path. */
export function pullFromDisk(
  onPiece: (range: Range) => Promise<void> | void = () => undefined,
): CountingPull {
  const asked: Range[] = [];
  const pull: PullFile = async (file, pieces, accept, signal) => {
    for (const piece of pieces) {
      signal.throwIfAborted();
      asked.push(piece);
      await onPiece(piece);
      const { path, sizeBytes, modifiedTimeNs, inode } = file;
      const pin = { path, sizeBytes, modifiedTimeNs, inode };
      const { data, digest } = await readRange(pin, BigInt(piece.start), lengthOf(piece));
      await accept(piece, data, digest);
    }
  };
  return { pull, asked };
}
