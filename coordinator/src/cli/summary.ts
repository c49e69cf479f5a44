// The last thing a merge prints: where the output is, how long each stage took, what to know about it.
import { formatMemory, formatRate, formatSize } from "../jobs/format-size.js";
import type { MergeSummary, NonFiniteSummary, StageTime } from "../jobs/summary.js";
import { formatSeconds } from "./render.js";

const LISTED_MAX = 20;

export function summaryText(summary: MergeSummary): string {
  const { output, outputBytes, fileCount, tensorCount, parameterCount, seconds } = summary;
  const size = `${formatSize(outputBytes)} in ${fileCount} ${fileCount === 1 ? "file" : "files"}`;
  const content = `${tensorCount} tensors, ${parameterText(parameterCount)} parameters`;
  const { merged, copied, aliased, ignored } = summary.ledger;
  const fates = `${merged} merged, ${copied} copied, ${aliased} aliased, ${ignored} ignored`;
  const lines = [
    `done in ${formatSeconds(seconds)}: ${output}`,
    `  ${size}, ${content}`,
    `  input tensors: ${fates}`,
    ...summary.stages.map((stage) => `  ${stageText(stage, summary)}`),
  ];
  if (summary.workerMemoryBytes > 0) {
    lines.push(`  worker memory: ${formatMemory(summary.workerMemoryBytes)}`);
  }
  if (summary.nonFinite.length > 0) {
    lines.push("  NaN or infinite values:", ...listed(summary.nonFinite.map(nonFiniteText)));
  }
  if (summary.notes.length > 0) lines.push("  notes:", ...listed(summary.notes));
  return `${lines.join("\n")}\n`;
}

function stageText({ stage, seconds, bytes }: StageTime, summary: MergeSummary): string {
  const time = `${stage.padEnd(9)} ${formatSeconds(seconds).padStart(11)}`;
  if (bytes === 0 || seconds === 0) return time;
  const rate = `${time}  ${formatSize(bytes)} at ${formatRate(bytes / seconds)}`;
  const fraction = summary.diskSpeedFraction;
  if (stage !== "merge" || fraction === null) return rate;
  return `${rate}, ${Math.round(fraction * 100)} % of disk speed`;
}

function listed(items: readonly string[]): readonly string[] {
  const shown = items.slice(0, LISTED_MAX).map((item) => `    ${item}`);
  const rest = items.length - LISTED_MAX;
  return rest > 0 ? [...shown, `    and ${rest} more, see graft-manifest.json`] : shown;
}

function nonFiniteText({ model, tensor, count, firstIndex }: NonFiniteSummary): string {
  // An empty model means that finite inputs overflowed the output's dtype.
  const what = model === "" ? `output ${tensor} overflowed` : `${model}: ${tensor}`;
  return `${what}: ${count} ${count === 1 ? "value" : "values"}, first at index ${firstIndex}`;
}

/** 7.2 B, 103.2 M, 12 */
export function parameterText(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(1)} B`;
  if (count >= 1e6) return `${(count / 1e6).toFixed(1)} M`;
  return String(count);
}
