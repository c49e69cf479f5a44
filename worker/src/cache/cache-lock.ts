// One process per cache: it alone knows which pieces tasks are reading. Every contender first makes a
// lock file of its own and then looks for others, so nobody removes a lock that somebody living holds.
import { randomBytes } from "node:crypto";
import { readdir, readFile, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { GraftError } from "@graft/proto";

const PREFIX = "lock-";
const ATTEMPTS_MAX = 5;
const BACKOFF_MAX_MS = 100;

/** CACHE_IN_USE names the process that has it; the directory is on a local disk, so that can be told. */
export async function acquireCacheLock(directory: string): Promise<AsyncDisposable> {
  const name = PREFIX + randomBytes(8).toString("hex");
  const path = join(directory, name);
  const self = `${process.pid} ${await startOf(process.pid)}\n`;
  for (let attempt = 1; ; attempt += 1) {
    await writeFile(path, self, { flag: "wx" });
    const rival = await findRival(directory, name);
    if (rival === undefined) return { [Symbol.asyncDispose]: () => removeFile(path) };
    await removeFile(path);
    if (attempt === ATTEMPTS_MAX) {
      throw new GraftError("CACHE_IN_USE", { path: directory, pid: rival });
    }
    // Two that started at the same moment both stepped back; unequal waits let one through.
    await sleep(Math.random() * BACKOFF_MAX_MS);
  }
}

/** Process id of a living holder; "unknown" for one that is writing its lock file just now. */
async function findRival(directory: string, own: string): Promise<string | undefined> {
  for (const name of await readdir(directory)) {
    if (!name.startsWith(PREFIX) || name === own) continue;
    const path = join(directory, name);
    const text = await readFile(path, "utf8").catch(ignoreMissing);
    if (text === undefined) continue;
    if (!text.endsWith("\n")) return "unknown";
    const [pid = "", start = ""] = text.trim().split(" ");
    if ((await startOf(Number(pid))) === start) return pid;
    await removeFile(path);
  }
  return undefined;
}

/** Boot and clock ticks at the start of a process: tells it from a later one with its id. */
async function startOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The command name is in parentheses and may hold spaces; 22 counts from before it.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  if (text === "" || fields[0] === "Z") return "gone";
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "");
  return `${boot.trim()}:${fields[22 - 3]}`;
}

async function removeFile(path: string): Promise<void> {
  await unlink(path).catch(ignoreMissing);
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT") return undefined;
  throw error;
}
