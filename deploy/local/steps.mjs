// What the local scripts share: where the repository is, how a step is run and how its age is judged.
// Plain Node without dependencies, because these scripts run before anything is installed.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const CLI = join(ROOT, "coordinator", "bin", "coordinator.js");

const ENVIRONMENT_EXIT = 3;

/** Ends the process: something on this machine is missing or broken. */
export function stop(message) {
  console.error(message);
  process.exit(ENVIRONMENT_EXIT);
}

export function say(message) {
  console.log(`> ${message}`);
}

/** Runs a command from the root with its output shown; returns its exit code (127: not found). */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: ROOT, stdio: "inherit", ...options });
  if (result.error !== undefined) return 127;
  return result.status ?? 1;
}

/** Runs a command and keeps its output; null when it is not there or fails. */
export function capture(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: ROOT, encoding: "utf8", ...options });
  return result.error === undefined && result.status === 0 ? result.stdout : null;
}

/** A tool that npm installed, run by this Node: no shell and no PATH involved. */
export function tool(relativePath, args, options = {}) {
  return run(process.execPath, [join(ROOT, "node_modules", relativePath), ...args], options);
}

/** Milliseconds since the epoch, 0 for a missing file. */
export function modifiedMs(path) {
  return existsSync(path) ? statSync(path).mtimeMs : 0;
}

const NOT_SOURCE = new Set(["node_modules", "dist", "build", ".git", "gen"]);

/** Files below a directory whose path matches, sorted, build outputs left out. */
export function filesBelow(directory, pattern, skip = NOT_SOURCE) {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) return skip.has(entry.name) ? [] : filesBelow(path, pattern, skip);
      return pattern.test(path) ? [path] : [];
    })
    .sort();
}
