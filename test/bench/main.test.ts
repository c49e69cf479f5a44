import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { HAS_PROC } from "../support/processes.js";
import { temporaryDirectory } from "../support/run.js";
import type { Sample } from "./rounds.js";

const MAIN = fileURLToPath(new URL("main.js", import.meta.url));

interface Report {
  readonly results: readonly { readonly name: string; readonly samples: readonly Sample[] }[];
}

test("the benchmark measures Graft and the probe in turn and leaves no output behind", {
  skip: HAS_PROC ? false : "measures through Linux's /proc",
}, (context) => {
  const directory = temporaryDirectory(context);
  const json = join(directory, "report.json");
  const sizes = ["--size", "14MB", "--dare-size", "4MB", "--runs", "2"];
  // Other tests run at the same time; no run is thrown away for them.
  const cases = ["--methods", "passthrough,slerp", "--state", "warm"];
  const flags = ["--foreign-max", "1000", "--dir", directory, "--json", json];
  const result = spawnSync(process.execPath, [MAIN, ...sizes, ...cases, ...flags], {
    encoding: "utf8",
  });
  assert.equal(result.status, 0, result.stderr);
  for (const name of ["passthrough, copy", "passthrough, stack", "slerp of 2"]) {
    assert.match(result.stdout, new RegExp(`^\\| ${name} \\| warm \\|`, "m"));
  }
  const { results } = JSON.parse(readFileSync(json, "utf8")) as Report;
  for (const { name, samples } of results) {
    const order = samples.map(({ contender }) => contender);
    assert.deepEqual(order, ["graft", "probe", "graft", "probe"], name);
    for (const { contender, wallSeconds, processorSeconds, verifiedSeconds } of samples) {
      assert.ok(wallSeconds > 0, name);
      if (contender !== "graft") continue;
      // The worker's time is in it: two Node processes cannot start for less.
      assert.ok(processorSeconds > 0.1, `${name}: ${processorSeconds} CPU-s`);
      assert.ok((verifiedSeconds ?? 0) > 0 && (verifiedSeconds ?? 0) < wallSeconds, name);
    }
  }
  const left = readdirSync(join(directory, "work")).filter((file) => !file.endsWith(".yaml"));
  assert.deepEqual(left, []);
});
