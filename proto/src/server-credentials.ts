// What a server with TLS listens with. The check of the caller's role is part of the credentials, so
// nobody can listen with one and without the other; a plain listener (unix socket) has neither.
import {
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
  type StatusObject,
} from "@grpc/grpc-js";
import type { GraftError } from "./errors.js";
import { callerProblem, roleOf } from "./roles.js";

/** Contents of the three PEM files. */
export interface TlsFiles {
  readonly certificate: Buffer;
  readonly authority: Buffer;
  /** Not enumerable: absent where the object is printed, copied or turned into JSON. */
  readonly key: Buffer;
}

export function sealTlsFiles({ certificate, authority, key }: TlsFiles): TlsFiles {
  const files = Object.defineProperty({ certificate, authority, key }, "key", {
    enumerable: false,
  });
  return Object.freeze(files);
}

export interface CallerCheckOptions {
  /** How this server tells errors. */
  readonly toStatus: (error: GraftError) => StatusObject;
  /** One line for the log: who was refused what. */
  readonly onRefusal?: (text: string) => void;
}

/** TLS 1.3 and a certificate of the authority, else no connection; then the role, on every call. */
export function serverCredentials(files: TlsFiles, options: CallerCheckOptions): ServerCredentials {
  return new CheckedCredentials(files, createCallerCheck(options));
}

/** grpc-js has no option for the TLS version; this class is the place it leaves open for that. */
class CheckedCredentials extends ServerCredentials {
  readonly #check: ServerInterceptor;

  constructor({ certificate, authority, key }: TlsFiles, check: ServerInterceptor) {
    super(
      { requestCert: true, rejectUnauthorized: true },
      { ca: authority, cert: certificate, key, minVersion: "TLSv1.3" },
    );
    this.#check = check;
  }

  override _getInterceptors(): ServerInterceptor[] {
    return [this.#check];
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/** An interceptor, because it answers before a handler exists for the call and before its body is read. */
function createCallerCheck({ toStatus, onRefusal }: CallerCheckOptions): ServerInterceptor {
  return ({ path }, call) => {
    const certificate = call.getAuthContext().sslPeerCertificate;
    const problem = callerProblem(path, roleOf(certificate?.subjectaltname));
    if (problem === null) return new ServerInterceptingCall(call);
    return new ServerInterceptingCall(call, {
      start: () => {
        onRefusal?.(`refused ${call.getPeer()}: ${problem.message}`);
        call.sendStatus(toStatus(problem));
      },
    });
  };
}
