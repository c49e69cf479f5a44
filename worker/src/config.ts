// The worker's configuration: read once from flags and environment, complete and frozen. Everything
// the process may depend on is here; nothing else reads the environment.
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import {
  checkExposure,
  GraftError,
  quoted,
  type TlsFlags,
  type TlsPaths,
  tlsPaths,
} from "@graft/proto";

export type ListenAddress =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

export interface WorkerConfig {
  readonly listen: ListenAddress;
  /** null on a unix socket, which its directory guards, and where connections are not encrypted. */
  readonly tls: TlsPaths | null;
  /** Belongs to the process that started it: lives as long as its standard input is open. */
  readonly private: boolean;
  readonly threadCount: number;
  /** Bound on the memory of the whole process. */
  readonly memoryBytes: number;
  /** The engine's share of it. */
  readonly bufferBytesMax: number;
  readonly isa: string | undefined;
  readonly tileBytes: number | undefined;
  readonly directIo: boolean;
  /** Where pieces of other workers' files are kept; null keeps none. */
  readonly cache: CacheConfig | null;
}

export interface CacheConfig {
  readonly directory: string;
  /** null is a share of the file system. */
  readonly bytesMax: number | null;
}

/** Flags as the command line gives them. */
export interface WorkerFlags extends TlsFlags {
  readonly listen: string;
  readonly private?: boolean | undefined;
  readonly threads?: string | undefined;
  readonly memory?: string | undefined;
  readonly cacheDir?: string | undefined;
  readonly cacheSize?: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
/** Node itself: code, heap and the buffers of gRPC; measured at about 100 MiB under load. */
const NODE_RESERVE_BYTES = 160 * MIB;
/** Below this the engine has no room for a tile of each input of a small merge. */
const BUFFER_BYTES_MIN = 32 * MIB;
const MEMORY_BYTES_DEFAULT = 4 * GIB;
const THREAD_COUNT_MAX = 1024;

/** Throws FLAG naming the flag or variable, or MEMORY_TOO_SMALL. */
export function readConfig(flags: WorkerFlags, environment: Environment): WorkerConfig {
  const memoryBytes = wholeNumber("--memory", flags.memory, MEMORY_BYTES_DEFAULT, {
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
  });
  const bufferBytesMax = memoryBytes - NODE_RESERVE_BYTES;
  if (bufferBytesMax < BUFFER_BYTES_MIN) {
    throw new GraftError("MEMORY_TOO_SMALL", {
      given: `${Math.floor(memoryBytes / MIB)} MiB`,
      needed: `${(NODE_RESERVE_BYTES + BUFFER_BYTES_MIN) / MIB} MiB`,
      reason: `${NODE_RESERVE_BYTES / MIB} MiB for the process, the rest for buffers`,
    });
  }
  const threadCount = wholeNumber("--threads", flags.threads, availableParallelism(), {
    min: 1,
    max: THREAD_COUNT_MAX,
  });
  const listen = parseListenAddress(flags.listen);
  return Object.freeze({
    listen,
    tls: readTls(listen, flags, environment),
    private: flags.private ?? false,
    threadCount,
    memoryBytes,
    bufferBytesMax,
    isa: environment.GRAFT_ISA || undefined,
    tileBytes: readTileBytes(environment.GRAFT_TILE_BYTES),
    directIo: readSwitch("GRAFT_DIRECTIO", environment.GRAFT_DIRECTIO, true),
    cache: readCache(listen, flags, environment),
  });
}

const LISTEN_FORMS = "expected unix:PATH or HOST:PORT";

export function parseListenAddress(text: string): ListenAddress {
  const fail = (problem: string): never => {
    throw new GraftError("FLAG", { flag: "--listen", problem });
  };
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    if (path === "" || path.includes("\0")) return fail(`${LISTEN_FORMS}, got ${quoted(text)}`);
    return { kind: "unix", path: resolve(path) };
  }
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65535) return fail(`${LISTEN_FORMS}, got ${quoted(text)}`);
  return { kind: "tcp", host, port };
}

/** Variables do not count on a unix socket: they are those of the coordinator that starts the worker. */
function readTls(
  listen: ListenAddress,
  flags: WorkerFlags,
  environment: Environment,
): TlsPaths | null {
  if (listen.kind === "tcp") {
    const tls = tlsPaths(flags, environment);
    checkExposure("--listen", listen.host, { tls, insecure: flags.insecure ?? false });
    return tls;
  }
  if (tlsPaths(flags, {}) === null) return null;
  const problem = "a unix socket is guarded by its directory and has no TLS; use HOST:PORT";
  throw new GraftError("FLAG", { flag: "--tls-cert", problem });
}

/** A worker that others started on this machine sees what they see; one at a port keeps a cache. */
function readCache(
  listen: ListenAddress,
  { cacheDir, cacheSize }: WorkerFlags,
  environment: Environment,
): CacheConfig | null {
  const bytesMax = cacheSize === undefined ? null : parseSize("--cache-size", cacheSize);
  if (cacheDir !== undefined && cacheDir !== "") return { directory: resolve(cacheDir), bytesMax };
  const { XDG_CACHE_HOME, HOME } = environment;
  const home = XDG_CACHE_HOME || (HOME ? join(HOME, ".cache") : "");
  if (listen.kind === "unix" || listen.port === 0 || home === "") {
    if (bytesMax === null) return null;
    throw new GraftError("FLAG", { flag: "--cache-size", problem: "needs --cache-dir too" });
  }
  // Two workers of one user on one machine have two ports, and a cache has one worker.
  return { directory: join(home, "graft", `worker-${listen.port}`), bytesMax };
}

const SIZE = /^(\d{1,15})(?:([KMGT])i?B?)?$/i;
const UNITS = "KMGT";

/** "500GiB" or bytes. */
export function parseSize(flag: string, text: string): number {
  const [, digits, unit] = SIZE.exec(text) ?? [];
  const power = unit === undefined ? 0 : UNITS.indexOf(unit.toUpperCase()) + 1;
  const bytes = Number(digits) * 1024 ** power;
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  const problem = `expected a size like 500GiB, got ${quoted(text)}`;
  throw new GraftError("FLAG", { flag, problem });
}

function wholeNumber(
  flag: string,
  text: string | undefined,
  fallback: number,
  { min, max }: { readonly min: number; readonly max: number },
): number {
  if (text === undefined) return fallback;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  const problem = `expected a whole number in [${min}, ${max}], got ${quoted(text)}`;
  throw new GraftError("FLAG", { flag, problem });
}

function readTileBytes(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  const bytes = wholeNumber("GRAFT_TILE_BYTES", text, 0, { min: MIB, max: GIB });
  if (bytes % MIB === 0) return bytes;
  const problem = `expected a multiple of ${MIB} bytes, got ${bytes}`;
  throw new GraftError("FLAG", { flag: "GRAFT_TILE_BYTES", problem });
}

function readSwitch(flag: string, text: string | undefined, fallback: boolean): boolean {
  if (text === undefined || text === "") return fallback;
  if (text === "0" || text === "1") return text === "1";
  throw new GraftError("FLAG", { flag, problem: `expected 0 or 1, got ${quoted(text)}` });
}
