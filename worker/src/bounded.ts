// Runs an async function over a list, a few at a time, and keeps the order of results.

/** When several calls fail, the error of the first in list order is thrown, so that errors are stable. */
export async function mapBounded<T, R>(
  items: readonly T[],
  atOnce: number,
  call: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const settled: PromiseSettledResult<R>[] = [];
  let next = 0;
  const runner = async (): Promise<void> => {
    while (next < items.length) {
      const at = next;
      next += 1;
      const [result] = await Promise.allSettled([call(items[at] as T)]);
      settled[at] = result;
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, runner));
  return settled.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}
