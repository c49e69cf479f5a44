// How NATS is reached, the same for every program: flags and variables, what may be reached without
// protection, and what a server must be before it is used. The connection itself is each program's own.
import { GraftError, quoted } from "./errors.js";
import { isLoopback, type TlsFlags, tlsPaths } from "./tls-options.js";

export interface NatsFlags extends TlsFlags {
  /** Servers, separated by commas: nats://HOST:PORT, tls://HOST:PORT or HOST:PORT. */
  readonly nats?: string | undefined;
}

export type NatsLogin =
  | { readonly kind: "none" }
  /** `password` is not enumerable: absent where the object is printed or turned into JSON. */
  | { readonly kind: "password"; readonly user: string; readonly password: string }
  | { readonly kind: "password-file"; readonly user: string; readonly path: string }
  | { readonly kind: "credentials-file"; readonly path: string }
  | { readonly kind: "nkey-file"; readonly path: string };

export interface NatsTls {
  /** PEM file; absent means the system's authorities. */
  readonly authority?: string;
  readonly certificate?: string;
  readonly key?: string;
}

export interface NatsSettings {
  /** HOST:PORT each. */
  readonly servers: readonly string[];
  readonly login: NatsLogin;
  /** null: no TLS. */
  readonly tls: NatsTls | null;
  /** All servers are this machine's own, or the user said --insecure. */
  readonly mayBeOpen: boolean;
}

/** What a server says of itself when a connection opens. */
export interface NatsServerFacts {
  readonly version: string;
  readonly jetstream?: boolean;
  readonly auth_required?: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

const PORT_DEFAULT = "4222";
/** Ordered consumers and direct reads; 2.9.10 is tested, nothing newer is needed. 2.12 was not run. */
const VERSION_MIN = [2, 9] as const;

/** null when NATS is not configured; throws FLAG. */
export function natsSettings(flags: NatsFlags, environment: Environment): NatsSettings | null {
  const text = flags.nats ?? environment.GRAFT_NATS;
  if (!text) return null;
  const urls = text.split(",").map((part) => parseServer(part.trim()));
  const insecure = flags.insecure ?? false;
  const local = urls.every(({ host }) => isLoopback(host));
  const encrypted = urls.some(({ tls }) => tls) || (!local && !insecure);
  return Object.freeze({
    servers: urls.map(({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`),
    login: readLogin(environment),
    tls: encrypted ? readTls(flags, environment) : null,
    mayBeOpen: local || insecure,
  });
}

/** Why this server is not used, null when it is; checked again after every reconnect. */
export function natsProblem(facts: NatsServerFacts, settings: NatsSettings): GraftError | null {
  const servers = settings.servers.join(", ");
  const [major = 0, minor = 0] = facts.version.split(".").map(Number);
  const [majorMin, minorMin] = VERSION_MIN;
  if (major < majorMin || (major === majorMin && minor < minorMin)) {
    const problem = `nats-server ${quoted(facts.version)}; at least ${VERSION_MIN.join(".")} is needed`;
    return new GraftError("NATS_REFUSED", { servers, problem });
  }
  if (facts.jetstream !== true) {
    const problem = "JetStream is off; turn it on as in deploy/nats/graft.conf";
    return new GraftError("NATS_REFUSED", { servers, problem });
  }
  if (facts.auth_required !== true && !settings.mayBeOpen) {
    return new GraftError("NATS_OPEN", { servers });
  }
  return null;
}

interface Server {
  readonly host: string;
  readonly port: string;
  readonly tls: boolean;
}

function parseServer(text: string): Server {
  const fail = (problem: string): never => {
    throw new GraftError("FLAG", { flag: "--nats", problem });
  };
  // Not echoed: what follows "@" may follow a password.
  if (text.includes("@")) {
    return fail("no login in the address, where others see it; use GRAFT_NATS_USER and _PASSWORD");
  }
  const match = /^(?:(nats|tls):\/\/)?(?:\[([0-9a-fA-F:]+)\]|([^:/[\]\s]+))(?::(\d{1,5}))?$/.exec(
    text,
  );
  const host = match?.[2] ?? match?.[3];
  const port = match?.[4] ?? PORT_DEFAULT;
  if (host === undefined || Number(port) > 65535) {
    return fail(`expected nats://HOST:PORT or tls://HOST:PORT, got ${quoted(text)}`);
  }
  return { host, port, tls: match?.[1] === "tls" };
}

function readLogin(environment: Environment): NatsLogin {
  const user = environment.GRAFT_NATS_USER;
  const password = environment.GRAFT_NATS_PASSWORD;
  const passwordFile = environment.GRAFT_NATS_PASSWORD_FILE;
  const credentials = environment.GRAFT_NATS_CREDS;
  const nkey = environment.GRAFT_NATS_NKEY;
  if ([user, credentials, nkey].filter(Boolean).length > 1) {
    const problem = "only one of GRAFT_NATS_USER, GRAFT_NATS_CREDS and GRAFT_NATS_NKEY can be used";
    throw new GraftError("FLAG", { flag: "GRAFT_NATS_USER", problem });
  }
  if (credentials) return { kind: "credentials-file", path: credentials };
  if (nkey) return { kind: "nkey-file", path: nkey };
  if (!user) return { kind: "none" };
  if (passwordFile) return { kind: "password-file", user, path: passwordFile };
  if (!password) {
    const problem =
      "a user without a password; set GRAFT_NATS_PASSWORD or GRAFT_NATS_PASSWORD_FILE";
    throw new GraftError("FLAG", { flag: "GRAFT_NATS_USER", problem });
  }
  const login = { kind: "password", user, password } as const;
  return Object.freeze(Object.defineProperty(login, "password", { enumerable: false }));
}

/** The certificate that gRPC uses serves here too; NATS may have an authority of its own. */
function readTls(flags: TlsFlags, environment: Environment): NatsTls {
  const { insecure: _, ...files } = flags;
  const paths = tlsPaths(files, environment);
  const authority = environment.GRAFT_NATS_CA || paths?.authority;
  return {
    ...(authority === undefined ? {} : { authority }),
    ...(paths === null ? {} : { certificate: paths.certificate, key: paths.key }),
  };
}
