// The truth of the jobs as a model: appends become durable in order after a while, and a crash loses
// those that had not, but for some that reached the disk unseen.
import { promise } from "./checks.js";
import type { Draw } from "./draw.js";
import type { JobSpec } from "./scenario.js";
import type { Timeline } from "./timeline.js";

export type JobEnd = "done" | "failed" | "cancelled";

export interface DurableJob {
  readonly spec: JobSpec;
  /** Epochs of the committed results. */
  readonly commits: Map<string, number>;
  isCancelled: boolean;
  ended: JobEnd | null;
}

interface Append {
  readonly write: () => void;
  readonly then: () => void;
}

export class JournalModel {
  readonly jobs = new Map<string, DurableJob>();
  readonly #timeline: Timeline;
  readonly #draw: Draw;
  #pending: Append[] = [];
  #life = 0;
  #busyUntilMs = 0;

  constructor(timeline: Timeline, draw: Draw) {
    this.#timeline = timeline;
    this.#draw = draw;
  }

  accept(spec: JobSpec, then: () => void): void {
    this.#append(() => {
      if (this.jobs.has(spec.id)) return;
      this.jobs.set(spec.id, { spec, commits: new Map(), isCancelled: false, ended: null });
    }, then);
  }

  commit(job: DurableJob, taskId: string, epoch: number): void {
    this.#append(() => {
      promise(!job.commits.has(taskId), () => `${job.spec.id}/${taskId} is journalled twice`);
      job.commits.set(taskId, epoch);
    });
  }

  cancel(job: DurableJob, then: () => void): void {
    this.#append(() => {
      job.isCancelled = true;
    }, then);
  }

  end(job: DurableJob, ended: JobEnd, then: () => void): void {
    this.#append(() => {
      promise(job.ended === null, () => `${job.spec.id} ends twice`);
      const missing = job.spec.tasks.length - job.commits.size;
      promise(ended !== "done" || missing === 0, () => `${job.spec.id}: ${missing} results lost`);
      job.ended = ended;
    }, then);
  }

  crash(): void {
    this.#life += 1;
    const reached = this.#draw.below(this.#pending.length + 1);
    for (const { write } of this.#pending.slice(0, reached)) write();
    this.#pending = [];
    this.#busyUntilMs = 0;
  }

  #append(write: () => void, then: () => void = () => undefined): void {
    const life = this.#life;
    const append = { write, then };
    this.#pending.push(append);
    const { nowMs } = this.#timeline;
    this.#busyUntilMs = Math.max(this.#busyUntilMs, nowMs + this.#draw.between(0, 20));
    this.#timeline.after(this.#busyUntilMs - nowMs, () => {
      if (life !== this.#life) return;
      promise(this.#pending.shift() === append, () => "the journal is out of order");
      write();
      then();
    });
  }
}
