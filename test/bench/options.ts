// The flags of the benchmark. Sizes default to what fits a machine with 24 GiB of memory warm: the
// inputs of every case stay in the page cache beside the process that merges them.
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ROOT } from "../support/run.js";
import type { CacheState } from "./cache-state.js";
import { METHODS, type Method } from "./cases.js";

export interface BenchOptions {
  readonly directory: string;
  /** Of one model, about: for passthrough, linear and slerp. */
  readonly sizeBytes: number;
  /** Of one of the four models of ties. */
  readonly tiesSizeBytes: number;
  /** Of one of the fifteen models of dare_ties. */
  readonly dareSizeBytes: number;
  readonly runs: number;
  readonly methods: readonly Method[];
  readonly states: readonly CacheState[];
  /** Interpreter that can run mergekit; null to leave it out. */
  readonly peer: string | null;
  readonly peerRuns: number;
  /** Share of the machine that other processes may use while something is measured. */
  readonly foreignShareMax: number;
  readonly jsonPath: string | null;
  readonly clean: boolean;
  readonly help: boolean;
}

export const USAGE = `npm run bench -- [flags]
  --size SIZE          one model of passthrough, linear, slerp (default: 4GiB)
  --ties-size SIZE     one of the 4 models of ties (default: a half of --size)
  --dare-size SIZE     one of the 15 models of dare_ties (default: 15 % of --size)
  --dir DIR            models and outputs (default: sample/bench in the repository)
  --runs N             measured runs of Graft and of the probe per case (default: 5)
  --methods A,B        of ${METHODS.join(", ")} (default: all)
  --state A,B          of warm, cold (default: both)
  --peer PYTHON        also run mergekit with this interpreter
  --peer-runs N        its runs per case (default: 1)
  --foreign-max PCT    CPU others may use before a run is repeated (default: 8)
  --json FILE          also write every figure to FILE
  --clean              remove the models and outputs of --dir and stop`;

const STATES: readonly CacheState[] = ["warm", "cold"];
/** Of --size: fifteen models must fit in memory together with what a merge of them needs. */
const DARE_SHARE = 0.15;

/** A mistaken flag, or one that does not fit this machine; the message is all the user needs. */
export class InputError extends Error {}

export function parseOptions(args: readonly string[]): BenchOptions {
  const { values } = readFlags(args);
  const sizeBytes = parseSize("--size", values.size);
  const part = (flag: string, text: string | undefined, share: number): number =>
    text === undefined ? Math.floor(sizeBytes * share) : parseSize(flag, text);
  return {
    directory: values.dir ?? join(ROOT, "sample", "bench"),
    sizeBytes,
    tiesSizeBytes: part("--ties-size", values["ties-size"], 0.5),
    dareSizeBytes: part("--dare-size", values["dare-size"], DARE_SHARE),
    runs: parseCount("--runs", values.runs),
    methods: parseList("--methods", values.methods, METHODS),
    states: parseList("--state", values.state, STATES),
    peer: values.peer ?? null,
    peerRuns: parseCount("--peer-runs", values["peer-runs"]),
    foreignShareMax: parseCount("--foreign-max", values["foreign-max"]) / 100,
    jsonPath: values.json ?? null,
    clean: values.clean,
    help: values.help,
  };
}

function readFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        size: { type: "string", default: "4GiB" },
        "ties-size": { type: "string" },
        "dare-size": { type: "string" },
        dir: { type: "string" },
        runs: { type: "string", default: "5" },
        methods: { type: "string", default: METHODS.join(",") },
        state: { type: "string", default: STATES.join(",") },
        peer: { type: "string" },
        "peer-runs": { type: "string", default: "1" },
        "foreign-max": { type: "string", default: "8" },
        json: { type: "string" },
        clean: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    throw new InputError(error instanceof Error ? error.message : String(error));
  }
}

function parseSize(flag: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)([KMGT]?)(i?)B$/i.exec(text);
  const power = ["", "K", "M", "G", "T"].indexOf((match?.[2] ?? "").toUpperCase());
  const bytes = Math.floor(Number(match?.[1]) * (match?.[3] ? 1024 : 1000) ** power);
  if (bytes > 0) return bytes;
  throw new InputError(`${flag}: expected a size such as 4GiB or 500MB, got "${text}"`);
}

function parseCount(flag: string, text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (count >= 1) return count;
  throw new InputError(`${flag}: expected a whole number from 1 on, got "${text}"`);
}

function parseList<T extends string>(
  flag: string,
  text: string,
  allowed: readonly T[],
): readonly T[] {
  const names = text.split(",");
  const unknown = names.find((name) => !allowed.some((one) => one === name));
  if (unknown !== undefined) {
    throw new InputError(`${flag}: expected some of ${allowed.join(", ")}, got "${unknown}"`);
  }
  return allowed.filter((one) => names.includes(one));
}
