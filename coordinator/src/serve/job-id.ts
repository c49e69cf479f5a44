// The names of jobs: 128 random bits, so that nobody meets or guesses the job of somebody else. People
// use the beginning.
import { randomBytes } from "node:crypto";

const JOB_ID_BYTES = 16;
const SHORT_LENGTH = 12;

export function newJobId(): string {
  return randomBytes(JOB_ID_BYTES).toString("hex");
}

export function shortId(jobId: string): string {
  return jobId.slice(0, SHORT_LENGTH);
}
