// Which code may know which: the arrows between packages, folders and layers, for TypeScript imports
// and C++ includes. The tables are the rules; the functions only apply them.
import { posix } from "node:path";
import { type Finding, isNative, isTest, isTypeScript, type SourceFile } from "./source-files.js";

interface PackageRule {
  readonly folder: string;
  readonly sources: string;
  /** Packages of ours that it may import. */
  readonly knows: readonly string[];
}

const PACKAGES: readonly PackageRule[] = [
  { folder: "proto", sources: "proto/src", knows: [] },
  { folder: "native", sources: "native/ts", knows: [] },
  { folder: "coordinator", sources: "coordinator/src", knows: ["proto"] },
  { folder: "worker", sources: "worker/src", knows: ["proto", "native"] },
  { folder: "test", sources: "test", knows: ["proto", "native", "coordinator", "worker"] },
];

/** Code without I/O; it knows itself and the contract, nothing else. */
const PURE = /^coordinator\/src\/((recipe|plan|schedule)\/|assert-never\.)/;
const PURE_NODE_MODULES = new Set(["node:crypto", "node:assert", "node:assert/strict"]);
const IMPURE_CALLS =
  /\b(Date\.now|Math\.random|performance\.now|set(Timeout|Interval)|(process|console)\.\w+)\b/;

/** Native folder -> what must not be included there, and why. */
const INCLUDES: readonly (readonly [RegExp, RegExp, string])[] = [
  [/^native\/(?!src\/addon\/)/, /^(napi|node_api|js_native_api)/, "only src/addon knows Node"],
  [/^native\/(?!src\/cuda\/)/, /^cuda|^cub\//, "only src/cuda knows CUDA"],
  [/^native\/include\//, /^(src|kernels|cpu|engine|addon)\//, "the public API stands alone"],
  [
    /^native\/src\/kernels\//,
    /(^|\/)(cpu|cuda|engine|format|addon)\//,
    "kernels are arithmetic only",
  ],
  [/^native\/src\/(cpu|cuda|digest|format|ref)\//, /(^|\/)(engine|addon)\//, "this layer is below"],
  [/^native\/src\/engine\//, /(^|\/)addon\//, "the engine does not know Node"],
];

interface Import {
  readonly line: number;
  readonly specifier: string;
  readonly typeOnly: boolean;
}

const SPECIFIER = /(?:\bfrom|^\s*import|\bimport\()\s*"([^"]+)"/;

/** Imports and re-exports; a statement over several lines is found by its last one. */
function importsOf(file: SourceFile): readonly Import[] {
  let start = "";
  return file.lines.flatMap((text, i) => {
    if (/^\s*(import|export)\b/.test(text)) start = text;
    const specifier = SPECIFIER.exec(text)?.[1];
    if (specifier === undefined) return [];
    return [{ line: i + 1, specifier, typeOnly: /^\s*(import|export) type\b/.test(start) }];
  });
}

/** Parts that programs load before, or without, gRPC. */
const SECOND_FACES = new Set(["@graft/proto/errors"]);

function packageProblem(rule: PackageRule, file: SourceFile, specifier: string): string | null {
  const ours = /^@graft\/([\w-]+)(\/.*)?$/.exec(specifier);
  if (ours !== null) {
    const [, name = "", rest] = ours;
    if (!rule.knows.includes(name)) return `${rule.folder} must not import ${name}`;
    if (rest === undefined || SECOND_FACES.has(specifier)) return null;
    return `import @graft/${name} itself, not a file inside it`;
  }
  if (!specifier.startsWith(".")) return null;
  const target = posix.join(posix.dirname(file.path), specifier);
  if (target.startsWith(`${rule.sources}/`)) return null;
  return `${specifier} leaves ${rule.sources}; import the package by its name`;
}

function pureProblem(file: SourceFile, specifier: string): string | null {
  if (specifier.startsWith("node:")) {
    return PURE_NODE_MODULES.has(specifier) ? null : `a pure folder must not import ${specifier}`;
  }
  if (/^@grpc\/|^@nats-io\//.test(specifier)) return `a pure folder must not import ${specifier}`;
  if (!specifier.startsWith(".")) return null;
  const target = posix.join(posix.dirname(file.path), specifier);
  return PURE.test(target) ? null : `a pure folder must not import ${specifier}, an adapter`;
}

export function checkImports(files: readonly SourceFile[]): readonly Finding[] {
  return files
    .filter(({ path }) => isTypeScript(path))
    .flatMap((file) => {
      const rule = PACKAGES.find(({ sources }) => file.path.startsWith(`${sources}/`));
      if (rule === undefined) return [];
      const pure = PURE.test(file.path) && !isTest(file.path);
      const wire = file.path.startsWith("proto/src/") && !isTest(file.path);
      return importsOf(file).flatMap(({ line, specifier }) => {
        const problems = [
          packageProblem(rule, file, specifier),
          pure ? pureProblem(file, specifier) : null,
          wire && specifier.startsWith("node:")
            ? `the contract must not import ${specifier}`
            : null,
        ];
        return problems.flatMap((message) =>
          message === null ? [] : [{ path: file.path, line, message }],
        );
      });
    });
}

/** Clock, random and environment reach pure code as parameters. */
export function checkPureCalls(files: readonly SourceFile[]): readonly Finding[] {
  const pure = files.filter(({ path }) => PURE.test(path) && !isTest(path));
  return pure.flatMap(({ path, lines }) =>
    lines.flatMap((text, i) => {
      const call = IMPURE_CALLS.exec(text.replace(/\/\/.*|^\s*\*.*/, ""))?.[0];
      if (call === undefined) return [];
      return [{ path, line: i + 1, message: `a pure folder must be given what ${call} reads` }];
    }),
  );
}

export function checkIncludes(files: readonly SourceFile[]): readonly Finding[] {
  return files
    .filter(({ path }) => isNative(path))
    .flatMap(({ path, lines }) =>
      lines.flatMap((text, i) => {
        const included = /^\s*#\s*include\s*[<"]([^>"]+)[>"]/.exec(text)?.[1];
        if (included === undefined) return [];
        return INCLUDES.flatMap(([folder, forbidden, why]) =>
          folder.test(path) && forbidden.test(included)
            ? [{ path, line: i + 1, message: `must not include ${included}: ${why}` }]
            : [],
        );
      }),
    );
}

/** Import cycles inside a package; type imports vanish in compilation and may go round. */
export function checkCycles(files: readonly SourceFile[]): readonly Finding[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const done = new Set<string>();
  const findings: Finding[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const file = byPath.get(path);
    if (file === undefined || done.has(path)) return;
    for (const { line, specifier, typeOnly } of importsOf(file)) {
      if (typeOnly || !specifier.startsWith(".")) continue;
      const target = posix.join(posix.dirname(path), specifier).replace(/\.js$/, ".ts");
      const way = [...trail, path];
      if (way.includes(target)) {
        const cycle = [...way.slice(way.indexOf(target)), target].join(" -> ");
        findings.push({ path, line, message: `import cycle: ${cycle}` });
      } else visit(target, way);
    }
    done.add(path);
  };
  for (const { path } of files) if (isTypeScript(path)) visit(path, []);
  return findings;
}
