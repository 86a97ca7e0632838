/**
 * Muon (Jordan et al. 2024; Liu et al., arXiv:2502.16982) as graph: momentum whose matrix is brought close to an orthogonal
 * one, so that every direction of a weight moves alike; AdamW for what is no matrix of the network's inside.
 *
 * With η the learning rate, g the gradient of W [a, b]:
 *
 *     m ← μ m + (1 − μ) g                    u = (1 − μ) g + μ m  (Nesterov), else m
 *     X₀ = u / max(‖u‖, ε)                   transposed where a > b
 *     Xₖ₊₁ = c₁ Xₖ + (c₂ S + c₃ S²) Xₖ       S = Xₖ Xₖᵀ: five steps of a quintic Newton–Schulz iteration
 *     W ← W (1 − η λ) − η s X₅               s = √max(1, a/b), or 0.2 √max(a, b)
 *
 * The momentum is an average, as in `torch.optim.Muon`; the published sum μ m + g differs from it by a factor that the
 * division by ‖u‖ takes away.
 *
 * @since 0.1.0
 */
import {
  type Axis,
  add,
  as,
  contract,
  div,
  matches,
  maximum,
  mul,
  rename,
  sqrt,
  square,
  state,
  sub,
  type Tensor,
  total,
  transpose,
  zeros,
} from '../dsl/index.ts'
import { onlySettings } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import {
  type AdamWithSettings,
  adamNames,
  adamWith,
  groupOf,
  type Optimizer,
  OptimizerError,
} from './optimizer.ts'

/** Settings of {@link muon}; those of {@link AdamWithSettings} hold for the rest, decay and groups for both. */
export interface MuonSettings extends AdamWithSettings {
  /** μ, default 0.95. */
  readonly momentum?: number
  /** Default true. */
  readonly nesterov?: boolean
  /** Newton–Schulz steps, default 5. */
  readonly iterations?: number
  /** c₁, c₂, c₃; default 3.4445, −4.7750, 2.0315. */
  readonly coefficients?: readonly [number, number, number]
  /** The smallest norm that is divided by, default 1e-7. */
  readonly smallest?: number
  /**
   * s: `rms` is 0.2 √max(a, b), under which an update is as large as AdamW's, so that one learning rate fits both;
   * `aspect` is √max(1, a/b), as first published. Default `rms`.
   */
  readonly scale?: 'rms' | 'aspect'
  /** Matrices that AdamW updates all the same, by pattern. Default {@link outerMatrices}. */
  readonly rest?: readonly string[]
}

/** What is a matrix and no map between hidden vectors: tables of tokens and positions, heads. */
export const outerMatrices: readonly string[] = ['**embed_tokens.weight', '**lm_head.weight', '**pos_embed']

/** The momentum's key of a parameter, as PyTorch calls it. */
export const momentumKey = (key: string): string => `optimizer.momentum_buffer.${key}`

const Default = [3.4445, -4.775, 2.0315] as const

/**
 * The matrix brought close to U Vᵀ, where U Σ Vᵀ is its singular value decomposition: singular values that are no smaller than a
 * thirtieth of the largest come to lie between 0.5 and 1.5.
 *
 * @param u two axes
 * @category optimizers
 */
export const orthogonalised = (
  u: Tensor,
  iterations = 5,
  [c1, c2, c3]: readonly [number, number, number] = Default,
  smallest = 1e-7,
): Tensor => {
  const [a, b] = u.axes as readonly [Axis, Axis]
  const [row, column] = a.size > b.size ? [b, a] : [a, b]
  const other = as(row, `${row.name} other`)
  const renamed = (x: Tensor, from: string, to: string): Tensor =>
    rename(x, from as never, to as never) as Tensor
  const product = (x: Tensor, y: Tensor, over: string): Tensor => contract(x, y, over as never) as Tensor
  let x = div(transpose(u, [row.name, column.name]), maximum(sqrt(total(square(u))), smallest)) as Tensor
  for (let i = 0; i < iterations; i++) {
    const s = product(x, renamed(x, row.name, other.name), column.name) // [row, other]
    const squared = product(
      renamed(s, other.name, `${row.name} inner`),
      renamed(s, row.name, `${row.name} inner`),
      `${row.name} inner`,
    )
    const polynomial = add(mul(s, c2), mul(squared, c3)) as Tensor
    x = add(mul(x, c1), product(polynomial, renamed(x, row.name, other.name), other.name)) as Tensor
  }
  return transpose(x, [a.name, b.name]) as Tensor
}

