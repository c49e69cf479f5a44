// What the figures were measured on. Nothing in it names a host, a person or a path.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem, type } from "node:os";
import { resolve } from "node:path";
import { ROOT } from "../support/run.js";

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly fileSystem: string;
  readonly node: string;
  /** Of the system clock. */
  readonly date: string;
  /** Revision of the sources, with a plus when they were changed; empty outside a clone. */
  readonly revision: string;
}

/** Of the directory that holds models and outputs. */
export function describeMachine(directory: string): Machine {
  return {
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: `${type()} ${release()}`,
    fileSystem: fileSystemOf(resolve(directory), readFileSync("/proc/self/mounts", "utf8")),
    node: process.version,
    date: new Date().toISOString().slice(0, 10),
    revision: revision(),
  };
}

/** Type of the file system that a path lies on, by the text of /proc/self/mounts. */
export function fileSystemOf(path: string, mounts: string): string {
  const candidates = mounts
    .split("\n")
    .map((line) => line.split(" "))
    .map(([, point = "", type = ""]) => ({ point: point.replaceAll("\\040", " "), type }))
    .filter(({ point }) => point === "/" || path === point || path.startsWith(`${point}/`));
  // Of two mounts on one point the later one is seen.
  return candidates.reduce((best, one) => (one.point.length >= best.point.length ? one : best), {
    point: "",
    type: "unknown",
  }).type;
}

function revision(): string {
  const git = (...args: readonly string[]): string | null => {
    const result = spawnSync("git", args, { cwd: ROOT, encoding: "utf8" });
    return result.status === 0 ? result.stdout.trim() : null;
  };
  const head = git("rev-parse", "--short=12", "HEAD");
  if (head === null) return "";
  return git("status", "--porcelain", "--untracked-files=no") === "" ? head : `${head}+`;
}
