// Runs one process and says what it cost: time from its start to its end, processor time and peak
// memory of it and everything it started. Nothing else may be started by this process meanwhile.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { createInterface } from "node:readline";
import { peakMemoryBytes } from "../support/processes.js";
import { descendantsOf } from "./process-tree.js";
import { childSeconds, foreignShare, readProcessorTimes } from "./processor-time.js";

export interface Cost {
  readonly wallSeconds: number;
  readonly processorSeconds: number;
  /** Sum over its processes of the most that each had resident, mapped files included. */
  readonly peakMemoryBytes: number;
  /** Of the machine's processors while it ran. */
  readonly foreignShare: number;
}

export interface MeasuredRun extends Cost {
  /** Of its standard output. */
  readonly lines: readonly string[];
}

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

const MEMORY_POLL_MS = 50;

/** Rejects with what the process said when it fails. */
export async function runMeasured({ program, args, cwd, env }: Command): Promise<MeasuredRun> {
  const before = readProcessorTimes();
  const startMs = performance.now();
  const child = spawn(program, [...args], {
    cwd,
    env: { ...process.env, NO_COLOR: "1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-4000);
  });
  let endMs = startMs;
  child.once("exit", () => {
    endMs = performance.now();
  });
  const memory = watchMemory(child.pid ?? 0);
  const [code, signal] = await once(child, "close").finally(() => clearInterval(memory.timer));
  if (code !== 0) {
    const said = `${lines.join("\n")}\n${errors}`;
    throw new Error(`${program} ${args.join(" ")}: ${signal ?? code}\n${said}`);
  }
  const after = readProcessorTimes();
  const wallSeconds = (endMs - startMs) / 1000;
  return {
    wallSeconds,
    processorSeconds: childSeconds(before, after),
    peakMemoryBytes: [...memory.peaks.values()].reduce((sum, peak) => sum + peak, 0),
    foreignShare: foreignShare(before, after, wallSeconds * availableParallelism()),
    lines,
  };
}

function watchMemory(pid: number): {
  readonly timer: NodeJS.Timeout;
  readonly peaks: ReadonlyMap<number, number>;
} {
  const peaks = new Map<number, number>();
  const timer = setInterval(() => {
    for (const one of [pid, ...descendantsOf(pid)]) {
      const peak = peakMemoryBytes(one);
      if (peak !== null) peaks.set(one, peak);
    }
  }, MEMORY_POLL_MS);
  return { timer, peaks };
}
