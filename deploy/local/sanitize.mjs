// Builds and runs the native tests under sanitizers: `address` (with undefined behaviour), `thread`, or both
// without an argument. Apart from the usual build, in native/build/address and native/build/thread;
// takes minutes.
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { ROOT, run, say, stop } from "./steps.mjs";

/** CMake option, and what makes the first finding end the run instead of scrolling by. */
const SANITIZERS = {
  address: ["GRAFT_SANITIZE", { UBSAN_OPTIONS: "halt_on_error=1:print_stacktrace=1" }],
  thread: ["GRAFT_THREAD_SANITIZE", { TSAN_OPTIONS: "halt_on_error=1" }],
};

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(SANITIZERS);
for (const name of wanted) {
  if (!Object.hasOwn(SANITIZERS, name)) {
    stop(`sanitize: unknown sanitizer "${name}", expected ${Object.keys(SANITIZERS).join(" or ")}`);
  }
  const [option, environment] = SANITIZERS[name];
  const build = join(ROOT, "native", "build", name);
  const parallel = ["--parallel", String(availableParallelism())];
  say(`${name} sanitizer: build`);
  const configure = ["-S", "native", "-B", build, "-DCMAKE_BUILD_TYPE=RelWithDebInfo"];
  const configured = run("cmake", [...configure, `-D${option}=ON`, "-DGRAFT_ADDON=OFF"]) === 0;
  const target = ["--target", "graft_native_tests"];
  if (!configured || run("cmake", ["--build", build, ...target, ...parallel]) !== 0) {
    stop("sanitize: the build failed; see above");
  }
  say(`${name} sanitizer: run`);
  const env = { ...process.env, ...environment };
  if (run(join(build, "graft_native_tests"), [], { env }) !== 0) process.exit(1);
}
