// The one table of error codes: text template, gRPC status, whether a retry can help, exit code.
// Templates are lower-case, name the path or tensor first and end with the remedy; {name} is filled
// from the details. Everything that reaches a user is one of these.

export const EXIT = {
  ok: 0,
  verification: 1,
  input: 2,
  environment: 3,
  cluster: 4,
  internal: 5,
  interrupted: 130,
} as const;

/** gRPC status numbers (google.rpc.Code), named here so that this file imports nothing. */
const STATUS = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export interface ErrorInfo {
  readonly template: string;
  readonly status: number;
  readonly retryable: boolean;
  readonly exit: number;
}

const input = (template: string): ErrorInfo => ({
  template,
  status: STATUS.INVALID_ARGUMENT,
  retryable: false,
  exit: EXIT.input,
});
const environment = (template: string, retryable = false): ErrorInfo => ({
  template,
  status: STATUS.RESOURCE_EXHAUSTED,
  retryable,
  exit: EXIT.environment,
});
const precondition = (template: string): ErrorInfo => ({
  template,
  status: STATUS.FAILED_PRECONDITION,
  retryable: false,
  exit: EXIT.input,
});

export const ERRORS = {
  // Recipes and flags. RECIPE carries a list of problems, each already positioned.
  RECIPE: input("{problems}"),
  FLAG: input("{flag}: {problem}"),
  UNSUPPORTED: input("{what} is not supported by this version; {remedy}"),

  // Models.
  MODEL_NOT_FOUND: {
    ...input('model "{reference}": no such directory; looked for {tried}'),
    status: STATUS.NOT_FOUND,
  },
  MODEL_HUB_REFERENCE: input(
    'model "{reference}" is a hub reference and downloads are not part of this version; ' +
      "get the model and add: --model {reference}=DIR",
  ),
  /** `also` is empty or another thing that is missing, with its comma. */
  MODEL_NO_WEIGHTS: input("{path}: no model.safetensors and no model.safetensors.index.json{also}"),
  MODEL_PICKLE: input(
    "{path}: weights are in a pickle file (.bin), which is not read; convert the model to safetensors",
  ),
  MODEL_CONFIG: input("{path}: {problem}"),
  MODEL_SHARD_MISSING: input(
    "{path}: the index names {shard}, which is not there ({missing} of {total} shards missing); " +
      "download it again",
  ),
  MODEL_INDEX: input("{path}: {problem}"),
  SHARD_NAME: input(
    "{path}: weight_map names {shard}; a shard name must be a plain file name in the model directory",
  ),
  SHARD_LINK: input("{path}: links to {target}, outside the model directory"),
  INDEX_MISSING_TENSOR: input(
    "{path}: {count} tensors of {shard} are not in weight_map, first: {names}",
  ),
  INDEX_EXTRA_TENSOR: input(
    "{path}: weight_map places {count} tensors in {shard}, which lacks them: {names}",
  ),
  NOT_A_FILE: input("{path}: not a regular file"),
  LFS_POINTER: input("{path}: a Git LFS pointer, not the weights; run: git lfs pull"),

  // safetensors headers, one code per rejection (spec: strict reader).
  ST_TOO_SHORT: input("{path}: {size} bytes, too short for a safetensors file; download it again"),
  ST_HEADER_LENGTH: input(
    "{path}: header length {length} is not in [2, {allowed}]; the file is damaged or not safetensors",
  ),
  ST_TRUNCATED: input(
    "{path}: {actual} bytes, but the header describes {expected}; the download is incomplete",
  ),
  ST_TRAILING: input("{path}: {extra} bytes after the last tensor; the file is damaged or hostile"),
  ST_START: input("{path}: header does not start with '{'"),
  ST_SYNTAX: input("{path}: header byte {position}: {problem}"),
  ST_UTF8: input("{path}: header byte {position}: invalid UTF-8 or lone surrogate"),
  ST_DEPTH: input("{path}: header byte {position}: nested deeper than the format allows"),
  ST_DUP_NAME: input("{path}: tensor {tensor} is listed twice; the file is damaged or hostile"),
  ST_DUP_KEY: input("{path}: {tensor}: key {key} appears twice"),
  ST_FIELD: input("{path}: tensor {tensor}: {problem}"),
  ST_DTYPE: input("{path}: tensor {tensor}: unknown dtype {dtype}"),
  ST_NUMBER: input("{path}: tensor {tensor}: {problem}"),
  ST_RANK: input("{path}: tensor {tensor}: rank {rank} is over 64"),
  ST_DIMENSION: input("{path}: tensor {tensor}: dimension {dimension} is over 2^48"),
  ST_OVERFLOW: input("{path}: tensor {tensor}: shape {shape} overflows 64 bits"),
  ST_OFFSETS: input("{path}: tensor {tensor}: data_offsets [{begin}, {end}] {problem}"),
  ST_SIZE: input(
    "{path}: tensor {tensor}: shape {shape} of {dtype} takes {expected} bytes, got {actual}",
  ),
  ST_OVERLAP: input(
    "{path}: tensor {tensor} claims bytes {begin}..{end}, already owned by {other}; " +
      "the file is damaged or hostile",
  ),
  ST_HOLE: input("{path}: bytes {begin}..{end} belong to no tensor"),
  ST_NAME: input("{path}: tensor name with a NUL byte"),
  ST_TENSOR_COUNT: input("{path}: more than {allowed} tensors in one file"),
  ST_METADATA: input("{path}: __metadata__ must map strings to strings"),

  // Planning.
  PLAN: input("{problems}"),
  MEMORY_TOO_SMALL: environment("--memory {given}: this merge needs at least {needed} ({reason})"),

  // Output and jobs.
  OUTPUT_EXISTS: precondition("{path}: already exists; choose another --out or add --force"),
  OUTPUT_INSIDE_INPUT: precondition(
    "{path}: is or lies inside the input model {model}; choose another --out",
  ),
  OUTPUT_LOCKED: precondition("{path}: another process is writing it (pid {pid} on {host})"),
  OUTPUT_NOT_GRAFT: precondition("{path}: not an output of graft: no graft-manifest.json"),
  NO_PARTIAL_WORK: precondition("{path}: no interrupted work (looked for {work})"),
  OUTPUT_TAKEN: precondition(
    "{path}: job {job} is going to write it; choose another --out or: coordinator cancel {job}",
  ),
  RESUME_MISMATCH: precondition(
    "{path}: interrupted work of a different plan is there: {changed}; " +
      "start over with: coordinator clean {path}",
  ),
  JOURNAL: precondition("{path}: journal record {record} is damaged: {problem}"),
  DISK_SPACE: environment(
    "{path}: needs {needed} but only {free} are free; free {missing} or choose another --out",
  ),
  DISK_FULL: environment(
    "{path}: the disk is full; free some space, then: coordinator resume {output}",
  ),
  IO: { ...environment("{path}: {operation}: {problem}", true), status: STATUS.ABORTED },
  PERMISSION: environment("{path}: {operation}: permission denied"),
  LOST_WRITE: {
    template: "{path}: the kernel reports a lost write ({problem}); the file is written anew",
    status: STATUS.DATA_LOSS,
    retryable: false,
    exit: EXIT.environment,
  },

  // Jobs of a coordinator.
  JOB_NOT_FOUND: {
    ...input("job {job}: unknown to this coordinator; see: coordinator list"),
    status: STATUS.NOT_FOUND,
  },
  JOB_AMBIGUOUS: input("job {job}: could be any of {jobs}; write more of it"),
  JOB_ID_TAKEN: {
    ...input("job {job}: exists already, with another request"),
    status: STATUS.ALREADY_EXISTS,
  },
  JOB_CANCELLED: {
    template: "job {job} was cancelled; nothing was published",
    status: STATUS.CANCELLED,
    retryable: false,
    exit: EXIT.interrupted,
  },
  STATE_LOCKED: precondition("{path}: another coordinator uses it (pid {pid} on {host})"),
  STATE_DAMAGED: precondition("{path}: {problem}"),
  COORDINATOR_LOST: {
    template: "coordinator {address}: {problem}",
    status: STATUS.UNAVAILABLE,
    retryable: true,
    exit: EXIT.cluster,
  },
  WORKER_UNKNOWN: {
    ...input("worker {worker}: not one of this coordinator's; they are {workers}"),
    status: STATUS.NOT_FOUND,
  },

  // Who may call.
  UNAUTHENTICATED: {
    ...environment(
      "{method}: the caller's certificate has no role; it needs exactly one URI graft:role:ROLE " +
        "(make one with: coordinator certs issue)",
    ),
    status: STATUS.UNAUTHENTICATED,
  },
  ROLE_REFUSED: {
    ...environment("{method}: not for role {role}, only for {allowed}"),
    status: STATUS.PERMISSION_DENIED,
  },
  SERVER_ROLE: {
    ...environment("{host}: its certificate has role {role}, expected {wanted}"),
    status: STATUS.PERMISSION_DENIED,
  },

  // The shard cache and the peers that fill it.
  CACHE_TOO_SMALL: environment(
    "{path}: holds at most {given}, but the task needs {needed} at once; raise --cache-size",
  ),
  CACHE_IN_USE: precondition(
    "{path}: process {pid} uses this cache; stop that worker first, or choose another --cache-dir",
  ),
  NOT_HERE: {
    ...environment("{path}: neither here ({what}) nor whole in the cache", true),
    status: STATUS.NOT_FOUND,
  },
  /** After every holder was asked, several times where that could help. */
  NO_HOLDER: {
    template: "{path}: no holder gave bytes {range} ({count} asked), last {worker}: {problem}",
    status: STATUS.UNAVAILABLE,
    retryable: true,
    exit: EXIT.cluster,
  },

  // Running.
  INPUT_CHANGED: {
    ...input("{path}: changed while the merge was running ({what}); nothing was published"),
    status: STATUS.FAILED_PRECONDITION,
  },
  COMPUTE: {
    template: "tensor {tensor}: {problem}",
    status: STATUS.INTERNAL,
    retryable: true,
    exit: EXIT.internal,
  },
  CANCELLED: {
    template: "cancelled",
    status: STATUS.CANCELLED,
    retryable: false,
    exit: EXIT.interrupted,
  },
  TASK_POISONED: {
    template: "task {task} failed {attempts} times, last: {problem}",
    status: STATUS.INTERNAL,
    retryable: false,
    exit: EXIT.internal,
  },
  TASK_DISAGREES: {
    template:
      "task {task}: two runs gave different bytes ({tensor}); broken memory or CPU, nothing was published",
    status: STATUS.DATA_LOSS,
    retryable: false,
    exit: EXIT.verification,
  },
  VERIFY_MISMATCH: {
    template: "{path}: {what}: expected {expected}, found {actual}",
    status: STATUS.DATA_LOSS,
    retryable: false,
    exit: EXIT.verification,
  },
  STALE_EPOCH: {
    template: "task {task}: result of epoch {epoch} refused, now at {current}",
    status: STATUS.ABORTED,
    retryable: false,
    exit: EXIT.internal,
  },
  WORKER_UNFIT: {
    template: "worker {worker} gets no tasks: {problem}",
    status: STATUS.FAILED_PRECONDITION,
    retryable: false,
    exit: EXIT.cluster,
  },
  WORKER_LOST: {
    template: "worker {worker}: {problem}",
    status: STATUS.UNAVAILABLE,
    retryable: true,
    exit: EXIT.cluster,
  },
  NATS_UNAVAILABLE: {
    template: "NATS at {servers}: {problem}; try again in {retryAfter} s",
    status: STATUS.UNAVAILABLE,
    retryable: true,
    exit: EXIT.cluster,
  },
  NATS_REFUSED: {
    template: "NATS at {servers}: {problem}",
    status: STATUS.FAILED_PRECONDITION,
    retryable: false,
    exit: EXIT.cluster,
  },
  NATS_OPEN: {
    template:
      "NATS at {servers}: lets anybody in, and not from this machine only; give it users " +
      "(deploy/nats/graft.conf shows how) or say --insecure",
    status: STATUS.FAILED_PRECONDITION,
    retryable: false,
    exit: EXIT.cluster,
  },
  CLAIM_LOST: {
    template: "job {job}: this coordinator no longer owns it (epoch {epoch}): {problem}",
    status: STATUS.ABORTED,
    retryable: true,
    exit: EXIT.cluster,
  },
  NATIVE_MISSING: environment("no native library; tried {tried}; run: npm run setup"),
  INTERNAL: {
    template: "internal error: {problem}; please report it",
    status: STATUS.INTERNAL,
    retryable: false,
    exit: EXIT.internal,
  },
} as const satisfies Record<string, ErrorInfo>;

