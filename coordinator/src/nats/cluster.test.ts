// Three nats-servers with three copies of everything: losing one costs nothing, losing two makes
// submits fail before anything is recorded, and all goes on by itself when they are back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { GraftError, natsSettings, QueuedJob, SubmitRequest } from "@graft/proto";
import type { Claim } from "./claim.js";
import { type Claims, openClaims } from "./claims.js";
import { connectNats, type NatsLink } from "./connection.js";
import { type JobQueue, jobIdOf, openQueue } from "./queue.js";
import {
  eventually,
  freePort,
  SKIP_WITHOUT_NATS,
  startTestServer,
  type TestServer,
} from "./server-for-tests.js";
import { ensureStreams } from "./streams.js";

const REPLICAS = 3;
const ELECTION_MS = 60_000;

const job = (jobId: string): QueuedJob =>
  QueuedJob.create({ request: SubmitRequest.create({ jobId }) });

interface Cluster extends AsyncDisposable {
  readonly servers: readonly TestServer[];
  connect(): Promise<NatsLink>;
}

async function startCluster(): Promise<Cluster> {
  const routePorts = await Promise.all(Array.from({ length: REPLICAS }, () => freePort()));
  const routes = routePorts.map((port) => `nats://127.0.0.1:${port}`).join(", ");
  const servers = await Promise.all(
    routePorts.map((port, i) =>
      startTestServer({
        config: `server_name: n${i}
          cluster { name: graft, listen: "127.0.0.1:${port}", routes: [${routes}] }`,
      }),
    ),
  );
  return {
    servers,
    async connect() {
      const nats = servers.map(({ port }) => `127.0.0.1:${port}`).join(",");
      const settings = natsSettings({ nats }, {});
      assert.ok(settings !== null);
      return await connectNats(settings, { name: "test" });
    },
    async [Symbol.asyncDispose]() {
      for (const server of servers) await server[Symbol.asyncDispose]();
    },
  };
}

const succeeds = (work: () => Promise<unknown>): Promise<boolean> =>
  work().then(
    () => true,
    (error: unknown) => {
      assert.ok(error instanceof GraftError && error.code === "NATS_UNAVAILABLE", String(error));
      return false;
    },
  );

async function submit(queue: JobQueue, jobId: string, recorded: string[]): Promise<boolean> {
  return await succeeds(() =>
    queue.submit(job(jobId), async () => {
      recorded.push(jobId);
    }),
  );
}

async function take(claims: Claims, epochFloor: bigint): Promise<Claim> {
  let claim: Claim | undefined;
  const takeOnce = async (): Promise<void> => {
    const taken = await claims.take(job("a"), { epochFloor });
    if (taken.kind === "mine") claim = taken.claim;
  };
  await eventually(
    "taken",
    async () => (await succeeds(takeOnce)) && claim !== undefined,
    ELECTION_MS,
  );
  assert.ok(claim !== undefined);
  return claim;
}

test("a cluster of three NATS servers loses one, two, and comes back", {
  skip: SKIP_WITHOUT_NATS,
}, async () => {
  await using cluster = await startCluster();
  await using link = await cluster.connect();
  const streamsMade = (): Promise<boolean> =>
    ensureStreams(link, REPLICAS).then(
      () => true,
      () => false,
    );
  await eventually("a leader", streamsMade, ELECTION_MS);
  const queue = await openQueue({ link, replicas: REPLICAS });
  await using claims = openClaims({ link, coordinatorId: "c", address: "", replicas: REPLICAS });
  const recorded: string[] = [];
  assert.equal(await submit(queue, "a", recorded), true);
  const claim = await take(claims, 0n);
  const [first, second] = cluster.servers;
  assert.ok(first !== undefined && second !== undefined);

  await first.kill();
  await eventually("one lost", () => submit(queue, "b", recorded), ELECTION_MS);

  await second.kill();
  const before = recorded.length;
  await eventually("two lost", async () => !(await submit(queue, "c", recorded)), ELECTION_MS);
  assert.equal(await submit(queue, "d", recorded), false);
  assert.equal(recorded.includes("d"), false);
  await eventually("the owner stops", () => claim.signal.aborted);
  assert.ok(recorded.length - before <= 1);

  await first.start();
  await second.start();
  await eventually("back again", () => submit(queue, "d", recorded), ELECTION_MS);
  const again = await take(claims, claim.epoch);
  assert.ok(again.epoch > claim.epoch);
  await again[Symbol.asyncDispose]();
  const delivered = new Set<string>();
  await eventually("all accepted jobs are there", async () => {
    const delivery = await queue.next(1_000).catch(() => undefined);
    if (delivery !== undefined) delivered.add(jobIdOf(delivery.job));
    await delivery?.acknowledge();
    return ["a", "b", "d"].every((id) => delivered.has(id));
  });
});
