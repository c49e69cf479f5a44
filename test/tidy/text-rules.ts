// Rules about the text of files: sizes, header comments, names, and words that must not be there.
import { basename } from "node:path";
import ts from "typescript";
import { type Finding, isNative, isTypeScript, type SourceFile } from "./source-files.js";

const FILE_LINES_MAX = 400;
/** C++ tests are tables of literal bytes. */
const NATIVE_FILE_LINES_MAX = 500;
/** The export table stays one screen. */
const ADDON_TABLE_LINES_MAX = 60;
const FUNCTION_LINES_MAX = 70;
/** Formatters hold code to 100; sentences in comments get ten more before they must wrap. */
const COLUMNS_MAX = 110;
const HEADER_LINES_MAX = 4;

const isCode = (path: string): boolean =>
  isTypeScript(path) || isNative(path) || /\.(mjs|js|proto)$/.test(path);

/** Written with a character class where needed, so that this file does not match itself. */
const FORBIDDEN: readonly (readonly [RegExp, string])[] = [
  [/\b(T[O]DO|F[I]XME|X[X]X|H[A]CK)\b/, "unfinished work is not committed"],
  [/\/wor[k]\/|\/hom[e]\/\w|\/roo[t]\/|\/User[s]\/\w/, "a path of somebody's machine"],
  [/\.\.\/share[d]\b|\bshare[d]\/(spec|research|golden|design|house)/, "a place outside"],
  [/\bregistr[y]\.npmjs|\b(npm|pypi)[.-]mirro[r]\b/, "a package registry's host"],
  [/\b(issu[e]|tas[k]) #?\d+\b/i, "a reference to a tracker; say what it was about"],
];

const finding = (path: string, line: number, message: string): Finding => ({ path, line, message });

export function checkWords(files: readonly SourceFile[]): readonly Finding[] {
  return files.flatMap(({ path, lines }) =>
    lines.flatMap((text, i) =>
      FORBIDDEN.flatMap(([pattern, why]) => {
        const found = pattern.exec(text)?.[0];
        return found === undefined ? [] : [finding(path, i + 1, `"${found}": ${why}`)];
      }),
    ),
  );
}

/** Lines with a string or an address may be long: breaking those helps nobody. */
export function checkWidth(files: readonly SourceFile[]): readonly Finding[] {
  return files
    .filter(({ path }) => isCode(path))
    .flatMap(({ path, lines }) =>
      lines.flatMap((text, i) =>
        text.length > COLUMNS_MAX && !/["`]|https?:/.test(text)
          ? [finding(path, i + 1, `${text.length} columns, over ${COLUMNS_MAX}`)]
          : [],
      ),
    );
}

function fileLinesMax(path: string): number {
  if (path.endsWith("src/addon/addon.cc")) return ADDON_TABLE_LINES_MAX;
  return isNative(path) ? NATIVE_FILE_LINES_MAX : FILE_LINES_MAX;
}

export function checkFileSizes(files: readonly SourceFile[]): readonly Finding[] {
  return files
    .filter(({ path }) => isCode(path))
    .flatMap(({ path, lines }) => {
      const limit = fileLinesMax(path);
      const count = lines.length - 1;
      return count > limit ? [finding(path, limit + 1, `${count} lines, over ${limit}`)] : [];
    });
}

/** A .cc is described by its .h, a test by the file it stands beside. */
function describedBy({ path }: SourceFile): RegExp | null {
  if (path.endsWith(".cc")) return new RegExp(`^native/.*/${basename(path, ".cc")}\\.h$`);
  if (!/\.(test|long)\.ts$/.test(path)) return null;
  const subject = path.replace(/\.(test|long)\.ts$/, ".ts").replaceAll(".", "\\.");
  return new RegExp(`^${subject}$`);
}

export function checkHeaders(files: readonly SourceFile[]): readonly Finding[] {
  return files
    .filter(({ path }) => isCode(path))
    .flatMap((file) => {
      const { path, lines } = file;
      const start = lines[0]?.startsWith("#!") === true ? 1 : 0;
      const end = lines.findIndex((text, i) => i >= start && !text.startsWith("//"));
      const count = (end === -1 ? lines.length : end) - start;
      const described = describedBy(file);
      if (count === 0 && !files.some((other) => described?.test(other.path))) {
        return [finding(path, start + 1, "no header comment: say what this file is")];
      }
      if (count <= HEADER_LINES_MAX) return [];
      return [finding(path, start + 1, `header of ${count} lines, over ${HEADER_LINES_MAX}`)];
    });
}

export function checkFileNames(files: readonly SourceFile[]): readonly Finding[] {
  return files.flatMap(({ path }) => {
    const name = basename(path);
    if (isTypeScript(path) && !/^[a-z0-9]+(-[a-z0-9]+)*(\.(test|long))?\.ts$/.test(name)) {
      return [finding(path, 1, "TypeScript files are named in kebab-case")];
    }
    if (isNative(path) && !/^[a-z0-9]+(_[a-z0-9]+)*(-inl)?\.(cc|h|cu|cuh)$/.test(name)) {
      return [finding(path, 1, "native files are named in snake_case")];
    }
    return [];
  });
}

function isSuite(node: ts.Node): boolean {
  return (
    ts.isCallExpression(node.parent) &&
    ts.isIdentifier(node.parent.expression) &&
    node.parent.expression.text === "describe"
  );
}

/** Body of a describe() holds tests as a file does, so only the file limit applies to it. */
export function checkFunctionSizes(files: readonly SourceFile[]): readonly Finding[] {
  return files
    .filter(({ path }) => isTypeScript(path))
    .flatMap(({ path, lines }) => {
      const text = lines.join("\n");
      const source = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
      const findings: Finding[] = [];
      const visit = (node: ts.Node): void => {
        if (ts.isFunctionLike(node) && !isSuite(node)) {
          const first = source.getLineAndCharacterOfPosition(node.getStart()).line;
          const last = source.getLineAndCharacterOfPosition(node.getEnd()).line;
          const count = last - first + 1;
          if (count > FUNCTION_LINES_MAX) {
            const message = `function of ${count} lines, over ${FUNCTION_LINES_MAX}`;
            findings.push(finding(path, first + 1, message));
          }
        }
        ts.forEachChild(node, visit);
      };
      visit(source);
      return findings;
    });
}
