// Everything a change must pass besides its tests: format, lint, types, proto lint, generated
// code, tidiness rules, a cross-compilation. All steps run even when one fails; --fix repairs what
// a tool can repair.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setup } from "./setup.mjs";
import { filesBelow, modifiedMs, ROOT, run, tool } from "./steps.mjs";

const fix = process.argv.includes("--fix");
const PROTO = join(ROOT, "proto");
const BUF = "@bufbuild/buf/bin/buf";

/** buf starts the code generator by name, so npm's bin folder must be on its PATH. */
const bufEnvironment = {
  ...process.env,
  PATH: `${join(ROOT, "node_modules", ".bin")}${delimiter}${process.env.PATH ?? ""}`,
};

function buf(args) {
  return tool(BUF, args, { cwd: PROTO, env: bufEnvironment }) === 0;
}

function biome() {
  const args = ["check", ...(fix ? ["--write"] : []), "--max-diagnostics=50", "."];
  return tool("@biomejs/biome/bin/biome", args) === 0;
}

function clangFormat() {
  const files = filesBelow(join(ROOT, "native"), /\.(h|cc|cu|cuh)$/);
  if (files.length === 0) return true;
  const args = fix ? ["-i"] : ["--dry-run", "--Werror", "--ferror-limit=5"];
  return tool("clang-format/index.js", [...args, ...files]) === 0;
}

function generatedCode() {
  const committed = join(PROTO, "src", "gen");
  if (fix) return buf(["generate"]);
  const directory = mkdtempSync(join(tmpdir(), "graft-check-"));
  try {
    if (!buf(["generate", "-o", directory])) return false;
    const fresh = join(directory, "src", "gen");
    const diff = spawnSync("diff", ["-r", "-u", committed, fresh], { encoding: "utf8" });
    if (diff.status === 0) return true;
    console.error(diff.stdout.split("\n").slice(0, 40).join("\n"));
    console.error("proto/src/gen: differs from what the .proto files give; run: npm run fix");
    return false;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function tidy() {
  const args = ["--test", "--test-reporter=spec", join(ROOT, "test", "dist", "tidy.test.js")];
  return run(process.execPath, args) === 0;
}

/** The NEON kernels at least compile; running them needs another machine. Output stays outside the tree. */
function aarch64() {
  const compiler = "aarch64-linux-gnu-g++";
  if (spawnSync(compiler, ["--version"]).status !== 0) {
    console.log(`SKIPPED: no ${compiler} (Debian: apt-get install g++-aarch64-linux-gnu)`);
    return true;
  }
  const directory = mkdtempSync(join(tmpdir(), "graft-aarch64-"));
  try {
    const options = [
      "-DCMAKE_SYSTEM_NAME=Linux",
      "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
      `-DCMAKE_CXX_COMPILER=${compiler}`,
      "-DGRAFT_ADDON=OFF",
    ];
    const configure = ["-S", join(ROOT, "native"), "-B", directory, ...options];
    const build = ["--build", directory, "--target", "graft_core", "--parallel"];
    return [configure, build].every((args) => spawnSync("cmake", args, QUIET).status === 0);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const QUIET = { stdio: ["ignore", "ignore", "inherit"] };

const STEPS = [
  ["format and lint (biome)", biome],
  ["format of native code (clang-format)", clangFormat],
  ["types (tsc)", () => tool("typescript/bin/tsc", ["-b"]) === 0],
  ["proto lint (buf)", () => buf(["lint"])],
  ["generated code is current", generatedCode],
  ["tidiness rules", tidy],
  ["native code compiles for aarch64 (NEON)", aarch64],
];

if (modifiedMs(join(ROOT, "node_modules", ".package-lock.json")) === 0) setup();
const failed = [];
for (const [name, step] of STEPS) {
  console.log(`> ${name}`);
  if (!step()) failed.push(name);
}
if (failed.length > 0) {
  console.error(`\ncheck: ${failed.length} of ${STEPS.length} failed: ${failed.join("; ")}`);
  if (!fix) console.error("check: npm run fix repairs formats and generated code");
  process.exit(1);
}
console.log(`\ncheck: all ${STEPS.length} passed`);
