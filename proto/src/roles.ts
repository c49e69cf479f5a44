// Who may call what. A caller's role is the one URI "graft:role:ROLE" among the alternative names of
// its certificate; a method that is not in the table may be called by nobody.
import { GraftError } from "./errors.js";

export const ROLES = ["coordinator", "worker", "client"] as const;

export type Role = (typeof ROLES)[number];

const ROLE_URI_PREFIX = "graft:role:";

export function roleUri(role: Role): string {
  return `${ROLE_URI_PREFIX}${role}`;
}

const COORDINATOR: readonly Role[] = ["coordinator"];
const PEERS: readonly Role[] = ["coordinator", "worker"];
const USERS: readonly Role[] = ["coordinator", "client"];

/** Every method of the contract, by its path. */
const CALLERS: ReadonlyMap<string, readonly Role[]> = new Map([
  ["/graft.v1.WorkerService/GetWorker", COORDINATOR],
  ["/graft.v1.WorkerService/DescribeModel", COORDINATOR],
  ["/graft.v1.WorkerService/PrepareFile", COORDINATOR],
  ["/graft.v1.WorkerService/RunTasks", COORDINATOR],
  ["/graft.v1.WorkerService/CopySideFile", COORDINATOR],
  ["/graft.v1.WorkerService/SyncFile", COORDINATOR],
  ["/graft.v1.WorkerService/DigestFile", COORDINATOR],
  ["/graft.v1.WorkerService/ReadRange", PEERS],
  ["/graft.v1.WorkerService/MeasureStorage", COORDINATOR],
  ["/graft.v1.WorkerService/Drain", COORDINATOR],

  ["/graft.v1.CoordinatorService/Submit", USERS],
  ["/graft.v1.CoordinatorService/Plan", USERS],
  ["/graft.v1.CoordinatorService/Watch", USERS],
  ["/graft.v1.CoordinatorService/List", USERS],
  ["/graft.v1.CoordinatorService/Cancel", USERS],
  ["/graft.v1.CoordinatorService/Resume", USERS],
  ["/graft.v1.CoordinatorService/Show", USERS],
  ["/graft.v1.CoordinatorService/Logs", USERS],
  ["/graft.v1.CoordinatorService/ListWorkers", USERS],
  ["/graft.v1.CoordinatorService/DrainWorker", USERS],

  ["/grpc.health.v1.Health/Check", ROLES],
  ["/grpc.health.v1.Health/Watch", ROLES],
  ["/grpc.health.v1.Health/List", ROLES],
]);

/** Roles that may call the method with this path; none when the table lacks it. */
export function callersOf(path: string): readonly Role[] {
  return CALLERS.get(path) ?? [];
}

/** Alternative names as Node writes them: "URI:a, DNS:b"; a value with odd characters is quoted as in JSON. */
const ALTERNATIVE_NAME = /([^:,"]+):(?:("(?:[^"\\]|\\.)*")|([^,"]*))(?:, |$)/y;

/** The certificate's role; null when its alternative names hold none, several, or an unknown one. */
export function roleOf(alternativeNames: string | undefined): Role | null {
  const text = alternativeNames ?? "";
  const found: string[] = [];
  for (let at = 0; at < text.length; at = ALTERNATIVE_NAME.lastIndex) {
    ALTERNATIVE_NAME.lastIndex = at;
    const [, kind, inQuotes, plain = inQuotes ?? ""] = ALTERNATIVE_NAME.exec(text) ?? [];
    if (kind === undefined) return null;
    if (kind === "URI" && plain.replace(/^"/, "").startsWith(ROLE_URI_PREFIX)) found.push(plain);
  }
  const [uri, another] = found;
  if (another !== undefined) return null;
  return ROLES.find((role) => roleUri(role) === uri) ?? null;
}

/** Why this caller may not call this method; null when it may. */
export function callerProblem(path: string, role: Role | null): GraftError | null {
  if (role === null) return new GraftError("UNAUTHENTICATED", { method: path });
  const callers = callersOf(path);
  if (callers.includes(role)) return null;
  const allowed = callers.length === 0 ? "nobody" : callers.join(" and ");
  return new GraftError("ROLE_REFUSED", { method: path, role, allowed });
}
