import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { GraftError } from "@graft/proto";
import {
  checkDiskRoom,
  checkOutputFree,
  checkOutputPlace,
  DISK_RESERVE_BYTES,
  diskRoom,
} from "./preflight.js";
import { workPaths } from "./work.js";

const hasCode = (code: string) => (error: unknown) =>
  error instanceof GraftError && error.code === code;

describe("preflight", () => {
  let directory = "";
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "graft-preflight-"));
    await mkdir(join(directory, "model", "deep"), { recursive: true });
    await symlink(join(directory, "model"), join(directory, "link"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const place = (output: string): Promise<void> => {
    const input = { label: "model", directory: join(directory, "link") };
    return checkOutputPlace(workPaths(join(directory, output)), [input]);
  };

  for (const output of ["model", "link", "model/new", "link/deep/new", "."]) {
    it(`refuses the output ${output} because of the input`, async () => {
      await assert.rejects(place(output), hasCode("OUTPUT_INSIDE_INPUT"));
    });
  }

  it("accepts a neighbour whose name begins like the input's", async () => {
    await place("model-merged");
    await place("modelx");
  });

  it("refuses a parent that is missing or is a file, and creates nothing", async () => {
    await writeFile(join(directory, "file"), "");
    const before = await readdir(directory);
    await assert.rejects(place("missing/out"), /missing: create the output: no such directory/);
    await assert.rejects(place("file/out"), hasCode("IO"));
    assert.deepEqual(await readdir(directory), before);
  });

  it("refuses an output that exists unless it is to be replaced", async () => {
    const paths = workPaths(join(directory, "model"));
    await assert.rejects(checkOutputFree(paths, false), hasCode("OUTPUT_EXISTS"));
    await checkOutputFree(paths, true);
    await checkOutputFree(workPaths(join(directory, "new")), false);
  });

  it("counts what an earlier run has allocated", async () => {
    const paths = workPaths(join(directory, "out"));
    const fresh = await diskRoom(paths, 10_000_000);
    assert.equal(fresh.neededBytes, 10_000_000 + DISK_RESERVE_BYTES);
    await mkdir(paths.partial, { recursive: true });
    await writeFile(join(paths.partial, "model.safetensors"), Buffer.alloc(6_000_000, 1));
    const { neededBytes, freeBytes } = await diskRoom(paths, 10_000_000);
    assert.ok(neededBytes <= 4_000_000 + DISK_RESERVE_BYTES, `${neededBytes}`);
    assert.ok(freeBytes > 0);
  });

  it("names needed and free space when the disk is too small", () => {
    checkDiskRoom("/out", { neededBytes: 5, freeBytes: 5 });
    assert.throws(
      () => checkDiskRoom("/out", { neededBytes: 206e9, freeBytes: 138.5e9 }),
      /\/out: needs 206\.0 GB but only 138\.5 GB are free; free 67\.5 GB/,
    );
  });
});
