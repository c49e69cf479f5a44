import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type EventLog, openEventLog, readEventLog } from "./event-log.js";

function logPath(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "graft-log-"));
  context.after(() => rmSync(directory, { recursive: true }));
  return join(directory, "events");
}

function tell(log: EventLog, message: string): void {
  log.append({
    time: "2026-01-01T00:00:00.000Z",
    state: "running",
    event: { kind: "warning", message },
  });
}

const messages = ({ entries }: Pick<EventLog, "entries">) =>
  entries.map(({ sequence, event }) => [sequence, event.kind === "warning" ? event.message : ""]);

test("a log goes on where it was, and its numbers have no gaps", async (context) => {
  const path = logPath(context);
  {
    using log = openEventLog(path);
    tell(log, "a");
  }
  using log = openEventLog(path);
  tell(log, "b");
  assert.deepEqual(messages(log), [
    [1, "a"],
    [2, "b"],
  ]);
  assert.deepEqual(messages({ entries: await readEventLog(path) }), messages(log));
});

test("a torn line is cut off, wherever it was torn", (context) => {
  const path = logPath(context);
  {
    using log = openEventLog(path);
    tell(log, "kept");
    tell(log, "tørn");
  }
  const whole = readFileSync(path);
  const first = whole.indexOf("\n") + 1;
  for (let length = first; length < whole.length; length += 1) {
    writeFileSync(path, whole.subarray(0, length));
    using log = openEventLog(path);
    tell(log, "next");
    assert.deepEqual(messages(log), [
      [1, "kept"],
      [2, "next"],
    ]);
    assert.equal(readFileSync(path, "utf8").split("\n").length, 3);
  }
});

test("what follows a damaged line never counted", (context) => {
  const path = logPath(context);
  {
    using log = openEventLog(path);
    tell(log, "a");
  }
  appendFileSync(path, '\0\0\0\n{"sequence":3,"event":{"kind":"warning"}}\n');
  using log = openEventLog(path);
  assert.deepEqual(messages(log), [[1, "a"]]);
});
