// A plan for people: totals, then the ledger, grouped by what differs only in its numbers.
import { formatMemory, formatSize } from "../jobs/format-size.js";
import type { PlannedMerge } from "../jobs/plan-merge.js";
import type { DiskRoom } from "../jobs/preflight.js";
import { countLedger } from "../jobs/summary.js";
import type { LedgerEntry } from "../plan/types.js";
import { parameterText } from "./summary.js";

export interface PlanFacts {
  readonly merge: PlannedMerge;
  readonly room: DiskRoom;
  readonly peakMemoryBytes: number;
  /** Whose file system `room` is about. */
  readonly directory: string;
}

export function planText(facts: PlanFacts, { full }: { readonly full: boolean }): string {
  const { merge, room, directory } = facts;
  const { plan, recipe } = merge;
  const { readBytes, writeBytes, outputBytes, tensorCount, parameterCount } = plan.totals;
  const counts = countLedger(plan.ledger);
  const fits = room.neededBytes <= room.freeBytes ? "enough" : "NOT ENOUGH";
  const lines = [
    `${recipe.method} of ${merge.models.map(({ label }) => label).join(", ")}`,
    "",
    `plan digest   ${plan.digest}`,
    `output        ${outputBytes} bytes (${formatSize(outputBytes)}) in ${plan.files.length} files`,
    `              ${tensorCount} tensors, ${parameterText(parameterCount)} parameters`,
    `to read       ${readBytes} bytes (${formatSize(readBytes)})`,
    `to write      ${writeBytes} bytes (${formatSize(writeBytes)})`,
    `tasks         ${plan.tasks.length}`,
    `peak memory   ${formatMemory(facts.peakMemoryBytes)}`,
    `free disk     ${formatSize(room.freeBytes)} in ${directory}: ${fits}`,
    "",
    `ledger: ${counts.merged} merged, ${counts.copied} copied, ` +
      `${counts.aliased} aliased, ${counts.ignored} ignored`,
    ...(full ? ledgerLines(plan.ledger) : groupLines(plan.ledger)),
  ];
  if (plan.sideFiles.length > 0) lines.push("", `side files: ${plan.sideFiles.join(", ")}`);
  if (plan.notes.length > 0) lines.push("", "notes:", ...plan.notes.map((note) => `  ${note}`));
  return `${lines.join("\n")}\n`;
}

function ledgerLines(ledger: readonly LedgerEntry[]): readonly string[] {
  return ledger.map(({ model, tensor, fate, outputs, reason }) => {
    const arrow = outputs.length === 0 ? "" : ` -> ${outputs.join(", ")}`;
    return `  ${fate.padEnd(7)} ${model}: ${tensor}${arrow}${reasonText(reason)}`;
  });
}

/** Tensors whose names differ in numbers only, with one fate and reason, are one line. */
function groupLines(ledger: readonly LedgerEntry[]): readonly string[] {
  const groups = new Map<string, { count: number; readonly text: (count: number) => string }>();
  for (const { model, tensor, fate, reason } of ledger) {
    const pattern = tensor.replace(/\d+/g, "*");
    const key = JSON.stringify([model, fate, reason, pattern]);
    const group = groups.get(key);
    if (group !== undefined) {
      group.count += 1;
      continue;
    }
    const text = (count: number): string => {
      const name = count === 1 ? tensor : pattern;
      return `  ${fate.padEnd(7)} ${String(count).padStart(5)}  ${model}: ${name}${reasonText(reason)}`;
    };
    groups.set(key, { count: 1, text });
  }
  return [...groups.values()].map(({ count, text }) => text(count));
}

function reasonText(reason: string | null): string {
  return reason === null ? "" : ` (${reason})`;
}
