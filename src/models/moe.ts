/**
 * The feed-forward block as a mixture of experts (Shazeer et al. 2017), in the form and under the keys of Qwen3-MoE (Yang et
 * al. 2025): a router gives each token a probability for each expert, the token goes through the likeliest few, and their
 * results are added by weight.
 *
 * Two computations give the same numbers. `all` sends every token through every expert and weighs most with 0: one large
 * product, at the price of all experts. `chosen` sends each token through its own experts alone: each expert's product has
 * as many rows as chose it, so that no token is dropped and none is padded, however the load falls.
 *
 * @since 0.1.0
 */
import {
  type Axis,
  applyTo,
  argmax,
  at,
  axis,
  broadcast,
  concat,
  contract,
  contractChosen,
  div,
  elements,
  equal,
  iota,
  join,
  type Layer,
  layer,
  linear,
  merge,
  mul,
  named,
  or,
  parameter,
  reshape,
  select,
  silu,
  softmax,
  sum,
  type Tensor,
  topological,
  xavierUniform,
} from '../dsl/index.ts'
import { checkedMoe, type ExpertComputation, type MoeConfig } from './moe-config.ts'

/** The experts of a layer as an axis. */
export const expertAxis = (c: MoeConfig): Axis<'expert'> => axis('expert', checkedMoe('experts', c).experts)

/** Where tokens go. */
export interface Routing {
  /** Softmax over all experts: `[…, expert]`. */
  readonly probabilities: Tensor
  /** The experts of each token, likeliest first: int32 `[…, choice]`. Of equal ones the first. */
  readonly index: Tensor
  /** Their weights, in the same order: `[…, choice]`. */
  readonly weights: Tensor
  /** Whether a token goes through an expert: bool `[…, expert]`. */
  readonly chosen: Tensor
}

/**
 * Softmax, then the `perToken` largest; their weights are divided by their sum where `normalise` says so.
 *
 * @param logits `[…, expert]`, of the router
 * @category routing
 */
export const routing = (c: MoeConfig, logits: Tensor): Routing => {
  const expert = expertAxis(c)
  const probabilities = softmax(logits, 'expert')
  const one = (t: Tensor): Tensor => reshape(t, [...t.axes, axis('choice', 1)])
  const [index, weights]: [Tensor[], Tensor[]] = [[], []]
  let chosen: Tensor | undefined
  for (let i = 0; i < c.perToken; i++) {
    // a probability is at least 0, so that what was taken is taken no more
    const left: Tensor = chosen === undefined ? probabilities : select(chosen, -1, probabilities)
    const best = argmax(left, 'expert')
    const hit = equal(best, iota(expert))
    index.push(one(best))
    weights.push(one(sum(select(hit, probabilities, 0), 'expert')))
    chosen = chosen === undefined ? hit : or(chosen, hit)
  }
  const all = concat(weights, 'choice')
  return {
    probabilities,
    index: concat(index, 'choice'),
    weights: c.normalise ? div(all, sum(all, 'choice')) : all,
    chosen: chosen!,
  }
}

/** The parameters of one map of all experts, in their order. */
const weightsOf = (c: MoeConfig, path: string, map: string, out: Axis, from: Axis): readonly Tensor[] =>
  Array.from({ length: c.experts }, (_, i) =>
    parameter(join(path, `experts.${i}.${map}.weight`), [out, from], xavierUniform(from.size, out.size)),
  )

/** One map of all experts as one tensor `[expert, out, in]`. */
const stacked = (matrices: readonly Tensor[]): Tensor =>
  concat(
    matrices.map((w) => reshape(w, [axis('expert', 1), ...w.axes])),
    'expert',
  )

type Maps = Readonly<Record<'gate' | 'up' | 'down', readonly Tensor[]>>

/** Every token through every expert: `[…, embed]` → `[…, embed]`. */
const throughAll = (c: MoeConfig, maps: Maps, x: Tensor, r: Routing): Tensor => {
  const to = (matrices: readonly Tensor[]): Tensor => contract(x, stacked(matrices), 'embed')
  // for each expert the weight that a token gives it, 0 for those that it does not go through
  const taken = select(r.chosen, r.probabilities, 0)
  const weights = c.normalise ? div(taken, sum(taken, 'expert')) : taken
  const inside = mul(mul(applyTo(silu, to(maps.gate)), to(maps.up)), weights)
  return contract(inside, stacked(maps.down), 'expert', 'hidden')
}

/** Every token through its own experts: `[…, embed]` → `[…, embed]`. */
const throughChosen = (maps: Maps, x: Tensor, r: Routing): Tensor => {
  const lead = x.axes.slice(0, -1)
  const choice = r.index.axes.at(-1)!
  const row = axis('expertRow', elements([...lead, choice]))
  const names = r.index.names
  const index = merge(r.index, names, row)
  const rows = merge(broadcast(x, [...lead, choice, x.axes.at(-1)!]), names, row)
  const up = contractChosen(rows, index, maps.up, 'embed')
  const inside = mul(applyTo(silu, contractChosen(rows, index, maps.gate, 'embed')), up)
  const out = contractChosen(inside, index, maps.down, 'hidden')
  return contract(reshape(out, [...lead, choice, out.axes.at(-1)!]), r.weights, 'choice')
}

/** The computation that a configuration asks for, or else the one that costs less. */
export const computationOf = (c: MoeConfig): ExpertComputation =>
  c.computation ?? (2 * c.perToken >= c.experts ? 'all' : 'chosen')

/** The router: `[embed]` → logits `[expert]`. Key `gate.weight`. */
export const router = (c: MoeConfig, embed: Axis<'embed'>): Layer<readonly ['embed'], readonly ['expert']> =>
  named('router')(at('gate')(linear(embed, expertAxis(c), { bias: false })))

/**
 * A mixture of SwiGLU experts. Keys `gate.weight` [expert, embed], and for each expert `experts.<i>.gate_proj.weight`,
 * `experts.<i>.up_proj.weight` [hidden, embed], `experts.<i>.down_proj.weight` [embed, hidden].
 *
 * @throws GraphError where a token is to go through more experts than there are
 * @category layers
 */
export const mixtureOfExperts = (
  c: MoeConfig,
  embed: Axis<'embed'>,
): Layer<readonly ['embed'], readonly ['embed']> => {
  checkedMoe('mixtureOfExperts', c)
  return layer('mixtureOfExperts', [embed], (x, path) => {
    const hidden = axis('hidden', c.intermediateSize)
    const of = (map: string, out: Axis, from: Axis): readonly Tensor[] => weightsOf(c, path, map, out, from)
    const r = routing(c, applyTo(router(c, embed), x, path))
    const maps: Maps = {
      gate: of('gate_proj', hidden, embed),
      up: of('up_proj', hidden, embed),
      down: of('down_proj', embed, hidden),
    }
    return computationOf(c) === 'all' ? throughAll(c, maps, x, r) : throughChosen(maps, x, r)
  })
}

/** A router of a graph: where it is, and what it gives. */
export interface RouterOutput {
  /** `model.layers.0.mlp`. */
  readonly path: string
  /** What it read: `[…, embed]`. */
  readonly input: Tensor
  /** `[…, expert]`. */
  readonly logits: Tensor
}

/**
 * The routers that a graph went through, from the first layer to the last.
 *
 * @category routing
 */
export const routersOf = (...roots: readonly Tensor[]): readonly RouterOutput[] =>
  topological(roots).flatMap((logits) =>
    logits.marks.flatMap(({ layer: kind, path, input }) =>
      kind === 'router' && input !== undefined ? [{ path, input, logits }] : [],
    ),
  )
