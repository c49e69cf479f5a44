// The size that is promised: a million tasks on a thousand workers, submitted without stopping the event
// loop, in bounded memory; and ten thousand queued jobs. A process of its own, so that memory is its own.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

interface Measured {
  readonly submitMs: number;
  readonly stepP99Ms: number;
  readonly stepMaxMs: number;
  readonly tickMaxMs: number;
  readonly decisionP99Ms: number;
  readonly residentMiB: number;
}

test("a million tasks on a thousand workers: steps stay under a second, memory under 2 GiB", (t) => {
  const program = fileURLToPath(new URL("./million.js", import.meta.url));
  const { stdout, stderr, status } = spawnSync(process.execPath, [program], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  const measured: Measured = JSON.parse(stdout);
  t.diagnostic(stdout);
  assert.ok(measured.stepP99Ms < 1_000, `submit step p99 ${measured.stepP99Ms} ms`);
  assert.ok(measured.decisionP99Ms < 5, `decision p99 ${measured.decisionP99Ms} ms`);
  assert.ok(measured.residentMiB < 2_048, `${measured.residentMiB} MiB`);
});
