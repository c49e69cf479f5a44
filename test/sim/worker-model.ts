// A worker as the coordinator meets it: connects, grants credits, runs what it is given side by side,
// reports, dies and comes back. It checks that it is never given more than it declared.
import { promise } from "./checks.js";
import type { TaskSpec, WorkerSpec } from "./scenario.js";
import type { Link, Session, ToCoordinator, ToWorker, World } from "./session.js";

const RECONNECT_MS = 1_000;
/** Both ends notice a silent peer after about this long. */
export const KEEPALIVE_MS = 8_000;

interface Attempt {
  readonly task: TaskSpec;
  readonly message: ToWorker;
  readonly session: Session;
  readonly sinceMs: number;
  readonly durationMs: number;
}

export interface Coordinator {
  /** null: it is down. */
  connect(worker: WorkerModel): Session | null;
  receive(session: Session, message: ToCoordinator): void;
  /** The worker closed it, or is gone. */
  lost(session: Session): void;
  taskOf(jobId: string, taskId: string): TaskSpec;
}

export class WorkerModel {
  readonly spec: WorkerSpec;
  readonly link: Link = { upCutUntilMs: 0, downCutUntilMs: 0 };
  isAlive = false;
  /** Milliseconds of a healthy worker that its attempts were worth, finished or not. */
  workMs = 0;
  readonly #world: World;
  readonly #noise: number;
  readonly #coordinator: Coordinator;
  readonly #running = new Map<string, Attempt>();
  #session: Session | null = null;
  /** Frozen, it neither works nor hears. */
  #frozenUntilMs = 0;
  /** Stuck in a read, it works on nothing and hears. */
  #stuckUntilMs = 0;

  constructor(spec: WorkerSpec, noise: number, world: World, coordinator: Coordinator) {
    this.spec = spec;
    this.#noise = noise;
    this.#world = world;
    this.#coordinator = coordinator;
  }

  /** Does it move bytes, as its reports say? */
  get isMoving(): boolean {
    const { nowMs } = this.#world.timeline;
    if (this.#running.size === 0 || this.link.upCutUntilMs > nowMs) return false;
    return nowMs >= this.#frozenUntilMs && nowMs >= this.#stuckUntilMs;
  }

  get session(): Session | null {
    return this.#session;
  }

  start(): void {
    if (this.isAlive) return;
    this.isAlive = true;
    this.#connect();
  }

  /** kill -9. The coordinator hears of it at once, or never. */
  crash(): void {
    this.isAlive = false;
    const session = this.#leave();
    if (session === null) return;
    const isHeard = this.#world.draw.chance(0.7);
    const delayMs = isHeard ? this.#world.draw.between(0, 100) : KEEPALIVE_MS;
    this.#world.timeline.after(delayMs, () => this.#coordinator.lost(session));
  }

  freeze(durationMs: number): void {
    this.#frozenUntilMs = this.#world.timeline.nowMs + durationMs;
    if (durationMs < KEEPALIVE_MS || this.#session === null) return;
    const session = this.#session;
    this.#world.timeline.after(KEEPALIVE_MS, () => this.#coordinator.lost(session));
  }

  stick(durationMs: number): void {
    this.#stuckUntilMs = this.#world.timeline.nowMs + durationMs;
  }

  /** The other end closed the session, or is silent for too long. */
  closed(session: Session): void {
    if (this.#session !== session) return;
    this.#whenAwake(() => {
      if (this.#session === session) this.#leave();
      this.#retry();
    });
  }

  receive(session: Session, message: ToWorker): void {
    this.#whenAwake(() => {
      if (this.#session !== session) return;
      if (message.kind === "assign") this.#begin(session, message);
      else if (this.#stop(keyOf(message))) {
        this.#report(session, message, { code: "CANCELLED", retryable: true });
      }
    });
  }

  #begin(session: Session, message: ToWorker): void {
    const task = this.#coordinator.taskOf(message.jobId, message.taskId);
    const { draw, timeline, faults } = this.#world;
    const span = draw.between(-1, 1);
    const durationMs = task.costMs * this.spec.slowness * this.#noise ** span;
    const sinceMs = timeline.nowMs;
    this.#running.set(keyOf(message), { task, message, session, sinceMs, durationMs });
    const { credits, memoryBytes, id } = this.spec;
    promise(this.#running.size <= credits, () => `${id} runs more than its credits`);
    let usedBytes = 0;
    for (const one of this.#running.values()) usedBytes += one.task.memoryBytes;
    promise(usedBytes <= memoryBytes, () => `${id} runs ${usedBytes} of ${memoryBytes} bytes`);
    const fails = faults.taskFailure > 0 && draw.chance(faults.taskFailure);
    const end = fails || task.nature !== "good" ? durationMs * draw.between(0, 1) : durationMs;
    timeline.after(end, () => this.#finish(message, session, fails));
  }

  #finish(message: ToWorker, session: Session, fails: boolean): void {
    const key = keyOf(message);
    this.#whenAwake(() => {
      const attempt = this.#running.get(key);
      if (attempt === undefined || attempt.session !== session) return;
      const { timeline } = this.#world;
      if (timeline.nowMs < this.#stuckUntilMs) {
        timeline.after(this.#stuckUntilMs - timeline.nowMs, () =>
          this.#finish(message, session, fails),
        );
        return;
      }
      if (attempt.task.nature === "poison") {
        this.crash();
        timeline.after(500, () => this.start());
        return;
      }
      this.#stop(key);
      const isFatal = attempt.task.nature === "fatal";
      const failure = isFatal
        ? { code: "INPUT_CHANGED", retryable: false }
        : { code: "IO", retryable: true };
      this.#report(session, message, isFatal || fails ? failure : null);
    });
  }

