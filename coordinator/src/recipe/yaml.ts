// YAML text to trees, under limits that hold before anything is built: size, then counts while
// lexing, then depth while parsing. What a scalar means is decided later, not by the library.
import { Composer, type CST, CST as cst, type Document, Lexer, Parser } from "yaml";
import { convertDocument } from "./convert.js";
import type { Fault, Tree } from "./tree.js";

export interface YamlText {
  /** Empty when the text is no YAML or over a limit. */
  readonly documents: readonly Tree[];
  readonly faults: readonly Fault[];
}

export const SIZE_MAX_BYTES = 1024 * 1024;
export const DEPTH_MAX = 64;
export const ALIASES_MAX = 100;
export const DOCUMENTS_MAX = 64;
/** Lexical tokens: about 5,000 lines, far above any recipe; more would block the event loop. */
const LEXEMES_MAX = 40_000;
/** Of one scalar: fits any chat template, so that a recipe with one is refused by name. */
const SCALAR_LENGTH_MAX = 32 * 1024;

export function readYaml(text: string): YamlText {
  const unreadable = checkText(text);
  if (unreadable !== null) return { documents: [], faults: [unreadable] };
  const { lexemes, faults, isOverLimit } = lex(text);
  if (isOverLimit) return { documents: [], faults };
  const { tokens, fault } = parse(lexemes);
  if (fault !== null) return { documents: [], faults: [fault] };
  const composed = [...compose(tokens)];
  const syntaxFault = firstSyntaxFault(composed);
  if (syntaxFault !== null) return { documents: [], faults: [syntaxFault] };
  const converted = composed.map((document) => convertDocument(document));
  const documents = converted.flatMap(({ tree }) => (tree === null ? [] : [tree]));
  return {
    documents: documents.length === composed.length ? documents : [],
    faults: [...faults, ...converted.flatMap((document) => document.faults)],
  };
}

/** What follows a syntax error is mostly its echo, so only the first is told. */
function firstSyntaxFault(documents: readonly Document.Parsed[]): Fault | null {
  let first: Fault | null = null;
  for (const { pos, message } of documents.flatMap((document) => document.errors)) {
    if (first !== null && first.offset <= pos[0]) continue;
    first = { offset: pos[0], message: `not valid YAML: ${printable(message)}` };
  }
  return first;
}

const tooLarge = (offset: number): Fault => ({
  offset,
  message: "the recipe is larger than 1 MiB; no recipe is, so this is probably another file",
});

/** YAML's printable characters, less the line breaks on which YAML 1.1 and 1.2 disagree. */
const UNREADABLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
  /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufffd-\uffff]|\r(?!\n)/;
const LONE_SURROGATE = /\p{Surrogate}/u;

function checkText(text: string): Fault | null {
  if (text.length > SIZE_MAX_BYTES) return tooLarge(0);
  if (new TextEncoder().encode(text).length > SIZE_MAX_BYTES) return tooLarge(0);
  const offset = Math.max(text.search(UNREADABLE), text.search(LONE_SURROGATE));
  if (offset < 0) return null;
  const code = text.charCodeAt(offset).toString(16).toUpperCase().padStart(4, "0");
  const remedy = "save the recipe as UTF-8 text (not UTF-16) with ordinary line ends";
  return { offset, message: `character U+${code} does not belong in a recipe; ${remedy}` };
}

const TOO_DEEP = `nested deeper than ${DEPTH_MAX} levels`;

/** Lexemes that the lexer adds; they stand for nothing in the text. */
const MARKS: ReadonlySet<CST.TokenType | null> = new Set(["doc-mode", "flow-error-end", "scalar"]);

interface Lexed {
  readonly lexemes: readonly string[];
  readonly faults: readonly Fault[];
  /** True when a limit was passed; then the fault says which. */
  readonly isOverLimit: boolean;
}

/** Lexing alone is cheap and bounds everything after it except the depth of blocks. */
function lex(text: string): Lexed {
  const lexemes: string[] = [];
  const faults: Fault[] = [];
  const counts: Counts = { aliases: 0, documents: 1, brackets: 0 };
  let offset = 0;
  let isScalar = false;
  for (const lexeme of new Lexer().lex(text)) {
    const type: CST.TokenType | null = isScalar ? null : cst.tokenType(lexeme);
    isScalar = type === "scalar";
    lexemes.push(lexeme);
    count(counts, type);
    if (type === "tag") faults.push({ offset, message: tagMessage(lexeme) });
    const message = limitPassed(counts, lexemes.length, lexeme);
    if (message !== null) return { lexemes, faults: [{ offset, message }], isOverLimit: true };
    if (!MARKS.has(type)) offset += lexeme.length;
  }
  return { lexemes, faults, isOverLimit: false };
}

interface Counts {
  aliases: number;
  documents: number;
  /** Brackets and braces that are open. */
  brackets: number;
}

function count(counts: Counts, type: CST.TokenType | null): void {
  if (type === "alias") counts.aliases += 1;
  if (type === "doc-start") counts.documents += 1;
  if (type === "flow-map-start" || type === "flow-seq-start") counts.brackets += 1;
  if (type === "flow-map-end" || type === "flow-seq-end") counts.brackets -= 1;
}

function limitPassed(counts: Counts, lexemeCount: number, lexeme: string): string | null {
  if (counts.aliases > ALIASES_MAX) return `more than ${ALIASES_MAX} aliases (*name)`;
  if (counts.documents > DOCUMENTS_MAX) return `more than ${DOCUMENTS_MAX} documents (---)`;
  if (counts.brackets > DEPTH_MAX) return TOO_DEEP;
  if (lexemeCount > LEXEMES_MAX) return "the recipe is far longer than any recipe needs to be";
  if (lexeme.length > SCALAR_LENGTH_MAX) return "a single text of more than 32 KiB";
  return null;
}

interface Parsed {
  readonly tokens: readonly CST.Token[];
  readonly fault: Fault | null;
}

/** Token by token, so that nesting is refused before anything recursive sees it. */
function parse(lexemes: readonly string[]): Parsed {
  const parser = new Parser();
  const tokens: CST.Token[] = [];
  for (const lexeme of lexemes) {
    for (const token of parser.next(lexeme)) {
      tokens.push(token);
      // Only the first syntax error is told, so reading on would be wasted.
      if (token.type === "error") return { tokens, fault: null };
    }
    // The parser's stack also holds the document and the scalar being read.
    if (parser.stack.length > DEPTH_MAX + 2) {
      return { tokens: [], fault: { offset: parser.offset, message: TOO_DEEP } };
    }
  }
  for (const token of parser.end()) tokens.push(token);
  return { tokens, fault: null };
}

const tagMessage = (tag: string): string =>
  `tag ${printable(tag)}: tags are not part of recipes; remove it`;

function* compose(tokens: readonly CST.Token[]): Generator<Document.Parsed> {
  // Duplicate keys are found in convert.ts: the library compares every key with every other.
  const composer = new Composer({ schema: "failsafe", uniqueKeys: false, logLevel: "silent" });
  yield* composer.compose(tokens, true, 0);
}

/** The library's messages can quote the text: cut, on one line, first letter small. */
function printable(message: string): string {
  const line = message.replace(/\s+/g, " ").slice(0, 160);
  return line.charAt(0).toLowerCase() + line.slice(1);
}
