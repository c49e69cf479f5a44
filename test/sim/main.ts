// `npm run sim`: runs seeds and prints how many a second, which broke a promise and how to repeat them.
import { parseArgs } from "node:util";
import { describeBroken, runSeeds, seedsFrom } from "./run-seeds.js";

const USAGE = `npm run sim -- [--seeds N] [--seed S]
  --seeds N  run N seeds (1000), from --seed on (1)
  --seed S   run this seed alone`;

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  console.error(`${name}: expected a whole number, got ${JSON.stringify(text)}`);
  process.exit(2);
}

const { values } = parseArgs({
  options: { seeds: { type: "string" }, seed: { type: "string" }, help: { type: "boolean" } },
});
if (values.help === true) console.log(USAGE);
else simulate();

function simulate(): void {
  const first = wholeNumber("--seed", values.seed ?? "1");
  const isOne = values.seed !== undefined && values.seeds === undefined;
  const count = isOne ? 1 : wholeNumber("--seeds", values.seeds ?? "1000");
  const { seedCount, broken, seconds, counts } = runSeeds(seedsFrom(first, count));
  for (const outcome of broken) console.log(describeBroken(outcome));
  const kinds = Object.entries(counts).map(([name, number]) => `${number} ${name}`);
  console.log(`schedules and ends of jobs: ${kinds.join(", ")}`);
  const rate = Math.round(seedCount / seconds);
  console.log(`${seedCount} schedules, ${broken.length} broken, ${rate} a second`);
  process.exitCode = broken.length === 0 ? 0 : 1;
}
