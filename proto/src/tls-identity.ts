// What a program can know about its own certificate before it uses it: a wrong role is an error at the
// start instead of a refusal by everybody else, the rest is worth a warning.
import { GraftError } from "./errors.js";
import { type Role, roleOf, roleUri } from "./roles.js";
import type { TlsPaths } from "./tls-options.js";

export interface CertificateFacts {
  /** As Node writes them. */
  readonly alternativeNames: string | undefined;
  readonly validFromMs: number;
  readonly validToMs: number;
  /** Permission bits of the key's file. */
  readonly keyMode: number;
}

const OTHERS = 0o077;

/** Warnings, one line each; throws FLAG when the certificate's role is none of the given ones. */
export function checkIdentity(
  { certificate, key }: TlsPaths,
  facts: CertificateFacts,
  { roles, nowMs }: { readonly roles: readonly Role[]; readonly nowMs: number },
): readonly string[] {
  const role = roleOf(facts.alternativeNames);
  if (role === null || !roles.includes(role)) {
    const wanted = roles.map(roleUri).join(" or ");
    const problem = `${certificate}: expected a certificate with URI ${wanted}, got ${role ?? "no"} role`;
    throw new GraftError("FLAG", { flag: "--tls-cert", problem });
  }
  const { validFromMs, validToMs, keyMode } = facts;
  const warnings: string[] = [];
  if ((keyMode & OTHERS) !== 0) {
    const mode = (keyMode & 0o777).toString(8);
    warnings.push(`--tls-key: ${key}: open to others (mode ${mode}); run: chmod 600 ${key}`);
  }
  if (nowMs < validFromMs) {
    warnings.push(`--tls-cert: ${certificate}: not valid before ${dateText(validFromMs)}`);
  }
  if (nowMs > validToMs) {
    warnings.push(`--tls-cert: ${certificate}: expired on ${dateText(validToMs)}`);
  }
  return warnings;
}

function dateText(ms: number): string {
  return new Date(ms).toISOString();
}
