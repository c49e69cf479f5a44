// What a merge tells while it runs: one union, in the order things happen. `submit --json` prints each
// event as one line, so the fields are an interface for scripts and only ever grow.
import type { Problem } from "../recipe/recipe.js";
import type { MergeSummary } from "./summary.js";

export const STAGES = [
  "describe",
  "plan",
  "prepare",
  "merge",
  "sync",
  "verify",
  "publish",
] as const;
export type Stage = (typeof STAGES)[number];

export type MergeEvent =
  | { readonly kind: "stage"; readonly stage: Stage }
  /** Warnings and errors of the recipe, with the text they point into. */
  | {
      readonly kind: "problems";
      readonly path: string;
      readonly text: string;
      readonly problems: readonly Problem[];
    }
  | {
      readonly kind: "planned";
      readonly planDigest: string;
      readonly taskCount: number;
      readonly readBytes: number;
      readonly writeBytes: number;
      readonly outputBytes: number;
    }
  /** Work of an earlier run was found: this many of its tasks still verify. */
  | { readonly kind: "resumed"; readonly taskCount: number; readonly verifiedCount: number }
  | {
      readonly kind: "progress";
      readonly stage: Stage;
      readonly doneTasks: number;
      readonly taskCount: number;
      /** Bytes moved in this stage of this run. */
      readonly readBytes: number;
      readonly writtenBytes: number;
      /** How far the stage is, of totalBytes: what the plan foresaw, not what was really moved. */
      readonly doneBytes: number;
      readonly totalBytes: number;
      readonly elapsedSeconds: number;
    }
  /** Something went wrong and was mended. */
  | { readonly kind: "warning"; readonly message: string }
  | { readonly kind: "published"; readonly output: string }
  | { readonly kind: "done"; readonly summary: MergeSummary };

export type OnEvent = (event: MergeEvent) => void;
