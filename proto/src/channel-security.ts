// What a client with TLS connects with. The server must prove the host it was called by and the role
// that was expected of it. Node's own TLS functions come as parameters: the contract loads no I/O.
import { ChannelCredentials, type ChannelOptions, credentials } from "@grpc/grpc-js";
import { GraftError } from "./errors.js";
import { type Role, roleOf } from "./roles.js";
import type { TlsFiles } from "./server-credentials.js";

type SecureContext = Parameters<typeof ChannelCredentials.createFromSecureContext>[0];
type CheckServer = NonNullable<
  NonNullable<
    Parameters<typeof ChannelCredentials.createFromSecureContext>[1]
  >["checkServerIdentity"]
>;

/** The part of node:tls that is needed here. */
export interface TlsLibrary {
  createSecureContext(options: {
    readonly ca: Buffer;
    readonly cert: Buffer;
    readonly key: Buffer;
    readonly minVersion: "TLSv1.3";
  }): SecureContext;
  readonly checkServerIdentity: CheckServer;
}

export interface ChannelSecurity {
  readonly credentials: ChannelCredentials;
  /** Belong to these credentials: a channel is made with both. */
  readonly options: ChannelOptions;
}

export interface ServerExpectation {
  /** HOST:PORT, or unix:PATH, where the directory guards and nothing is encrypted. */
  readonly address: string;
  readonly role: Role;
}

export function channelSecurity(
  files: TlsFiles | null,
  { address, role }: ServerExpectation,
  tls: TlsLibrary,
): ChannelSecurity {
  if (files === null || address.startsWith("unix:")) {
    return { credentials: credentials.createInsecure(), options: {} };
  }
  const { authority: ca, certificate: cert, key } = files;
  const context = tls.createSecureContext({ ca, cert, key, minVersion: "TLSv1.3" });
  const host = hostOf(address);
  const checkServerIdentity: CheckServer = (_name, peer) =>
    tls.checkServerIdentity(host, peer) ?? roleProblem(address, peer.subjectaltname, role);
  return {
    credentials: ChannelCredentials.createFromSecureContext(context, { checkServerIdentity }),
    // The name that is sent, which must not be an IP address; the host above is what is checked.
    options: { "grpc.ssl_target_name_override": "graft.invalid" },
  };
}

function hostOf(address: string): string {
  return address.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
}

function roleProblem(
  address: string,
  alternativeNames: string | undefined,
  wanted: Role,
): GraftError | undefined {
  const role = roleOf(alternativeNames) ?? "none";
  return role === wanted ? undefined : new GraftError("SERVER_ROLE", { address, role, wanted });
}
