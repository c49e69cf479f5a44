// A running worker: engine, service, health and the listening server, owned together. Disposing stops
// at once: calls are cancelled, tasks aborted, the engine closed, in that order.
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { promisify } from "node:util";
import { createEngine, kernelVersion } from "@graft/native";
import { Server } from "@grpc/grpc-js";
import type { WorkerConfig } from "../config.js";
import { FAST_WORKER_SERVICE } from "../peers/range-codec.js";
import { createWeights } from "../peers/weights.js";
import { createWorkerService } from "./handlers.js";
import { prepareAddress } from "./listen.js";
import { listenCredentials, peerCredentials } from "./tls.js";
import { readTlsFiles } from "./tls-files.js";

/** Raised when a coordinator of another version could misread this worker. */
const PROTOCOL_VERSION = 1;
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;
/** A peer that plans a huge model may not answer for seconds, so the timeout is generous. */
const KEEPALIVE_INTERVAL_MS = 20_000;
const KEEPALIVE_TIMEOUT_MS = 30_000;
/** For answers that are on their way when the worker stops. */
const FINISH_CALLS_MS = 1000;
const TLS_RULES = { roles: ["worker"], nowMs: Date.now } as const;
const HEALTH_NAMES = ["", "graft.v1.WorkerService"];

export interface Worker extends AsyncDisposable {
  readonly workerId: string;
  /** Port in use; 0 on a unix socket. */
  readonly port: number;
  /** Takes no more tasks, finishes the running ones, stops listening. Idempotent. */
  drain(): Promise<void>;
}

/** Starts serving; throws FLAG, MEMORY_TOO_SMALL, NATIVE_MISSING or what the bind failed with. */
export async function startWorker(
  config: WorkerConfig,
  /** Takes one line at a time: warnings, refused callers. */
  log: (text: string) => void = () => undefined,
): Promise<Worker> {
  const tls = config.tls === null ? null : await readTlsFiles(config.tls, TLS_RULES, log);
  const { threadCount, bufferBytesMax, isa, tileBytes, directIo, listen } = config;
  const memoryBytes = bufferBytesMax;
  const engine = createEngine({ threadCount, memoryBytes, isa, tileBytes, directIo });
  const workerId = randomUUID();
  // A private worker's only client owns its process and sees it end.
  const health = config.private ? null : await createHealth();
  const weights = createWeights({ cache: config.cache, credentials: peerCredentials(tls) });
  const service = createWorkerService({
    engine,
    weights,
    facts: {
      workerId,
      kernelVersion: kernelVersion(),
      protocolVersion: PROTOCOL_VERSION,
      isa: engine.isa,
      threadCount,
      memoryLimitBytes: BigInt(config.memoryBytes),
      caches: config.cache !== null,
    },
    onDrain: () => health?.set("NOT_SERVING"),
  });
  const server = new Server({
    "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
    "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
    "grpc.keepalive_time_ms": KEEPALIVE_INTERVAL_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
  });
  server.addService(FAST_WORKER_SERVICE, service.implementation);
  health?.addToServer(server);
  const stop = async (): Promise<void> => {
    server.forceShutdown();
    await service[Symbol.asyncDispose]();
    await weights[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
    if (listen.kind === "unix") await rm(listen.path, { force: true });
  };
  try {
    const address = await prepareAddress(listen, config.private);
    const bind = promisify(server.bindAsync.bind(server));
    const port = await bind(address, listenCredentials(tls, log));
    health?.set("SERVING");
    let draining: Promise<void> | undefined;
    let stopping: Promise<void> | undefined;
    return {
      workerId,
      port,
      drain: () => {
        draining ??= service.drain().then(() => finishCalls(server));
        return draining;
      },
      [Symbol.asyncDispose]: () => {
        stopping ??= stop();
        return stopping;
      },
    };
  } catch (error) {
    server.forceShutdown();
    await engine[Symbol.asyncDispose]();
    throw error;
  }
}

interface Health {
  addToServer(server: Server): void;
  set(status: "SERVING" | "NOT_SERVING"): void;
}

/** Loaded only where it is served: what it is made of takes as long to load as gRPC itself. */
async function createHealth(): Promise<Health> {
  const { HealthImplementation } = await import("grpc-health-check");
  const health = new HealthImplementation();
  return {
    addToServer: (server) => health.addToServer(server),
    set: (status) => {
      for (const name of HEALTH_NAMES) health.setStatus(name, status);
    },
  };
}

/** Waits, but not long, until the open calls have ended and their answers are sent. */
function finishCalls(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, FINISH_CALLS_MS);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
