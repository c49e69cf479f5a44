// The coordinator around the real fleet: sessions in, decisions out, the journal in between. Killed, it
// begins again from the journal alone.
import type { Decision, Fleet, FleetEvent } from "@graft/coordinator";
import { Checks, promise } from "./checks.js";
import { type DurableJob, type JobEnd, JournalModel } from "./journal.js";
import type { JobSpec, Scenario, TaskSpec } from "./scenario.js";
import { Session, type ToCoordinator, type World } from "./session.js";
import type { Coordinator, WorkerModel } from "./worker-model.js";

const LATE_RESULTS_MS = 5_000;
const LOST = { code: "WORKER_LOST", message: "lost", retryable: true };

export class CoordinatorModel implements Coordinator {
  readonly journal: JournalModel;
  readonly #scenario: Scenario;
  readonly #world: World;
  readonly #createFleet: () => Fleet;
  readonly #onDrained: (workerId: string) => void;
  readonly #specs = new Map<string, ReadonlyMap<string, TaskSpec>>();
  readonly #sessions = new Map<
    string,
    { readonly session: Session; readonly worker: WorkerModel }
  >();
  readonly #quarantined = new Set<string>();
  #fleet: Fleet | null = null;
  #checks: Checks;
  #life = 0;
  assignCount = 0;

  constructor(
    scenario: Scenario,
    world: World,
    createFleet: () => Fleet,
    onDrained: (workerId: string) => void,
  ) {
    this.#scenario = scenario;
    this.#world = world;
    this.#createFleet = createFleet;
    this.#onDrained = onDrained;
    this.#checks = new Checks(scenario);
    this.journal = new JournalModel(world.timeline, world.draw);
    for (const { id, tasks } of scenario.jobs) {
      this.#specs.set(id, new Map(tasks.map((task) => [task.id, task])));
    }
  }

  get isUp(): boolean {
    return this.#fleet !== null;
  }

  taskOf(jobId: string, taskId: string): TaskSpec {
    const task = this.#specs.get(jobId)?.get(taskId);
    promise(task !== undefined, () => `${jobId}/${taskId} was never planned`);
    return task;
  }

  start(): void {
    this.#life += 1;
    this.#fleet = this.#createFleet();
    this.#checks = new Checks(this.#scenario);
    for (const workerId of this.#quarantined) {
      this.#feed({ kind: "worker-quarantined", workerId });
    }
    for (const job of this.journal.jobs.values()) {
      if (job.ended === null) this.#open(job);
    }
  }

  crash(): void {
    this.#fleet = null;
    this.journal.crash();
    const { timeline, draw } = this.#world;
    for (const { session, worker } of this.#sessions.values()) {
      session.isOpenAtCoordinator = false;
      timeline.after(draw.between(0, 200), () => worker.closed(session));
    }
    this.#sessions.clear();
  }

