// The files that the tidiness rules look at: everything written by hand, nothing generated or built.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface SourceFile {
  /** Relative to the root, with forward slashes. */
  readonly path: string;
  readonly lines: readonly string[];
}

export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

export const SKIPPED_FOLDERS: ReadonlySet<string> = new Set([
  ".git",
  "node_modules",
  "dist",
  "build",
  "sample",
  "proto/src/gen",
  "test/golden/models",
  "test/golden/cases",
]);

const TEXT = /\.(ts|mjs|js|cc|h|cu|cuh|proto|md|json|yaml|yml|txt|sh)$|\/run$|\.npmrc$/;
/** Written by npm, full of addresses. */
const SKIPPED_FILES = new Set(["package-lock.json"]);

export function sourceFile(path: string, text: string): SourceFile {
  return { path, lines: text.split("\n") };
}

export function readSources(root: string, folder = ""): readonly SourceFile[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      if (SKIPPED_FOLDERS.has(path) || SKIPPED_FOLDERS.has(entry.name)) return [];
      return readSources(root, path);
    }
    if (!entry.isFile() || !TEXT.test(`/${path}`) || SKIPPED_FILES.has(path)) return [];
    return [sourceFile(path, readFileSync(join(root, path), "utf8"))];
  });
}

export const isTest = (path: string): boolean => /\.(test|long)\.ts$/.test(path);
export const isTypeScript = (path: string): boolean => path.endsWith(".ts");
export const isNative = (path: string): boolean => /^native\/.*\.(cc|h|cu|cuh)$/.test(path);

export function render({ path, line, message }: Finding): string {
  return `${path}:${line}: error: ${message}`;
}
