// A folder of certificates: ca.pem and ca.key, then NAME.pem and NAME.key per program. Nothing in it is
// ever overwritten: a replaced authority would lock out every program that trusts the old one.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { lstat, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { GraftError, quoted, ROLES, type Role } from "@graft/proto";
import type { CertificateOptions, KeyPair } from "./certificates.js";

const AUTHORITY = "ca";
const KEY_MODE = 0o600;
const CERTIFICATE_MODE = 0o644;

export type CertificateRequest = Omit<CertificateOptions, "name" | "role">;

/** An authority and one certificate per role. Gives the paths written; throws FLAG when one exists. */
export async function initFolder(
  directory: string,
  request: CertificateRequest,
): Promise<readonly string[]> {
  const { nowMs } = request;
  await requireFree(directory, [AUTHORITY, ...ROLES]);
  const { createAuthority, issueCertificate } = await import("./certificates.js");
  const authority = await createAuthority({ nowMs });
  const pairs = new Map([[AUTHORITY, authority]]);
  for (const role of ROLES) {
    pairs.set(role, await issueCertificate(authority, { ...request, name: role, role }));
  }
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return writePairs(directory, pairs);
}

/** One more certificate of the folder's authority. Throws FLAG. */
export async function issueInto(
  directory: string,
  name: string,
  role: Role,
  request: CertificateRequest,
): Promise<readonly string[]> {
  const authority = await readAuthority(directory, request.nowMs);
  await requireFree(directory, [name]);
  const { issueCertificate } = await import("./certificates.js");
  const pair = await issueCertificate(authority, { ...request, name, role });
  return writePairs(directory, new Map([[name, pair]]));
}

async function readAuthority(directory: string, nowMs: number): Promise<KeyPair> {
  const path = join(directory, `${AUTHORITY}.key`);
  try {
    const certificate = await readFile(join(directory, `${AUTHORITY}.pem`), "utf8");
    const key = await readFile(path, "utf8");
    const parsed = new X509Certificate(certificate);
    if (!parsed.checkPrivateKey(createPrivateKey(key))) {
      throw refusal(path, `not the key of ${AUTHORITY}.pem`);
    }
    if (Date.parse(parsed.validTo) <= nowMs) {
      throw refusal(directory, "its authority has expired; make a new folder");
    }
    return { certificate, key };
  } catch (error) {
    if (error instanceof GraftError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") {
      throw refusal(directory, "no authority there; make one with: coordinator certs init DIR");
    }
    throw refusal(path, `cannot be read (${code ?? "damaged"})`);
  }
}

async function requireFree(directory: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    for (const path of filesOf(directory, name)) {
      const stats = await lstat(path).catch(() => null);
      if (stats !== null) throw refusal(path, "exists already and is never overwritten");
    }
  }
}

function filesOf(directory: string, name: string): readonly [key: string, certificate: string] {
  return [join(directory, `${name}.key`), join(directory, `${name}.pem`)];
}

/** All of them or, when a write fails, none. */
async function writePairs(
  directory: string,
  pairs: ReadonlyMap<string, KeyPair>,
): Promise<readonly string[]> {
  const written: string[] = [];
  const write = async (path: string, text: string, mode: number): Promise<void> => {
    // Created with its final mode: there is no moment in which others can open a key.
    await writeFile(path, text, { flag: "wx", mode });
    written.push(path);
  };
  try {
    for (const [name, { key, certificate }] of pairs) {
      const [keyPath, certificatePath] = filesOf(directory, name);
      await write(keyPath, key, KEY_MODE);
      await write(certificatePath, certificate, CERTIFICATE_MODE);
    }
    return written;
  } catch (error) {
    await Promise.all(written.map((path) => rm(path, { force: true })));
    const { code = "cannot be written" } = error as NodeJS.ErrnoException;
    throw refusal(directory, `${code}, nothing was written`);
  }
}

/** A name that is a plain file name and leaves the authority's alone. */
export function checkName(name: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name) && name !== AUTHORITY) return name;
  const problem = `expected letters, digits, ".", "_" and "-", other than "ca", got ${quoted(name)}`;
  throw new GraftError("FLAG", { flag: "--name", problem });
}

function refusal(path: string, problem: string): GraftError {
  return new GraftError("FLAG", { flag: path, problem });
}
