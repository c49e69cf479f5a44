// What a user meets at the command line: exit codes, messages, refusals, paths.
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { test } from "node:test";
import { makeSmallModels, RECIPES } from "../support/fixtures.js";
import { runCli, temporaryDirectory, transcript, writeRecipe } from "../support/run.js";

interface Workplace {
  readonly directory: string;
  readonly recipe: string;
  readonly out: string;
}

function workplace(context: TestContext): Workplace {
  const directory = temporaryDirectory(context);
  makeSmallModels(directory);
  const recipe = writeRecipe(directory, RECIPES.slerp(["tuned-01"]));
  return { directory, recipe, out: join(directory, "merged") };
}

/** Flips one bit in the middle of the first weight file. */
function damage(directory: string): string {
  const name = readdirSync(directory).find((file) => file.endsWith(".safetensors")) ?? "";
  const path = join(directory, name);
  const bytes = readFileSync(path);
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  return name;
}

test("submit writes an ordinary checkpoint that verify accepts", async (context) => {
  const { directory, recipe, out } = workplace(context);
  const submit = await runCli(["submit", recipe, "--out", out]);
  assert.equal(submit.exitCode, 0, transcript(submit));
  const files = readdirSync(out);
  for (const name of [
    "config.json",
    "graft-manifest.json",
    "README.md",
    "generation_config.json",
  ]) {
    assert.ok(files.includes(name), `${name} is missing among ${files.join(", ")}`);
  }
  for (const name of ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]) {
    const source = readFileSync(join(directory, "base", name));
    assert.deepEqual(readFileSync(join(out, name)), source, name);
  }
  assert.ok(!existsSync(`${out}.graft`), "partial work is left");
  const verify = await runCli(["verify", out]);
  assert.equal(verify.exitCode, 0, transcript(verify));
});

test("verify names the file and the tensor that differ and exits 1", async (context) => {
  const { recipe, out } = workplace(context);
  assert.equal((await runCli(["submit", recipe, "--out", out])).exitCode, 0);
  const name = damage(out);
  const result = await runCli(["verify", out]);
  assert.equal(result.exitCode, 1, transcript(result));
  assert.match(result.stderr, new RegExp(name.replaceAll(".", "\\.")));
  assert.match(result.stderr, /model\.(layers\.\d+\.|embed_tokens|norm)|lm_head/);
});

test("the output holds no time, host or absolute path", async (context) => {
  const { directory, recipe, out } = workplace(context);
  assert.equal((await runCli(["submit", recipe, "--out", out])).exitCode, 0);
  const again = join(temporaryDirectory(context), "elsewhere");
  cpSync(directory, again, { recursive: true });
  const moved = join(again, "recipe.yaml");
  assert.equal((await runCli(["submit", moved, "--out", join(again, "merged2")])).exitCode, 0);
  for (const name of readdirSync(out)) {
    const twin = readFileSync(join(again, "merged2", name));
    assert.ok(readFileSync(join(out, name)).equals(twin), `${name} depends on where or when`);
    assert.ok(!twin.includes(again), `${name} holds an absolute path`);
  }
});

test("--json prints one JSON object per line and ends with the result", async (context) => {
  const { recipe, out } = workplace(context);
  const result = await runCli(["submit", recipe, "--out", out, "--json"]);
  assert.equal(result.exitCode, 0, transcript(result));
  const lines = result.stdout.trimEnd().split("\n");
  const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.ok(events.length >= 2, result.stdout);
  for (const event of events) assert.equal(typeof event, "object");
  assert.match(lines.at(-1) ?? "", /done/);
});

test("check accepts a good recipe and writes nothing", async (context) => {
  const { directory, recipe } = workplace(context);
  const before = readdirSync(directory);
  const result = await runCli(["check", recipe]);
  assert.equal(result.exitCode, 0, transcript(result));
  assert.deepEqual(readdirSync(directory), before);
});

test("plan --json tells the fate of every input tensor", async (context) => {
  const { recipe } = workplace(context);
  const result = await runCli(["plan", recipe, "--json"]);
  assert.equal(result.exitCode, 0, transcript(result));
  // 4 layers of 9 tensors, embedding, norm and head, in two models.
  for (const name of ["model.embed_tokens.weight", "model.layers.3.mlp.up_proj.weight"]) {
    assert.ok(result.stdout.includes(name), `${name} is not in the ledger`);
  }
  const merged = result.stdout.match(/"merged"/g)?.length ?? 0;
  assert.ok(merged >= 2 * 39, `${merged} tensors are merged, expected at least 78`);
});

test("--dry-run writes nothing", async (context) => {
  const { directory, recipe, out } = workplace(context);
  const before = readdirSync(directory);
  const result = await runCli(["submit", recipe, "--out", out, "--dry-run"]);
  assert.equal(result.exitCode, 0, transcript(result));
  assert.deepEqual(readdirSync(directory), before);
});

