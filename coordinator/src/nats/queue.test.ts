// The queue on a real nats-server: the order of record and publish, duplicates, damage, late acks.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  DeadLetter,
  DURABLES,
  jobSubject,
  MESSAGES,
  openMessage,
  QueuedJob,
  STREAMS,
  SubmitRequest,
  sealMessage,
} from "@graft/proto";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsLink } from "./connection.js";
import { type Delivery, type JobQueue, jobIdOf, openQueue } from "./queue.js";
import { eventually, SKIP_WITHOUT_NATS, startTestServer } from "./server-for-tests.js";
import { ensureStreams } from "./streams.js";

const skip = SKIP_WITHOUT_NATS;

const job = (jobId: string, recipeText = "r"): QueuedJob =>
  QueuedJob.create({ request: SubmitRequest.create({ jobId, recipeText }), submittedBy: "test" });

async function stored(link: NatsLink, stream: string = STREAMS.jobs): Promise<number> {
  const manager = await jetstreamManager(link.connection);
  return (await manager.streams.info(stream)).state.messages;
}

async function nextOf(queue: JobQueue): Promise<Delivery> {
  const delivery = await queue.next(5_000);
  assert.ok(delivery !== undefined, "a job is delivered");
  return delivery;
}

describe("queue", { skip, concurrency: true }, () => {
  test("a job is published only after its record is durable", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    const queue = await openQueue({ link });
    let before = -1;
    await queue.submit(job("a"), async () => {
      before = await stored(link);
    });
    assert.equal(before, 0);
    assert.equal(await stored(link), 1);
    const failing = queue.submit(job("b"), () => Promise.reject(new Error("disk full")));
    await assert.rejects(failing, /disk full/);
    assert.equal(await queue.contains("b"), false);
  });

  test("a submit without NATS is refused before anything is recorded", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    const queue = await openQueue({ link });
    await server.kill();
    let recorded = false;
    const submitting = queue.submit(job("a"), async () => {
      recorded = true;
    });
    await assert.rejects(submitting, { code: "NATS_UNAVAILABLE" });
    assert.equal(recorded, false);
  });

  test("the same job submitted twice is queued once", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    const queue = await openQueue({ link });
    for (let i = 0; i < 2; i += 1) await queue.submit(job("a"), async () => undefined);
    await queue.requeue(job("a"));
    assert.equal(await stored(link), 1);
    const delivery = await nextOf(queue);
    assert.deepEqual(delivery.job, job("a"));
    await delivery.acknowledge();
    assert.equal(await queue.contains("a"), false);
    // Not swallowed as a duplicate of the first message.
    await queue.requeue(job("a"));
    assert.equal(await queue.contains("a"), true);
  });

  test("a job goes to one of several coordinators, and back when given back", async () => {
    await using server = await startTestServer();
    await using link = await server.connect("one");
    await using other = await server.connect("two");
    const queues = [await openQueue({ link }), await openQueue({ link: other })] as const;
    await queues[0].submit(job("a"), async () => undefined);
    const got = await Promise.all(queues.map((queue) => queue.next(1_000)));
    const held = got.filter((delivery) => delivery !== undefined);
    assert.equal(held.length, 1);
    const startMs = performance.now();
    held[0]?.giveBack(300);
    const again = await nextOf(queues[1]);
    assert.ok(performance.now() - startMs >= 250);
    assert.equal(again.deliveryCount, 2);
    await again.acknowledge();
  });

  test("a job given back for six seconds is not delivered in five", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    const queue = await openQueue({ link });
    await queue.submit(job("a"), async () => undefined);
    (await nextOf(queue)).giveBack(6_000);
    for (let i = 0; i < 5; i += 1) assert.equal(await queue.next(1_000), undefined);
    await (await nextOf(queue)).acknowledge();
  });

  test("a held job is not delivered to others after the time to acknowledge", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    const queue = await openQueue({ link });
    await queue.submit(job("a"), async () => undefined);
    // Shorter than the real 30 s, longer than the 10 s between two signs of work.
    const manager = await jetstreamManager(link.connection);
    const ackWait = { ack_wait: 12_000_000_000 };
    await manager.consumers.update(STREAMS.jobs, DURABLES.coordinators, ackWait);
    const held = await nextOf(queue);
    assert.equal(await queue.next(15_000), undefined);
    await held.acknowledge();
  });

  test("damaged, foreign and misdirected messages are counted and removed", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    const ignored: string[] = [];
    const queue = await openQueue({ link, onIgnored: (where) => ignored.push(where) });
    const client = jetstream(link.connection);
    const damaged = sealMessage(MESSAGES.queuedJob, job("a"));
    damaged[20] = (damaged[20] ?? 0) ^ 4;
    await client.publish(jobSubject("a"), damaged);
    await client.publish(jobSubject("b"), sealMessage(MESSAGES.queuedJob, job("c")));
    await client.publish(jobSubject("d"), sealMessage(MESSAGES.deadLetter, DeadLetter.create({})));
    await queue.submit(job("e"), async () => undefined);
    let delivery: Delivery | undefined;
    await eventually("the sound one arrives", async () => {
      delivery = await queue.next(1_000);
      return delivery !== undefined;
    });
    assert.ok(delivery !== undefined && jobIdOf(delivery.job) === "e");
    assert.deepEqual(ignored, ["a", "b", "d"].map(jobSubject));
    await delivery.acknowledge();
    await eventually("nothing is left", async () => (await stored(link)) === 0);
  });

  test("a job too large for a message is refused by name", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    const queue = await openQueue({ link });
    let recorded = false;
    const submitting = queue.submit(job("a", "x".repeat(70_000)), async () => {
      recorded = true;
    });
    await assert.rejects(submitting, /recipe: \d+ bytes with its options, over 65536/);
    assert.equal(recorded, false);
  });

  test("taking one job out of the queue leaves the others in it", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    const queue = await openQueue({ link });
    for (const id of ["a", "b", "c"]) await queue.submit(job(id), async () => undefined);
    await queue.forget("b");
    await queue.forget("unknown");
    for (const id of ["a", "c"]) {
      const delivery = await nextOf(queue);
      assert.equal(jobIdOf(delivery.job), id);
      await delivery.acknowledge();
    }
    assert.equal(await stored(link), 0);
  });

  test("jobs that NATS gave up unheard are delivered again after a while", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    const queue = await openQueue({ link });
    await queue.submit(job("a"), async () => undefined);
    const manager = await jetstreamManager(link.connection);
    const once = { max_deliver: 1, ack_wait: 300_000_000 };
    await manager.consumers.update(STREAMS.jobs, DURABLES.coordinators, once);
    (await nextOf(queue)).giveBack(0);
    let again: Delivery | undefined;
    await eventually("delivered again", async () => {
      again = await queue.next(1_000);
      return again !== undefined;
    });
    await again?.acknowledge();
    assert.equal(await stored(link), 0);
  });

  test("a deleted store is made again and takes jobs again", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    const queue = await openQueue({ link });
    await queue.submit(job("a"), async () => undefined);
    await server.kill();
    server.deleteStore();
    await server.start();
    await eventually("requeued", () =>
      queue.requeue(job("a")).then(
        () => true,
        () => false,
      ),
    );
    const delivery = await nextOf(queue);
    assert.equal(jobIdOf(delivery.job), "a");
    await delivery.acknowledge();
  });

  test("queued jobs survive kill -9 of the server", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    const queue = await openQueue({ link });
    await queue.submit(job("a"), async () => undefined);
    await server.kill();
    await server.start();
    let delivery: Delivery | undefined;
    await eventually("delivered", async () => {
      delivery = await queue.next(1_000).catch(() => undefined);
      return delivery !== undefined;
    });
    await delivery?.acknowledge();
  });

  test("a job that NATS gave up is reported once and can be buried", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    const queue = await openQueue({ link });
    await queue.submit(job("a"), async () => undefined);
    // The real durable has 10 deliveries of 30 s; this one gives up after the first.
    const manager = await jetstreamManager(link.connection);
    await manager.consumers.update(STREAMS.jobs, DURABLES.coordinators, {
      max_deliver: 1,
      ack_wait: 300_000_000,
    });
    const stop = new AbortController();
    const given = (async () => {
      for await (const lost of queue.exhausted(stop.signal)) return lost;
      return undefined;
    })();
    const held = await nextOf(queue);
    // NATS notices when it is asked for more.
    assert.equal(await queue.next(2_000), undefined);
    assert.deepEqual(await given, job("a"));
    held.giveBack(0);
    await queue.bury(DeadLetter.create({ job: job("a"), deliveryCount: 1, reason: "too often" }));
    await queue.forget("a");
    assert.equal(await stored(link), 0);
    const letter = await manager.streams.getMessage(STREAMS.deadLetters, { seq: 1 });
    assert.ok(letter !== null);
    assert.equal(openMessage(MESSAGES.deadLetter, letter.data)?.reason, "too often");
    stop.abort();
  });

  test("making the streams again changes nothing, and other settings are corrected", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    const manager = await jetstreamManager(link.connection);
    await ensureStreams(link, 1);
    await manager.streams.update(STREAMS.events, { max_bytes: 1024 * 1024 });
    await ensureStreams(link, 1);
    const { config } = await manager.streams.info(STREAMS.events);
    assert.equal(config.max_bytes, 256 * 1024 * 1024);
    const consumer = await manager.consumers.info(STREAMS.jobs, DURABLES.coordinators);
    assert.equal(consumer.config.ack_wait, 30_000_000_000);
    assert.equal(consumer.config.backoff, undefined);
  });
});
