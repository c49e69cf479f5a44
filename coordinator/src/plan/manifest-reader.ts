// Reads a graft-manifest.json back. Only what "verify" uses is checked field by field; a manifest
// comes from a directory that may have been edited, so nothing in it is taken on trust.
import { GraftError, quoted } from "@graft/proto";
import {
  MANIFEST_FORMAT_VERSION,
  MANIFEST_NAME,
  type Manifest,
  type ManifestFile,
  type ManifestSideFile,
  type ManifestSpan,
  type ManifestTensor,
} from "./manifest.js";

/** The part of a manifest that names bytes and their digests. */
export type VerifiableManifest = Pick<
  Manifest,
  "formatVersion" | "planDigest" | "recipeSha256" | "files" | "sideFiles"
>;

/** Throws a GraftError VERIFY_MISMATCH that names `path` and the first field that is wrong. */
export function parseManifest(text: string, path: string = MANIFEST_NAME): VerifiableManifest {
  const root = new Field(parseJson(text, path), path, "manifest");
  const formatVersion = root.at("formatVersion").count();
  if (formatVersion !== MANIFEST_FORMAT_VERSION) {
    throw root.at("formatVersion").wrong(`version ${MANIFEST_FORMAT_VERSION}`);
  }
  return {
    formatVersion,
    planDigest: root.at("planDigest").hex(32),
    recipeSha256: root.at("recipeSha256").hex(64),
    files: root.at("files").list().map(readFile),
    sideFiles: root.at("sideFiles").list().map(readSideFile),
  };
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const details = { path, what: "manifest", expected: "JSON", actual: "damaged text" };
    throw new GraftError("VERIFY_MISMATCH", details, { cause });
  }
}

function readFile(field: Field): ManifestFile {
  const sha256 = field.at("sha256");
  const size = field.at("size").count();
  return {
    name: field.at("name").fileName(),
    size,
    sha256: sha256.isNull ? null : sha256.hex(64),
    tensors: field
      .at("tensors")
      .list()
      .map((tensor) => readTensor(tensor, size)),
  };
}

function readTensor(field: Field, fileSize: number): ManifestTensor {
  const offset = field.at("offset").count();
  const length = field.at("length").count();
  if (offset + length > fileSize) throw field.at("length").wrong(`bytes within ${fileSize}`);
  return {
    name: field.at("name").text(),
    dtype: field.at("dtype").text(),
    shape: field
      .at("shape")
      .list()
      .map((size) => size.count()),
    offset,
    length,
    spans: readSpans(field.at("spans"), length),
  };
}

/** Spans must cover the tensor from its first byte to its last, or verifying proves nothing. */
function readSpans(field: Field, tensorLength: number): ManifestSpan[] {
  let end = 0;
  const spans = field.list().map((span) => {
    const offset = span.at("offset").count();
    const length = span.at("length").count();
    if (offset !== end) throw span.at("offset").wrong(`${end}`);
    end += length;
    return { offset, length, digest: span.at("digest").hex(32) };
  });
  if (end !== tensorLength) throw field.wrong(`spans covering ${tensorLength} bytes`);
  return spans;
}

function readSideFile(field: Field): ManifestSideFile {
  return {
    name: field.at("name").fileName(),
    size: field.at("size").count(),
    sha256: field.at("sha256").hex(64),
  };
}

/** A value of the manifest with the way to it, for messages. */
class Field {
  readonly #value: unknown;
  readonly #path: string;
  readonly #where: string;

  constructor(value: unknown, path: string, where: string) {
    this.#value = value;
    this.#path = path;
    this.#where = where;
  }

  get isNull(): boolean {
    return this.#value === null;
  }

  at(key: string): Field {
    const value = this.#value;
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) {
      throw this.wrong(`an object with ${key}`);
    }
    const member: unknown = Reflect.get(value, key);
    return new Field(member, this.#path, `${this.#where}.${key}`);
  }

  list(): Field[] {
    if (!Array.isArray(this.#value)) throw this.wrong("a list");
    return this.#value.map((item: unknown, position) => {
      return new Field(item, this.#path, `${this.#where}[${position}]`);
    });
  }

  text(): string {
    if (typeof this.#value !== "string") throw this.wrong("text");
    return this.#value;
  }

  /** A plain name in the output directory, never a way out of it. */
  fileName(): string {
    const name = this.text();
    if (/^[^/\\\0]+$/.test(name) && name !== "." && name !== "..") return name;
    throw this.wrong("a file name");
  }

  hex(digits: number): string {
    const value = this.text();
    if (value.length !== digits || !/^[0-9a-f]+$/.test(value))
      throw this.wrong(`${digits} hex digits`);
    return value;
  }

  count(): number {
    const value = this.#value;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
      throw this.wrong("a whole number");
    }
    return value;
  }

  wrong(expected: string): GraftError {
    const actual = quoted(JSON.stringify(this.#value) ?? "nothing");
    return new GraftError("VERIFY_MISMATCH", {
      path: this.#path,
      what: this.#where,
      expected,
      actual,
    });
  }
}
