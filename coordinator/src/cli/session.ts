// What every command shares: where text goes, what Ctrl-C means, how an error ends the process. Data
// goes to standard output, everything else to standard error.
import { setMaxListeners } from "node:events";
import { EXIT, GraftError } from "@graft/proto/errors";
import { type Config, readConfig } from "../config.js";
import type { MergeEvent } from "../jobs/events.js";
import { exists, workPaths } from "../jobs/work.js";
import { renderProblems } from "../recipe/report.js";
import { createRenderer } from "./render.js";

export interface SessionOptions {
  readonly json: boolean;
  /** Output whose interrupted work can be resumed. */
  readonly output?: string | undefined;
}

export interface Session {
  readonly config: Config;
  readonly signal: AbortSignal;
  readonly json: boolean;
  /** Shows an event, or prints it as a line of JSON. */
  readonly onEvent: (event: MergeEvent) => void;
  /** Data: the answer of the command. */
  print(text: string): void;
  /** One line of JSON on standard output. */
  printJson(value: unknown): void;
}

const JSON_PROGRESS_MS = 500;

/** Runs a command and ends the process with its exit code. */
export async function runSession(
  options: SessionOptions,
  body: (session: Session) => Promise<number>,
): Promise<void> {
  const { stdout, stderr } = process;
  const abort = new AbortController();
  // Every call of a merge listens to this one signal; many at once is no leak.
  setMaxListeners(0, abort.signal);
  const config = readConfig(process.env);
  const renderer = createRenderer({
    isTerminal: stderr.isTTY === true,
    columns: stderr.columns ?? 100,
  });
  const state = { reportedProblems: 0 };
  // A reader that left, such as head, is no error of ours.
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? EXIT.ok : EXIT.environment);
  });
  stderr.on("error", () => undefined);
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      if (abort.signal.aborted) process.exit(EXIT.interrupted);
      stderr.write(`${renderer.clear()}stopping; press Ctrl-C again to stop at once\n`);
      abort.abort(new GraftError("CANCELLED"));
    });
  }
  const session: Session = {
    config,
    signal: abort.signal,
    json: options.json,
    onEvent: options.json ? jsonEvents(printJson, state) : shownEvents(renderer, state),
    print: (text) => {
      stderr.write(renderer.clear());
      stdout.write(text);
    },
    printJson,
  };
  let exitCode: number = EXIT.internal;
  try {
    exitCode = await body(session);
  } catch (error) {
    stderr.write(renderer.clear());
    // Whatever broke while stopping, it is the stopping that the user asked for.
    const reason: unknown = abort.signal.aborted ? abort.signal.reason : error;
    exitCode = await reportError(GraftError.from(reason), options, session, state);
  }
  stderr.write(renderer.clear());
  // Pipes are written asynchronously: leave when everything is out.
  stdout.write("", () => process.exit(exitCode));
}

function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, jsonValue)}\n`);
}

/** 64-bit numbers do not fit a JSON number of every reader. */
function jsonValue(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

interface ReportState {
  reportedProblems: number;
}

function shownEvents(
  renderer: ReturnType<typeof createRenderer>,
  state: ReportState,
): (event: MergeEvent) => void {
  return (event) => {
    if (event.kind === "problems") showProblems(event, renderer.clear(), state);
    const text = renderer.handle(event, performance.now());
    if (text !== null) process.stderr.write(text);
  };
}

function showProblems(
  { path, text, problems }: Extract<MergeEvent, { kind: "problems" }>,
  before: string,
  state: ReportState,
): void {
  const colour = process.stderr.isTTY === true && !process.env.NO_COLOR;
  process.stderr.write(before + renderProblems(path, text, problems, { colour }));
  state.reportedProblems += problems.filter(({ severity }) => severity === "error").length;
}

function jsonEvents(
  print: (value: unknown) => void,
  state: ReportState,
): (event: MergeEvent) => void {
  let printedAtMs = Number.NEGATIVE_INFINITY;
  return (event) => {
    if (event.kind === "progress") {
      const nowMs = performance.now();
      if (nowMs - printedAtMs < JSON_PROGRESS_MS) return;
      printedAtMs = nowMs;
    }
    if (event.kind !== "problems") return print(event);
    const { kind, path, problems } = event;
    showProblems(event, "", state);
    print({ kind, path, problems });
  };
}

async function reportError(
  error: GraftError,
  { json, output }: SessionOptions,
  session: Session,
  state: ReportState,
): Promise<number> {
  const { code, message, details, info } = error;
  if (json) session.printJson({ kind: "error", code, message, details, exit: info.exit });
  process.stderr.write(`${errorText(error, state)}\n`);
  if (session.config.debug) process.stderr.write(`${stackOf(error)}\n`);
  const canResume = output !== undefined && info.exit !== EXIT.input;
  if (canResume && (await exists(workPaths(output).journal).catch(() => false))) {
    process.stderr.write(
      `what is done is kept; continue: coordinator resume ${output}` +
        `\n                      or drop: coordinator clean ${output}\n`,
    );
  }
  return info.exit;
}

function errorText(error: GraftError, { reportedProblems }: ReportState): string {
  if (error.code === "CANCELLED") return "interrupted";
  // The problems themselves have been shown with their lines.
  if (reportedProblems > 0 && error.info.exit === EXIT.input) {
    return `${reportedProblems} ${reportedProblems === 1 ? "error" : "errors"}`;
  }
  return `error: ${error.message}`;
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : "";
  return `${error.stack ?? error.message}${cause}`;
}
