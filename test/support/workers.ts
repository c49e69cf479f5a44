// Worker daemons on loopback ports, as a person would start them; gone when the test ends.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { ROOT } from "./run.js";

const WORKER = join(ROOT, "worker", "bin", "worker.js");
const MEMORY_BYTES = 512 * 2 ** 20;

export interface WorkerDaemon {
  readonly process: ChildProcess;
  /** HOST:PORT. */
  readonly address: string;
}

export interface WorkerDaemonOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** 0 takes a free one. */
  readonly port?: number;
  readonly args?: readonly string[];
  /** A directory that looks empty to it; needs root. */
  readonly hidden?: string;
}

/** Resolves when it serves; rejects with what it said when it does not. */
export async function startWorkerDaemon(
  context: TestContext,
  { env = {}, port = 0, args = [], hidden }: WorkerDaemonOptions = {},
): Promise<WorkerDaemon> {
  const flags = ["--listen", `127.0.0.1:${port}`, "--threads", "1", "--memory", `${MEMORY_BYTES}`];
  const command = [process.execPath, WORKER, ...flags, ...args];
  const [program = "", ...rest] = hidden === undefined ? command : without(hidden, command);
  const child = spawn(program, rest, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  context.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([
    once(lines, "line"),
    once(child, "exit").then(([code]) => [`{"ready":false,"exit":${code}}`]),
  ]);
  const greeting: { ready: boolean; listen?: string } = JSON.parse(line);
  if (!greeting.ready || greeting.listen === undefined) {
    throw new Error(`graft-worker did not start: ${line}`);
  }
  return { process: child, address: greeting.listen };
}

/** The command in a mount namespace of its own, with nothing where the directory is. */
function without(directory: string, command: readonly string[]): readonly string[] {
  const script = 'mount -t tmpfs none "$1" && shift && exec "$@"';
  return ["unshare", "--mount", "sh", "-c", script, "sh", directory, ...command];
}

export function workerFlags(workers: readonly WorkerDaemon[]): readonly string[] {
  return workers.flatMap(({ address }) => ["--worker", address]);
}
