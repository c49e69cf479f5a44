// A private worker: a child process on a unix socket in a directory that only this user can enter. It
// ends when its standard input closes, so it never outlives the coordinator, however that one dies.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { GraftError } from "@graft/proto/errors";
import type { WorkerClient } from "./worker-client.js";

export interface WorkerProcessOptions {
  readonly workerId: string;
  /** Program and first arguments. */
  readonly command: readonly string[];
  readonly threadCount: number;
  readonly memoryBytes: number;
  /** Passes the worker's log through to standard error. */
  readonly debug: boolean;
}

export interface WorkerProcess extends AsyncDisposable {
  readonly workerId: string;
  readonly processId: number;
  /** gRPC target of its socket. */
  readonly address: string;
  /** Resolves when it serves; rejects with what it said when it does not. */
  readonly client: Promise<WorkerClient>;
  /** Resolves, with the reason, when the process is gone. */
  readonly exited: Promise<string>;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** Opening the addon and the socket takes a tenth of a second; a loaded machine is given more. */
const START_DEADLINE_MS = 60_000;
/** After a polite stop the process is killed; nothing it could still write is wanted. */
const STOP_GRACE_MS = 3_000;
const KILL_WAIT_MS = 2_000;
const LOG_TAIL_CHARACTERS = 4_000;

export async function startWorkerProcess(options: WorkerProcessOptions): Promise<WorkerProcess> {
  // mkdtemp makes the directory with mode 0700: the socket needs no other guard.
  const directory = await mkdtemp(join(tmpdir(), "graft-"));
  const address = `unix:${join(directory, "worker.sock")}`;
  const [program, ...leading] = options.command;
  const child = spawn(program ?? "", [...leading, ...workerArguments(address, options)], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  return new PrivateProcess(child, directory, address, options);
}

function workerArguments(address: string, options: WorkerProcessOptions): readonly string[] {
  const { threadCount, memoryBytes } = options;
  return [
    ...["--listen", address, "--private"],
    ...["--threads", String(threadCount), "--memory", String(memoryBytes)],
  ];
}

class PrivateProcess implements WorkerProcess {
  readonly workerId: string;
  readonly address: string;
  readonly client: Promise<WorkerClient>;
  readonly exited: Promise<string>;
  readonly #child: Child;
  readonly #directory: string;
  #connected: WorkerClient | null = null;
  #log = "";
  #disposal: Promise<void> | null = null;

  constructor(child: Child, directory: string, address: string, options: WorkerProcessOptions) {
    this.workerId = options.workerId;
    this.address = address;
    this.#child = child;
    this.#directory = directory;
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#log = (this.#log + text).slice(-LOG_TAIL_CHARACTERS);
      if (options.debug) process.stderr.write(text);
    });
    // A write to a dead worker is reported by its exit.
    child.stdin.on("error", () => undefined);
    this.exited = exitReason(child);
    this.client = this.#connect(address);
    // A start that fails is reported to whoever awaits the client; nobody may, when a flag was wrong.
    this.client.catch(() => undefined);
  }

  get processId(): number {
    return this.#child.pid ?? 0;
  }

  async #connect(address: string): Promise<WorkerClient> {
    // Loading gRPC takes as long as the worker takes to start: both at once.
    const loading = import("./worker-client.js");
    const ready = firstLine(this.#child.stdout, AbortSignal.timeout(START_DEADLINE_MS)).catch(
      () => {
        this.#child.kill("SIGKILL");
        return null;
      },
    );
    const line = await Promise.race([ready, this.exited.then(() => null)]);
    this.#child.stdout.resume();
    if (line === null) {
      const reason = await this.exited;
      const lastWord = this.#log.trim().split("\n").at(-1);
      const problem = `did not start (${reason})${lastWord ? `: ${lastWord}` : ""}`;
      throw new GraftError("WORKER_LOST", { worker: this.workerId, problem });
    }
    const greeting: Greeting = JSON.parse(line);
    if (!greeting.ready) throw GraftError.fromDetail(greeting.error);
    const { connectWorker } = await loading;
    this.#connected = connectWorker(address, this.workerId);
    return this.#connected;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#stop();
    return this.#disposal;
  }

  async #stop(): Promise<void> {
    this.#connected?.close();
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), STOP_GRACE_MS);
    // A process that hangs in a system call is not even ended by a kill until the call returns.
    const giveUp = new AbortController();
    const abandoned = sleep(STOP_GRACE_MS + KILL_WAIT_MS, null, { signal: giveUp.signal }).catch(
      () => null,
    );
    await Promise.race([this.exited, abandoned]);
    giveUp.abort();
    clearTimeout(timer);
    this.#child.unref();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** The one line that a worker prints: it serves, or why it does not. */
type Greeting =
  | { readonly ready: true }
  | { readonly ready: false; readonly error: Parameters<typeof GraftError.fromDetail>[0] };

/** Names the signal or the exit code; a program that cannot be started counts as exited. */
async function exitReason(child: Child): Promise<string> {
  try {
    const [code, signal] = await once(child, "close");
    if (signal === "SIGKILL") return "killed by SIGKILL, perhaps for lack of memory";
    return typeof signal === "string" ? `killed by ${signal}` : `exit code ${code}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function firstLine(stream: Readable, signal: AbortSignal): Promise<string | null> {
  let text = "";
  while (!text.includes("\n")) {
    const chunk: Buffer | string | null = stream.read();
    if (chunk !== null) text += chunk.toString();
    else if (stream.readableEnded) return null;
    else await Promise.race([once(stream, "readable", { signal }), once(stream, "end")]);
  }
  return text;
}
