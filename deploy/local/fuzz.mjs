// Fuzzes the safetensors header reader with libFuzzer: --seconds N (default 60) or --runs N.
// The library is built apart from the usual build, with coverage and sanitizers, because a fuzzer
// that sees only its own entry point finds nothing. What is found lies in native/build/fuzz.
import { mkdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { capture, ROOT, run, stop } from "./steps.mjs";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "60" }, runs: { type: "string" } },
});
if (capture("clang++", ["--version"]) === null) {
  stop("fuzz: no clang++ (libFuzzer comes with it)\n    Debian: sudo apt-get install -y clang");
}

const build = join(ROOT, "native", "build", "fuzz");
const configure = [
  [
    "-S",
    "native",
    "-B",
    build,
    "-DCMAKE_CXX_COMPILER=clang++",
    "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
  ],
  ["-DGRAFT_FUZZ=ON", "-DGRAFT_ADDON=OFF"],
  ["-DCMAKE_CXX_FLAGS=-fsanitize=fuzzer-no-link,address,undefined -Wno-psabi"],
].flat();
const compile = ["--build", build, "--target", "header_fuzz"];
const parallel = ["--parallel", String(availableParallelism())];
if (run("cmake", configure) !== 0 || run("cmake", [...compile, ...parallel]) !== 0) {
  stop("fuzz: the build failed; see above");
}

const found = join(build, "found");
mkdirSync(found, { recursive: true });
const length =
  values.runs === undefined ? `-max_total_time=${values.seconds}` : `-runs=${values.runs}`;
const options = [length, "-print_final_stats=1", "-dict=native/fuzz/header.dict"];
const folders = [`-artifact_prefix=${build}/`, found, "native/fuzz/corpus"];
process.exit(run(join(build, "header_fuzz"), [...options, ...folders]) === 0 ? 0 : 1);
