// Runs the built command line as users do, and gives tests directories that vanish afterwards.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";

/** test/dist/support/run.js is three folders below the root. */
export const ROOT = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const CLI = join(ROOT, "coordinator", "bin", "coordinator.js");

/** Generous: a hung program fails its test, a slow machine does not. */
const TIMEOUT_MS = 120_000;

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

export interface CliResult {
  /** null when a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCli {
  readonly process: ChildProcess;
  /** What it printed so far. */
  output(): { readonly stdout: string; readonly stderr: string };
  /** Settles when the process and its pipes are closed; rejects only on the timeout. */
  readonly done: Promise<CliResult>;
}

export function startCli(args: readonly string[], options: RunOptions = {}): RunningCli {
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, NO_COLOR: "1", ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const done = new Promise<CliResult>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`coordinator ${args.join(" ")}: no end in time\n${stdout}${stderr}`));
    }, options.timeoutMs ?? TIMEOUT_MS);
    child.on("close", (exitCode, signal) => {
      clearTimeout(timer);
      resolve({ exitCode, signal, stdout, stderr });
    });
    child.on("error", reject);
  });
  return { process: child, output: () => ({ stdout, stderr }), done };
}

export function runCli(args: readonly string[], options: RunOptions = {}): Promise<CliResult> {
  return startCli(args, options).done;
}

/** Everything it said, for the message of a failing assertion. */
export function transcript(result: CliResult): string {
  const end = result.signal ?? `exit code ${result.exitCode}`;
  return `${end}\n--- stdout\n${result.stdout}\n--- stderr\n${result.stderr}`;
}

/** Real path, because the product resolves links before it compares directories. */
export function temporaryDirectory(context: TestContext, parent = tmpdir()): string {
  const directory = realpathSync(mkdtempSync(join(parent, "graft-test-")));
  context.after(() => {
    if (process.env.GRAFT_KEEP === undefined) rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}

export function writeRecipe(directory: string, text: string, name = "recipe.yaml"): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

/** sha256 of every file below a directory, keyed by path, sorted. */
export function hashDirectory(directory: string): ReadonlyMap<string, string> {
  const entries = readdirSync(directory, { withFileTypes: true, recursive: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const hash = (path: string): string =>
    createHash("sha256").update(readFileSync(path)).digest("hex");
  return new Map(paths.sort().map((path) => [path.slice(directory.length + 1), hash(path)]));
}
