// The measuring itself: rounds in which every contender runs once, in turn, each after the same
// preparation, so that whatever drifts meets all of them. A run that others disturbed is repeated.

import { availableParallelism } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type CacheState, prepareCache } from "./cache-state.js";
import { type CaseFiles, type Contender, removeOutputs, type SelfReport } from "./contenders.js";
import { type Cost, runMeasured } from "./measured-process.js";
import { foreignShare, readProcessorTimes } from "./processor-time.js";

export interface Sample extends Cost, SelfReport {
  readonly contender: Contender["name"];
  readonly round: number;
  /** Runs that were thrown away before this one. */
  readonly rejected: number;
  /** Others used too much in this one too; it is the last try. */
  readonly noisy: boolean;
}

export interface RoundsOptions {
  readonly files: CaseFiles;
  readonly contenders: readonly Contender[];
  readonly state: CacheState;
  /** Of Graft's output. */
  readonly outputBytes: number;
  readonly foreignShareMax: number;
  readonly say: (line: string) => void;
}

const RETRIES_MAX = 3;
const QUIET_POLL_MS = 250;
/** After it a run starts anyway; if it is disturbed it will be seen. */
const QUIET_WAIT_MS = 30_000;

export async function measureRounds(options: RoundsOptions): Promise<readonly Sample[]> {
  const samples: Sample[] = [];
  const rounds = Math.max(...options.contenders.map(({ runs }) => runs));
  for (let round = 0; round < rounds; round += 1) {
    for (const contender of options.contenders.filter(({ runs }) => round < runs)) {
      samples.push(await measureOne(options, contender, round));
    }
  }
  return samples;
}

async function measureOne(
  options: RoundsOptions,
  contender: Contender,
  round: number,
): Promise<Sample> {
  for (let rejected = 0; ; rejected += 1) {
    const sample = await runOnce(options, contender);
    const noisy = sample.foreignShare > options.foreignShareMax;
    options.say(describe(options, sample, { name: contender.name, noisy }));
    if (noisy && rejected < RETRIES_MAX) continue;
    return { ...sample, contender: contender.name, round, rejected, noisy };
  }
}

async function runOnce(options: RoundsOptions, contender: Contender): Promise<Cost & SelfReport> {
  const { files, state, outputBytes, foreignShareMax } = options;
  await untilQuiet(foreignShareMax);
  removeOutputs(contender);
  const scratchPath = join(files.directory, "scratch");
  prepareCache({ state, inputFiles: files.inputFiles, scratchPath, outputBytes });
  if (state === "cold" && contender.wakeCommand !== null) await runMeasured(contender.wakeCommand);
  const run = await runMeasured(contender.command);
  const { lines: _, ...cost } = run;
  const report = contender.read(run);
  removeOutputs(contender);
  return { ...cost, ...report };
}

/** Waits, within limits, until others leave the processors alone. */
async function untilQuiet(foreignShareMax: number): Promise<void> {
  const capacitySeconds = (QUIET_POLL_MS / 1000) * availableParallelism();
  for (let waitedMs = 0; waitedMs < QUIET_WAIT_MS; waitedMs += QUIET_POLL_MS) {
    const before = readProcessorTimes();
    await sleep(QUIET_POLL_MS);
    if (foreignShare(before, readProcessorTimes(), capacitySeconds) <= foreignShareMax) return;
  }
}

function describe(
  { files, state }: RoundsOptions,
  { wallSeconds, processorSeconds, foreignShare }: Cost,
  { name, noisy }: { readonly name: string; readonly noisy: boolean },
): string {
  const cost = `${wallSeconds.toFixed(2)} s, ${processorSeconds.toFixed(2)} CPU-s`;
  const others = `${(foreignShare * 100).toFixed(1)} % others`;
  return `${files.bench.name}, ${state}, ${name}: ${cost}, ${others}${noisy ? " (noisy)" : ""}`;
}
