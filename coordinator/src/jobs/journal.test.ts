import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { GraftError } from "@graft/proto";
import { openJournal, recoverJournal } from "./journal.js";
import type { JournalRecord } from "./records.js";

const records: readonly JournalRecord[] = [
  {
    kind: "task-done",
    taskId: "a",
    epoch: 1,
    outputs: ["d1"],
    inputs: ["d3"],
    nonFinite: [["ä", "x", 1, 0]],
  },
  {
    kind: "task-done",
    taskId: "b",
    epoch: 2,
    outputs: ["d2"],
    inputs: ["d3"],
    nonFinite: [["ä", "x", 1, 0]],
  },
  { kind: "task-void", taskIds: ["a"], reason: "lost write" },
  { kind: "file-verified", name: "model.safetensors", sha256: "ff" },
  { kind: "published" },
];

describe("journal", () => {
  let directory = "";
  let path = "";
  let bytes = Buffer.alloc(0);
  /** Byte at which each line starts, and the end. */
  let starts: number[] = [];

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "graft-journal-"));
    path = join(directory, "journal");
    await using journal = await openJournal(path);
    for (const record of records) await journal.append(record);
    bytes = await readFile(path);
    starts = [0];
    bytes.forEach((byte, index) => {
      if (byte === 0x0a) starts.push(index + 1);
    });
  });
  after(() => rm(directory, { recursive: true }));

  const wholeLines = (length: number): number =>
    starts.filter((start) => start > 0 && start <= length).length;

  it("gives back what was appended", async () => {
    await using journal = await openJournal(path);
    assert.deepEqual(journal.recovered, records);
  });

  it("recovers the longest valid prefix when truncated at every byte", () => {
    for (let length = 0; length <= bytes.length; length += 1) {
      const recovery = recoverJournal(path, bytes.subarray(0, length));
      assert.deepEqual(recovery.records, records.slice(0, wholeLines(length)), `at ${length}`);
      assert.equal(recovery.validBytes, starts[wholeLines(length)]);
    }
  });

  it("recovers a prefix or refuses naming the record when any byte is flipped", () => {
    // From the newline before the last line on, damage looks like a torn write.
    const tail = (starts[starts.length - 2] as number) - 1;
    for (let index = 0; index < bytes.length; index += 1) {
      for (const bit of [0x01, 0x80]) {
        const damaged = Buffer.from(bytes);
        damaged[index] = (damaged[index] as number) ^ bit;
        const line = wholeLines(index);
        if (index >= tail) {
          const recovery = recoverJournal(path, damaged);
          assert.deepEqual(recovery.records, records.slice(0, line), `byte ${index}`);
          continue;
        }
        assert.throws(
          () => recoverJournal(path, damaged),
          (error) =>
            error instanceof GraftError &&
            error.code === "JOURNAL" &&
            error.message.includes(`record ${line + 1} is damaged`),
          `byte ${index}`,
        );
      }
    }
  });

  it("refuses a journal from which a whole record is missing", () => {
    const cut = Buffer.concat([bytes.subarray(0, starts[1]), bytes.subarray(starts[2])]);
    assert.throws(() => recoverJournal(path, cut), /record 2 is damaged/);
  });

  it("goes on after a torn tail at the next sequence", async () => {
    const copy = join(directory, "torn");
    await writeFile(copy, bytes);
    await truncate(copy, bytes.length - 3);
    {
      await using journal = await openJournal(copy);
      assert.equal(journal.recovered.length, records.length - 1);
      await journal.append({ kind: "published" });
    }
    assert.deepEqual(await readFile(copy), bytes);
  });

  it("writes concurrent appends as one group in order", async () => {
    const copy = join(directory, "grouped");
    {
      await using journal = await openJournal(copy);
      await Promise.all(records.map((record) => journal.append(record)));
    }
    await using reopened = await openJournal(copy);
    assert.deepEqual(reopened.recovered, records);
    const lines = (await readFile(copy, "utf8")).trimEnd().split("\n");
    assert.ok(lines.length <= 2, `${lines.length} lines for one burst`);
  });
});
