// A plan for scripts: what "plan --json" prints and what the Plan call of a coordinator answers.
import type { PlannedMerge } from "../jobs/plan-merge.js";
import type { DiskRoom } from "../jobs/preflight.js";
import { countLedger } from "../jobs/summary.js";

export interface PlanJsonFacts {
  readonly merge: PlannedMerge;
  /** Null where no place was named. */
  readonly room: DiskRoom | null;
  readonly peakMemoryBytes: number;
}

/** One document: the fields are an interface for scripts and only ever grow. */
export function planJson({ merge, room, peakMemoryBytes: memory }: PlanJsonFacts): unknown {
  const { plan: planned, recipe, models, kernelVersion } = merge;
  const { digest, totals, tasks, files, ledger, sideFiles, notes } = planned;
  return {
    kind: "plan",
    planDigest: digest,
    kernelVersion,
    method: recipe.method,
    totals: { ...totals, peakMemoryBytes: memory },
    disk: room,
    models: models.map(modelJson),
    files: files.map(({ name, sizeBytes, tensors }) => ({ name, sizeBytes, tensors })),
    sideFiles,
    ledgerCounts: countLedger(ledger),
    ledger,
    tasks: tasks.map(taskJson),
    notes,
  };
}

function modelJson({
  reference,
  label,
  directory,
  files,
  tensors,
}: PlannedMerge["models"][number]) {
  const sizeBytes = files.reduce((total, file) => total + file.sizeBytes, 0);
  return { reference, label, directory, sizeBytes, tensorCount: tensors.size };
}

function taskJson({ taskId, inputs, outputs, operations, readBytes, writeBytes }: TaskLike) {
  return {
    taskId,
    inputs: inputs.map(({ path }) => path),
    outputs,
    tensors: operations.flatMap(({ destinations }) => destinations.map(({ tensor }) => tensor)),
    readBytes: Number(readBytes),
    writeBytes: Number(writeBytes),
  };
}

type TaskLike = PlannedMerge["plan"]["tasks"][number];
