import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { NativeError } from "@graft/native";
import { ErrorDetail, GraftError } from "@graft/proto";
import { ERROR_TRAILER, toGraftError, toStatus } from "./errors.js";

test("an error of the addon gets its code, its sentence and its status", () => {
  const status = toStatus(
    new NativeError("ST_TRUNCATED", { path: "a", actual: "1", expected: "2" }),
  );
  assert.equal(status.code, 3);
  assert.equal(
    status.details,
    "a: 1 bytes, but the header describes 2; the download is incomplete",
  );
  const [trailer] = status.metadata.get(ERROR_TRAILER);
  assert.ok(Buffer.isBuffer(trailer));
  const error = GraftError.fromDetail(ErrorDetail.decode(trailer));
  assert.equal(error.code, "ST_TRUNCATED");
  assert.equal(error.message, status.details);
  assert.deepEqual(error.details, { path: "a", actual: "1", expected: "2" });
});

test("a code that the table lacks is an internal error that keeps its text", () => {
  const error = toGraftError(new NativeError("NO_SUCH_CODE", {}));
  assert.equal(error.code, "INTERNAL");
  assert.match(error.message, /NO_SUCH_CODE/);
});

test("an aborted signal is a cancellation", () => {
  assert.equal(toGraftError(AbortSignal.abort().reason).code, "CANCELLED");
});

test("a failed system call names path and operation", async () => {
  const error = toGraftError(await readFile("/no/such/file").catch((reason) => reason));
  assert.equal(error.message, "/no/such/file: open: ENOENT");
});

test("a system call that fails for lack of space or rights has its own code", () => {
  const failure = (code: string): Error =>
    Object.assign(new Error("x"), { code, syscall: "write", path: "/out/a" });
  assert.equal(toGraftError(failure("ENOSPC")).code, "DISK_FULL");
  assert.equal(toGraftError(failure("EACCES")).code, "PERMISSION");
});

test("a long text is cut so that the trailers fit into one header block", () => {
  const status = toStatus(new GraftError("INTERNAL", { problem: "x".repeat(100_000) }));
  const [trailer] = status.metadata.get(ERROR_TRAILER);
  assert.ok(status.details.length + (trailer?.length ?? 0) < 8000);
});
