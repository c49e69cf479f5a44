// Makes certificates: one authority, and below it one certificate per program with the role as a URI
// among its alternative names. Everything is in memory; files are the caller's. Imported only
// when certificates are made, because the library takes a while to load.
import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import { type Role, roleUri } from "@graft/proto";
import * as x509 from "@peculiar/x509";

/** What every TLS 1.3 implementation has. */
const KEY_ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNING_ALGORITHM = { name: "ECDSA", hash: "SHA-256" } as const;
const DAY_MS = 24 * 60 * 60 * 1000;
/** So that a host whose clock is a little behind accepts a new certificate. */
const CLOCK_SKEW_MS = 5 * 60 * 1000;
const AUTHORITY_DAYS = 3650;

/** Certificate and private key, PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateOptions {
  readonly name: string;
  readonly role: Role;
  /** Host names and addresses that the holder is reached at. */
  readonly hosts: readonly string[];
  readonly days: number;
  /** Unix time. */
  readonly nowMs: number;
}

export async function createAuthority({ nowMs }: { readonly nowMs: number }): Promise<KeyPair> {
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(nowMs, AUTHORITY_DAYS),
    serialNumber: serialNumber(),
    name: "CN=graft authority",
    keys,
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return toPem(certificate, keys.privateKey);
}

/** Ends with the authority when that ends earlier. */
export async function issueCertificate(
  authority: KeyPair,
  { name, role, hosts, days, nowMs }: CertificateOptions,
): Promise<KeyPair> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const keys = await generateKeys();
  const { notBefore, notAfter } = validity(nowMs, days);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: `CN=${name}`,
    issuer: issuer.subject,
    notBefore: notBefore < issuer.notBefore ? issuer.notBefore : notBefore,
    notAfter: notAfter > issuer.notAfter ? issuer.notAfter : notAfter,
    publicKey: keys.publicKey,
    signingKey: await importKey(authority.key),
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([...usages(role)]),
      new x509.SubjectAlternativeNameExtension([
        { type: "url", value: roleUri(role) },
        ...hosts.map((value) => ({ type: isIP(value) === 0 ? "dns" : "ip", value }) as const),
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return toPem(certificate, keys.privateKey);
}

/** A client never listens; a worker also connects, to its peers. */
function usages(role: Role): readonly x509.ExtendedKeyUsage[] {
  const { clientAuth, serverAuth } = x509.ExtendedKeyUsage;
  return role === "client" ? [clientAuth] : [serverAuth, clientAuth];
}

function validity(nowMs: number, days: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(nowMs - CLOCK_SKEW_MS), notAfter: new Date(nowMs + days * DAY_MS) };
}

/** Positive and 127 bits long. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ["sign", "verify"]);
}

function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const [bytes] = x509.PemConverter.decode(pem);
  return webcrypto.subtle.importKey("pkcs8", bytes ?? new ArrayBuffer(0), KEY_ALGORITHM, false, [
    "sign",
  ]);
}

async function toPem(
  certificate: x509.X509Certificate,
  key: webcrypto.CryptoKey,
): Promise<KeyPair> {
  const bytes = await webcrypto.subtle.exportKey("pkcs8", key);
  return {
    certificate: `${certificate.toString("pem")}\n`,
    key: `${x509.PemConverter.encode(bytes, "PRIVATE KEY")}\n`,
  };
}
