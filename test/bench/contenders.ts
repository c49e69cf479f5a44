// Who is measured: Graft as users start it, the probe that reads the same inputs once and writes as
// many bytes once, and mergekit. Each knows its command, its output and what its run says of itself.
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../support/run.js";
import type { BenchCase } from "./cases.js";
import type { Command, MeasuredRun } from "./measured-process.js";

const CLI = join(ROOT, "coordinator", "bin", "coordinator.js");

export type ContenderName = "graft" | "probe" | "peer";

/** What one case works on. */
export interface CaseFiles {
  readonly bench: BenchCase;
  /** Directory of the recipe and of the outputs. */
  readonly directory: string;
  readonly recipePath: string;
  readonly inputFiles: readonly string[];
  readonly inputBytes: number;
}

export interface Contender {
  readonly name: ContenderName;
  readonly runs: number;
  readonly command: Command;
  /** Run before a cold run, untimed, to have its program in memory again. */
  readonly wakeCommand: Command | null;
  /** Made by the run, removed before the next. */
  readonly outputs: readonly string[];
  /** What the run says of itself. */
  readonly read: (run: MeasuredRun) => SelfReport;
}

export interface StageTime {
  readonly stage: string;
  readonly seconds: number;
}

export interface SelfReport {
  /** From the start of the job until every output byte was on storage under its XXH3-128. */
  readonly verifiedSeconds?: number;
  readonly stages?: readonly StageTime[];
  /** As it counts itself: more than the inputs where they are read twice. */
  readonly readBytes?: number;
  readonly pageCacheShare?: number;
  /** Of the probe: inside the process, without its start. */
  readonly innerSeconds?: number;
}

export function removeOutputs({ outputs }: Contender): void {
  for (const path of outputs) rmSync(path, { recursive: true, force: true });
}

/** Sizes of the weight files of a checkpoint, in the order of their names. */
export function weightSizes(directory: string): readonly number[] {
  return weightFiles(directory).map((path) => statSync(path).size);
}

export function weightFiles(directory: string): readonly string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith(".safetensors"))
    .sort()
    .map((name) => join(directory, name));
}

export function graftContender(files: CaseFiles, runs: number, sha256: boolean): Contender {
  const output = join(files.directory, "graft");
  const flags = ["--out", output, "--json", ...(sha256 ? [] : ["--no-sha256"])];
  return {
    name: "graft",
    runs,
    command: {
      program: process.execPath,
      args: [CLI, "submit", files.recipePath, ...flags],
      cwd: files.directory,
    },
    wakeCommand: null,
    outputs: [output, `${output}.graft`],
    read: readGraft,
  };
}

interface MergeEvent {
  readonly kind: string;
  readonly summary?: {
    readonly readBytes: number;
    readonly pageCacheBytes: number;
    readonly stages: readonly (StageTime & { readonly bytes: number })[];
  };
}

/** Of stages that come after every output byte is digested and durable, or are optional. */
const STAGES_AFTER_VERIFIED: readonly string[] = ["verify", "publish"];

function readGraft({ lines }: MeasuredRun): SelfReport {
  const events = lines.map((line) => JSON.parse(line) as MergeEvent);
  const summary = events.find(({ kind }) => kind === "done")?.summary;
  if (summary === undefined) throw new Error("graft: no summary");
  const { readBytes, pageCacheBytes, stages } = summary;
  return {
    verifiedSeconds: stages
      .filter(({ stage }) => !STAGES_AFTER_VERIFIED.includes(stage))
      .reduce((sum, { seconds }) => sum + seconds, 0),
    stages: stages.map(({ stage, seconds }) => ({ stage, seconds })),
    readBytes,
    pageCacheShare: readBytes > 0 ? pageCacheBytes / readBytes : 0,
  };
}

const PROBE = join(ROOT, "native", "build", "probe");

export function probeContender(
  files: CaseFiles,
  runs: number,
  outputSizes: readonly number[],
): Contender {
  const outputs = outputSizes.map((_, i) => join(files.directory, `probe-${i}`));
  const flags = outputs.flatMap((path) => ["--out", path]);
  return {
    name: "probe",
    runs,
    command: {
      program: PROBE,
      args: [...flags, "--bytes", outputSizes.join(","), ...files.inputFiles],
      cwd: files.directory,
    },
    wakeCommand: null,
    outputs,
    read: ({ lines }) => {
      const { seconds } = JSON.parse(lines[0] ?? "{}") as { seconds: number };
      return { innerSeconds: seconds };
    },
  };
}

const PEER_MODULE = ["-m", "mergekit.scripts.run_yaml"];
/** Its fastest form on a CPU: its own help calls asynchronous writing the faster way. */
const PEER_FLAGS = ["--async-write", "--quiet", "--no-write-model-card"];
const PEER_ENVIRONMENT = { HF_HUB_OFFLINE: "1", TRANSFORMERS_OFFLINE: "1" };

/** Loads everything that a merge loads, and merges nothing. */
export function peerStart(python: string, directory: string): Command {
  const args = [...PEER_MODULE, "--help"];
  return { program: python, args, cwd: directory, env: PEER_ENVIRONMENT };
}

/** Headers and metadata differ by kilobytes; a tensor more or less would be another job. */
const OUTPUT_SIZE_TOLERANCE = 0.01;

export function peerContender(
  files: CaseFiles,
  runs: number,
  { python, outputBytes }: { readonly python: string; readonly outputBytes: number },
): Contender {
  const output = join(files.directory, "peer");
  const start = peerStart(python, files.directory);
  const args = [...PEER_MODULE, files.recipePath, output, ...PEER_FLAGS];
  return {
    name: "peer",
    runs,
    command: { ...start, args },
    wakeCommand: start,
    outputs: [output],
    read: () => {
      const written = weightSizes(output).reduce((sum, size) => sum + size, 0);
      if (Math.abs(written - outputBytes) > OUTPUT_SIZE_TOLERANCE * outputBytes) {
        const name = files.bench.name;
        throw new Error(`${name}: mergekit wrote ${written} bytes, Graft ${outputBytes}`);
      }
      return {};
    },
  };
}
