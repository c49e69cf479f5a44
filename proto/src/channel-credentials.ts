// What a client with TLS connects with. The server must prove the host it was called by and the role
// that was expected of it. Node's own TLS functions come as parameters: the contract loads no I/O.
import { ChannelCredentials } from "@grpc/grpc-js";
import { GraftError } from "./errors.js";
import { type Role, roleOf } from "./roles.js";
import type { TlsFiles } from "./server-credentials.js";

type ContextArguments = Parameters<typeof ChannelCredentials.createFromSecureContext>;
type SecureContext = ContextArguments[0];
type CheckServer = NonNullable<NonNullable<ContextArguments[1]>["checkServerIdentity"]>;
type ConnectorArguments = Parameters<ChannelCredentials["_createSecureConnector"]>;
type Connector = ReturnType<ChannelCredentials["_createSecureConnector"]>;

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

/** For servers of one role at any address; unix sockets, guarded by their directory, stay plain. */
export function channelCredentials(
  { authority: ca, certificate: cert, key }: TlsFiles,
  role: Role,
  tls: TlsLibrary,
): ChannelCredentials {
  const context = tls.createSecureContext({ ca, cert, key, minVersion: "TLSv1.3" });
  const check = (host: string): CheckServer => {
    return (_name, peer) =>
      tls.checkServerIdentity(host, peer) ?? roleProblem(host, peer.subjectaltname, role);
  };
  return new CheckingCredentials(context, check);
}

/** A name for servers that are called by an IP address, which TLS has no place for. */
const NO_NAME = "graft.invalid";
const IP_ADDRESS = /^[\d.]+$|:/;

/** Made per target, so that an address can be checked without being sent as the server's name. */
class CheckingCredentials extends ChannelCredentials {
  readonly #context: SecureContext;
  readonly #check: (host: string) => CheckServer;

  constructor(context: SecureContext, check: (host: string) => CheckServer) {
    super();
    this.#context = context;
    this.#check = check;
  }

  override _createSecureConnector(...[target, options, ...rest]: ConnectorArguments): Connector {
    if (target.scheme === "unix") {
      return ChannelCredentials.createInsecure()._createSecureConnector(target, options, ...rest);
    }
    const host = target.path.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
    const checkServerIdentity = this.#check(host);
    return ChannelCredentials.createFromSecureContext(this.#context, {
      checkServerIdentity,
    })._createSecureConnector(
      target,
      IP_ADDRESS.test(host) ? { ...options, "grpc.ssl_target_name_override": NO_NAME } : options,
      ...rest,
    );
  }

  override compose(): never {
    throw new GraftError("INTERNAL", { problem: "a certificate is the only credential" });
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }
}

function roleProblem(
  host: string,
  alternativeNames: string | undefined,
  wanted: Role,
): GraftError | undefined {
  const role = roleOf(alternativeNames) ?? "none";
  return role === wanted ? undefined : new GraftError("SERVER_ROLE", { host, role, wanted });
}
