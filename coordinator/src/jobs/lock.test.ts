import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { GraftError } from "@graft/proto";
import { acquireLock } from "./lock.js";

const isLocked = (error: unknown): boolean =>
  error instanceof GraftError && error.code === "OUTPUT_LOCKED";

describe("lock", () => {
  let directory = "";
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "graft-lock-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const onlyLock = async (): Promise<string> => {
    const names = await readdir(directory);
    assert.equal(names.length, 1);
    return join(directory, names[0] as string);
  };

  it("is refused while another one lives, naming process and host", async () => {
    await using held = await acquireLock(directory, "/out");
    await assert.rejects(acquireLock(directory, "/out"), (error) => {
      assert.ok(isLocked(error));
      assert.match(String(error), new RegExp(`pid ${process.pid} on ${hostname()}`));
      return true;
    });
    await held.assertHeld();
  });

  it("is free again after release, and leaves no file", async () => {
    for (let round = 0; round < 2; round += 1) {
      await using lock = await acquireLock(directory, "/out");
      await lock.assertHeld();
    }
    assert.deepEqual(await readdir(directory), []);
  });

  it("is taken over from a process that was killed", async () => {
    const module = new URL("./lock.js", import.meta.url).href;
    const script = `const { acquireLock } = await import(${JSON.stringify(module)});
      await acquireLock(${JSON.stringify(directory)}, "/out");
      console.log("held"); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
    await once(child.stdout, "data");
    await assert.rejects(acquireLock(directory, "/out"), isLocked);
    child.kill("SIGKILL");
    await once(child, "exit");
    await using lock = await acquireLock(directory, "/out");
    await lock.assertHeld();
    await onlyLock();
  });

  it("is taken over when the process id now belongs to another process or boot", async () => {
    for (const change of [{ startTicks: "1" }, { bootId: "another" }]) {
      const first = await acquireLock(directory, "/out");
      const path = await onlyLock();
      const holder: object = JSON.parse(await readFile(path, "utf8"));
      await writeFile(path, JSON.stringify({ ...holder, ...change }));
      await using second = await acquireLock(directory, "/out");
      await second.assertHeld();
      await assert.rejects(first.assertHeld(), isLocked);
      await first[Symbol.asyncDispose]();
    }
  });

  it("believes a holder on another host only while it shows life", async () => {
    const path = join(directory, "lock-far");
    await writeFile(path, JSON.stringify({ pid: 1, host: "far", bootId: "x", startTicks: "1" }));
    await assert.rejects(acquireLock(directory, "/out"), /pid 1 on far/);
    const past = new Date(Date.now() - 120_000);
    await utimes(path, past, past);
    await using lock = await acquireLock(directory, "/out");
    await lock.assertHeld();
  });

  it("never lets two contenders in", async () => {
    const attempts = await Promise.allSettled(
      Array.from({ length: 8 }, () => acquireLock(directory, "/out")),
    );
    const winners = attempts.filter((attempt) => attempt.status === "fulfilled");
    assert.ok(winners.length <= 1, `${winners.length} holders`);
    for (const winner of winners) await winner.value[Symbol.asyncDispose]();
  });
});
