// Makes a clean clone ready: checks the tools, installs packages, builds TypeScript and C++.
// What is up to date is left alone, so every other script starts by running this one.
// --build builds even when nothing changed (cmake from a fresh configure).
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { capture, modifiedMs, ROOT, run, say, stop, tool } from "./steps.mjs";

const INSTALL = {
  node: {
    Debian: "nvm install 20   (or Debian 13: sudo apt-get install -y nodejs npm)",
    Fedora: "sudo dnf install -y nodejs npm",
    macOS: "brew install node",
  },
  compiler: {
    Debian: "sudo apt-get install -y g++ make",
    Fedora: "sudo dnf install -y gcc-c++ make",
    macOS: "xcode-select --install",
  },
  cmake: {
    Debian: "sudo apt-get install -y cmake make",
    Fedora: "sudo dnf install -y cmake make",
    macOS: "brew install cmake",
  },
};

const CXX20_PROBE = `#include <bit>
#include <concepts>
#include <span>
template <std::integral T> constexpr T twice(T x) { return x * 2; }
static_assert(std::bit_ceil(5u) == 8u && twice(2) == 4);
int main() { return 0; }
`;

/** True when version (like "20.19.1") is at least the given major.minor. */
function atLeast(version, major, minor) {
  const [a = 0, b = 0] = version.split(".").map(Number);
  return a > major || (a === major && b >= minor);
}

function missing(what, install) {
  const lines = Object.entries(install).map(([system, command]) => `    ${system}: ${command}`);
  return `${what}\n${lines.join("\n")}`;
}

/** The first compiler that takes C++20, as cmake would choose it; null when there is none. */
function findCompiler() {
  const directory = mkdtempSync(join(tmpdir(), "graft-setup-"));
  try {
    const source = join(directory, "probe.cc");
    writeFileSync(source, CXX20_PROBE);
    const candidates = process.env.CXX ? [process.env.CXX] : ["c++", "g++", "clang++"];
    const works = (name) => capture(name, ["-std=c++20", "-fsyntax-only", source]) !== null;
    return candidates.find(works) ?? null;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Everything that is missing at once, so that one install command can follow another. */
function checkTools() {
  const problems = [];
  if (!atLeast(process.versions.node, 20, 19)) {
    problems.push(missing(`Node ${process.versions.node}: need 20.19 or newer`, INSTALL.node));
  }
  const compiler = findCompiler();
  if (compiler === null) problems.push(missing("no C++20 compiler", INSTALL.compiler));
  const cmake = /version ([\d.]+)/.exec(capture("cmake", ["--version"]) ?? "")?.[1];
  if (cmake === undefined) problems.push(missing("no CMake", INSTALL.cmake));
  else if (!atLeast(cmake, 3, 21)) {
    problems.push(missing(`CMake ${cmake}: need 3.21 or newer`, INSTALL.cmake));
  }
  if (["make", "ninja", "gmake"].every((name) => capture(name, ["--version"]) === null)) {
    problems.push(missing("no make and no ninja", INSTALL.compiler));
  }
  if (problems.length > 0) stop(`setup: missing on this machine:\n  ${problems.join("\n  ")}`);
  return compiler;
}

function installPackages() {
  const installedMs = modifiedMs(join(ROOT, "node_modules", ".package-lock.json"));
  if (installedMs > 0 && installedMs >= modifiedMs(join(ROOT, "package-lock.json"))) return;
  say("installing packages (npm ci)");
  // No package of ours needs an install script; ignoring them is one risk less.
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
  if (run("npm", args) !== 0) stop("setup: npm ci failed; see above");
}

function buildTypeScript(force) {
  say("building TypeScript");
  const args = ["-b", ...(force ? ["--force"] : [])];
  if (tool("typescript/bin/tsc", args) !== 0) stop("setup: the TypeScript build failed; see above");
}

function buildNative(compiler, force) {
  const build = join(ROOT, "native", "build");
  const configured = modifiedMs(join(build, "CMakeCache.txt"));
  if (force || configured < modifiedMs(join(ROOT, "native", "CMakeLists.txt"))) {
    say("configuring native code");
    const cxx = existsSync(join(build, "CMakeCache.txt"))
      ? []
      : [`-DCMAKE_CXX_COMPILER=${compiler}`];
    const args = ["-S", "native", "-B", "native/build", "-DCMAKE_BUILD_TYPE=Release", ...cxx];
    if (run("cmake", args) !== 0) stop("setup: cmake failed to configure native/; see above");
  }
  say("building native code");
  const args = ["--build", "native/build", "--parallel", String(availableParallelism())];
  if (force) args.push("--clean-first");
  if (run("cmake", args) !== 0) stop("setup: the native build failed; see above");
}

/** Checks, installs and builds; ends the process with exit code 3 when something is missing. */
export function setup({ force = false } = {}) {
  const compiler = checkTools();
  installPackages();
  buildTypeScript(force);
  buildNative(compiler, force);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  setup({ force: process.argv.includes("--build") });
  say("ready; try: npm run quickstart");
}
