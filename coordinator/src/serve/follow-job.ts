// Follows a job to its end over any number of connections: a coordinator that restarts goes on with
// the job, and the watcher with the event after the last one it saw.
import { setTimeout as sleep } from "node:timers/promises";
import { GraftError } from "@graft/proto";
import type { OnEvent } from "../jobs/events.js";
import type { MergeSummary } from "../jobs/summary.js";
import type { CoordinatorClient } from "./client.js";
import type { JobEvent } from "./event-log.js";

export interface FollowOptions {
  readonly client: CoordinatorClient;
  readonly jobId: string;
  readonly signal: AbortSignal;
  readonly onEvent: OnEvent;
  /** Told once for every time that the coordinator is lost. */
  readonly onLost: (error: GraftError) => void;
}

/** A machine reboots in less. */
const PATIENCE_MS = 10 * 60_000;
const PAUSE_FIRST_MS = 200;
const PAUSE_MAX_MS = 5_000;

/** Rejects with the error of a job that failed or was cancelled, or COORDINATOR_LOST in the end. */
export async function followJob(options: FollowOptions): Promise<MergeSummary> {
  const { client, jobId, signal, onLost } = options;
  const position = { sequence: 0n };
  let lostAtMs: number | null = null;
  let pauseMs = PAUSE_FIRST_MS;
  for (;;) {
    try {
      for await (const { sequence, json } of client.watch(jobId, position.sequence)) {
        lostAtMs = null;
        pauseMs = PAUSE_FIRST_MS;
        position.sequence = sequence;
        const summary = tell(JSON.parse(json), options);
        if (summary !== null) return summary;
      }
      // A coordinator does not end the stream of a job that goes on.
      const problem = "ended the stream before the job had ended";
      throw new GraftError("COORDINATOR_LOST", { address: client.address, problem });
    } catch (error) {
      const failure = GraftError.from(error);
      if (failure.code !== "COORDINATOR_LOST" || signal.aborted) throw failure;
      if (lostAtMs === null) onLost(failure);
      lostAtMs ??= performance.now();
      if (performance.now() - lostAtMs > PATIENCE_MS) throw failure;
    }
    await sleep(pauseMs, null, { signal });
    pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS);
  }
}

function tell(event: JobEvent, { onEvent }: FollowOptions): MergeSummary | null {
  if (event.kind === "error") throw GraftError.fromDetail(event);
  onEvent(event);
  return event.kind === "done" ? event.summary : null;
}
