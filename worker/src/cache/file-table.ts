// The cached files that are open: each one opened once, kept while it has users or pieces, removed from
// disk when it has neither.
import { join } from "node:path";
import { type CachedFile, openCachedFile } from "./cached-file.js";

export interface FileTable extends AsyncDisposable {
  /** Opens or creates a file; it stays until as many calls of giveBack as of this one. */
  take(fileName: string): Promise<CachedFile>;
  giveBack(file: CachedFile): void;
  find(fileName: string): CachedFile | undefined;
  all(): readonly CachedFile[];
  removeIfEmpty(file: CachedFile): void;
}

export interface FileTableOptions {
  readonly directory: string;
  readonly nextUse: () => number;
}

export function createFileTable({ directory, nextUse }: FileTableOptions): FileTable {
  const files = new Map<string, CachedFile>();
  const opening = new Map<string, Promise<CachedFile>>();
  const removing = new Map<string, Promise<void>>();
  const userCounts = new Map<CachedFile, number>();

  const open = async (fileName: string): Promise<CachedFile> => {
    await removing.get(fileName);
    const file = await openCachedFile({ path: join(directory, fileName), nextUse });
    files.set(fileName, file);
    return file;
  };
  const findOrOpen = async (fileName: string): Promise<CachedFile> => {
    const found = files.get(fileName);
    if (found !== undefined) return found;
    const promise = opening.get(fileName) ?? open(fileName);
    opening.set(fileName, promise);
    return promise.finally(() => opening.delete(fileName));
  };
  const removeIfEmpty = (file: CachedFile): void => {
    if (file.index.size > 0 || userCounts.has(file)) return;
    const fileName = [...files].find(([, other]) => other === file)?.[0];
    if (fileName === undefined) return;
    files.delete(fileName);
    // What cannot be removed is rubbish for the next start.
    const removed = file.remove().catch(() => undefined);
    const forgotten = removed.finally(() => removing.delete(fileName));
    removing.set(fileName, forgotten);
  };

  return {
    take: async (fileName) => {
      while (true) {
        const file = await findOrOpen(fileName);
        // Between opening and here it may have been emptied and removed.
        if (files.get(fileName) !== file) continue;
        userCounts.set(file, (userCounts.get(file) ?? 0) + 1);
        return file;
      }
    },
    giveBack: (file) => {
      const left = (userCounts.get(file) ?? 1) - 1;
      if (left > 0) userCounts.set(file, left);
      else userCounts.delete(file);
      removeIfEmpty(file);
    },
    find: (fileName) => files.get(fileName),
    all: () => [...files.values()],
    removeIfEmpty,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(removing.values());
      await Promise.all([...files.values()].map((file) => file[Symbol.asyncDispose]()));
    },
  };
}
