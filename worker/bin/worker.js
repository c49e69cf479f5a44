#!/usr/bin/env node
// Starts the built worker; says how to build when there is none.
import { existsSync } from "node:fs";

const entry = new URL("../dist/main.js", import.meta.url);
if (!existsSync(entry)) {
  console.error("worker: not built yet; run: npm run setup");
  process.exit(3);
}
await import(entry.href);
