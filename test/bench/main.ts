// The benchmark: what a merge costs beside reading its inputs once and writing its output once, and
// beside mergekit, on generated models with the layers of 7B models. Progress goes to standard error,
// the tables to standard output.
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { type BenchCase, benchCases } from "./cases.js";
import {
  type CaseFiles,
  graftContender,
  peerContender,
  peerStart,
  probeContender,
  removeOutputs,
  weightFiles,
  weightSizes,
} from "./contenders.js";
import { describeMachine } from "./machine.js";
import { runMeasured } from "./measured-process.js";
import { makeModels, shapeName, shapeOfSize } from "./model-store.js";
import { type BenchOptions, InputError, parseOptions, USAGE } from "./options.js";
import { renderReport, rowsOf } from "./report.js";
import type { CaseResult, Sha256Stage } from "./results.js";
import { measureRounds } from "./rounds.js";

const say = (line: string): void => console.error(line);
const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

try {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) console.log(USAGE);
  else if (options.clean) clean(options);
  else await bench(options);
} catch (error) {
  if (!(error instanceof InputError)) throw error;
  console.error(`${error.message} (see: --help)`);
  process.exitCode = 2;
}

function modelsDirectory({ directory }: BenchOptions): string {
  return join(directory, "models");
}

function workDirectory({ directory }: BenchOptions): string {
  return join(directory, "work");
}

function clean(options: BenchOptions): void {
  for (const path of [modelsDirectory(options), workDirectory(options)]) {
    rmSync(path, { recursive: true, force: true });
  }
}

async function bench(options: BenchOptions): Promise<void> {
  if (!existsSync("/proc/self/stat"))
    throw new Error("the benchmark measures through Linux's /proc");
  const work = workDirectory(options);
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  const cases = benchCases({
    methods: options.methods,
    shapes: {
      // Fewer layers could not be stacked in overlapping slices.
      large: shapeOfSize(options.sizeBytes, 4),
      ties: shapeOfSize(options.tiesSizeBytes, 1),
      dare: shapeOfSize(options.dareSizeBytes, 1),
    },
    modelPath: (shape, model) =>
      relative(work, join(modelsDirectory(options), shapeName(shape), model)),
  });
  makeModels({
    directory: modelsDirectory(options),
    sets: cases.map(({ models }) => models),
    spareBytes: spareBytes(options),
    say,
  });
  const peerStartSeconds = options.peer === null ? null : await timePeerStart(options.peer, work);
  const results: CaseResult[] = [];
  const sha256: Sha256Stage[] = [];
  for (const bench of cases) {
    const measured = await measureCase(bench, options);
    results.push(...measured.results);
    sha256.push(measured.sha256);
  }
  const { runs, foreignShareMax } = options;
  const machine = describeMachine(work);
  const report = { machine, runs, foreignShareMax, peerStartSeconds, results, sha256 };
  process.stdout.write(renderReport(report));
  if (options.jsonPath !== null) {
    const figures = rowsOf(report).map(({ result, ...rest }) => ({
      ...{ name: result.name, state: result.state },
      ...rest,
    }));
    writeFileSync(options.jsonPath, `${JSON.stringify({ ...report, figures }, null, 2)}\n`);
  }
}

/** The second time, with its program in memory. Also fails early where it cannot run at all. */
async function timePeerStart(python: string, directory: string): Promise<number> {
  try {
    await runMeasured(peerStart(python, directory));
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new InputError(`--peer: mergekit does not start: ${problem}`);
  }
  return (await runMeasured(peerStart(python, directory))).wallSeconds;
}

/** Beside the models: an output one and a half times as large as a model, and the scratch file. */
function spareBytes({ sizeBytes, tiesSizeBytes, dareSizeBytes }: BenchOptions): number {
  return 3 * Math.max(sizeBytes, tiesSizeBytes, dareSizeBytes);
}

function writeCase(bench: BenchCase, options: BenchOptions): CaseFiles {
  const directory = workDirectory(options);
  const recipePath = join(directory, `${bench.name.replaceAll(/\W+/g, "-")}.yaml`);
  writeFileSync(recipePath, bench.recipe);
  const inputFiles = bench.inputs.flatMap((model) => weightFiles(join(directory, model)));
  const inputBytes = total(inputFiles.map((path) => statSync(path).size));
  return { bench, directory, recipePath, inputFiles, inputBytes };
}

async function measureCase(
  bench: BenchCase,
  options: BenchOptions,
): Promise<{ readonly results: readonly CaseResult[]; readonly sha256: Sha256Stage }> {
  const files = writeCase(bench, options);
  const { outputSizes, sha256 } = await tryOnce(files);
  const outputBytes = total(outputSizes);
  const { runs, peer, peerRuns, foreignShareMax } = options;
  const contenders = [
    graftContender(files, runs, false),
    probeContender(files, runs, outputSizes),
    ...(peer === null ? [] : [peerContender(files, peerRuns, { python: peer, outputBytes })]),
  ];
  const results: CaseResult[] = [];
  for (const state of options.states) {
    const samples = await measureRounds({
      ...{ files, contenders, state, outputBytes, foreignShareMax },
      say,
    });
    const { name, method, models } = bench;
    const { inputBytes } = files;
    const shape = shapeName(models.shape);
    results.push({ name, method, state, shape, inputBytes, outputBytes, samples });
  }
  return { results, sha256 };
}

/** The first run of a case is not compared with anything: it tells the sizes and times sha256. */
async function tryOnce(
  files: CaseFiles,
): Promise<{ readonly outputSizes: readonly number[]; readonly sha256: Sha256Stage }> {
  const graft = graftContender(files, 1, true);
  removeOutputs(graft);
  const run = await runMeasured(graft.command);
  const { stages = [] } = graft.read(run);
  const outputSizes = weightSizes(join(files.directory, "graft"));
  removeOutputs(graft);
  const { name } = files.bench;
  const seconds = stages.find(({ stage }) => stage === "verify")?.seconds;
  if (seconds === undefined) throw new Error(`${name}: a run with sha256 has no verify stage`);
  say(`${name}: sha256 stage ${seconds.toFixed(2)} s`);
  return { outputSizes, sha256: { name, seconds, bytes: total(outputSizes) } };
}
