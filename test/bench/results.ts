// From samples to figures: medians, ratios and processor seconds per gigabyte. A gigabyte is 1e9 bytes;
// what a case moves is its inputs read once and its output written once, whatever a contender really did.
import type { CacheState } from "./cache-state.js";
import type { Method } from "./cases.js";
import type { ContenderName } from "./contenders.js";
import type { Sample } from "./rounds.js";
import { medianOf, type Spread, spreadOf } from "./statistics.js";

/** One case in one state of the cache, as it is kept in the JSON file. */
export interface CaseResult {
  readonly name: string;
  readonly method: Method;
  readonly state: CacheState;
  readonly shape: string;
  readonly inputBytes: number;
  readonly outputBytes: number;
  readonly samples: readonly Sample[];
}

/** The one run with sha256 on, for that stage alone. */
export interface Sha256Stage {
  readonly name: string;
  readonly seconds: number;
  readonly bytes: number;
}

export interface ContenderFigures {
  readonly wall: Spread;
  readonly processorSecondsPerGigabyte: number;
  readonly peakMemoryBytes: number;
  readonly runs: number;
}

export interface CaseFigures {
  readonly graft: ContenderFigures;
  readonly probe: ContenderFigures;
  readonly peer: ContenderFigures | null;
  readonly verifiedSeconds: number;
  /** Whole process over whole process. */
  readonly wallRatio: number;
  /** Graft until its output is verified, over the whole process of the probe. */
  readonly verifiedRatio: number;
  /** Of its reads of weights. */
  readonly pageCacheShare: number;
  /** Bytes it read over the bytes of its inputs. */
  readonly readRatio: number;
  /** How many times longer the peer takes; null without it. */
  readonly peerRatio: number | null;
  readonly peerMemoryRatio: number | null;
  readonly rejected: number;
  readonly noisy: number;
}

export function movedGigabytes({ inputBytes, outputBytes }: CaseResult): number {
  return (inputBytes + outputBytes) / 1e9;
}

export function figuresOf(result: CaseResult): CaseFigures {
  const { samples } = result;
  const graft = contenderFigures(result, "graft");
  const probe = contenderFigures(result, "probe");
  if (graft === null || probe === null) throw new RangeError(`${result.name}: nothing measured`);
  const peer = contenderFigures(result, "peer");
  const own = samples.filter(({ contender }) => contender === "graft");
  const median = (value: (sample: Sample) => number | undefined): number =>
    medianOf(own.map((sample) => value(sample) ?? Number.NaN));
  const verifiedSeconds = median((sample) => sample.verifiedSeconds);
  return {
    graft,
    probe,
    peer,
    verifiedSeconds,
    wallRatio: graft.wall.median / probe.wall.median,
    verifiedRatio: verifiedSeconds / probe.wall.median,
    pageCacheShare: median((sample) => sample.pageCacheShare),
    readRatio: median((sample) => sample.readBytes) / result.inputBytes,
    peerRatio: peer === null ? null : peer.wall.median / graft.wall.median,
    peerMemoryRatio: peer === null ? null : peer.peakMemoryBytes / graft.peakMemoryBytes,
    rejected: samples.reduce((sum, { rejected }) => sum + rejected, 0),
    noisy: samples.filter(({ noisy }) => noisy).length,
  };
}

function contenderFigures(result: CaseResult, name: ContenderName): ContenderFigures | null {
  const samples = result.samples.filter(({ contender }) => contender === name);
  if (samples.length === 0) return null;
  const seconds = medianOf(samples.map(({ processorSeconds }) => processorSeconds));
  return {
    wall: spreadOf(samples.map(({ wallSeconds }) => wallSeconds)),
    processorSecondsPerGigabyte: seconds / movedGigabytes(result),
    peakMemoryBytes: Math.max(...samples.map(({ peakMemoryBytes }) => peakMemoryBytes)),
    runs: samples.length,
  };
}