test("model paths are looked for beside the recipe, then in the current directory", async (context) => {
  const { directory, out } = workplace(context);
  const elsewhere = join(directory, "recipes");
  mkdirSync(elsewhere);
  const recipe = writeRecipe(elsewhere, RECIPES.slerp(["tuned-01"]));
  const inCurrent = await runCli(["submit", recipe, "--out", out], { cwd: directory });
  assert.equal(inCurrent.exitCode, 0, transcript(inCurrent));
  mkdirSync(join(directory, "empty"));
  const nowhere = await runCli(["check", recipe], { cwd: join(directory, "empty") });
  assert.equal(nowhere.exitCode, 2, transcript(nowhere));
  for (const place of [join(elsewhere, "base"), join(directory, "empty", "base")]) {
    assert.ok(nowhere.stderr.includes(place), `${place} is not among the places tried`);
  }
});

test("a hub reference is refused with the line that maps it", async (context) => {
  const { directory, out } = workplace(context);
  const text = RECIPES.slerp(["tuned-01"]).replaceAll("base\n", "some-org/some-model\n");
  const recipe = writeRecipe(directory, text, "published.yaml");
  const refused = await runCli(["submit", recipe, "--out", out]);
  assert.equal(refused.exitCode, 2, transcript(refused));
  assert.match(refused.stderr, /--model some-org\/some-model=/);
  const mapping = `some-org/some-model=${join(directory, "base")}`;
  const mapped = await runCli(["submit", recipe, "--out", out, "--model", mapping]);
  assert.equal(mapped.exitCode, 0, transcript(mapped));
});

/** Arguments after `submit RECIPE`, what the message must say. */
const REFUSED: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  ["an output equal to an input", ["--out", "{base}"], 2, /base/],
  ["an output inside an input", ["--out", "{base}/merged"], 2, /base/],
  ["an unknown flag", ["--out", "{out}", "--fast"], 2, /--fast/],
  ["a malformed size", ["--out", "{out}", "--memory", "lots"], 2, /--memory/],
  ["a malformed thread count", ["--out", "{out}", "--threads", "0"], 2, /--threads/],
  ["a missing --out", [], 2, /--out/],
  ["too little memory", ["--out", "{out}", "--memory", "20MiB"], 3, /--memory|memory/],
  ["a parent that does not exist", ["--out", "{out}/a/b"], 3, /no such directory|create/],
];

for (const [name, args, exitCode, pattern] of REFUSED) {
  test(`submit refuses ${name}`, async (context) => {
    const { directory, recipe, out } = workplace(context);
    const before = readdirSync(directory);
    const base = join(directory, "base");
    const filled = args.map((arg) => arg.replace("{base}", base).replace("{out}", out));
    const result = await runCli(["submit", recipe, ...filled]);
    assert.equal(result.exitCode, exitCode, transcript(result));
    assert.match(result.stderr, pattern);
    assert.doesNotMatch(result.stderr, /^\s+at /m, "a stack trace");
    assert.deepEqual(readdirSync(directory), before);
  });
}

const WRONG_ENVIRONMENT = [
  ["GRAFT_ISA", "quantum", /quantum/],
  ["GRAFT_TILE_BYTES", "7", /GRAFT_TILE_BYTES/],
] as const;

for (const [name, value, pattern] of WRONG_ENVIRONMENT) {
  test(`submit refuses ${name}=${value}`, async (context) => {
    const { recipe, out } = workplace(context);
    const result = await runCli(["submit", recipe, "--out", out], { env: { [name]: value } });
    assert.equal(result.exitCode, 2, transcript(result));
    assert.match(result.stderr, pattern);
    assert.ok(!existsSync(out) && !existsSync(`${out}.graft`), "something was written");
  });
}

test("submit refuses an output that exists, and --force replaces it", async (context) => {
  const { directory, recipe, out } = workplace(context);
  mkdirSync(out);
  writeFileSync(join(out, "keep.txt"), "precious");
  const refused = await runCli(["submit", recipe, "--out", out]);
  assert.equal(refused.exitCode, 2, transcript(refused));
  assert.match(refused.stderr, /--force/);
  assert.equal(readFileSync(join(out, "keep.txt"), "utf8"), "precious");
  const forced = await runCli(["submit", recipe, "--out", out, "--force"]);
  assert.equal(forced.exitCode, 0, transcript(forced));
  assert.ok(!existsSync(join(out, "keep.txt")));
  assert.deepEqual(
    readdirSync(directory).filter((entry) => entry.endsWith(".graft")),
    [],
  );
});

const NOTHING_THERE = ["verify", "resume"] as const;

for (const command of NOTHING_THERE) {
  test(`${command} of a directory without our work is refused`, async (context) => {
    const directory = temporaryDirectory(context);
    const result = await runCli([command, join(directory, "nothing")]);
    assert.equal(result.exitCode, 2, transcript(result));
    assert.match(result.stderr, /nothing/);
  });
}
