// Seeded random numbers for test data: reproducible on every machine, of no statistical ambition.

/** Uniform in [0, 1); the generator is the 32-bit mulberry mix. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Standard normal values (polar-free Box-Muller, two per step). */
export function normals(count: number, seed: number): Float64Array {
  const random = createRandom(seed);
  const values = new Float64Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    const angle = 2 * Math.PI * random();
    values[i] = radius * Math.cos(angle);
    if (i + 1 < count) values[i + 1] = radius * Math.sin(angle);
  }
  return values;
}

/** Seed of this run: GRAFT_SEED to repeat one, else a new one. Tests print it. */
export function runSeed(): number {
  const given = process.env.GRAFT_SEED;
  return given === undefined ? Date.now() % 2 ** 31 : Number(given);
}

/** 32-bit FNV-1a: a stable number from a name. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
