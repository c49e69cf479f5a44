#!/usr/bin/env node
// Starts the built coordinator; says how to build when there is none.
import { existsSync } from "node:fs";

const entry = new URL("../dist/cli/main.js", import.meta.url);
if (!existsSync(entry)) {
  console.error("coordinator: not built yet; run: npm run setup");
  process.exit(3);
}
await import(entry.href);
