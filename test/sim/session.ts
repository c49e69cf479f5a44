// One connection between a worker and the coordinator, as TCP behaves: what is sent while a direction is
// cut arrives when it heals, unless an end gave up first. Reports may be dropped, doubled, late or out of
// order besides, which is more than TCP does.
import type { Draw } from "./draw.js";
import { CALM_AT_MS, type Faults } from "./scenario.js";
import type { Timeline } from "./timeline.js";

export type ToCoordinator =
  | { readonly kind: "credits"; readonly count: number }
  | {
      readonly kind: "done";
      readonly jobId: string;
      readonly taskId: string;
      readonly epoch: number;
    }
  | {
      readonly kind: "failed";
      readonly jobId: string;
      readonly taskId: string;
      readonly epoch: number;
      readonly code: string;
      readonly retryable: boolean;
    };

export interface ToWorker {
  readonly kind: "assign" | "cancel";
  readonly jobId: string;
  readonly taskId: string;
  readonly epoch: number;
}

/** The path between a worker and the coordinator, which outlives sessions. */
export interface Link {
  upCutUntilMs: number;
  downCutUntilMs: number;
}

export interface World {
  readonly timeline: Timeline;
  readonly draw: Draw;
  readonly faults: Faults;
}

export class Session {
  readonly workerId: string;
  /** The life of the coordinator that it was made in. */
  readonly life: number;
  isOpenAtWorker = true;
  isOpenAtCoordinator = true;
  readonly #world: World;
  readonly #link: Link;
  #upFreeAtMs = 0;
  #downFreeAtMs = 0;

  constructor(workerId: string, life: number, world: World, link: Link) {
    this.workerId = workerId;
    this.life = life;
    this.#world = world;
    this.#link = link;
  }

  /** Credits arrive in order and once; a report may not. `deliver` checks what is still open. */
  sendUp(message: ToCoordinator, deliver: (message: ToCoordinator) => void): void {
    const { timeline, draw, faults } = this.#world;
    const isReport = message.kind !== "credits";
    if (isReport && this.#happens(faults.drop)) return;
    const delayMs = this.#delay(this.#link.upCutUntilMs);
    if (isReport && this.#happens(faults.reorder)) {
      timeline.after(delayMs + draw.between(0, 3_000), () => deliver(message));
    } else {
      this.#upFreeAtMs = Math.max(this.#upFreeAtMs, timeline.nowMs + delayMs);
      timeline.after(this.#upFreeAtMs - timeline.nowMs, () => deliver(message));
    }
    if (isReport && this.#happens(faults.duplicate)) {
      timeline.after(delayMs + draw.between(0, 15_000), () => deliver(message));
    }
  }

  sendDown(message: ToWorker, deliver: (message: ToWorker) => void): void {
    const { timeline } = this.#world;
    const delayMs = this.#delay(this.#link.downCutUntilMs);
    this.#downFreeAtMs = Math.max(this.#downFreeAtMs, timeline.nowMs + delayMs);
    timeline.after(this.#downFreeAtMs - timeline.nowMs, () => deliver(message));
  }

  #delay(cutUntilMs: number): number {
    const { timeline, draw, faults } = this.#world;
    const heals = Math.max(0, cutUntilMs - timeline.nowMs);
    return heals + draw.between(0, faults.delayMaxMs);
  }

  #happens(probability: number): boolean {
    const { timeline, draw } = this.#world;
    return probability > 0 && timeline.nowMs < CALM_AT_MS && draw.chance(probability);
  }
}
