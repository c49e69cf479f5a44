// A real nats-server for tests: on a free port, with a store of its own, killed and restarted at will.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type NatsSettings, natsSettings } from "@graft/proto";
import { connectNats, type NatsLink } from "./connection.js";

export interface TestServer extends AsyncDisposable {
  readonly port: number;
  readonly storeDirectory: string;
  readonly settings: NatsSettings;
  connect(name?: string): Promise<NatsLink>;
  /** kill -9, as a power cut would. */
  kill(): Promise<void>;
  start(): Promise<void>;
  deleteStore(): void;
}

export interface TestServerOptions {
  /** Text of a configuration file; it must leave port and store to the command line. */
  readonly config?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly jetstream?: boolean;
  /** Environment of the clients, for their login. */
  readonly login?: Readonly<Record<string, string>>;
}

const START_TIMEOUT_MS = 15_000;
const PATH = `${process.env.PATH ?? ""}:/usr/sbin:/usr/local/sbin`;

/** Reason to skip, false when nats-server is there. */
export const SKIP_WITHOUT_NATS: string | false = findServer()
  ? false
  : "SKIPPED, NOT TESTED: no nats-server; install it with: apt-get install nats-server";

function findServer(): boolean {
  try {
    execFileSync("nats-server", ["--version"], { env: { PATH }, stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

export async function startTestServer({
  config,
  env = {},
  jetstream = true,
  login = {},
}: TestServerOptions = {}): Promise<TestServer> {
  const directory = mkdtempSync(join(tmpdir(), "graft-nats-"));
  const store = join(directory, "store");
  const port = await freePort();
  const settings = natsSettings({ nats: `127.0.0.1:${port}` }, login);
  if (settings === null) throw new Error("invariant: the address is given");
  const args = ["--addr", "127.0.0.1", "--port", String(port)];
  if (jetstream) args.push("--jetstream", "--store_dir", store);
  if (config !== undefined) {
    const path = join(directory, "nats.conf");
    writeFileSync(path, config);
    args.push("--config", path);
  }
  let child: ChildProcess | undefined;
  const server: TestServer = {
    port,
    storeDirectory: store,
    settings,
    connect: (name = "test") => connectNats(settings, { name }),
    async start() {
      child = spawn("nats-server", args, { env: { ...env, PATH }, stdio: "pipe" });
      await ready(child);
    },
    async kill() {
      if (child === undefined) return;
      const ended = once(child, "exit");
      if (child.exitCode === null && child.kill("SIGKILL")) await ended;
      child = undefined;
    },
    deleteStore: () => rmSync(store, { recursive: true, force: true }),
    async [Symbol.asyncDispose]() {
      await server.kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
}

async function ready(child: ChildProcess): Promise<void> {
  let log = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    log += chunk;
  });
  const deadlineMs = performance.now() + START_TIMEOUT_MS;
  while (!log.includes("Server is ready")) {
    if (child.exitCode !== null || performance.now() > deadlineMs) {
      throw new Error(`nats-server did not start:\n${log}`);
    }
    await delay(20);
  }
}

export async function freePort(): Promise<number> {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const address = listener.address();
  listener.close();
  if (address === null || typeof address === "string") throw new Error("invariant: a TCP address");
  return address.port;
}

/** Waits until `check` holds; fails with `what` when it does not in time. */
export async function eventually(
  what: string,
  check: () => boolean | Promise<boolean>,
  timeoutMs = 20_000,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await check())) {
    if (performance.now() > deadlineMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await delay(25);
  }
}
