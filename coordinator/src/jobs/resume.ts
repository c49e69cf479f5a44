// Whether interrupted work may be continued, and what of it still holds. Only a result whose bytes
// verify by being read again is skipped; everything else is simply run once more.
import type { FileSpan, Task } from "@graft/proto";
import { GraftError } from "@graft/proto";
import type { DescribedModel, Plan } from "../plan/types.js";
import type { Workers } from "../rpc/workers.js";
import { mapBounded } from "./map-bounded.js";
import type {
  BeginRecord,
  InputPin,
  JobRequest,
  JournalRecord,
  TaskDoneRecord,
} from "./records.js";
import type { Results } from "./results.js";
import { outputSpans } from "./task-spans.js";

/** What a journal adds up to. */
export interface JobHistory {
  /** Null when the job never began. */
  readonly begin: BeginRecord | null;
  /** Results that were not declared void. */
  readonly done: ReadonlyMap<string, TaskDoneRecord>;
  readonly epochMax: number;
  /** sha256 by output file, of files read back since their last change. */
  readonly verified: ReadonlyMap<string, string>;
  readonly isPublished: boolean;
}

export function readHistory(records: readonly JournalRecord[]): JobHistory {
  let begin: BeginRecord | null = null;
  const done = new Map<string, TaskDoneRecord>();
  const verified = new Map<string, string>();
  let epochMax = 0;
  let isPublished = false;
  for (const record of records) {
    if (record.kind === "begin") begin = record;
    if (record.kind === "task-done") {
      done.set(record.taskId, record);
      epochMax = Math.max(epochMax, record.epoch);
    }
    if (record.kind === "task-void") {
      for (const taskId of record.taskIds) done.delete(taskId);
      verified.clear();
    }
    if (record.kind === "file-verified") verified.set(record.name, record.sha256);
    if (record.kind === "published") isPublished = true;
  }
  return { begin, done, epochMax, verified, isPublished };
}

export function pinInputs(models: readonly DescribedModel[]): readonly InputPin[] {
  return models.flatMap(({ label, files }) =>
    files.map(({ name, sizeBytes, headerDigest, modifiedTimeNs }) => ({
      file: `${label}/${name}`,
      sizeBytes,
      headerDigest,
      modifiedTimeNs: String(modifiedTimeNs),
    })),
  );
}

export interface JobIdentity {
  readonly planDigest: string;
  readonly kernelVersion: string;
  readonly request: JobRequest;
  readonly inputs: readonly InputPin[];
}

/** Throws RESUME_MISMATCH naming everything that changed since the journal began. */
export function requireSameJob(path: string, begin: BeginRecord, now: JobIdentity): void {
  const inputs = changedInputs(begin.inputs, now.inputs);
  // Other texts, labels or options may well give the same plan; then they do not matter.
  const isSamePlan = begin.planDigest === now.planDigest;
  const reasons = isSamePlan ? inputs : [...changedRequest(begin, now), ...inputs];
  if (isSamePlan && reasons.length === 0) return;
  const changed = reasons.length === 0 ? "the plan" : reasons.join(", ");
  throw new GraftError("RESUME_MISMATCH", { path, changed });
}

function changedRequest(begin: BeginRecord, now: JobIdentity): readonly string[] {
  const before = begin.request;
  const after = now.request;
  const reasons: string[] = [];
  if (before.recipeText !== after.recipeText) reasons.push("the recipe");
  if (before.seed !== after.seed) reasons.push(`--seed ${before.seed} to ${after.seed}`);
  if (before.maxShardSizeBytes !== after.maxShardSizeBytes) {
    reasons.push(`--max-shard-size ${before.maxShardSizeBytes} to ${after.maxShardSizeBytes}`);
  }
  if (begin.kernelVersion !== now.kernelVersion) {
    reasons.push(`the kernel version (${begin.kernelVersion} to ${now.kernelVersion})`);
  }
  return reasons;
}

const CHANGES_NAMED_MAX = 5;

