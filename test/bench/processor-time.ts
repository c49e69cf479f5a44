// Who used the processors: this process, its finished children with all their descendants, and the
// rest of the machine. All from /proc, in ticks of a hundredth of a second, as Linux shows them on
// every architecture.
import { readFileSync } from "node:fs";

const TICKS_PER_SECOND = 100;

export interface ProcessorTimes {
  /** In user mode, of the whole machine. */
  readonly machineUserSeconds: number;
  /** What the hypervisor gave to others. */
  readonly stolenSeconds: number;
  readonly ownUserSeconds: number;
  /** Of children that have ended and their descendants that they waited for. */
  readonly childUserSeconds: number;
  readonly childSystemSeconds: number;
}

export function readProcessorTimes(): ProcessorTimes {
  return parseProcessorTimes(
    readFileSync("/proc/stat", "utf8"),
    readFileSync("/proc/self/stat", "utf8"),
  );
}

/** Of the texts of /proc/stat and /proc/self/stat. */
export function parseProcessorTimes(machine: string, self: string): ProcessorTimes {
  const cpu = ticks(/^cpu +(.*)$/m.exec(machine)?.[1]);
  // The name in parentheses may hold anything, spaces and parentheses included.
  const fields = ticks(self.slice(self.lastIndexOf(")") + 4));
  const seconds = (list: readonly number[], index: number): number => {
    const value = list[index];
    if (value === undefined) throw new Error("/proc: fewer fields than Linux has");
    return value / TICKS_PER_SECOND;
  };
  return {
    machineUserSeconds: seconds(cpu, 0) + seconds(cpu, 1),
    stolenSeconds: seconds(cpu, 7),
    ownUserSeconds: seconds(fields, 10),
    childUserSeconds: seconds(fields, 12),
    childSystemSeconds: seconds(fields, 13),
  };
}

function ticks(text: string | undefined): readonly number[] {
  return (text ?? "").trim().split(/\s+/).map(Number);
}

/** Processor seconds of the children that ended in between. */
export function childSeconds(before: ProcessorTimes, after: ProcessorTimes): number {
  return (
    after.childUserSeconds -
    before.childUserSeconds +
    after.childSystemSeconds -
    before.childSystemSeconds
  );
}

/**
 * Share of all processors that others used in between. Only time in user mode counts: what the kernel
 * does in its own threads is mostly done for the contender. Never below 0, where ticks disagree.
 */
export function foreignShare(
  before: ProcessorTimes,
  after: ProcessorTimes,
  capacitySeconds: number,
): number {
  const used = (times: ProcessorTimes): number =>
    times.machineUserSeconds + times.stolenSeconds - times.ownUserSeconds - times.childUserSeconds;
  return Math.max(0, used(after) - used(before)) / capacitySeconds;
}
