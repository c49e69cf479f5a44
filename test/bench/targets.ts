// What the product promises about its speed, and whether one result keeps it. All are ratios within
// one machine and one run; limits on time and on how much faster than the peer hold for warm inputs.
import type { Method } from "./cases.js";
import type { CaseFigures, CaseResult } from "./results.js";

interface MethodTargets {
  readonly ratioMax?: number;
  readonly processorSecondsPerGigabyteMax?: number;
  readonly peerRatioMin: number;
}

const TARGETS: Readonly<Record<Method, MethodTargets>> = {
  passthrough: { ratioMax: 1.25, peerRatioMin: 2.3 },
  linear: { ratioMax: 1.4, processorSecondsPerGigabyteMax: 0.2, peerRatioMin: 3.1 },
  slerp: { ratioMax: 1.4, processorSecondsPerGigabyteMax: 0.2, peerRatioMin: 5 },
  ties: { peerRatioMin: 27 },
  dare_ties: { ratioMax: 3, processorSecondsPerGigabyteMax: 1, peerRatioMin: 27 },
};

export interface TargetOutcome {
  readonly what: string;
  readonly bound: number;
  readonly isUpperBound: boolean;
  readonly measured: number;
  readonly holds: boolean;
}

export function targetOutcomes(
  { method, state }: CaseResult,
  figures: CaseFigures,
): readonly TargetOutcome[] {
  const target = TARGETS[method];
  const isWarm = state === "warm";
  const outcomes: TargetOutcome[] = [];
  const add = (
    what: string,
    bound: number | undefined,
    measured: number,
    isUpperBound: boolean,
  ) => {
    if (bound === undefined) return;
    const holds = isUpperBound ? measured <= bound : measured >= bound;
    outcomes.push({ what, bound, isUpperBound, measured, holds });
  };
  if (isWarm) {
    add("× probe, job start to verified", target.ratioMax, figures.verifiedRatio, true);
    add("× probe, whole process", target.ratioMax, figures.wallRatio, true);
  }
  const processor = figures.graft.processorSecondsPerGigabyte;
  add("CPU-s per GB", target.processorSecondsPerGigabyteMax, processor, true);
  if (isWarm && figures.peerRatio !== null) {
    add("× faster than mergekit", target.peerRatioMin, figures.peerRatio, false);
  }
  return outcomes;
}
