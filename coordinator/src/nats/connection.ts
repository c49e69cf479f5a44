// The connection to NATS: logs in, refuses servers that anybody could use, and reconnects for ever.
// The worker has the same file, because the two packages do not know each other; a test compares them.
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import {
  GraftError,
  type NatsSettings,
  type NatsTls,
  natsProblem,
  subjectToken,
} from "@graft/proto";
import {
  type Authenticator,
  AuthorizationError,
  connect,
  credsAuthenticator,
  type NatsConnection,
  type NodeConnectionOptions,
  nkeyAuthenticator,
  type TlsOptions,
} from "@nats-io/transport-node";

export interface NatsLink extends AsyncDisposable {
  readonly connection: NatsConnection;
  /** For messages: the servers, without any login. */
  readonly servers: string;
  /** Aborted with the reason when the link is closed for good. */
  readonly signal: AbortSignal;
  /** Monotonic time at which the present connection opened; undefined while there is none. */
  connectedSinceMs(): number | undefined;
}

export interface ConnectOptions {
  /** Shown by NATS's monitoring, and the inbox of logins that have no user name. */
  readonly name: string;
  /** Waits for a server that is not there yet instead of failing. */
  readonly wait?: boolean;
  readonly signal?: AbortSignal;
  /** One line per change, for the log. */
  readonly onState?: (text: string) => void;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** A peer that vanished without a word is noticed within two of these. */
const PING_INTERVAL_MS = 4_000;
const PINGS_UNANSWERED_MAX = 2;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 3_000;

/** Throws NATS_UNAVAILABLE, NATS_REFUSED or NATS_OPEN; reads the login's files. */
export async function connectNats(
  settings: NatsSettings,
  { name, wait = false, signal, onState }: ConnectOptions,
): Promise<NatsLink> {
  const servers = settings.servers.join(", ");
  const startedMs = performance.now();
  let lostMs = startedMs;
  const options: NodeConnectionOptions = {
    ...(await loginOptions(settings, name)),
    servers: [...settings.servers],
    name,
    tls: tlsOptions(settings.tls),
    timeout: CONNECT_TIMEOUT_MS,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: PINGS_UNANSWERED_MAX,
    maxReconnectAttempts: -1,
    // A server that restarts with its users not yet loaded must not end the link.
    ignoreAuthErrorAbort: true,
    reconnectDelayHandler: () => retryDelayMs(performance.now() - lostMs),
  };
  for (;;) {
    signal?.throwIfAborted();
    try {
      const connection = await connect(options);
      const problem = connection.info === undefined ? null : natsProblem(connection.info, settings);
      if (problem === null) {
        return new OpenLink(connection, settings, {
          onState: (text) => onState?.(text),
          onLost: (ms) => {
            lostMs = ms;
          },
        });
      }
      await connection.close();
      throw problem;
    } catch (error) {
      const failure = connectFailure(error, servers);
      if (!wait || !failure.info.retryable) throw failure;
      onState?.(failure.message);
      await delay(retryDelayMs(performance.now() - startedMs), undefined, { signal });
    }
  }
}

class OpenLink implements NatsLink {
  readonly servers: string;
  readonly #closed = new AbortController();
  #connectedSinceMs: number | undefined = performance.now();

  constructor(
    readonly connection: NatsConnection,
    settings: NatsSettings,
    told: { readonly onState: (text: string) => void; readonly onLost: (ms: number) => void },
  ) {
    this.servers = settings.servers.join(", ");
    void this.#follow(settings, told);
  }

  get signal(): AbortSignal {
    return this.#closed.signal;
  }

  connectedSinceMs(): number | undefined {
    return this.#connectedSinceMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.connection.isClosed()) await this.connection.close();
  }

  async #follow(
    settings: NatsSettings,
    { onState, onLost }: { onState: (text: string) => void; onLost: (ms: number) => void },
  ): Promise<void> {
    let reason = closedError(this.servers);
    for await (const status of this.connection.status()) {
      if (status.type === "disconnect") {
        this.#connectedSinceMs = undefined;
        onLost(performance.now());
        onState(`NATS at ${this.servers}: connection lost`);
      } else if (status.type === "reconnect") {
        const problem = natsProblem(this.connection.info ?? { version: "" }, settings);
        if (problem === null) {
          this.#connectedSinceMs = performance.now();
          onState(`NATS at ${this.servers}: connected again`);
        } else {
          reason = problem;
          onState(problem.message);
          void this.connection.close();
        }
      }
    }
    this.#connectedSinceMs = undefined;
    this.#closed.abort(reason);
  }
}

/** Grows with the length of the outage; the random part keeps a cluster from returning in one wave. */
function retryDelayMs(outageMs: number): number {
  const delayMs = Math.min(RETRY_MAX_MS, Math.max(RETRY_MIN_MS, outageMs / 4));
  return delayMs * (0.75 + Math.random() / 2);
}

function closedError(servers: string): GraftError {
  return new GraftError("NATS_UNAVAILABLE", { servers, problem: "closed", retryAfter: 1 });
}

function connectFailure(error: unknown, servers: string): GraftError {
  if (error instanceof GraftError) return error;
  if (error instanceof AuthorizationError) {
    const problem = "login refused; check GRAFT_NATS_USER and its password, or the login's file";
    return new GraftError("NATS_REFUSED", { servers, problem });
  }
  const problem = error instanceof Error ? error.message : String(error);
  return new GraftError("NATS_UNAVAILABLE", { servers, problem, retryAfter: 5 }, { cause: error });
}

interface LoginOptions {
  readonly user?: string;
  readonly pass?: string;
  readonly authenticator?: Authenticator;
  readonly inboxPrefix: string;
}

/** Answers come to an inbox that only this user may read, so that permissions can keep users apart. */
async function loginOptions({ login }: NatsSettings, name: string): Promise<LoginOptions> {
  const inboxOf = (user: string): string => `_INBOX.${subjectToken(user)}`;
  switch (login.kind) {
    case "none":
      return { inboxPrefix: inboxOf(name) };
    case "password":
      return { user: login.user, pass: login.password, inboxPrefix: inboxOf(login.user) };
    case "password-file": {
      const pass = new TextDecoder().decode(await readSecret(login.path)).trim();
      return { user: login.user, pass, inboxPrefix: inboxOf(login.user) };
    }
    case "credentials-file":
      return {
        authenticator: credsAuthenticator(await readSecret(login.path)),
        inboxPrefix: inboxOf(name),
      };
    case "nkey-file": {
      const seed = new TextDecoder().decode(await readSecret(login.path)).trim();
      return {
        authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)),
        inboxPrefix: inboxOf(name),
      };
    }
  }
}

async function readSecret(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    const problem = (error as NodeJS.ErrnoException).code ?? "cannot be read";
    throw new GraftError("IO", { path, operation: "read", problem }, { cause: error });
  }
}

function tlsOptions(tls: NatsTls | null): TlsOptions | null {
  if (tls === null) return null;
  return {
    ...(tls.authority === undefined ? {} : { caFile: tls.authority }),
    ...(tls.certificate === undefined ? {} : { certFile: tls.certificate }),
    ...(tls.key === undefined ? {} : { keyFile: tls.key }),
  };
}
