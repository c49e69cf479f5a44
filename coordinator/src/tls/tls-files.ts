// Reads the three PEM files once, when the program starts. Whatever is wrong with them is said by flag
// and path, never with a byte of their contents.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import {
  checkIdentity,
  GraftError,
  type Role,
  sealTlsFiles,
  type TlsFiles,
  type TlsPaths,
} from "@graft/proto";

export interface TlsRules {
  /** Roles that the certificate may have. */
  readonly roles: readonly Role[];
  /** Unix time. */
  readonly nowMs: () => number;
}

/** Throws FLAG; what is only doubtful is logged. */
export async function readTlsFiles(
  paths: TlsPaths,
  { roles, nowMs }: TlsRules,
  log: (text: string) => void,
): Promise<TlsFiles> {
  const certificate = await read("--tls-cert", paths.certificate);
  const key = await read("--tls-key", paths.key);
  const authority = await read("--tls-ca", paths.authority);
  const own = parseCertificate("--tls-cert", paths.certificate, certificate);
  parseCertificate("--tls-ca", paths.authority, authority);
  if (!isKeyOf(own, key)) {
    throw refusal("--tls-key", paths.key, `not the unencrypted PEM key of ${paths.certificate}`);
  }
  const facts = {
    alternativeNames: own.subjectAltName,
    validFromMs: Date.parse(own.validFrom),
    validToMs: Date.parse(own.validTo),
    keyMode: (await stat(paths.key)).mode,
  };
  for (const text of checkIdentity(paths, facts, { roles, nowMs: nowMs() })) {
    log(`warning: ${text}`);
  }
  return sealTlsFiles({ certificate, authority, key });
}

async function read(flag: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code = "cannot be read" } = error as NodeJS.ErrnoException;
    throw refusal(flag, path, code === "ENOENT" ? "no such file" : code);
  }
}

function parseCertificate(flag: string, path: string, text: Buffer): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch {
    // What the parser says is about its insides.
    throw refusal(flag, path, "not a PEM certificate");
  }
}

function isKeyOf(certificate: X509Certificate, key: Buffer): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(key));
  } catch {
    // Not a key at all.
    return false;
  }
}

function refusal(flag: string, path: string, problem: string): GraftError {
  return new GraftError("FLAG", { flag, problem: `${path}: ${problem}` });
}