const names: readonly (keyof MuonSettings)[] = [
  ...(['momentum', 'nesterov', 'iterations', 'coefficients', 'smallest', 'scale', 'rest'] as const),
  ...adamNames,
]

const checked = (s: MuonSettings): void => {
  onlySettings('muon', s, names)
  const fits = (setting: string, x: unknown, ok: boolean, allowed: string): void => {
    if (x !== undefined && !ok) throw new OptimizerError(setting, JSON.stringify(x) ?? String(x), allowed)
  }
  const { momentum: m, iterations: n, coefficients: c, smallest: e } = s
  fits('momentum', m, m !== undefined && m >= 0 && m < 1, 'a number from 0 to below 1')
  fits('iterations', n, Number.isSafeInteger(n) && n! >= 1, 'a whole number from 1 up')
  fits(
    'coefficients',
    c,
    Array.isArray(c) && c.length === 3 && c.every(Number.isFinite),
    'three finite numbers',
  )
  fits('smallest', e, Number.isFinite(e) && e! > 0, 'a number above 0')
  fits('scale', s.scale, s.scale === 'rms' || s.scale === 'aspect', "'rms' or 'aspect'")
  fits(
    'rest',
    s.rest,
    Array.isArray(s.rest) && s.rest.every((p) => typeof p === 'string'),
    'patterns over keys',
  )
}

/**
 * Muon for matrices, AdamW for the rest.
 *
 * @example
 * const optimizer = muon({ weightDecay: 0.1 })
 *
 * @throws OptimizerError where a setting is out of its range
 * @category optimizers
 */
export const muon = (settings: MuonSettings = {}): Optimizer => {
  checked(settings)
  const {
    momentum = 0.95,
    nesterov = true,
    iterations = 5,
    coefficients = Default,
    smallest = 1e-7,
    scale = 'rms',
    rest = outerMatrices,
    ...adam
  } = settings
  const others = adamWith(adam)
  const group = groupOf(adam.groups ?? [])
  const outer = rest.map(matches)
  const isInner = (key: string, t: Tensor): boolean =>
    t.axes.length === 2 && t.axes.every((a) => a.size > 1) && !outer.some((fits) => fits(key))

  const one = (key: string, p: Tensor, g: Tensor, learningRate: Tensor): readonly [Tensor, Tensor] => {
    const of = group(key)
    const factor = of?.learningRateMultiplier ?? 1
    const eta: Tensor = factor === 1 ? learningRate : mul(learningRate, factor)
    const decay = of?.weightDecay ?? adam.weightDecay ?? 0.1
    const m = add(mul(state(momentumKey(key), p.axes, zeros), momentum), mul(g, 1 - momentum)) as Tensor
    const u = nesterov ? (add(mul(g, 1 - momentum), mul(m, momentum)) as Tensor) : m
    const [a, b] = p.axes.map((x) => x.size) as [number, number]
    const s = scale === 'rms' ? 0.2 * Math.sqrt(Math.max(a, b)) : Math.sqrt(Math.max(1, a / b))
    const step = mul(orthogonalised(u, iterations, coefficients, smallest), mul(eta, s))
    const kept = decay === 0 ? p : mul(p, sub(1, mul(eta, decay)))
    return [sub(kept, step) as Tensor, m]
  }

  return {
    config: { kind: 'muon', momentum, nesterov, iterations, coefficients, smallest, scale, rest, ...adam },
    ...present({ groups: adam.groups }),
    update: (parameters, gradients, learningRate) => {
      const next = new Map<string, Tensor>()
      const left = new Map<string, Tensor>()
      for (const [key, p] of parameters) {
        const g = gradients.get(key)
        if (g === undefined || !isInner(key, p)) {
          left.set(key, p)
          continue
        }
        const [moved, m] = one(key, p, g, learningRate)
        next.set(key, moved)
        next.set(momentumKey(key), m)
      }
      const leftGradients = new Map([...gradients].filter(([key]) => !next.has(key)))
      if (left.size + leftGradients.size > 0)
        for (const [key, t] of others.update(left, leftGradients, learningRate).next) next.set(key, t)
      return { next }
    },
  }
}
