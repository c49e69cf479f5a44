// The bytes of one cache directory: how many there are, and which of them make room for others.
import type { CachedFile } from "./cached-file.js";
import { chooseEvictions } from "./eviction.js";
import { createFileTable, type FileTable } from "./file-table.js";
import type { Piece } from "./piece-index.js";
import { totalBytes } from "./ranges.js";

export interface ShelfOptions {
  readonly directory: string;
  readonly bytesMax: number;
  /** Whether parts of a file can be given back. */
  readonly byPiece: boolean;
}

export interface Shelf extends AsyncDisposable {
  readonly files: FileTable;
  /** Bytes of all pieces, those reserved included. */
  readonly usedBytes: number;
  readonly evictedBytes: number;
  /** Evicts at least so many bytes, or nothing and answers false. Never a leased piece, nor one of `keep`. */
  makeRoom(neededBytes: number, keep: ReadonlySet<Piece>): boolean;
  /** Takes out the pieces of a file that nobody holds. */
  clear(file: CachedFile): void;
  /** The next position in the order of use. */
  nextUse(): number;
}

export function createShelf({ directory, bytesMax, byPiece }: ShelfOptions): Shelf {
  let useCount = 0;
  let evictedBytes = 0;
  const nextUse = (): number => {
    useCount += 1;
    return useCount;
  };
  const files = createFileTable({ directory, nextUse });
  const evict = (file: CachedFile, pieces: readonly Piece[]): void => {
    evictedBytes += totalBytes(pieces);
    file.forget(pieces);
    files.removeIfEmpty(file);
  };
  return {
    files,
    get usedBytes() {
      return files.all().reduce((sum, { index }) => sum + index.bytes, 0);
    },
    get evictedBytes() {
      return evictedBytes;
    },
    makeRoom: (neededBytes, keep) => {
      const candidates = files.all().map((file) => ({ file, pieces: file.index.all() }));
      const options = { files: candidates, neededBytes, bytesMax, keep, byPiece };
      const chosen = chooseEvictions(options);
      for (const [file, pieces] of chosen ?? []) evict(file, pieces);
      return chosen !== undefined;
    },
    clear: (file) => evict(file, file.index.all().filter(isFree)),
    nextUse,
    [Symbol.asyncDispose]: () => files[Symbol.asyncDispose](),
  };
}

function isFree({ leaseCount, state }: Piece): boolean {
  return leaseCount === 0 && state !== "busy";
}
