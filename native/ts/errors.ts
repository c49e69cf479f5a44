// Failures of the addon. This package imports nothing of ours, so the finished sentence is made by
// whoever maps the code and the details to the project's error table; the message here is for tests.

export class NativeError extends Error {
  override readonly name = "NativeError";
  /** A code of the project's error table. */
  readonly code: string;
  /** Values of the code's text template. */
  readonly details: Readonly<Record<string, string>>;

  constructor(code: string, details: Readonly<Record<string, string>>, options?: ErrorOptions) {
    super(`${code} ${JSON.stringify(details)}`, options);
    this.code = code;
    this.details = details;
  }

  /** An error of the addon as a NativeError; anything else (a bug) as it is. */
  static from(error: unknown): unknown {
    if (!(error instanceof Error) || !("code" in error) || !("details" in error)) return error;
    const { code, details } = error;
    if (typeof code !== "string" || typeof details !== "object" || details === null) return error;
    const texts = Object.entries(details).map(([key, value]) => [key, String(value)] as const);
    return new NativeError(code, Object.fromEntries(texts), { cause: error });
  }
}

/** Runs a call into the addon; a failure, thrown or rejected, comes out as a NativeError. */
export async function translated<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw NativeError.from(error);
  }
}

/** The same for calls that answer at once. */
export function translatedSync<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw NativeError.from(error);
  }
}
