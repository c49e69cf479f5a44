// A NATS store whose files were damaged while the server was down: whatever the server makes of it,
// every recorded job is delivered whole after it was queued again, and nothing else is believed.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { jobSubject, MESSAGES, QueuedJob, SubmitRequest, sealMessage } from "@graft/proto";
import { jobIdOf, openQueue } from "./queue.js";
import { eventually, SKIP_WITHOUT_NATS, startTestServer } from "./server-for-tests.js";

const skip = SKIP_WITHOUT_NATS;
const JOBS = Array.from({ length: 20 }, (_, i) =>
  QueuedJob.create({
    request: SubmitRequest.create({ jobId: `j${i}`, recipeText: "r".repeat(50) }),
  }),
);

function blockFiles(directory: string): readonly string[] {
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.endsWith(".blk")).map((name) => join(directory, name));
}

/** In the middle of a payload, where only checksums can tell. */
function flipBits(path: string): void {
  const bytes = readFileSync(path);
  const text = bytes.toString("latin1");
  for (const id of ["j3", "j7", "j11"]) {
    const at = text.lastIndexOf(`${id}\u0012`);
    if (at >= 0) bytes[at + 10] = (bytes[at + 10] ?? 0) ^ 2;
  }
  writeFileSync(path, bytes);
}

const DAMAGES: readonly (readonly [string, (path: string) => void])[] = [
  ["flipped bits", flipBits],
  ["truncated files", (path) => truncateSync(path, readFileSync(path).length >> 1)],
  ["files of zeros", (path) => writeFileSync(path, Buffer.alloc(readFileSync(path).length))],
];

describe("a damaged store", { skip, concurrency: true }, () => {
  for (const [name, damage] of DAMAGES) {
    test(`${name} cost no recorded job`, async () => {
      await using server = await startTestServer();
      await using link = await server.connect();
      const ignored: string[] = [];
      const queue = await openQueue({ link, onIgnored: (where) => ignored.push(where) });
      for (const job of JOBS) await queue.submit(job, async () => undefined);
      await server.kill();
      const files = blockFiles(server.storeDirectory);
      assert.ok(files.length > 0);
      for (const path of files) damage(path);
      await server.start();
      const requeueAll = async (): Promise<void> => {
        for (const job of JOBS) await queue.requeue(job);
      };
      await eventually("queued again", () =>
        requeueAll().then(
          () => true,
          () => false,
        ),
      );
      const delivered = new Map<string, QueuedJob>();
      await eventually("all are delivered", async () => {
        const delivery = await queue.next(1_000).catch(() => undefined);
        if (delivery === undefined) await requeueAll();
        else delivered.set(jobIdOf(delivery.job), delivery.job);
        await delivery?.acknowledge();
        return delivered.size === JOBS.length;
      });
      for (const job of JOBS) assert.deepEqual(delivered.get(jobIdOf(job)), job);
    });
  }

  test("the bits that are flipped are in messages", () => {
    const [, , , job] = JOBS;
    assert.ok(job !== undefined && jobSubject("j3") === "graft.jobs.j3");
    const text = Buffer.from(sealMessage(MESSAGES.queuedJob, job)).toString("latin1");
    assert.ok(text.includes("j3\u0012"));
  });
});
