// The flags and variables that choose TLS, the same for every program, and the rule that an address
// which others can reach has TLS unless --insecure is said.
import { GraftError, quoted } from "./errors.js";

export interface TlsFlags {
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
  readonly tlsCa?: string | undefined;
  readonly insecure?: boolean | undefined;
}

/** PEM files: this program's certificate and key, and the authority that signed everybody's. */
export interface TlsPaths {
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

interface Choice {
  readonly flag: string;
  readonly variable: string;
  readonly path: string | undefined;
}

/** null when none is given; throws FLAG naming what is missing, or what --insecure contradicts. */
export function tlsPaths(flags: TlsFlags, environment: Environment): TlsPaths | null {
  const choose = (flag: string, variable: string, given: string | undefined): Choice => ({
    flag,
    variable,
    path: given ?? (environment[variable] || undefined),
  });
  const choices = [
    choose("--tls-cert", "GRAFT_TLS_CERT", flags.tlsCert),
    choose("--tls-key", "GRAFT_TLS_KEY", flags.tlsKey),
    choose("--tls-ca", "GRAFT_TLS_CA", flags.tlsCa),
  ] as const;
  const given = choices.filter(({ path }) => path !== undefined);
  const [first] = given;
  if (first === undefined) return null;
  if (flags.insecure) {
    const problem = `contradicts ${first.flag} (or ${first.variable}); leave one of them out`;
    throw new GraftError("FLAG", { flag: "--insecure", problem });
  }
  const missing = choices.find(({ path }) => !path);
  if (missing !== undefined) {
    const problem = `missing, but ${first.flag} is given; TLS needs all three (or ${missing.variable})`;
    throw new GraftError("FLAG", { flag: missing.flag, problem });
  }
  const [certificate, key, authority] = choices.map(({ path }) => path ?? "") as [
    string,
    string,
    string,
  ];
  return Object.freeze({ certificate, key, authority });
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Throws FLAG for a host beyond this machine when neither TLS nor --insecure is chosen. */
export function checkExposure(
  flag: string,
  host: string,
  { tls, insecure = false }: { readonly tls: TlsPaths | null; readonly insecure?: boolean },
): void {
  if (tls !== null || insecure || isLoopback(host)) return;
  const problem =
    `${quoted(host)} is not a loopback address, so it needs --tls-cert, --tls-key and --tls-ca ` +
    "(make them with: coordinator certs init DIR), or --insecure to go without any protection";
  throw new GraftError("FLAG", { flag, problem });
}
