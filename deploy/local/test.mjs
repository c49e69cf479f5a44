// Sets up, then runs every compiled test of every package and the native tests; words given as
// arguments choose test files by path, --long runs the *.long.ts suites instead. The closing line is
// "N passed, N failed, N skipped", after every skip with its reason.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { setup } from "./setup.mjs";
import { filesBelow, ROOT, run, say } from "./steps.mjs";

/** Where each package keeps its sources and where tsc puts them. */
const PACKAGES = [
  ["proto/src", "proto/dist"],
  ["native/ts", "native/dist"],
  ["coordinator/src", "coordinator/dist"],
  ["worker/src", "worker/dist"],
  ["test", "test/dist"],
];

const argumentsGiven = process.argv.slice(2);
const long = argumentsGiven.includes("--long");
const words = argumentsGiven
  .filter((argument) => !argument.startsWith("--"))
  .map((word) => word.replace(/\.(ts|js)$/, ""));

/** Starts from the sources, so that the output of a deleted test is not run. */
function testFiles() {
  const pattern = long ? /\.long\.ts$/ : /\.test\.ts$/;
  return PACKAGES.flatMap(([source, output]) =>
    filesBelow(join(ROOT, source), pattern).map((path) => {
      const name = relative(join(ROOT, source), path).replace(/\.ts$/, ".js");
      return { source: relative(ROOT, path), compiled: join(ROOT, output, name) };
    }),
  ).filter(({ source }) => words.length === 0 || words.some((word) => source.includes(word)));
}

function tapCount(tap, name) {
  return Number(new RegExp(`^# ${name} (\\d+)$`, "m").exec(tap)?.[1] ?? 0);
}

/** Two reporters: one to read, and TAP in a file for the closing line. */
function runNodeTests(files) {
  const counts = { passed: 0, failed: 0, skips: [] };
  if (files.length === 0) return counts;
  const directory = mkdtempSync(join(tmpdir(), "graft-test-"));
  try {
    const tapPath = join(directory, "tap");
    const reporters = [
      ["spec", "stdout"],
      ["tap", tapPath],
    ].flatMap(([name, to]) => [`--test-reporter=${name}`, `--test-reporter-destination=${to}`]);
    const code = run(process.execPath, ["--test", ...reporters, ...files]);
    const tap = existsSync(tapPath) ? readFileSync(tapPath, "utf8") : "";
    counts.passed = tapCount(tap, "pass");
    counts.failed = tapCount(tap, "fail") + tapCount(tap, "cancelled");
    if (code !== 0 && counts.failed === 0) counts.failed = 1;
    counts.skips = tap.split("\n").filter((line) => /^\s*ok \d+ .*# SKIP/.test(line));
    return counts;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The C++ tests are one program; it may print "N passed, N failed", else it counts as one test. */
function runNativeTests() {
  const program = join(ROOT, "native", "build", "graft_native_tests");
  if (!existsSync(program)) {
    console.error(`${relative(ROOT, program)}: not built; run: npm run setup`);
    return { passed: 0, failed: 1 };
  }
  const result = spawnSync(program, [], { cwd: ROOT, encoding: "utf8", maxBuffer: 2 ** 26 });
  process.stdout.write(result.stdout ?? "");
  process.stderr.write(result.stderr ?? "");
  const numbers = /(\d+) passed, (\d+) failed/.exec(result.stdout ?? "");
  if (numbers === null)
    return result.status === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
  const failed = Number(numbers[2]);
  return { passed: Number(numbers[1]), failed: result.status === 0 ? failed : Math.max(1, failed) };
}

setup();
const files = testFiles();
if (files.length === 0 && words.length > 0) {
  console.error(`test: no test file matches ${words.join(", ")}`);
  process.exit(2);
}
say(`running ${files.length} test files`);
const counts = runNodeTests(files.map(({ compiled }) => compiled));
if (!long && words.length === 0) {
  say("running native tests");
  const native = runNativeTests();
  counts.passed += native.passed;
  counts.failed += native.failed;
}
for (const line of counts.skips) console.log(line.trim().replace(/^ok \d+ - /, "skipped: "));
console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skips.length} skipped`);
process.exit(counts.failed === 0 ? 0 : 1);
