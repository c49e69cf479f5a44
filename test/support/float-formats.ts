// Rounding to 16-bit floats, done by arithmetic on values instead of by shifting bits, so that a
// mistake in the product's conversion code cannot repeat here. Slow and plain on purpose.

export interface FloatFormat {
  readonly name: "BF16" | "F16";
  /** Stored bits of the fraction; the leading one is implied. */
  readonly fractionBits: number;
  readonly exponentMin: number;
  readonly exponentMax: number;
}

export const BF16: FloatFormat = {
  name: "BF16",
  fractionBits: 7,
  exponentMin: -126,
  exponentMax: 127,
};
export const F16: FloatFormat = {
  name: "F16",
  fractionBits: 10,
  exponentMin: -14,
  exponentMax: 15,
};

const scratch = new DataView(new ArrayBuffer(8));

/** Exponent e with 2^e <= |value| < 2^(e+1); value is finite and not zero. */
function exponentOf(value: number): number {
  scratch.setFloat64(0, value);
  const biased = (scratch.getUint16(0) >> 4) & 0x7ff;
  return biased === 0 ? -1023 : biased - 1023;
}

function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

/** Bits of the nearest number of the format; ties go to the even fraction, overflow to infinity. */
export function toBits(value: number, format: FloatFormat): number {
  const { fractionBits, exponentMin, exponentMax } = format;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const infinity = (exponentMax - exponentMin + 2) << fractionBits;
  if (Number.isNaN(value)) return infinity | (1 << (fractionBits - 1));
  if (value === 0) return sign;
  if (!Number.isFinite(value)) return sign | infinity;
  const exponent = Math.max(exponentOf(value), exponentMin);
  // In units of the last place this is at most 2^(fractionBits+1), so it is exact.
  const units = roundHalfEven(Math.abs(value) * 2 ** (fractionBits - exponent));
  // A carry out of the fraction runs into the exponent field, which is what it should do.
  const bits = ((exponent - exponentMin) << fractionBits) + units;
  return sign | Math.min(bits, infinity);
}

export function fromBits(bits: number, format: FloatFormat): number {
  const { fractionBits, exponentMin, exponentMax } = format;
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  const fraction = bits & ((1 << fractionBits) - 1);
  const field = (bits & 0x7fff) >> fractionBits;
  if (field === exponentMax - exponentMin + 2) return fraction === 0 ? sign * Infinity : Number.NaN;
  if (field === 0) return sign * fraction * 2 ** (exponentMin - fractionBits);
  const exponent = field - 1 + exponentMin;
  return sign * (fraction + 2 ** fractionBits) * 2 ** (exponent - fractionBits);
}

/** Distance in units in the last place; +0 and -0 are the same number. */
export function ulpDistance(a: number, b: number): number {
  const ordered = (bits: number): number => ((bits & 0x8000) === 0 ? bits : -(bits & 0x7fff));
  return Math.abs(ordered(a) - ordered(b));
}
