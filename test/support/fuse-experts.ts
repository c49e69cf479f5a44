// Mixture-of-experts checkpoints come in two layouts: one matrix per expert, or all experts of a
// layer stacked into one tensor. Both mean the same; fusing the first gives the second.
import type { StoredTensor, Tensors } from "./safetensors.js";

const EXPERT =
  /^(.*layers\.\d+)\.(?:block_sparse_moe|mlp)\.experts\.(\d+)\.(w[123]|(?:gate|up|down)_proj)\.weight$/;

type Role = "gate" | "up" | "down";

const ROLES: Readonly<Record<string, Role>> = {
  w1: "gate",
  gate_proj: "gate",
  w3: "up",
  up_proj: "up",
  w2: "down",
  down_proj: "down",
};

type Expert = Partial<Record<Role, StoredTensor>>;

function member(expert: Expert | undefined, role: Role, layer: string): StoredTensor {
  const tensor = expert?.[role];
  if (tensor === undefined) throw new Error(`${layer}: an expert lacks its ${role} matrix`);
  return tensor;
}

/** Stacks along a new first axis what `parts` gives for each expert, joined along its rows. */
function stack(
  experts: readonly Expert[],
  parts: (expert: Expert) => readonly StoredTensor[],
): StoredTensor {
  const joined = experts.map(parts);
  const [first] = joined;
  const [sample] = first ?? [];
  if (first === undefined || sample === undefined) throw new Error("no experts to stack");
  const rows = first.reduce((sum, tensor) => sum + (tensor.shape[0] ?? 0), 0);
  return {
    dtype: sample.dtype,
    shape: [experts.length, rows, ...sample.shape.slice(1)],
    bytes: Buffer.concat(joined.flat().map((tensor) => tensor.bytes)),
  };
}

/** The same checkpoint in the stacked layout; one without per-expert tensors comes back as it is. */
export function fuseExperts(tensors: Tensors): Tensors {
  const fused: Tensors = new Map();
  const layers = new Map<string, Expert[]>();
  for (const [name, tensor] of tensors) {
    const match = EXPERT.exec(name);
    if (match === null) {
      fused.set(name.replace(".block_sparse_moe.gate.", ".mlp.gate."), tensor);
      continue;
    }
    const [, layer = "", index = "0", matrix = ""] = match;
    const experts = layers.get(layer) ?? [];
    layers.set(layer, experts);
    experts[Number(index)] = { ...experts[Number(index)], [ROLES[matrix] ?? "gate"]: tensor };
  }
  for (const [layer, experts] of layers) {
    const list = Array.from(experts);
    const get = (role: Role) => (expert: Expert | undefined) => member(expert, role, layer);
    const gateUp = stack(list, (expert) => [get("gate")(expert), get("up")(expert)]);
    fused.set(`${layer}.mlp.experts.gate_up_proj`, gateUp);
    fused.set(
      `${layer}.mlp.experts.down_proj`,
      stack(list, (expert) => [get("down")(expert)]),
    );
  }
  return fused;
}
