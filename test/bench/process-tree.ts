// The processes below one process, from the lists of children that Linux keeps per thread.
import { readdirSync, readFileSync } from "node:fs";

/** Empty when the process is gone. */
export function descendantsOf(pid: number): readonly number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}

function childrenOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8")
        .split(" ")
        .filter((text) => text !== "")
        .map(Number),
    );
  } catch {
    // It, or one of its threads, ended meanwhile; the next look sees what is left.
    return [];
  }
}
