import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import {
  exists,
  openWork,
  removeWork,
  resetWork,
  settleSwap,
  type WorkPaths,
  workPaths,
} from "./work.js";

describe("work folder", () => {
  let directory = "";
  let paths: WorkPaths;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "graft-work-"));
    paths = workPaths(join(directory, "merged"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  /** A checkpoint is recognised by what its only file says. */
  const put = async (path: string, text: string): Promise<void> => {
    await mkdir(path, { recursive: true });
    await writeFile(join(path, "file"), text);
  };
  const read = (path: string): Promise<string> => readFile(join(path, "file"), "utf8");

  it("lies beside the output and is gone with its lock when the work is removed", async () => {
    const lock = await openWork(paths);
    await resetWork(paths);
    await writeFile(paths.journal, "x");
    assert.deepEqual(await readdir(directory), ["merged.graft"]);
    await removeWork(paths, lock);
    assert.deepEqual(await readdir(directory), []);
  });

  it("keeps files that no merge puts there", async () => {
    const lock = await openWork(paths);
    await writeFile(join(paths.work, "notes.txt"), "mine");
    await removeWork(paths, lock);
    assert.deepEqual(await readdir(paths.work), ["notes.txt"]);
  });

  it("puts the old output back when a swap stopped between its two renames", async () => {
    await put(paths.replaced, "old");
    await put(paths.partial, "new");
    await settleSwap(paths);
    assert.equal(await read(paths.output), "old");
    assert.equal(await read(paths.partial), "new");
    assert.equal(await exists(paths.replaced), false);
  });

  it("drops the old output when the swap went through", async () => {
    await put(paths.replaced, "old");
    await put(paths.output, "new");
    await settleSwap(paths);
    assert.equal(await read(paths.output), "new");
    assert.equal(await exists(paths.replaced), false);
  });

  it("touches nothing when old, new and partial are all there", async () => {
    for (const path of [paths.replaced, paths.output, paths.partial]) await put(path, path);
    await assert.rejects(settleSwap(paths), /remove one of the two/);
    for (const path of [paths.replaced, paths.output, paths.partial]) {
      assert.equal(await read(path), path);
    }
  });
});
