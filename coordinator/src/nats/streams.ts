// The streams that coordinators need, made when they are missing. They hold copies, never the truth:
// a job lives in its coordinator's fsynced record, so a lost stream costs a new submission at most.

import { DURABLES, GraftError, MESSAGE_BYTES_MAX, STREAMS, SUBJECTS } from "@graft/proto";
import {
  AckPolicy,
  type ConsumerConfig,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  type StreamConfig,
} from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import type { NatsLink } from "./connection.js";

/** Deliveries of one job before a coordinator gives it up as deadly. */
export const DELIVERY_COUNT_MAX = 5;
/** NATS's own bound stands higher: it only catches jobs that kill before they are looked at. */
const DELIVERY_COUNT_BACKSTOP = 10;
/** Must outlast two missed signs of work, which come every 10 s. */
const ACK_WAIT_MS = 30_000;
export const WORKING_INTERVAL_MS = 10_000;

const REQUEST_TIMEOUT_MS = 2_000;
const DAY_MS = 24 * 60 * 60 * 1000;
const MIB = 1024 * 1024;
const STREAM_NAME_IN_USE = 10058;

type Wanted = Partial<StreamConfig> & { readonly name: string };

const JOBS: Wanted = {
  name: STREAMS.jobs,
  subjects: [`${SUBJECTS.jobs}.*`],
  retention: RetentionPolicy.Workqueue,
  max_msg_size: MESSAGE_BYTES_MAX,
  // Full is refused, so that the submitter knows; nothing that waits is pushed out.
  discard: DiscardPolicy.New,
  max_bytes: 256 * MIB,
  duplicate_window: nanos(120_000),
};

const EVENTS: Wanted = {
  name: STREAMS.events,
  subjects: [`${SUBJECTS.events}.*`],
  retention: RetentionPolicy.Limits,
  max_msg_size: MESSAGE_BYTES_MAX,
  discard: DiscardPolicy.Old,
  max_age: nanos(7 * DAY_MS),
  max_bytes: 256 * MIB,
  duplicate_window: nanos(120_000),
};

const DEAD_LETTERS: Wanted = {
  ...EVENTS,
  name: STREAMS.deadLetters,
  subjects: [`${SUBJECTS.deadLetters}.*`],
  max_age: nanos(30 * DAY_MS),
  max_bytes: 64 * MIB,
};

/** One for all coordinators. No backoff: it would overwrite the time to acknowledge (measured). */
const COORDINATORS: Partial<ConsumerConfig> = {
  durable_name: DURABLES.coordinators,
  ack_policy: AckPolicy.Explicit,
  ack_wait: nanos(ACK_WAIT_MS),
  max_deliver: DELIVERY_COUNT_BACKSTOP,
  max_ack_pending: 10_000,
};

export async function openManager(link: NatsLink): Promise<JetStreamManager> {
  return await jetstreamManager(link.connection, { timeout: REQUEST_TIMEOUT_MS, checkAPI: false });
}

/** Idempotent; called at the start and whenever something was found missing. */
export async function ensureStreams(link: NatsLink, replicas: number): Promise<void> {
  const manager = await openManager(link);
  for (const wanted of [JOBS, EVENTS, DEAD_LETTERS]) {
    await ensureStream(manager, { ...wanted, num_replicas: replicas });
  }
  await manager.consumers.add(STREAMS.jobs, COORDINATORS);
}

async function ensureStream(manager: JetStreamManager, wanted: Wanted): Promise<void> {
  try {
    await manager.streams.add(wanted);
  } catch (error) {
    const differs = error instanceof JetStreamApiError && error.code === STREAM_NAME_IN_USE;
    if (!differs) throw error;
    await manager.streams.update(wanted.name, wanted);
  }
}

/** What a failed request means to who asked. */
export function natsFailure(link: NatsLink, error: unknown): GraftError {
  if (error instanceof GraftError) return error;
  const problem = error instanceof Error ? error.message : String(error);
  const details = { servers: link.servers, problem, retryAfter: 5 };
  return new GraftError("NATS_UNAVAILABLE", details, { cause: error });
}
