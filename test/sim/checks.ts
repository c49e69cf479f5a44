// The promises, checked on every decision of the fleet: what it may know is kept here a second time, from
// the same events, in the plainest way.
import type { Decision, FleetDecision, FleetEvent } from "@graft/coordinator";
import type { JobSpec, Scenario, TaskSpec } from "./scenario.js";

/** A promise was broken. */
export class Violation extends Error {}

export function promise(holds: boolean, broken: () => string): asserts holds {
  if (!holds) throw new Violation(broken());
}

interface Attempt {
  readonly job: JobCheck;
  readonly task: TaskCheck;
  readonly epoch: number;
  readonly worker: WorkerCheck;
  isLive: boolean;
  /** Its job was cancelled; it may still end by itself. */
  isTold: boolean;
  /** Its memory may be in use until then. */
  heldUntilMs: number;
}

interface TaskCheck {
  readonly spec: TaskSpec;
  epoch: number;
  failures: number;
  isCommitted: boolean;
  /** An attempt ended in a way that no other can mend. */
  isHopeless: boolean;
  live: Attempt[];
}

interface JobCheck {
  readonly spec: JobSpec;
  readonly tasks: ReadonlyMap<string, TaskCheck>;
  readonly costMs: number;
  parkedCount: number;
  isCancelled: boolean;
  isEnded: boolean;
  assignedCost: number;
}

interface WorkerCheck {
  readonly id: string;
  readonly memoryBytes: number;
  credits: number;
  isLeaving: boolean;
  readonly attempts: Set<Attempt>;
}

type AssignDecision = Extract<Decision, { kind: "assign" }>;

