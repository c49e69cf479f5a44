// Every name on NATS in one table: streams, buckets, subjects, durables. Permissions in deploy/nats
// repeat them, and a test starts that file, so a name changed here alone is noticed.

/** Key-value buckets; their streams are "KV_" and the name. */
export const BUCKETS = {
  workers: "graft_workers",
  claims: "graft_claims",
} as const;

export const STREAMS = {
  jobs: "GRAFT_JOBS",
  events: "GRAFT_EVENTS",
  deadLetters: "GRAFT_DEAD_LETTERS",
} as const;

export const DURABLES = {
  /** Shared by all coordinators: a job goes to one of them. */
  coordinators: "coordinators",
} as const;

export const SUBJECTS = {
  jobs: "graft.jobs",
  events: "graft.events",
  deadLetters: "graft.dead-letters",
  maxDeliveries: `$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.${STREAMS.jobs}.${DURABLES.coordinators}`,
} as const;

export const jobSubject = (jobId: string): string => `${SUBJECTS.jobs}.${subjectToken(jobId)}`;
export const eventSubject = (jobId: string): string => `${SUBJECTS.events}.${subjectToken(jobId)}`;
export const deadLetterSubject = (jobId: string): string =>
  `${SUBJECTS.deadLetters}.${subjectToken(jobId)}`;
/** Where a worker publishes its heartbeat: the key of the bucket, as a subject. */
export const workerSubject = (workerId: string): string =>
  `$KV.${BUCKETS.workers}.${subjectToken(workerId)}`;

/**
 * An identity as one token of a subject, which is also a valid key of a bucket: bytes other than
 * letters, digits, "-" and "_" become "=XX". Different identities give different tokens.
 */
export function subjectToken(identity: string): string {
  if (identity === "") throw new Error("invariant: an identity on NATS is not empty");
  const escaped = Array.from(new TextEncoder().encode(identity), (byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9_-]/.test(character)
      ? character
      : `=${byte.toString(16).padStart(2, "0").toUpperCase()}`;
  });
  return escaped.join("");
}
