// graft-worker cache: looks at, clears, checks and fills a cache by hand. Data goes to standard output,
// everything else to standard error.
import { resolve } from "node:path";
import { GraftError, type TlsFlags, tlsPaths } from "@graft/proto";
import { Command } from "commander";
import { type CacheEntry, listCache, removeFromCache, verifyCache } from "./cache/maintenance.js";
import { openShardCache } from "./cache/shard-cache.js";
import { parseSize } from "./config.js";
import { toGraftError } from "./errors.js";
import { createPeers } from "./peers/pull.js";
import { warmCache } from "./peers/warm.js";
import { peerCredentials } from "./rpc/tls.js";
import { readTlsFiles } from "./rpc/tls-files.js";

interface Flags extends TlsFlags {
  readonly cacheDir: string;
  readonly json?: boolean;
  readonly all?: boolean;
  readonly from?: string;
  readonly cacheSize?: string;
}

const VERIFICATION_EXIT = 1;
const MIB = 1024 * 1024;

/** Parses what follows "cache" and sets the process's exit code. */
export function cacheProgram(): Command {
  const program = new Command("graft-worker cache")
    .description("Pieces of models that this machine keeps for its worker")
    .showHelpAfterError()
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
  const command = (usage: string, description: string): Command =>
    program
      .command(usage)
      .description(description)
      .requiredOption("--cache-dir <directory>", "as the worker was given it");
  command("ls", "list cached files; a worker may be using them")
    .option("--json", "one JSON object per line")
    .action((flags: Flags) => reported(() => list(flags)));
  command("rm [files...]", "remove cached files by key or name; the worker must be stopped")
    .option("--all", "remove every one")
    .action((names: string[], flags: Flags) => reported(() => remove(names, flags)));
  command("verify", "check every piece and take out wrong ones; the worker must be stopped").action(
    (flags: Flags) => reported(() => verify(flags)),
  );
  command("warm <model>", "pull a whole model from a worker; this machine's worker must be stopped")
    .requiredOption("--from <address>", "HOST:PORT of a worker that has the model")
    .option("--cache-size <size>", "bound on the cache, like 500GiB")
    .option("--tls-cert <file>", "as for the worker")
    .option("--tls-key <file>", "as for the worker")
    .option("--tls-ca <file>", "as for the worker")
    .action((model: string, flags: Flags) => reported(() => warm(model, flags)));
  return program;
}

async function reported(action: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await action();
  } catch (error) {
    const { message, info } = toGraftError(error);
    say(message);
    process.exitCode = info.exit;
  }
}

async function list({ cacheDir, json }: Flags): Promise<number> {
  const entries = await listCache(resolve(cacheDir));
  for (const entry of entries) {
    process.stdout.write(`${json ? JSON.stringify(entry) : render(entry)}\n`);
  }
  return 0;
}

function render({ key, name, cachedBytes, sizeBytes, lastUsedMs }: CacheEntry): string {
  const share = `${inMiB(cachedBytes)} of ${inMiB(sizeBytes)} MiB`;
  const [day, time] = new Date(lastUsedMs).toISOString().split(/[T.]/);
  return `${key}  ${share.padStart(22)}  used ${day} ${time}  ${name}`;
}

async function remove(names: readonly string[], { cacheDir, all }: Flags): Promise<number> {
  const directory = resolve(cacheDir);
  const entries = await listCache(directory);
  const matches = (entry: CacheEntry, name: string): boolean =>
    entry.name === name || entry.fileName === name || entry.key === name;
  const unknown = names.find((name) => !entries.some((entry) => matches(entry, name)));
  if (unknown !== undefined || (names.length === 0 && !all)) {
    const problem = unknown === undefined ? "give names, or --all" : `${unknown}: not in the cache`;
    throw new GraftError("FLAG", { flag: "cache rm", problem });
  }
  const chosen = entries.filter((entry) => all || names.some((name) => matches(entry, name)));
  const fileNames = chosen.map(({ fileName }) => fileName);
  await removeFromCache(directory, fileNames);
  const bytes = chosen.reduce((sum, { cachedBytes }) => sum + cachedBytes, 0);
  say(`removed ${fileNames.length} files, ${inMiB(bytes)} MiB`);
  return 0;
}

async function verify({ cacheDir }: Flags): Promise<number> {
  const checks = await verifyCache(resolve(cacheDir));
  for (const { fileName, wrongPieceCount } of checks) {
    if (wrongPieceCount > 0) process.stdout.write(`${fileName}: ${wrongPieceCount} wrong pieces\n`);
  }
  const bytes = checks.reduce((sum, { checkedBytes }) => sum + checkedBytes, 0);
  const wrong = checks.reduce((sum, { wrongPieceCount }) => sum + wrongPieceCount, 0);
  say(`checked ${checks.length} files, ${inMiB(bytes)} MiB: ${wrong} wrong pieces taken out`);
  return wrong === 0 ? 0 : VERIFICATION_EXIT;
}

async function warm(model: string, flags: Flags): Promise<number> {
  const { cacheDir, cacheSize, from = "" } = flags;
  const paths = tlsPaths(flags, process.env);
  const rules = { roles: ["worker"], nowMs: Date.now } as const;
  const tls = paths === null ? null : await readTlsFiles(paths, rules, say);
  const credentials = peerCredentials(tls);
  const bytesMax = cacheSize === undefined ? null : parseSize("--cache-size", cacheSize);
  using peers = createPeers({ credentials });
  await using cache = await openShardCache({ directory: resolve(cacheDir), bytesMax });
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort(new GraftError("CANCELLED")));
  const onProgress = (done: number, total: number): void => {
    say(`${inMiB(done)} of ${inMiB(total)} MiB`);
  };
  const context = { cache, peers, credentials, holder: from, model };
  const bytes = await warmCache({ ...context, signal: stop.signal, onProgress });
  say(`${model}: ${inMiB(bytes)} MiB here, ${inMiB(cache.counters().wireBytes)} MiB pulled`);
  return 0;
}

function inMiB(bytes: number): string {
  return String(Math.ceil(bytes / MIB));
}

function say(text: string): void {
  process.stderr.write(`graft-worker: ${text}\n`);
}