/** Of one life of the coordinator. */
export class Checks {
  readonly #scenario: Scenario;
  readonly #jobs = new Map<string, JobCheck>();
  readonly #workers = new Map<string, WorkerCheck>();
  readonly #quarantined = new Set<string>();
  assignCount = 0;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
  }

  addJob(spec: JobSpec, durable: ReadonlyMap<string, number>, epochFloor: number): void {
    const tasks = new Map<string, TaskCheck>();
    for (const task of spec.tasks) {
      const isCommitted = durable.has(task.id);
      const fresh = { epoch: epochFloor, failures: 0, isHopeless: false, live: [] };
      tasks.set(task.id, { spec: task, isCommitted, ...fresh });
    }
    // Shares count from when all are there.
    for (const other of this.#jobs.values()) {
      if (other.spec.priority === spec.priority) other.assignedCost = 0;
    }
    this.#jobs.set(spec.id, {
      ...{ spec, tasks, parkedCount: 0, isCancelled: false, isEnded: false, assignedCost: 0 },
      costMs: spec.tasks.reduce((sum, { costMs }) => sum + costMs, 0),
    });
  }

  /** Before the fleet hears of it. */
  event(event: FleetEvent): void {
    switch (event.kind) {
      case "worker-joined":
        this.#join(event.workerId, event.memoryBytes ?? Number.POSITIVE_INFINITY);
        return;
      case "credits-granted":
        this.#worker(event.workerId).credits += event.count;
        return;
      case "worker-lost":
        for (const attempt of this.#workers.get(event.workerId)?.attempts ?? []) {
          if (attempt.isLive) attempt.task.failures += 1;
          this.#over(attempt);
        }
        this.#workers.delete(event.workerId);
        return;
      case "worker-draining":
        this.#worker(event.workerId).isLeaving = true;
        return;
      case "worker-quarantined":
        this.#quarantined.add(event.workerId);
        for (const worker of this.#workers.values()) {
          if (worker.id === event.workerId) worker.isLeaving = true;
        }
        return;
      case "task-failed": {
        const attempt = this.#attempt(event);
        if (attempt === undefined) return;
        if (attempt.isLive) {
          attempt.task.failures += 1;
          attempt.task.isHopeless = !event.failure.retryable;
        }
        this.#over(attempt);
        return;
      }
      case "cancel":
        this.#job(event.jobId).isCancelled = true;
        return;
      default:
        return;
    }
  }

  /** After the fleet has answered. */
  decisions(event: FleetEvent, decisions: readonly FleetDecision[], nowMs: number): void {
    for (const decided of decisions) {
      if (decided.kind === "worker-drained") {
        const inHand = [...this.#worker(decided.workerId).attempts].filter(
          ({ heldUntilMs }) => heldUntilMs > nowMs,
        );
        promise(inHand.length === 0, () => `${decided.workerId} drained with tasks in hand`);
      } else this.#decision(this.#job(decided.jobId), decided.decision, event, nowMs);
    }
    if (event.kind !== "task-done") return;
    const attempt = this.#attempt(event);
    if (attempt?.isLive === true) {
      promise(false, () => `${nameOf(attempt)}: its result was neither committed nor refused`);
    }
    if (attempt !== undefined) this.#over(attempt);
    for (const other of this.#jobs.get(event.jobId)?.tasks.get(event.taskId)?.live ?? []) {
      promise(!other.task.isCommitted, () => `${nameOf(other)} goes on after a commit`);
    }
  }

  #decision(job: JobCheck, decision: Decision, event: FleetEvent, nowMs: number): void {
    const { id } = job.spec;
    promise(!job.isEnded || decision.kind === "refuse", () => `${id}: ${decision.kind} after end`);
    switch (decision.kind) {
      case "assign":
        this.#assign(job, decision, nowMs);
        return;
      case "revoke":
        this.#revoke(job, decision, nowMs);
        return;
      case "commit":
        this.#commit(job, decision, event);
        return;
      case "refuse": {
        const attempt = event.kind === "task-done" ? this.#attempt(event) : undefined;
        promise(attempt?.isLive !== true, () => `${id}: a good result of a live lease refused`);
        if (attempt !== undefined) this.#over(attempt);
        return;
      }
      case "park":
        this.#park(job, decision.taskId, decision.attempts);
        return;
      default:
        this.#endJob(job, decision.kind);
    }
  }

  #assign(job: JobCheck, { taskId, epoch, workerId }: AssignDecision, nowMs: number): void {
    const where = (): string => `${job.spec.id}/${taskId}@${epoch} to ${workerId}`;
    const task = this.#task(job, taskId);
    const worker = this.#worker(workerId);
    promise(!worker.isLeaving, () => `${where()}: the worker is leaving`);
    promise(worker.credits > 0, () => `${where()}: no credit`);
    promise(!task.isCommitted, () => `${where()}: committed already`);
    promise(!task.isHopeless, () => `${where()}: it cannot succeed`);
    promise(epoch > task.epoch, () => `${where()}: epoch ${task.epoch} was used before`);
    promise(task.live.length < 2, () => `${where()}: two attempts are running`);
    promise(!job.isCancelled, () => `${where()}: the job is cancelled`);
    const attempts = task.failures + task.live.length;
    promise(attempts < this.#scenario.attemptsMax, () => `${where()}: attempt ${attempts + 1}`);
    let usedBytes = task.spec.memoryBytes;
    for (const attempt of worker.attempts) {
      promise(attempt.task !== task || !attempt.isLive, () => `${where()}: runs there already`);
      if (attempt.heldUntilMs > nowMs) usedBytes += attempt.task.spec.memoryBytes;
      else worker.attempts.delete(attempt);
    }
    promise(usedBytes <= worker.memoryBytes, () => `${where()}: ${usedBytes} bytes do not fit`);
    const heldUntilMs = Number.POSITIVE_INFINITY;
    const attempt: Attempt = { job, task, epoch, worker, isLive: true, isTold: false, heldUntilMs };
    worker.credits -= 1;
    worker.attempts.add(attempt);
    task.live = [...task.live, attempt];
    task.epoch = epoch;
    job.assignedCost += task.spec.costMs;
    this.assignCount += 1;
    if (task.live.length > 1) this.#checkCopies(job, where);
    if (this.#scenario.kind === "fair") this.#checkShares(job, where);
  }

  /** Copies in flight stay within a tenth of the job, or there is just one. */
  #checkCopies(job: JobCheck, where: () => string): void {
    let costMs = 0;
    let count = 0;
    for (const { live, spec } of job.tasks.values()) {
      if (live.length < 2) continue;
      costMs += spec.costMs;
      count += 1;
    }
    promise(
      count === 1 || costMs <= job.costMs / 10 + 1,
      () => `${where()}: ${count} copies at once`,
    );
  }

  /** While two jobs have tasks to give, their shares go by weight and the higher priority goes first. */
  #checkShares(job: JobCheck, where: () => string): void {
    for (const other of this.#jobs.values()) {
      if (other === job || other.isEnded) continue;
      let untouched = 0;
      for (const { live, isCommitted } of other.tasks.values()) {
        if (!isCommitted && live.length === 0) untouched += 1;
      }
      if (untouched === 0) continue;
      const { spec } = job;
      promise(
        other.spec.priority <= spec.priority,
        () => `${where()}: ${other.spec.id} goes first`,
      );
      if (other.spec.priority !== spec.priority) continue;
      const ahead = job.assignedCost / spec.weight - other.assignedCost / other.spec.weight;
      promise(ahead <= 2 * 2_000, () => `${where()}: ${ahead} ms ahead of ${other.spec.id}`);
    }
  }

  #revoke(job: JobCheck, decision: Extract<Decision, { kind: "revoke" }>, nowMs: number): void {
    const { taskId, epoch, workerId, reason } = decision;
    const where = (): string => `${job.spec.id}/${taskId}@${epoch} of ${workerId}`;
    const task = this.#task(job, taskId);
    const attempt = task.live.find((one) => one.epoch === epoch);
    promise(attempt !== undefined, () => `${where()} is revoked and was not live`);
    promise(attempt.worker.id === workerId, () => `${where()} is another worker's`);
    // A cancelled job waits a while for the ends of its attempts.
    const isFirst = !attempt.isTold;
    attempt.isTold = job.isCancelled;
    if (reason === "cancelled" && job.isCancelled && isFirst) return;
    if (reason === "expired") task.failures += 1;
    attempt.isLive = false;
    attempt.heldUntilMs = nowMs + this.#scenario.leaseTtlMs;
    task.live = task.live.filter((one) => one !== attempt);
  }

  #commit(job: JobCheck, decision: Extract<Decision, { kind: "commit" }>, event: FleetEvent): void {
    const { taskId, epoch } = decision;
    const where = (): string => `${job.spec.id}/${taskId}@${epoch}`;
    const task = this.#task(job, taskId);
    promise(!task.isCommitted, () => `${where()} is committed twice`);
    promise(
      event.kind === "task-done" && event.taskId === taskId && event.epoch === epoch,
      () => `${where()} is committed without its result`,
    );
    const attempt = this.#attempt(event);
    promise(attempt?.isLive === true, () => `${where()} is committed with a stale epoch`);
    task.isCommitted = true;
    this.#over(attempt);
  }

  #park(job: JobCheck, taskId: string, attempts: number): void {
    const task = this.#task(job, taskId);
    const where = (): string => `${job.spec.id}/${taskId}`;
    promise(
      attempts === task.failures,
      () => `${where()} parked after ${attempts}, not ${task.failures}`,
    );
    const isUnfit = [...this.#workers.values()].every(
      ({ isLeaving, memoryBytes }) => isLeaving || memoryBytes < task.spec.memoryBytes,
    );
    const isDue = attempts >= this.#scenario.attemptsMax;
    promise(isDue || isUnfit || task.spec.nature === "fatal", () => `${where()} parked too early`);
    job.parkedCount += 1;
  }

  #endJob(job: JobCheck, kind: "finish" | "fail" | "cancelled"): void {
    const { id } = job.spec;
    job.isEnded = true;
    let openCount = 0;
    for (const { isCommitted, live } of job.tasks.values()) {
      if (!isCommitted) openCount += 1;
      promise(live.length === 0, () => `${id}: ${kind} while a task runs`);
    }
    if (kind === "finish") promise(openCount === 0, () => `${id}: done without ${openCount} tasks`);
    if (kind === "fail") promise(job.parkedCount > 0, () => `${id}: failed for no reason`);
    if (kind === "cancelled") promise(job.isCancelled, () => `${id}: nobody cancelled it`);
  }

  #over(attempt: Attempt): void {
    attempt.isLive = false;
    attempt.worker.attempts.delete(attempt);
    attempt.task.live = attempt.task.live.filter((one) => one !== attempt);
  }

  /** The attempt that a report is about, if the worker has it in hand. */
  #attempt(event: FleetEvent): Attempt | undefined {
    if (event.kind !== "task-done" && event.kind !== "task-failed") return undefined;
    for (const attempt of this.#workers.get(event.workerId)?.attempts ?? []) {
      if (attempt.epoch !== event.epoch || attempt.task.spec.id !== event.taskId) continue;
      if (attempt.job.spec.id === event.jobId) return attempt;
    }
    return undefined;
  }

  #join(id: string, memoryBytes: number): void {
    promise(!this.#workers.has(id), () => `${id} joined twice`);
    const isLeaving = this.#quarantined.has(id);
    this.#workers.set(id, { id, memoryBytes, credits: 0, isLeaving, attempts: new Set() });
  }

  #worker(workerId: string): WorkerCheck {
    const worker = this.#workers.get(workerId);
    promise(worker !== undefined, () => `${workerId} is not there`);
    return worker;
  }

  #job(jobId: string): JobCheck {
    const job = this.#jobs.get(jobId);
    promise(job !== undefined, () => `${jobId} is no job`);
    return job;
  }

  #task(job: JobCheck, taskId: string): TaskCheck {
    const task = job.tasks.get(taskId);
    promise(task !== undefined, () => `${job.spec.id}/${taskId} is no task`);
    return task;
  }
}

function nameOf({ job, task, epoch }: Attempt): string {
  return `${job.spec.id}/${task.spec.id}@${epoch}`;
}