  tick(): void {
    if (this.#fleet === null) return;
    for (const [workerId, { session, worker }] of this.#sessions) {
      if (worker.session === session && worker.isMoving) {
        this.#feed({ kind: "worker-progressed", workerId });
      }
    }
    this.#feed({ kind: "tick" });
  }

  submit(spec: JobSpec, acknowledge: () => void): void {
    this.journal.accept(spec, () => {
      acknowledge();
      const job = this.journal.jobs.get(spec.id);
      if (job !== undefined) this.#open(job);
    });
  }

  cancel(jobId: string, then: () => void): void {
    const job = this.journal.jobs.get(jobId);
    if (job === undefined) return;
    this.journal.cancel(job, () => {
      then();
      if (job.ended === null) this.#feed({ kind: "cancel", jobId });
    });
  }

  drain(workerId: string): void {
    if (this.#sessions.has(workerId)) this.#feed({ kind: "worker-draining", workerId });
  }

  quarantine(workerId: string): void {
    this.#quarantined.add(workerId);
    this.#feed({ kind: "worker-quarantined", workerId });
  }

  connect(worker: WorkerModel): Session | null {
    if (this.#fleet === null) return null;
    const { id, memoryBytes } = worker.spec;
    const older = this.#sessions.get(id);
    if (older !== undefined) this.lost(older.session);
    const session = new Session(id, this.#life, this.#world, worker.link);
    this.#sessions.set(id, { session, worker });
    this.#feed({ kind: "worker-joined", workerId: id, memoryBytes });
    return session;
  }

  lost(session: Session): void {
    if (!session.isOpenAtCoordinator) return;
    session.isOpenAtCoordinator = false;
    const { workerId, life } = session;
    const worker = this.#sessions.get(workerId)?.worker;
    this.#sessions.delete(workerId);
    if (life === this.#life) this.#feed({ kind: "worker-lost", workerId, failure: LOST });
    const { timeline, draw } = this.#world;
    if (worker !== undefined) timeline.after(draw.between(0, 200), () => worker.closed(session));
  }

  receive(session: Session, message: ToCoordinator): void {
    // What a process that is gone was told is told to nobody.
    if (session.life !== this.#life || this.#fleet === null) return;
    const { workerId } = session;
    if (message.kind === "credits") {
      if (!session.isOpenAtCoordinator) return;
      this.#feed({ kind: "credits-granted", workerId, count: message.count });
      return;
    }
    const { jobId, taskId, epoch } = message;
    const named = { workerId, jobId, taskId, epoch };
    if (message.kind === "done") this.#feed({ kind: "task-done", ...named });
    else {
      const { code, retryable } = message;
      this.#feed({ kind: "task-failed", ...named, failure: { code, message: code, retryable } });
    }
  }

  #open(job: DurableJob): void {
    const { spec, commits, isCancelled } = job;
    const epochFloor = Math.max(0, ...commits.values());
    this.#checks.addJob(spec, commits, epochFloor);
    const tasks = spec.tasks
      .filter(({ id }) => !commits.has(id))
      .map(({ id, costMs, memoryBytes, localWorkers }) => ({
        ...{ id, memoryBytes, costBytes: costMs },
        localBytes: new Map(localWorkers.map((workerId) => [workerId, 1])),
      }));
    const { id: jobId, weight, priority } = spec;
    // In two pieces, as large jobs come.
    const half = tasks.length >> 1;
    const head = { kind: "job-added", jobId, epochFloor, share: { weight, priority } } as const;
    this.#feed({ ...head, tasks: tasks.slice(0, half), isOpen: true });
    this.#feed({ kind: "tasks-added", jobId, tasks: tasks.slice(half) });
    this.#feed({ kind: "job-sealed", jobId });
    if (isCancelled) this.#feed({ kind: "cancel", jobId });
  }

  #feed(event: FleetEvent): void {
    if (this.#fleet === null) return;
    const { nowMs } = this.#world.timeline;
    const before = this.#checks.assignCount;
    this.#checks.event(event);
    const decisions = this.#fleet.handle(event, nowMs);
    this.#checks.decisions(event, decisions, nowMs);
    this.assignCount += this.#checks.assignCount - before;
    for (const decided of decisions) {
      if (decided.kind === "job") this.#apply(decided.jobId, decided.decision);
      else this.#onDrained(decided.workerId);
    }
  }

  #apply(jobId: string, decision: Decision): void {
    const job = this.journal.jobs.get(jobId);
    promise(job !== undefined, () => `${jobId} was never accepted`);
    switch (decision.kind) {
      case "assign":
      case "revoke":
        this.#send(jobId, decision);
        return;
      case "commit":
        this.journal.commit(job, decision.taskId, decision.epoch);
        return;
      case "finish":
        this.#end(job, "done");
        return;
      case "fail":
        this.#end(job, "failed");
        return;
      case "cancelled":
        this.#end(job, "cancelled");
        return;
      default:
        return;
    }
  }

  #send(jobId: string, decision: Extract<Decision, { kind: "assign" | "revoke" }>): void {
    const { taskId, epoch, workerId } = decision;
    const open = this.#sessions.get(workerId);
    if (open === undefined) return;
    const kind = decision.kind === "assign" ? "assign" : "cancel";
    const { session, worker } = open;
    session.sendDown({ kind, jobId, taskId, epoch }, (message) => worker.receive(session, message));
  }

  #end(job: DurableJob, end: JobEnd): void {
    const life = this.#life;
    this.journal.end(job, end, () => {
      this.#world.timeline.after(LATE_RESULTS_MS, () => {
        if (life === this.#life) this.#feed({ kind: "job-removed", jobId: job.spec.id });
      });
    });
  }
}
