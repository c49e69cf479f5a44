// How commands find a coordinator: --coordinator, GRAFT_COORDINATOR, or the one on this machine.
import { GraftError, isLoopback, quoted, type TlsFlags, tlsPaths } from "@graft/proto";
import type { Session } from "../cli/session.js";
import { credentialsFor } from "../tls/channel.js";
import { readTlsFiles } from "../tls/tls-files.js";
import { type CoordinatorClient, connectCoordinator } from "./client.js";

/** What serve listens on, and commands connect to, when nothing is said. */
export const ADDRESS_DEFAULT = "127.0.0.1:7400";

export interface CoordinatorFlags extends TlsFlags {
  readonly coordinator?: string;
  readonly json?: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What the user named; null when nothing was. */
export function namedCoordinator(flags: CoordinatorFlags, environment: Environment): string | null {
  return flags.coordinator ?? (environment.GRAFT_COORDINATOR || null);
}

/** Connects with the first call. */
export async function openCoordinator(
  session: Session,
  flags: CoordinatorFlags,
): Promise<CoordinatorClient> {
  const address = namedCoordinator(flags, process.env) ?? ADDRESS_DEFAULT;
  const { host } = parseHostPort("--coordinator", address, 1);
  const paths = tlsPaths(flags, process.env);
  if (paths === null && flags.insecure !== true && !isLoopback(host)) {
    const problem =
      `${quoted(host)} is another machine, so it needs --tls-cert, --tls-key and --tls-ca, ` +
      "or --insecure to go without any protection";
    throw new GraftError("FLAG", { flag: "--coordinator", problem });
  }
  const warn = (text: string): void => void process.stderr.write(`${text}\n`);
  const rules = { roles: ["client", "coordinator"], nowMs: Date.now } as const;
  const files = paths === null ? null : await readTlsFiles(paths, rules, warn);
  const credentials = credentialsFor(files, "coordinator");
  return connectCoordinator({ address, credentials, signal: session.signal });
}

/** `portMin` 0 lets a server take any free port. */
export function parseHostPort(
  flag: string,
  text: string,
  portMin: 0 | 1,
): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([\da-fA-F:.]+)\]|([\w.-]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host !== undefined && port >= portMin && port <= 65_535) return { host, port };
  throw new GraftError("FLAG", { flag, problem: `expected HOST:PORT, got ${quoted(text)}` });
}

/** What to add to a command line so that it finds the same coordinator. */
export function coordinatorFlag({ address }: CoordinatorClient): string {
  const isFound = address === ADDRESS_DEFAULT || address === process.env.GRAFT_COORDINATOR;
  return isFound ? "" : ` --coordinator ${address}`;
}
