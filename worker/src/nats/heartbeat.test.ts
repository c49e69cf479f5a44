// Heartbeats on a real nats-server: what arrives, that it goes on after outages, and the farewell.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  BUCKETS,
  CacheSummary,
  MESSAGES,
  openMessage,
  subjectToken,
  WorkerHeartbeat,
  workerSubject,
} from "@graft/proto";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsLink } from "./connection.js";
import { startHeartbeat } from "./heartbeat.js";
import { eventually, SKIP_WITHOUT_NATS, startTestServer } from "./server-for-tests.js";

const skip = SKIP_WITHOUT_NATS;
const STREAM = `KV_${BUCKETS.workers}`;
const ID = "host.example:7";

const facts = (models: readonly string[] = []): WorkerHeartbeat =>
  WorkerHeartbeat.create({
    workerId: ID,
    address: ID,
    devices: ["avx2"],
    cache: CacheSummary.create({ models: [...models] }),
  });

/** What a coordinator does before workers are heard. */
async function makeBucket(link: NatsLink): Promise<void> {
  const manager = await jetstreamManager(link.connection);
  const subjects = [`$KV.${BUCKETS.workers}.>`];
  await manager.streams.add({ name: STREAM, subjects, max_msgs_per_subject: 1 });
}

async function last(
  link: NatsLink,
): Promise<{ readonly data: Uint8Array; readonly left: boolean }> {
  const manager = await jetstreamManager(link.connection);
  const message = await manager.streams.getMessage(STREAM, { last_by_subj: workerSubject(ID) });
  if (message === null) throw new Error("no message");
  return { data: message.data, left: message.header?.get("KV-Operation") === "DEL" };
}

const heard = (link: NatsLink): Promise<boolean> =>
  last(link).then(
    ({ data, left }) => !left && openMessage(MESSAGES.heartbeat, data)?.workerId === ID,
    () => false,
  );

describe("heartbeats", { skip, concurrency: true }, () => {
  test("a worker is heard, and removes itself when it goes", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    await makeBucket(link);
    {
      await using _heartbeat = startHeartbeat({ link, workerId: ID, facts });
      await eventually("it is heard", () => heard(link));
    }
    assert.equal((await last(link)).left, true);
    assert.equal(subjectToken(ID), "host=2Eexample=3A7");
  });

  test("a worker is heard again after outages and without a bucket", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    const failures: string[] = [];
    const onFailure = (problem: string) => failures.push(problem);
    await using _heartbeat = startHeartbeat({ link, workerId: ID, facts, onFailure });
    await eventually("a beat without a bucket fails", () => failures.length > 0);
    await makeBucket(link);
    await eventually("it is heard", () => heard(link));
    await server.kill();
    server.deleteStore();
    await server.start();
    await eventually("the bucket can be made", () =>
      makeBucket(link).then(
        () => true,
        () => false,
      ),
    );
    await eventually("it is heard again", () => heard(link));
  });

  test("a long list of models is cut until the message is small", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    await makeBucket(link);
    const models = Array.from({ length: 20_000 }, (_, i) => `organisation/model-${i}`);
    await using _heartbeat = startHeartbeat({ link, workerId: ID, facts: () => facts(models) });
    await eventually("it is heard", () => heard(link));
    const { data } = await last(link);
    const kept = openMessage(MESSAGES.heartbeat, data)?.cache?.models ?? [];
    assert.ok(kept.length > 1_000);
    assert.deepEqual(kept, models.slice(0, kept.length));
  });
});
