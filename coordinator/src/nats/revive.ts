// Gets jobs moving that nats-server passes by for good: a durable skips messages that were delivered too
// often, and every message behind one that a damaged store cannot read (measured with 2.9.10).

import { DURABLES, STREAMS } from "@graft/proto";
import { type ConsumerInfo, type JetStreamManager, jetstream } from "@nats-io/jetstream";
import type { NatsLink } from "./connection.js";
import { ensureStreams, openManager } from "./streams.js";

export interface Reviver {
  /** Called when no job came; true when it did something about jobs that are stuck. */
  idle(consumer: ConsumerInfo): Promise<boolean>;
  delivered(): void;
}

/** Idle looks in a row that saw jobs which are not delivered; one may just have come between. */
const STUCK_COUNT = 3;
/** Bound on what is looked at and carried over; owners queue their own jobs again anyway. */
const CARRIED_COUNT_MAX = 10_000;

export function createReviver(link: NatsLink, replicas: number): Reviver {
  let stuckCount = 0;
  let durableIsNew = false;
  return {
    delivered() {
      stuckCount = 0;
      durableIsNew = false;
    },
    async idle({ num_pending, num_ack_pending }) {
      const manager = await openManager(link);
      const { state } = await manager.streams.info(STREAMS.jobs);
      const stuck = num_pending === 0 && num_ack_pending === 0 && state.messages > 0;
      stuckCount = stuck ? stuckCount + 1 : 0;
      if (stuckCount < STUCK_COUNT) return false;
      stuckCount = 0;
      if (durableIsNew) await remakeStream(link, manager, replicas);
      else await manager.consumers.delete(STREAMS.jobs, DURABLES.coordinators);
      durableIsNew = !durableIsNew;
      await ensureStreams(link, replicas);
      return true;
    },
  };
}

/** With the messages that can be read; jobs come twice rather than not at all. */
async function remakeStream(
  link: NatsLink,
  manager: JetStreamManager,
  replicas: number,
): Promise<void> {
  const { state } = await manager.streams.info(STREAMS.jobs);
  const last = Math.min(state.last_seq, state.first_seq + CARRIED_COUNT_MAX);
  const carried: { readonly subject: string; readonly data: Uint8Array }[] = [];
  for (let seq = state.first_seq; seq <= last; seq += 1) {
    const message = await manager.streams.getMessage(STREAMS.jobs, { seq }).catch(() => null);
    if (message !== null) carried.push({ subject: message.subject, data: message.data });
  }
  await manager.streams.delete(STREAMS.jobs);
  await ensureStreams(link, replicas);
  const client = jetstream(link.connection);
  for (const { subject, data } of carried) await client.publish(subject, data);
}
