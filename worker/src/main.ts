// The worker process: flags in, one line on standard output (it serves, or why not), then signals. A private
// worker ends when its standard input does, so it never outlives the coordinator that started it.
import { isLoopback } from "@graft/proto";
import { Command } from "commander";
import { readConfig, type WorkerConfig, type WorkerFlags } from "./config.js";
import { toGraftError } from "./errors.js";
import { startWorker, type Worker } from "./rpc/server.js";

/** Longest wait for aborted tasks before the process goes anyway; a hung disk must not keep it. */
const STOP_GRACE_MS = 2000;

const program = new Command("graft-worker")
  .description("Runs merge tasks for a coordinator")
  .requiredOption(
    "--listen <address>",
    "unix:PATH or HOST:PORT; other machines reach it only with TLS (or --insecure)",
  )
  .option("--tls-cert <file>", "certificate of this worker, PEM (default: $GRAFT_TLS_CERT)")
  .option("--tls-key <file>", "its private key (default: $GRAFT_TLS_KEY)")
  .option("--tls-ca <file>", "certificate that signed all others (default: $GRAFT_TLS_CA)")
  .option("--insecure", "serve anybody who reaches the address, without encryption")
  .option("--private", "guard the socket's directory and end with standard input")
  .option("--threads <count>", "threads that compute (default: one per core)")
  .option("--memory <bytes>", "bound on the memory of the process (default: 4 GiB)")
  .option("--cache-dir <directory>", "keeps pieces of models that only other workers have")
  .option("--cache-size <size>", "bound on it, like 500GiB (default: a fifth of the file system)")
  .addHelpText("after", "\nSee also: graft-worker cache --help")
  .showHelpAfterError()
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

if (process.argv[2] === "cache") {
  // Loaded only here: a worker that starts should not wait for it.
  const { cacheProgram } = await import("./cli-cache.js");
  await cacheProgram().parseAsync(process.argv.slice(3), { from: "user" });
} else {
  program.parse();
  await serve(program.opts<WorkerFlags>());
}

async function serve(flags: WorkerFlags): Promise<void> {
  let config: WorkerConfig;
  let worker: Worker;
  try {
    config = readConfig(flags, process.env);
    worker = await startWorker(config, log);
  } catch (error) {
    const { code, message, details, info } = toGraftError(error);
    log(message);
    process.stdout.write(
      `${JSON.stringify({ ready: false, error: { code, message, details } })}\n`,
    );
    process.exit(info.exit);
  }
  if (config.private) {
    // Ctrl-C reaches the whole process group; the coordinator decides what it means.
    process.on("SIGINT", () => undefined);
    process.stdin.on("end", () => stop(worker, 0));
    process.stdin.on("error", () => stop(worker, 0));
    process.stdin.resume();
  } else {
    stopOnSignal(worker, "SIGINT", 130);
  }
  stopOnSignal(worker, "SIGTERM", 143);
  const { listen, tls } = config;
  if (listen.kind === "tcp" && tls === null && !isLoopback(listen.host)) {
    log(
      `warning: --insecure: whoever reaches ${listen.host} can read and write what this user can`,
    );
  }
  const ready =
    listen.kind === "tcp"
      ? { ready: true, listen: `${listen.host}:${worker.port}` }
      : { ready: true };
  process.stdout.write(`${JSON.stringify(ready)}\n`);
}

function log(text: string): void {
  process.stderr.write(`graft-worker: ${text}\n`);
}

/** The first signal drains, the second one exits. */
function stopOnSignal(worker: Worker, signal: "SIGINT" | "SIGTERM", exitCode: number): void {
  let signalled = false;
  process.on(signal, () => {
    if (signalled) process.exit(exitCode);
    signalled = true;
    worker.drain().then(() => stop(worker, 0));
  });
}

async function stop(worker: Worker, exitCode: number): Promise<never> {
  // SIGKILL, because exit() would wait for native threads that hang in a system call.
  setTimeout(() => process.kill(process.pid, "SIGKILL"), STOP_GRACE_MS).unref();
  await worker[Symbol.asyncDispose]();
  process.exit(exitCode);
}