export type ErrorCode = keyof typeof ERRORS;

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}

const QUOTE_MAX = 120;

/** Text of unknown origin, safe in a log line: quoted, control characters escaped, cut at 120 characters. */
export function quoted(text: string): string {
  const cut = text.length > QUOTE_MAX ? `${text.slice(0, QUOTE_MAX)}…` : text;
  return JSON.stringify(cut).replace(/[\u007f-\u009f\u2028\u2029]/g, escapeCharacter);
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

export type ErrorDetails = Readonly<Record<string, string | number | bigint>>;

/** The only error class of the project. `message` is the finished sentence. */
export class GraftError extends Error {
  override readonly name = "GraftError";
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, details: ErrorDetails = {}, options?: ErrorOptions) {
    const texts = Object.fromEntries(
      Object.entries(details).map(([key, value]) => [key, String(value)]),
    );
    super(render(ERRORS[code].template, texts), options);
    this.code = code;
    this.details = texts;
  }

  get info(): ErrorInfo {
    return ERRORS[this.code];
  }

  /** Normalises anything thrown, once per boundary: GraftErrors pass, the rest becomes INTERNAL. */
  static from(error: unknown): GraftError {
    if (error instanceof GraftError) return error;
    const problem = error instanceof Error ? error.message : String(error);
    return new GraftError("INTERNAL", { problem }, { cause: error });
  }

  /** Rebuilds an error that crossed a process border; `message` wins over the template. */
  static fromDetail(detail: {
    readonly code: string;
    readonly message: string;
    readonly details: Readonly<Record<string, string>>;
  }): GraftError {
    const code = isErrorCode(detail.code) ? detail.code : "INTERNAL";
    const error = new GraftError(code, detail.details);
    error.message = detail.message;
    return error;
  }
}

function render(template: string, details: Readonly<Record<string, string>>): string {
  return template.replace(/\{(\w+)\}/g, (whole, key: string) => details[key] ?? whole);
}
