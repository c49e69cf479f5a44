// Who is in the cluster: reads the workers' heartbeats. Silence counts only while this coordinator
// itself hears: a NATS that is away takes no worker out of the cluster.
import { BUCKETS, MESSAGES, openMessage, subjectToken, WorkerHeartbeat } from "@graft/proto";
import { type Bucket, createBucket } from "./bucket.js";
import type { NatsLink } from "./connection.js";

export const HEARTBEAT_TTL_MS = 10_000;

export type MemberEvent =
  | { readonly kind: "joined"; readonly worker: WorkerHeartbeat }
  /** Something other than the time is new: address, devices, cache, draining. */
  | { readonly kind: "changed"; readonly worker: WorkerHeartbeat }
  | {
      readonly kind: "left";
      readonly workerId: string;
      /** "removed": it said so; "silent": no heartbeat for ten seconds. */
      readonly reason: "removed" | "silent";
    };

/** Told of every message that is not believed; `where` is a subject or key. */
export type OnIgnored = (where: string, problem: string) => void;

export interface MembershipOptions {
  readonly link: NatsLink;
  readonly signal: AbortSignal;
  readonly replicas?: number;
  readonly onIgnored?: OnIgnored;
}

interface Member {
  readonly worker: WorkerHeartbeat;
  /** Comparable form, to tell a change from a mere sign of life. */
  readonly bytes: string;
  heardMs: number;
}

/** Ends when `signal` is aborted or the link is closed. Makes the bucket that workers write to. */
export async function* watchWorkers({
  link,
  signal,
  replicas = 1,
  onIgnored,
}: MembershipOptions): AsyncGenerator<MemberEvent, void, undefined> {
  const bucket = workersBucket(link, replicas);
  const members = new Map<string, Member>();
  for await (const notice of bucket.watch(signal)) {
    const nowMs = performance.now();
    switch (notice.kind) {
      case "written": {
        const { key, value } = notice.entry;
        const worker = openMessage(MESSAGES.heartbeat, value);
        if (worker === undefined || subjectToken(worker.workerId || "?") !== key) {
          onIgnored?.(key, worker === undefined ? "damaged" : "another worker's name");
          break;
        }
        const event = hear(members, { key, worker, nowMs });
        if (event !== undefined) yield event;
        break;
      }
      case "removed": {
        const member = members.get(notice.key);
        members.delete(notice.key);
        if (member !== undefined) yield left(member, "removed");
        break;
      }
      case "opened":
        forgive(members, nowMs);
        break;
      case "tick":
        if (notice.listening) yield* leaveSilent(members, nowMs);
        else forgive(members, nowMs);
        break;
    }
  }
}

function workersBucket(link: NatsLink, replicas: number): Bucket {
  return createBucket({ link, name: BUCKETS.workers, ttlMs: HEARTBEAT_TTL_MS, replicas });
}

function hear(
  members: Map<string, Member>,
  {
    key,
    worker,
    nowMs,
  }: { readonly key: string; readonly worker: WorkerHeartbeat; readonly nowMs: number },
): MemberEvent | undefined {
  const bytes = Buffer.from(WorkerHeartbeat.encode(worker).finish()).toString("base64");
  const known = members.get(key);
  members.set(key, { worker, bytes, heardMs: nowMs });
  if (known === undefined) return { kind: "joined", worker };
  return known.bytes === bytes ? undefined : { kind: "changed", worker };
}

/** Nobody could have been heard until now, so everybody's time starts again. */
function forgive(members: Map<string, Member>, nowMs: number): void {
  for (const member of members.values()) member.heardMs = nowMs;
}

function* leaveSilent(members: Map<string, Member>, nowMs: number): Generator<MemberEvent> {
  for (const [key, member] of members) {
    if (nowMs - member.heardMs < HEARTBEAT_TTL_MS) continue;
    members.delete(key);
    yield left(member, "silent");
  }
}

function left({ worker }: Member, reason: "removed" | "silent"): MemberEvent {
  return { kind: "left", workerId: worker.workerId, reason };
}