function changedInputs(before: readonly InputPin[], after: readonly InputPin[]): readonly string[] {
  const pins = new Map(after.map((pin) => [pin.file, pin]));
  const known = new Set(before.map(({ file }) => file));
  const reasons = before.flatMap((pin) => {
    const now = pins.get(pin.file);
    if (now === undefined) return [`input ${pin.file} is gone`];
    if (now.sizeBytes !== pin.sizeBytes) return [`size of input ${pin.file}`];
    if (now.headerDigest !== pin.headerDigest) return [`header of input ${pin.file}`];
    if (now.modifiedTimeNs !== pin.modifiedTimeNs)
      return [`modification time of input ${pin.file}`];
    return [];
  });
  for (const { file } of after) if (!known.has(file)) reasons.push(`input ${file} is new`);
  if (reasons.length <= CHANGES_NAMED_MAX) return reasons;
  const rest = reasons.length - CHANGES_NAMED_MAX;
  return [...reasons.slice(0, CHANGES_NAMED_MAX), `${rest} more inputs`];
}

export interface RecheckOptions {
  readonly worker: Workers;
  readonly plan: Plan;
  readonly partialDirectory: string;
  readonly history: JobHistory;
  /** Filled with the results that hold. */
  readonly results: Results;
  readonly filesAtOnce: number;
  readonly signal: AbortSignal;
  readonly onRead: (readBytes: number) => void;
}

/** Reads the spans of every finished task again. Returns the tasks whose bytes are not there. */
export async function recheckResults(options: RecheckOptions): Promise<readonly Task[]> {
  const { plan, history, filesAtOnce } = options;
  const finished = plan.tasks.filter(({ taskId }) => history.done.has(taskId));
  const broken = new Set<string>();
  await mapBounded(plan.files, filesAtOnce, async ({ name }) => {
    for (const taskId of await brokenTasks(name, finished, options)) broken.add(taskId);
  });
  for (const task of finished) {
    const record = history.done.get(task.taskId);
    if (record !== undefined && !broken.has(task.taskId)) options.results.add(task, record);
  }
  return finished.filter(({ taskId }) => broken.has(taskId));
}

interface RecordedSpan {
  readonly taskId: string;
  readonly digest: string;
  readonly request: FileSpan;
}

async function brokenTasks(
  file: string,
  finished: readonly Task[],
  { worker, partialDirectory, history, signal, onRead }: RecheckOptions,
): Promise<readonly string[]> {
  const spans = finished.flatMap((task) => recordedSpans(task, file, history));
  if (spans.length === 0) return [];
  let seen = 0;
  const onProgress = (readBytes: number): void => {
    onRead(Math.max(0, readBytes - seen));
    seen = Math.max(seen, readBytes);
  };
  const request = {
    directory: partialDirectory,
    name: file,
    sha256: false,
    spans: spans.map((span) => span.request),
  };
  try {
    const { spans: found } = await worker.use((client) =>
      client.digestFile(request, { signal, onProgress }),
    );
    return spans
      .filter(({ digest }, index) => found[index]?.digest !== digest)
      .map(({ taskId }) => taskId);
  } catch (error) {
    const failure = GraftError.from(error);
    // Bytes that cannot be read do not hold. Any other failure says nothing about them.
    if (failure.code === "IO") return spans.map(({ taskId }) => taskId);
    throw failure;
  }
}

function recordedSpans(task: Task, file: string, { done }: JobHistory): readonly RecordedSpan[] {
  const record = done.get(task.taskId);
  return outputSpans(task).flatMap((span, index) => {
    if (span.file !== file || record === undefined) return [];
    const { tensor, offset, length, fileOffset } = span;
    const request = {
      span: { tensor, offsetBytes: BigInt(offset), lengthBytes: BigInt(length), digest: "" },
      fileOffsetBytes: BigInt(fileOffset),
    };
    return [{ taskId: task.taskId, digest: record.outputs[index] ?? "", request }];
  });
}
