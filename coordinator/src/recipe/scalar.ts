// What an unquoted scalar means. Recipes in the wild were written for a YAML 1.1 reader that then
// turns text into numbers; YAML 1.2 reads some of them differently. Both readings are worked out
// here, and a number is taken only when they agree; nothing is silently read as something else.
import { quoted } from "@graft/proto";
import type { Scalar } from "./tree.js";

export type Reading =
  | { readonly kind: "null" }
  | { readonly kind: "boolean"; readonly value: boolean }
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "date" }
  | { readonly kind: "text" };

const NULL = /^(?:~|null|Null|NULL|)$/;
const TRUE_OLD = /^(?:yes|Yes|YES|true|True|TRUE|on|On|ON)$/;
const FALSE_OLD = /^(?:no|No|NO|false|False|FALSE|off|Off|OFF)$/;
const TRUE_NEW = /^(?:true|True|TRUE)$/;
const FALSE_NEW = /^(?:false|False|FALSE)$/;
const DATE = /^\d{4}-\d\d?-\d\d?(?:(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d.*)?$/;
const INFINITE = /^([-+]?)\.(?:inf|Inf|INF)$/;
const NOT_A_NUMBER = /^\.(?:nan|NaN|NAN)$/;
const DECIMAL = /^[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?$/;
/** No number needs more; also bounds the time of the patterns below. */
const NUMERAL_LENGTH_MAX = 64;

/** As YAML 1.1 readers in use read it. */
export function readOld(text: string): Reading {
  if (NULL.test(text)) return { kind: "null" };
  if (TRUE_OLD.test(text)) return { kind: "boolean", value: true };
  if (FALSE_OLD.test(text)) return { kind: "boolean", value: false };
  if (text.length > NUMERAL_LENGTH_MAX) return { kind: "text" };
  const value = special(text) ?? oldFloat(text) ?? oldInteger(text);
  if (value !== null) return { kind: "number", value };
  return DATE.test(text) ? { kind: "date" } : { kind: "text" };
}

/** As the core schema of YAML 1.2 reads it. */
export function readNew(text: string): Reading {
  if (NULL.test(text)) return { kind: "null" };
  if (TRUE_NEW.test(text)) return { kind: "boolean", value: true };
  if (FALSE_NEW.test(text)) return { kind: "boolean", value: false };
  if (text.length > NUMERAL_LENGTH_MAX) return { kind: "text" };
  if (DECIMAL.test(text) || /^0(?:o[0-7]+|x[0-9a-fA-F]+)$/.test(text)) {
    return { kind: "number", value: Number(text) };
  }
  const value = special(text);
  return value === null ? { kind: "text" } : { kind: "number", value };
}

function special(text: string): number | null {
  if (NOT_A_NUMBER.test(text)) return Number.NaN;
  const sign = INFINITE.exec(text)?.[1];
  if (sign === undefined) return null;
  return sign === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

function oldFloat(text: string): number | null {
  if (/^(?:[-+]?\d[\d_]*\.[\d_]*|\.\d[\d_]*)(?:[eE][-+]\d+)?$/.test(text)) {
    return Number(text.replaceAll("_", ""));
  }
  return /^[-+]?\d[\d_]*(?::[0-5]?\d)+\.[\d_]*$/.test(text) ? baseSixty(text) : null;
}

function oldInteger(text: string): number | null {
  const sign = text.startsWith("-") ? -1 : 1;
  const digits = text.replace(/^[-+]/, "").replaceAll("_", "");
  if (/^[-+]?0b[01_]+$/.test(text)) return sign * Number(digits);
  if (/^[-+]?0[0-7_]+$/.test(text)) return sign * Number(`0o${digits.slice(1) || "0"}`);
  if (/^[-+]?(?:0|[1-9][\d_]*)$/.test(text)) return sign * Number(digits);
  if (/^[-+]?0x[\da-fA-F_]+$/.test(text)) return sign * Number(digits);
  return /^[-+]?[1-9][\d_]*(?::[0-5]?\d)+$/.test(text) ? baseSixty(text) : null;
}

/** 1:30 is ninety to YAML 1.1. */
function baseSixty(text: string): number {
  const parts = text.replace(/^[-+]/, "").replaceAll("_", "").split(":");
  const value = parts.reduce((sum, part) => sum * 60 + Number(part), 0);
  return text.startsWith("-") ? -value : value;
}

export type NumberReading =
  | { readonly value: number; readonly problem: null }
  | { readonly value: null; readonly problem: string };

const refuse = (problem: string): NumberReading => ({ value: null, problem });

/** The number a scalar stands for, quoted or not; booleans are 1 and 0. */
export function readNumber(scalar: Scalar): NumberReading {
  const { text } = scalar;
  const given = quoted(text);
  if (scalar.style !== "plain") return finite(textNumber(text), given);
  const older = readOld(text);
  const newer = readNew(text);
  const olderNumber = asNumber(older, text);
  const newerNumber = asNumber(newer, text);
  // yes, no, on, off: only one of the two readings can be meant where a number is expected.
  if (older.kind === "boolean") return finite(olderNumber, given);
  if (Object.is(olderNumber, newerNumber)) return finite(olderNumber, given);
  const remedy = "write the number in plain decimals";
  return refuse(
    `${given} is ${spell(older)} in YAML 1.1 but ${spell(newer)} in YAML 1.2; ${remedy}`,
  );
}

function finite(value: number | null, given: string): NumberReading {
  if (value === null) return refuse(`expected a number, got ${given}`);
  if (!Number.isFinite(value)) return refuse(`expected a finite number, got ${given}`);
  // Minus zero is what one reading makes of -0 and another does not.
  return { value: value === 0 ? 0 : value, problem: null };
}

function asNumber(reading: Reading, text: string): number | null {
  if (reading.kind === "number") return reading.value;
  if (reading.kind === "boolean") return Number(reading.value);
  return reading.kind === "text" ? textNumber(text) : null;
}

function textNumber(text: string): number | null {
  const trimmed = text.trim();
  return trimmed.length <= NUMERAL_LENGTH_MAX && DECIMAL.test(trimmed) ? Number(trimmed) : null;
}

function spell(reading: Reading): string {
  if (reading.kind === "number") return String(reading.value);
  return reading.kind === "boolean" ? String(reading.value) : "text";
}

/** Null when the scalar is text; otherwise what it is instead, with the remedy. */
export function textProblem(scalar: Scalar): string | null {
  if (scalar.style !== "plain") return null;
  const reading = readOld(scalar.text);
  if (reading.kind === "text") return null;
  if (reading.kind === "null") return "expected text, got nothing (null)";
  const what = `${quoted(scalar.text)}, which YAML reads as a ${reading.kind}`;
  return `expected text, got ${what}; put it in quotes`;
}
