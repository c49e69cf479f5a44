// From a clean clone to a verified merge in one command: setup, two sample models, a gradient-SLERP
// recipe, submit, verify. Re-runnable: it replaces what it made before.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setup } from "./setup.mjs";
import { CLI, ROOT, run, say } from "./steps.mjs";

const SAMPLE = join(ROOT, "sample");

const RECIPE = `# Spherical interpolation of two models. t = 0 is the base, t = 1 the other one; a list is a gradient
# over the layers. Attention and MLP run in opposite directions, everything else stays in the middle.
slices:
  - sources:
      - model: models/base
        layer_range: [0, 8]
      - model: models/tuned
        layer_range: [0, 8]
merge_method: slerp
base_model: models/base
parameters:
  t:
    - filter: self_attn
      value: [0, 0.5, 0.3, 0.7, 1]
    - filter: mlp
      value: [1, 0.5, 0.7, 0.3, 0]
    - value: 0.5
dtype: bfloat16
`;

function node(args, what) {
  const code = run(process.execPath, args);
  if (code === 0) return;
  console.error(`quickstart: ${what} failed with exit code ${code}; see above`);
  process.exit(code);
}

setup();

rmSync(SAMPLE, { recursive: true, force: true });
mkdirSync(SAMPLE);
const makeModels = join(ROOT, "test", "dist", "support", "make-models.js");
say("making two sample models in sample/models");
node([makeModels, "--out", join(SAMPLE, "models"), "--preset", "sample"], "making models");
writeFileSync(join(SAMPLE, "recipe.yaml"), RECIPE);

say("merging: npx coordinator submit sample/recipe.yaml --out sample/merged");
node([CLI, "submit", "sample/recipe.yaml", "--out", "sample/merged"], "the merge");
say("verifying: npx coordinator verify sample/merged");
node([CLI, "verify", "sample/merged"], "verification");

console.log(`
The merged model is in sample/merged: an ordinary Hugging Face checkpoint.
Try next:
  npx coordinator plan sample/recipe.yaml        what will be read, written and copied
  npx coordinator check sample/recipe.yaml       every error of a recipe at once
  $EDITOR sample/recipe.yaml                     then submit again with --out sample/other
  npx coordinator --help                         all commands`);