  #report(
    session: Session,
    { jobId, taskId, epoch }: ToWorker,
    failure: { readonly code: string; readonly retryable: boolean } | null,
  ): void {
    const named = { jobId, taskId, epoch };
    const deliver = (message: ToCoordinator): void => this.#coordinator.receive(session, message);
    session.sendUp(
      failure === null ? { kind: "done", ...named } : { kind: "failed", ...named, ...failure },
      deliver,
    );
    session.sendUp({ kind: "credits", count: 1 }, deliver);
  }

  #connect(): void {
    if (!this.isAlive || this.#session !== null) return;
    const { nowMs } = this.#world.timeline;
    const isCut = this.link.upCutUntilMs > nowMs || this.link.downCutUntilMs > nowMs;
    const session = isCut || nowMs < this.#frozenUntilMs ? null : this.#coordinator.connect(this);
    if (session === null) {
      this.#retry();
      return;
    }
    this.#session = session;
    const deliver = (message: ToCoordinator): void => this.#coordinator.receive(session, message);
    session.sendUp({ kind: "credits", count: this.spec.credits }, deliver);
  }

  #retry(): void {
    const delayMs = RECONNECT_MS * this.#world.draw.between(0.5, 1.5);
    this.#world.timeline.after(delayMs, () => this.#connect());
  }

  /** Stops everything that the session had started. */
  #leave(): Session | null {
    const session = this.#session;
    this.#session = null;
    for (const key of this.#running.keys()) this.#stop(key);
    if (session !== null) session.isOpenAtWorker = false;
    return session;
  }

  #stop(key: string): boolean {
    const attempt = this.#running.get(key);
    if (attempt === undefined) return false;
    const { task, sinceMs, durationMs } = attempt;
    const share = Math.min(1, (this.#world.timeline.nowMs - sinceMs) / durationMs);
    this.workMs += share * task.costMs;
    return this.#running.delete(key);
  }

  #whenAwake(run: () => void): void {
    const { timeline } = this.#world;
    const delayMs = this.#frozenUntilMs - timeline.nowMs;
    if (delayMs > 0) timeline.after(delayMs, () => this.#whenAwake(run));
    else run();
  }
}

function keyOf({ jobId, taskId, epoch }: ToWorker): string {
  return `${jobId}/${taskId}@${epoch}`;
}
