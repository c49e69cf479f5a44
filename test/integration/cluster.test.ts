// A static cluster: workers that were started by hand, a shared disk, one submit. Whatever the number of
// workers and whoever dies, the files are those of a merge on one machine.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makeFamily, ODD_SHAPE, RECIPES } from "../support/fixtures.js";
import { waitFor } from "../support/processes.js";
import { createRandom, runSeed } from "../support/random.js";
import {
  hashDirectory,
  runCli,
  startCli,
  temporaryDirectory,
  transcript,
  writeRecipe,
} from "../support/run.js";
import { startWorkerDaemon, type WorkerDaemon, workerFlags } from "../support/workers.js";

const SLOW = { GRAFT_ISA: "scalar", GRAFT_TILE_BYTES: `${2 ** 20}` };
const SHAPE = { shape: ODD_SHAPE, dtype: "BF16", fineTunes: 3, shardSizeBytesMax: 5e6 } as const;

describe("static cluster", () => {
  test("1, 2, 4 and 7 workers give the files of one machine", async (context) => {
    const directory = temporaryDirectory(context);
    const names = makeFamily({ directory, ...SHAPE });
    const workers = await startDaemons(context, 7);
    for (const method of ["slerp", "dare_ties", "ties", "linear"] as const) {
      const recipe = writeRecipe(directory, RECIPES[method](names));
      const alone = join(directory, `${method}-alone`);
      const reference = await runCli(["submit", recipe, "--out", alone]);
      assert.equal(reference.exitCode, 0, transcript(reference));
      for (const count of [1, 2, 4, 7]) {
        const out = join(directory, `${method}-${count}`);
        const flags = workerFlags(workers.slice(0, count));
        const result = await runCli(["submit", recipe, "--out", out, ...flags]);
        assert.equal(result.exitCode, 0, transcript(result));
        assert.deepEqual(hashDirectory(out), hashDirectory(alone), `${method} on ${count}`);
      }
    }
  });

  test("workers that are killed at random moments cost nothing but time", async (context) => {
    const seed = runSeed();
    context.diagnostic(`GRAFT_SEED=${seed}`);
    const random = createRandom(seed);
    const directory = temporaryDirectory(context);
    const names = makeFamily({ directory, ...SHAPE });
    const recipe = writeRecipe(directory, RECIPES.dare_ties(names));
    const alone = join(directory, "alone");
    assert.equal((await runCli(["submit", recipe, "--out", alone])).exitCode, 0);
    for (let round = 0; round < 6; round += 1) {
      const workers = await startDaemons(context, 3, SLOW);
      const out = join(directory, `out-${round}`);
      const running = startCli(["submit", recipe, "--out", out, ...workerFlags(workers)]);
      const ended = (): boolean => running.process.exitCode !== null;
      await waitFor(() => existsSync(`${out}.graft`), ended);
      for (const { process: victim } of workers.slice(0, 2)) {
        await sleep(random() * 400);
        victim.kill("SIGKILL");
      }
      const result = await running.done;
      const label = `round ${round}, GRAFT_SEED=${seed}`;
      assert.equal(result.exitCode, 0, `${label}\n${transcript(result)}`);
      assert.deepEqual(hashDirectory(out), hashDirectory(alone), label);
    }
  });

  test("a worker that is not there at the start is done without, and named", async (context) => {
    const directory = temporaryDirectory(context);
    const names = makeFamily({ directory, ...SHAPE });
    const recipe = writeRecipe(directory, RECIPES.linear(names));
    const workers = await startDaemons(context, 2);
    const [gone, left] = workers as [WorkerDaemon, WorkerDaemon];
    gone.process.kill("SIGKILL");
    const out = join(directory, "out");
    const flags = ["--worker", gone.address, "--worker", left.address];
    const result = await runCli(["submit", recipe, "--out", out, ...flags]);
    assert.equal(result.exitCode, 0, transcript(result));
  });

  test("addresses are checked before anything is done", async () => {
    const cases = [
      [["--worker", "nowhere"], /--worker: expected HOST:PORT or unix:PATH, got "nowhere"/],
      [
        ["--worker", "10.0.0.1:7000"],
        /is another machine, so it needs --tls-cert, --tls-key and --tls-ca/,
      ],
      [["--worker", "localhost:1", "--worker", "localhost:1"], /"localhost:1" is given twice/],
      [["--worker", "localhost:1", "--threads", "2"], /--threads: belongs to the worker/],
      [["--detach"], /--detach: needs --coordinator/],
    ] as const;
    for (const [flags, message] of cases) {
      const result = await runCli(["submit", "recipe.yaml", "--out", "out", ...flags]);
      assert.equal(result.exitCode, 2, transcript(result));
      assert.match(result.stderr, message);
    }
  });
});

function startDaemons(
  context: Parameters<typeof startWorkerDaemon>[0],
  count: number,
  env: Readonly<Record<string, string>> = {},
): Promise<WorkerDaemon[]> {
  return Promise.all(Array.from({ length: count }, () => startWorkerDaemon(context, { env })));
}
