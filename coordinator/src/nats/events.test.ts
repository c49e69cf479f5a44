// Events on a real nats-server: order, duplicates, damage, gaps, size, and lost stores.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventSubject, JobEvent, MESSAGES, STREAMS, sealMessage } from "@graft/proto";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsLink } from "./connection.js";
import { createEventPublisher, type WatchedEvent, watchEvents } from "./events.js";
import { eventually, SKIP_WITHOUT_NATS, startTestServer } from "./server-for-tests.js";
import { ensureStreams } from "./streams.js";

const skip = SKIP_WITHOUT_NATS;
const JOB = "a.b";

const event = (sequence: number, json = "{}"): JobEvent =>
  JobEvent.create({ jobId: JOB, sequence: BigInt(sequence), json });

interface Watcher extends AsyncDisposable {
  readonly seen: readonly string[];
  readonly events: readonly WatchedEvent[];
  readonly ignored: readonly string[];
}

function watch(link: NatsLink, afterSequence = 0n): Watcher {
  const stop = new AbortController();
  const events: WatchedEvent[] = [];
  const seen: string[] = [];
  const ignored: string[] = [];
  const loop = (async () => {
    const onIgnored = (where: string): number => ignored.push(where);
    const { signal } = stop;
    for await (const watched of watchEvents({
      link,
      jobId: JOB,
      afterSequence,
      signal,
      onIgnored,
    })) {
      events.push(watched);
      if (watched.kind === "gap") seen.push(`${watched.first}-${watched.last} missing`);
      else seen.push(String(watched.event.sequence));
    }
  })();
  return {
    seen,
    events,
    ignored,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await loop;
    },
  };
}

const publishRaw = async (link: NatsLink, bytes: Uint8Array): Promise<void> => {
  await jetstream(link.connection).publish(eventSubject(JOB), bytes);
};

describe("events", { skip, concurrency: true }, () => {
  test("a watch gets the past after its number, then the present, in order", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    await ensureStreams(link, 1);
    await using publisher = createEventPublisher(link);
    for (let i = 1; i <= 100; i += 1) publisher.publish(event(i));
    await using all = watch(link);
    await using late = watch(link, 98n);
    await eventually("the past", () => all.seen.length === 100 && late.seen.length === 2);
    publisher.publish(event(101));
    await eventually("the present", () => all.seen.length === 101 && late.seen.length === 3);
    assert.deepEqual(late.seen, ["99", "100", "101"]);
    assert.deepEqual(
      all.seen,
      Array.from({ length: 101 }, (_, i) => String(i + 1)),
    );
    assert.equal(publisher.droppedCount, 0);
  });

  test("duplicates are shown once, damage and other jobs' events never, gaps are named", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    await ensureStreams(link, 1);
    await using watcher = watch(link);
    const damaged = sealMessage(MESSAGES.event, event(2));
    damaged[15] = (damaged[15] ?? 0) ^ 128;
    const foreign = JobEvent.create({ jobId: "other", sequence: 3n });
    const sealed = (sequence: number): Uint8Array => sealMessage(MESSAGES.event, event(sequence));
    const messages = [sealed(1), sealed(1), damaged, sealMessage(MESSAGES.event, foreign)];
    for (const bytes of [...messages, sealed(4), sealed(3), sealed(5)]) {
      await publishRaw(link, bytes);
    }
    await eventually("the last", () => watcher.seen.includes("5"));
    assert.deepEqual(watcher.seen, ["1", "2-3 missing", "4", "5"]);
    assert.equal(watcher.ignored.length, 2);
  });

  test("an event too large for a message goes without its text", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    await ensureStreams(link, 1);
    await using publisher = createEventPublisher(link);
    await using watcher = watch(link);
    publisher.publish(event(1, JSON.stringify({ text: "x".repeat(80_000) })));
    await eventually("it arrives", () => watcher.events.length === 1);
    const [first] = watcher.events;
    assert.ok(first?.kind === "event");
    assert.match(first.event.json, /^\{"kind":"too-large","bytes":80\d\d\d\}$/);
    const manager = await jetstreamManager(link.connection);
    const { config } = await manager.streams.info(STREAMS.events);
    assert.equal(config.max_msg_size, 65_536);
    assert.ok(config.max_age > 0 && config.max_bytes > 0);
  });

  test("events published while the server is away arrive after it is back", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    await ensureStreams(link, 1);
    await using publisher = createEventPublisher(link);
    await using watcher = watch(link);
    publisher.publish(event(1));
    await eventually("the first", () => watcher.seen.length === 1);
    await server.kill();
    publisher.publish(event(2));
    await server.start();
    publisher.publish(event(3));
    await eventually("the rest", () => watcher.seen.length === 3);
    assert.deepEqual(watcher.seen, ["1", "2", "3"]);
  });

  test("a watch goes on in a store that was made anew", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    await ensureStreams(link, 1);
    await using publisher = createEventPublisher(link);
    await using watcher = watch(link);
    for (let i = 1; i <= 5; i += 1) publisher.publish(event(i));
    await eventually("the past", () => watcher.seen.length === 5);
    await server.kill();
    server.deleteStore();
    await server.start();
    await eventually("streams", () =>
      ensureStreams(link, 1).then(
        () => true,
        () => false,
      ),
    );
    publisher.publish(event(6));
    await eventually("the next", () => watcher.seen.length === 6);
    assert.equal(watcher.seen[5], "6");
  });

  test("waiting events are bounded, and the dropped ones counted", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    await server.kill();
    await using publisher = createEventPublisher(link);
    for (let i = 1; i <= 5_000; i += 1) publisher.publish(event(i));
    assert.equal(publisher.droppedCount, 5_000 - 4_096);
  });
});
