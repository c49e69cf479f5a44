import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { GraftError } from "@graft/proto";
import { temporaryFolder, writeTree } from "../test-models.js";
import { resolveReference } from "./reference.js";

test("a relative reference is tried against every directory in order", async (t) => {
  const folder = writeTree(temporaryFolder(t), { "b/model/x": "", "c/model/x": "" });
  const search = ["a", "b", "c"].map((name) => join(folder, name));
  assert.equal(await resolveReference("model", search), join(folder, "b/model"));
  assert.equal(await resolveReference("./model/", search), join(folder, "b/model"));
});

test("an absolute reference is taken as it is", async (t) => {
  const folder = temporaryFolder(t);
  assert.equal(await resolveReference(folder, ["/elsewhere"]), folder);
});

test("the error lists every path that was tried and what is there", async (t) => {
  const folder = writeTree(temporaryFolder(t), { "b/model": "a file" });
  const search = [join(folder, "a"), join(folder, "b")];
  await assert.rejects(
    resolveReference("model", search),
    (error) =>
      error instanceof GraftError &&
      error.code === "MODEL_NOT_FOUND" &&
      error.message ===
        `model "model": no such directory; looked for ${folder}/a/model, ` +
          `${folder}/b/model (not a directory)`,
  );
});

for (const reference of ["", "a\0b", "org/name"]) {
  test(`the reference ${JSON.stringify(reference)} is not found, not a crash`, async (t) => {
    await assert.rejects(
      resolveReference(reference, [temporaryFolder(t)]),
      (error) => error instanceof GraftError && error.code === "MODEL_NOT_FOUND",
    );
  });
}
