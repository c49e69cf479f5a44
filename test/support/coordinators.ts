// Coordinators that serve on loopback ports, as a person would start them, killed and started again on
// the same port and state; gone when the test ends.
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type CoordinatorClient, connectCoordinator, newJobId } from "@graft/coordinator";
import { type Job, JobState, type SubmitRequest } from "@graft/proto";
import { waitFor } from "./processes.js";
import { type RunningCli, startCli } from "./run.js";

export interface Daemon {
  /** HOST:PORT, the same after a restart. */
  readonly address: string;
  readonly client: CoordinatorClient;
  readonly running: RunningCli;
  /** kill -9; resolves when it is gone. */
  kill(): Promise<void>;
}

export interface DaemonOptions {
  readonly state: string;
  /** Of the one that was killed. */
  readonly address?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const LIFE_MAX_MS = 300_000;

/** Resolves when it serves. */
export async function startDaemon(context: TestContext, options: DaemonOptions): Promise<Daemon> {
  const { state, args = [], env = {}, address: listen = "127.0.0.1:0" } = options;
  const flags = ["serve", "--json", "--listen", listen, "--state", state, "--threads", "1"];
  const running = startCli([...flags, ...args], { env, timeoutMs: LIFE_MAX_MS });
  const child = running.process;
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await running.done;
  };
  context.after(kill);
  while (!running.output().stdout.includes("\n")) {
    if (child.exitCode !== null) throw new Error(`did not serve: ${running.output().stderr}`);
    await sleep(5);
  }
  const { address }: { address: string } = JSON.parse(running.output().stdout);
  const client = connectCoordinator({ address, signal: AbortSignal.timeout(LIFE_MAX_MS) });
  context.after(() => client[Symbol.dispose]());
  return { address, client, running, kill };
}

export function submitRequest(recipePath: string, recipeText: string, out: string): SubmitRequest {
  return {
    jobId: newJobId(),
    ...{ recipePath, recipeText, outputDirectory: out, workingDirectory: dirname(recipePath) },
    options: {
      seed: 0n,
      maxShardSizeBytes: 5_000_000_000n,
      ...{ lenient: false, force: false, sha256: true, paranoid: false, models: {} },
    },
  };
}

const ENDS: readonly JobState[] = [
  JobState.JOB_STATE_DONE,
  JobState.JOB_STATE_FAILED,
  JobState.JOB_STATE_CANCELLED,
];

export async function jobEnd({ client }: Daemon, jobId: string): Promise<Job> {
  for (;;) {
    const { job } = await client.show(jobId);
    if (job !== undefined && ENDS.includes(job.state)) return job;
    await sleep(20);
  }
}

const WAIT_MAX_MS = 60_000;

/** False when it takes too long. */
export function within(condition: () => boolean): Promise<boolean> {
  const endMs = performance.now() + WAIT_MAX_MS;
  return waitFor(condition, () => performance.now() > endMs);
}

export function journalOf(out: string): string {
  return join(`${out}.graft`, "journal");
}
