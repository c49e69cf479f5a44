// coordinator certs: an authority and certificates for people who have none. The private keys never
// leave their files: nothing of them is printed.

import { isIP } from "node:net";
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { GraftError, quoted, ROLES, type Role } from "@graft/proto";
import {
  type CertificateRequest,
  checkName,
  initFolder,
  issueInto,
} from "../tls/certificate-folder.js";
import { runSession, type Session } from "./session.js";

export interface CertsFlags {
  readonly json?: boolean;
  readonly host: readonly string[];
  readonly days?: string;
}

export interface IssueFlags extends CertsFlags {
  readonly role: string;
  readonly name: string;
}

const DAYS_DEFAULT = 365;
/** As long as the authority lives. */
const DAYS_MAX = 3650;
/** Every program may be reached on its own machine. */
const LOOPBACK = ["localhost", "127.0.0.1", "::1"];

export function certsInit(directory: string, flags: CertsFlags): Promise<void> {
  return runSession({ json: flags.json ?? false }, async (session) => {
    const files = await initFolder(resolve(directory), requestOf(flags));
    report(session, directory, files, nextCommands(directory));
    return 0;
  });
}

export function certsIssue(directory: string, flags: IssueFlags): Promise<void> {
  return runSession({ json: flags.json ?? false }, async (session) => {
    const [name, role] = [checkName(flags.name), parseRole(flags.role)];
    const files = await issueInto(resolve(directory), name, role, requestOf(flags));
    report(session, directory, files, `use it with:\n  ${tlsFlags(directory, name)}\n`);
    return 0;
  });
}

function requestOf({ host, days }: CertsFlags): CertificateRequest {
  const given = host.length > 0 ? host.map(parseHost) : [hostname()];
  return {
    hosts: [...new Set([...given, ...LOOPBACK])],
    days: days === undefined ? DAYS_DEFAULT : parseDays(days),
    nowMs: Date.now(),
  };
}

function parseHost(text: string): string {
  const isName = /^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]{0,250}[A-Za-z0-9_])?$/.test(text);
  if (isIP(text) !== 0 || isName) return text;
  throw flagError("--host", `expected a host name or an IP address, got ${quoted(text)}`);
}

function parseDays(text: string): number {
  const days = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (days >= 1 && days <= DAYS_MAX) return days;
  throw flagError("--days", `expected a whole number in [1, ${DAYS_MAX}], got ${quoted(text)}`);
}

function parseRole(text: string): Role {
  const role = ROLES.find((known) => known === text);
  if (role !== undefined) return role;
  throw flagError("--role", `expected one of ${ROLES.join(", ")}, got ${quoted(text)}`);
}

function flagError(flag: string, problem: string): GraftError {
  return new GraftError("FLAG", { flag, problem });
}

function report(
  session: Session,
  directory: string,
  files: readonly string[],
  advice: string,
): void {
  if (session.json) session.printJson({ kind: "certificates", directory, files });
  else session.print(`wrote ${files.join("\n      ")}\n${advice}`);
}

function nextCommands(directory: string): string {
  const ca = shellWord(join(directory, "ca.key"));
  return (
    "each program needs its own three files only; keep ca.key where certificates are made.\n" +
    `on every worker:\n  npx graft-worker --listen HOST:PORT ${tlsFlags(directory, "worker")}\n` +
    "on the coordinator:\n  npx coordinator serve --state DIR --listen HOST:PORT --worker HOST:PORT " +
    `${tlsFlags(directory, "coordinator")}\n` +
    "to submit:\n  npx coordinator submit recipe.yaml --out DIR --coordinator HOST:PORT " +
    `${tlsFlags(directory, "client")}\n` +
    `more hosts, signed with ${ca}:\n  npx coordinator certs issue ${shellWord(directory)} ` +
    "--role worker --name NAME --host HOST\n"
  );
}

function tlsFlags(directory: string, name: string): string {
  const path = (file: string): string => shellWord(join(directory, file));
  return `--tls-cert ${path(`${name}.pem`)} --tls-key ${path(`${name}.key`)} --tls-ca ${path("ca.pem")}`;
}

function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
