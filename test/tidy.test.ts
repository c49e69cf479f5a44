// The lint test: house rules that formatters and compilers do not know. Each rule is first shown a
// violation, so that one which stopped working is noticed, and then the whole repository.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ROOT } from "./support/run.js";
import { checkCycles, checkImports, checkIncludes, checkPureCalls } from "./tidy/import-rules.js";
import {
  type Finding,
  readSources,
  render,
  type SourceFile,
  sourceFile,
} from "./tidy/source-files.js";
import {
  checkFileNames,
  checkFileSizes,
  checkFunctionSizes,
  checkHeaders,
  checkWidth,
  checkWords,
} from "./tidy/text-rules.js";

type Rule = (files: readonly SourceFile[]) => readonly Finding[];

const from = (specifier: string): string => `import { x } from "${specifier}";`;
const statement = (count: number): string => "x();\n".repeat(count);

/** Rule, where the violation stands, its text, the line it must be reported on. */
const VIOLATIONS: readonly (readonly [string, Rule, string, string, number])[] = [
  ["coordinator imports worker", checkImports, "coordinator/src/main.ts", from("@graft/worker"), 1],
  ["worker imports coordinator", checkImports, "worker/src/a.ts", from("@graft/coordinator"), 1],
  ["coordinator imports native", checkImports, "coordinator/src/a.ts", from("@graft/native"), 1],
  ["native imports proto", checkImports, "native/ts/a.ts", from("@graft/proto"), 1],
  ["a file inside a package", checkImports, "worker/src/a.ts", from("@graft/proto/dist/x.js"), 1],
  ["a path into a package", checkImports, "worker/src/a.ts", from("../../proto/src/x.js"), 1],
  ["file access in plan", checkImports, "coordinator/src/plan/a.ts", `\n${from("node:fs")}`, 2],
  ["gRPC in schedule", checkImports, "coordinator/src/schedule/a.ts", from("@grpc/grpc-js"), 1],
  ["an adapter in recipe", checkImports, "coordinator/src/recipe/a.ts", from("../jobs/j.js"), 1],
  ["file access in proto", checkImports, "proto/src/a.ts", from("node:fs"), 1],
  ["a clock in schedule", checkPureCalls, "coordinator/src/schedule/a.ts", "Date.now();", 1],
  ["napi outside the addon", checkIncludes, "native/src/engine/a.cc", "#include <napi.h>", 1],
  ["CUDA outside src/cuda", checkIncludes, "native/src/cpu/a.cc", "#include <cuda_runtime.h>", 1],
  ["engine in a kernel", checkIncludes, "native/src/kernels/a.h", '#include "engine/x.h"', 1],
  ["unfinished work", checkWords, "README.md", `a\n// ${"TO"}DO`, 2],
  ["a machine path", checkWords, "README.md", `see /${"work"}/x`, 1],
  ["a wide comment", checkWidth, "worker/src/a.ts", `// ${"x".repeat(108)}`, 1],
  ["a long file", checkFileSizes, "worker/src/a.ts", statement(401), 401],
  [
    "a long function",
    checkFunctionSizes,
    "worker/src/a.ts",
    `function f() {\n${statement(70)}}`,
    1,
  ],
  ["no header", checkHeaders, "worker/src/a.ts", "\n// Late.", 1],
  ["a camel-case file", checkFileNames, "worker/src/aB.ts", "", 1],
];

for (const [name, rule, path, text, line] of VIOLATIONS) {
  test(`the rules find: ${name}`, () => {
    const findings = rule([sourceFile(path, text)]);
    assert.deepEqual(
      findings.map((finding) => [finding.path, finding.line]),
      [[path, line]],
    );
  });
}

test("the rules find: an import cycle", () => {
  const files = [
    sourceFile("worker/src/a.ts", from("./b.js")),
    sourceFile("worker/src/b.ts", from("./a.js")),
  ];
  assert.equal(checkCycles(files).length, 1);
});

const RULES: readonly (readonly [string, Rule])[] = [
  ["imports follow the arrows", checkImports],
  ["pure folders are given clock and random", checkPureCalls],
  ["native includes follow the layers", checkIncludes],
  ["no import cycles", checkCycles],
  ["no words that must not be there", checkWords],
  ["lines fit", checkWidth],
  ["files are not too long", checkFileSizes],
  ["functions are not too long", checkFunctionSizes],
  ["every file says what it is", checkHeaders],
  ["files are named alike", checkFileNames],
];

const sources = readSources(ROOT);

for (const [name, rule] of RULES) {
  test(name, () => {
    const findings = rule(sources);
    assert.equal(findings.length, 0, `\n${findings.map(render).join("\n")}\n`);
  });
}
