// Callers of every kind: those with a certificate of the cluster and a role, and those that have no
// business there. Certificates are real, made by the product; only their dates are chosen.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createSecureContext, type SecureVersion } from "node:tls";
import { initFolder, issueInto } from "@graft/coordinator";
import { ROLES, type Role, sealTlsFiles, type TlsFiles } from "@graft/proto";
import { ChannelCredentials, credentials } from "@grpc/grpc-js";

const DAY_MS = 86_400_000;
const HOSTS = ["localhost", "127.0.0.1", "::1"];

export interface Identities {
  /** Folder with ca.pem and NAME.pem, NAME.key for each role and "elsewhere", a worker of another host. */
  readonly directory: string;
  files(name: string, folder?: "ours" | "foreign"): TlsFiles;
  /** Name -> what it connects with; none of them may get through a handshake. */
  readonly strangers: ReadonlyMap<string, ChannelCredentials>;
  /** A certificate of the cluster's authority with an unknown role. */
  readonly nobody: ChannelCredentials;
  caller(role: Role): ChannelCredentials;
}

export async function makeIdentities(directory: string): Promise<Identities> {
  const nowMs = Date.now();
  const folders = { ours: join(directory, "ours"), foreign: join(directory, "foreign") };
  // The authority is old, so that certificates below it can have expired.
  const request = { hosts: HOSTS, days: 300, nowMs: nowMs - 30 * DAY_MS };
  const { ours } = folders;
  await initFolder(ours, request);
  await initFolder(folders.foreign, request);
  const soon = { hosts: HOSTS, days: 1, nowMs: nowMs + 2 * DAY_MS };
  await issueInto(ours, "expired", "coordinator", { ...request, days: 1 });
  await issueInto(ours, "early", "coordinator", soon);
  await issueInto(ours, "elsewhere", "worker", { ...request, hosts: ["elsewhere.example"] });
  await issueInto(ours, "nobody", "visitor" as Role, request);

  const files = (name: string, folder: keyof typeof folders = "ours"): TlsFiles => {
    const read = (file: string): Buffer => readFileSync(join(folders[folder], file));
    const [certificate, key] = [read(`${name}.pem`), read(`${name}.key`)];
    return sealTlsFiles({ certificate, key, authority: readFileSync(join(ours, "ca.pem")) });
  };
  const { authority } = files("coordinator");
  return {
    directory: ours,
    files,
    strangers: new Map([
      ["plaintext", credentials.createInsecure()],
      ["no certificate", credentials.createSsl(authority)],
      ["a certificate of another authority", present(files("coordinator", "foreign"))],
      ["an expired certificate", present(files("expired"))],
      ["a certificate not yet valid", present(files("early"))],
      ["TLS 1.2", present(files("coordinator"), "TLSv1.2")],
    ]),
    nobody: present(files("nobody")),
    caller: (role) => present(files(role)),
  };
}

export const otherRoles = (roles: readonly Role[]): readonly Role[] =>
  ROLES.filter((role) => !roles.includes(role));

/** Shows the certificate as it is, with none of the product's own checks before. */
function present(files: TlsFiles, maxVersion: SecureVersion = "TLSv1.3"): ChannelCredentials {
  const { authority: ca, certificate: cert, key } = files;
  const context = createSecureContext({ ca, cert, key, maxVersion });
  return ChannelCredentials.createFromSecureContext(context);
}
