// Fuzzes the safetensors header reader with libFuzzer: --seconds N (default 60) or --runs N.
// Built apart from the library, with coverage and sanitizers, because a fuzzer that sees only its
// own entry point finds nothing. What it finds lies in native/build/fuzz.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { capture, filesBelow, ROOT, run, stop } from "./steps.mjs";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "60" }, runs: { type: "string" } },
});
if (capture("clang++", ["--version"]) === null) {
  stop("fuzz: no clang++ (libFuzzer comes with it)\n    Debian: sudo apt-get install -y clang");
}

const build = join(ROOT, "native", "build", "fuzz");
const program = join(build, "header_fuzz");
const found = join(build, "found");
mkdirSync(found, { recursive: true });

// Only what the header reader needs, and all of it instrumented.
const sources = ["format", "digest"].flatMap((folder) =>
  filesBelow(join(ROOT, "native", "src", folder), /\.cc$/),
);
const compiled = run("clang++", [
  ...["-std=c++20", "-O1", "-g", "-fno-omit-frame-pointer"],
  ...["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=undefined"],
  ...["-Inative/include", "-Inative/src", "-isystemnode_modules/xxhash-addon/xxHash"],
  ...["native/fuzz/header_fuzz.cc", ...sources, "native/src/engine/status.cc", "-o", program],
]);
if (compiled !== 0) stop("fuzz: the build failed; see above");

const length =
  values.runs === undefined ? `-max_total_time=${values.seconds}` : `-runs=${values.runs}`;
const options = [length, "-print_final_stats=1", "-dict=native/fuzz/header.dict"];
const folders = [`-artifact_prefix=${build}/`, found, "native/fuzz/corpus"];
process.exit(run(program, [...options, ...folders]) === 0 ? 0 : 1);
