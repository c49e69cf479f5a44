// The tables of the benchmark, in markdown, from the same object that goes into the JSON file.
import type { Machine } from "./machine.js";
import { type CaseFigures, type CaseResult, figuresOf, type Sha256Stage } from "./results.js";
import type { Spread } from "./statistics.js";
import { type TargetOutcome, targetOutcomes } from "./targets.js";

export interface BenchReport {
  readonly machine: Machine;
  readonly runs: number;
  readonly foreignShareMax: number;
  /** Of a mergekit that only prints its help: part of each of its runs. Null without it. */
  readonly peerStartSeconds: number | null;
  readonly results: readonly CaseResult[];
  readonly sha256: readonly Sha256Stage[];
}

interface Row {
  readonly result: CaseResult;
  readonly figures: CaseFigures;
  readonly targets: readonly TargetOutcome[];
}

export function rowsOf({ results }: BenchReport): readonly Row[] {
  return results.map((result) => {
    const figures = figuresOf(result);
    return { result, figures, targets: targetOutcomes(result, figures) };
  });
}

export function renderReport(report: BenchReport): string {
  const rows = rowsOf(report);
  const withPeer = rows.filter(({ figures }) => figures.peer !== null);
  return [
    machineText(report),
    speedTable(rows),
    ...(withPeer.length > 0 ? [peerTable(withPeer, report), peerText(report)] : []),
    sha256Table(report.sha256),
    targetTable(rows),
    noiseText(report, rows),
  ].join("\n");
}

function machineText({ machine, runs }: BenchReport): string {
  const { processor, cores, memoryBytes, kernel, fileSystem, node, date, revision } = machine;
  const memory = `${(memoryBytes / 2 ** 30).toFixed(0)} GiB`;
  return (
    `${processor}, ${cores} cores, ${memory} memory, ${kernel}, ${fileSystem}, Node ${node}, ` +
    `${date}${revision === "" ? "" : `, revision ${revision}`}. Medians of ${runs} alternating ` +
    "runs (min–max), whole processes; GB = 1e9 bytes, moved = inputs once + output once.\n"
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |\n`;
  return line(head) + line(head.map(() => "---")) + rows.map(line).join("");
}

function speedTable(rows: readonly Row[]): string {
  const head = [
    ...["merge", "inputs", "in → out, GB", "Graft, s", "its job until verified, s", "probe, s"],
    ...["× probe", "job × probe", "CPU-s/GB", "probe CPU-s/GB", "peak memory"],
    ...["from page cache", "bytes read / inputs"],
  ];
  return table(
    head,
    rows.map(({ result, figures }) => [
      result.name,
      result.state,
      `${gigabytes(result.inputBytes)} → ${gigabytes(result.outputBytes)}`,
      seconds(figures.graft.wall),
      figures.verifiedSeconds.toFixed(2),
      seconds(figures.probe.wall),
      `**${figures.wallRatio.toFixed(2)}**`,
      figures.verifiedRatio.toFixed(2),
      figures.graft.processorSecondsPerGigabyte.toFixed(3),
      figures.probe.processorSecondsPerGigabyte.toFixed(3),
      `${gigabytes(figures.graft.peakMemoryBytes)} GB`,
      percent(figures.pageCacheShare),
      figures.readRatio.toFixed(2),
    ]),
  );
}

function peerTable(rows: readonly Row[], { peerStartSeconds }: BenchReport): string {
  const head = [
    ...["merge", "inputs", "mergekit, s", "runs", "Graft is faster by", "by, without its start"],
    ...["mergekit × probe", "mergekit CPU-s/GB", "mergekit peak memory", "Graft's is smaller by"],
  ];
  return table(
    head,
    rows.flatMap(({ result, figures }) => {
      const { graft, peer, probe, peerRatio, peerMemoryRatio } = figures;
      if (peer === null || peerRatio === null || peerMemoryRatio === null) return [];
      return [
        [
          result.name,
          result.state,
          seconds(peer.wall),
          String(peer.runs),
          `**${peerRatio.toFixed(1)}×**`,
          `${((peer.wall.median - (peerStartSeconds ?? 0)) / graft.wall.median).toFixed(1)}×`,
          (peer.wall.median / probe.wall.median).toFixed(1),
          peer.processorSecondsPerGigabyte.toFixed(2),
          `${gigabytes(peer.peakMemoryBytes)} GB`,
          `${peerMemoryRatio.toFixed(1)}×`,
        ],
      ];
    }),
  );
}

function peerText({ peerStartSeconds }: BenchReport): string {
  const start = peerStartSeconds?.toFixed(1) ?? "?";
  return (
    `mergekit's times include its own start, ${start} s of imports, which one column leaves out; ` +
    "Graft's times always include its own start.\n"
  );
}

function sha256Table(stages: readonly Sha256Stage[]): string {
  return table(
    ["merge", "sha256 stage of its own, s (1 run)", "GB/s"],
    stages.map(({ name, seconds, bytes }) => [
      name,
      seconds.toFixed(2),
      (bytes / 1e9 / seconds).toFixed(2),
    ]),
  );
}

function targetTable(rows: readonly Row[]): string {
  return table(
    ["merge", "inputs", "target", "measured", "holds"],
    rows.flatMap(({ result, targets }) =>
      targets.map(({ what, bound, isUpperBound, measured, holds }) => [
        result.name,
        result.state,
        `${isUpperBound ? "≤" : "≥"} ${bound} ${what}`,
        measured.toFixed(2),
        holds ? "yes" : "**no**",
      ]),
    ),
  );
}

function noiseText({ foreignShareMax }: BenchReport, rows: readonly Row[]): string {
  const rejected = rows.reduce((sum, { figures }) => sum + figures.rejected, 0);
  const noisy = rows.reduce((sum, { figures }) => sum + figures.noisy, 0);
  return (
    `Runs thrown away because others used more than ${percent(foreignShareMax)} of the processors: ` +
    `${rejected}; runs kept although they were disturbed each of the four times: ${noisy}.\n`
  );
}

function seconds({ median, min, max }: Spread): string {
  return `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`;
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(2);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}
