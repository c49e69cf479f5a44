// One process per output: every contender first creates a lock file of its own, then looks for others.
// Whoever sees another living holder steps back, so two can never both go on; nobody ever removes a
// lock that a living process may hold, which is where a single shared lock file goes wrong.
import { randomBytes } from "node:crypto";
import { readdir, readFile, stat, unlink, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { GraftError } from "@graft/proto/errors";
import { errorCode, fileError } from "./durable-file.js";

export interface Lock {
  /** Throws OUTPUT_LOCKED when the lock file is gone: somebody thought this process dead. */
  assertHeld(): Promise<void>;
  /** Idempotent. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Who holds a lock: enough to tell a living process from a reused process id. */
interface Holder {
  readonly pid: number;
  readonly host: string;
  readonly bootId: string;
  /** Field 22 of /proc/PID/stat: clock ticks from boot to the start of the process. */
  readonly startTicks: string;
}

const PREFIX = "lock-";
/** A holder on another host cannot be looked up; it shows life by touching its file. */
const HEARTBEAT_MS = 5_000;
const SILENCE_MAX_MS = 60_000;
const ATTEMPTS_MAX = 5;
const BACKOFF_MAX_MS = 100;

/** Takes the lock of a work directory, or throws OUTPUT_LOCKED naming the holder. */
export async function acquireLock(directory: string, outputPath: string): Promise<Lock> {
  const name = `${PREFIX}${randomBytes(8).toString("hex")}`;
  const path = join(directory, name);
  const self = JSON.stringify(await describeSelf());
  for (let attempt = 1; ; attempt += 1) {
    try {
      await writeFile(path, self, { flag: "wx" });
      const rival = await findRival(directory, name);
      if (rival === null) return holdLock(path, outputPath);
      await unlink(path);
      if (attempt === ATTEMPTS_MAX) {
        throw new GraftError("OUTPUT_LOCKED", { path: outputPath, ...rivalDetails(rival) });
      }
    } catch (error) {
      throw fileError(path, "lock", error);
    }
    // Two that started at the same moment both stepped back; unequal waits let one through.
    await sleep(Math.random() * BACKOFF_MAX_MS);
  }
}

function rivalDetails(rival: Holder | null): { readonly pid: number; readonly host: string } {
  return { pid: rival?.pid ?? 0, host: rival?.host ?? "unknown" };
}

function holdLock(path: string, outputPath: string): Lock {
  const beat = setInterval(() => {
    const now = new Date();
    // A failed touch is harmless: assertHeld decides before anything is published.
    utimes(path, now, now).catch(() => undefined);
  }, HEARTBEAT_MS);
  beat.unref();
  let released = false;
  return {
    async assertHeld() {
      if (await exists(path)) return;
      throw new GraftError("OUTPUT_LOCKED", { path: outputPath, ...rivalDetails(null) });
    },
    async [Symbol.asyncDispose]() {
      if (released) return;
      released = true;
      clearInterval(beat);
      await unlink(path).catch(ignoreMissing);
    },
  };
}

/** A living holder other than `own`; lock files of the dead are removed on the way. */
async function findRival(directory: string, own: string): Promise<Holder | null> {
  // Our own file was just written: its time is "now" on the clock of the file server.
  const nowMs = (await stat(join(directory, own))).mtimeMs;
  let rival: Holder | null = null;
  for (const name of await readdir(directory)) {
    if (!name.startsWith(PREFIX) || name === own) continue;
    const path = join(directory, name);
    const holder = await readHolder(path);
    if (holder === null) continue;
    if (await isAlive(holder, path, nowMs)) rival = holder;
    else await unlink(path).catch(ignoreMissing);
  }
  return rival;
}

const UNKNOWN_HOLDER: Holder = { pid: 0, host: "unknown", bootId: "", startTicks: "" };

/** null when the file is gone; a half-written one belongs to a contender that is just starting. */
async function readHolder(path: string): Promise<Holder | null> {
  try {
    const text = await readFile(path, "utf8");
    return text.endsWith("}") ? (JSON.parse(text) as Holder) : UNKNOWN_HOLDER;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    return UNKNOWN_HOLDER;
  }
}

async function isAlive(holder: Holder, path: string, nowMs: number): Promise<boolean> {
  const self = await describeSelf();
  if (holder.host === self.host && holder.bootId !== "") {
    if (holder.bootId !== self.bootId) return false;
    return (await startTicks(holder.pid)) === holder.startTicks;
  }
  const touchedMs = await stat(path).then((status) => status.mtimeMs, ignoreMissing);
  return touchedMs !== undefined && nowMs - touchedMs < SILENCE_MAX_MS;
}

async function describeSelf(): Promise<Holder> {
  const bootId = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "");
  return {
    pid: process.pid,
    host: hostname(),
    bootId: bootId.trim(),
    startTicks: (await startTicks(process.pid)) ?? "",
  };
}

/** null when there is no such process. */
async function startTicks(pid: number): Promise<string | null> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, "utf8");
    // The command name is in parentheses and may hold spaces; 22 counts from before it.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    // A zombie holds nothing any more.
    return fields[0] === "Z" ? null : (fields[22 - 3] ?? null);
  } catch {
    // Not there, or not Linux.
    return null;
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(ignoreMissing)) !== undefined;
}

function ignoreMissing(error: unknown): undefined {
  if (errorCode(error) === "ENOENT") return undefined;
  throw error;
}
