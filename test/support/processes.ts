// Looking at processes through /proc: children, peak memory. Linux only; suites that need it skip
// elsewhere and say so.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export const HAS_PROC = existsSync("/proc/self/status");

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // The process ended between listing and reading.
    return null;
  }
}

/** Direct children whose command line contains the word. */
export function childrenOf(pid: number, word: string): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      const status = read(`/proc/${name}/status`);
      if (status === null || Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]) !== pid) return false;
      return read(`/proc/${name}/cmdline`)?.includes(word) ?? false;
    })
    .map(Number);
}

/** Most memory the process ever had resident; null when it is gone. */
export function peakMemoryBytes(pid: number): number | null {
  const kibibytes = /^VmHWM:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`) ?? "")?.[1];
  return kibibytes === undefined ? null : Number(kibibytes) * 1024;
}

/** Waits until the condition holds; false when `stopped` came true first. */
export async function waitFor(
  condition: () => boolean,
  stopped: () => boolean = () => false,
): Promise<boolean> {
  for (;;) {
    if (condition()) return true;
    if (stopped()) return false;
    await sleep(2);
  }
}
