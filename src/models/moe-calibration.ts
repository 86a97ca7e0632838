/**
 * Calibration of routers on language data (SAIL-VL2 §2.2: data probing and automatic calibration that maximises the entropy of
 * expert activation). Pure functions of what was probed.
 *
 * The paper says what calibration is for and gives no formula. Here it moves the routers' offsets: what a router adds to an
 * expert's logit whatever the token is. An expert that language data seldom activates gets a higher one and one that it
 * overloads a lower one, until the entropy of the load on the probed tokens is as high as it gets. A token's own part of the
 * logits stays, so that tokens keep the experts that they clearly prefer; what changes is the choice among near ones. On
 * nano the entropy on pictures rises with that on language (bench/RESULTS.md).
 *
 * Qwen3-MoE's routers have no bias, and none is added: the offsets go into the published weight, along the mean of what the
 * router reads, μ. With W + b μᵀ/|μ|² an input x gets b · (μ·x)/|μ|² more, which over the probed tokens is b in the mean.
 *
 * @since 0.1.0
 */

/** What one router reads and how it weighs it. */
export interface RouterProbe {
  /** Its inputs, row-major `[token, embed]`: the more tokens, the better the load is known. */
  readonly inputs: Float32Array
  /** Its weight, row-major `[expert, embed]`. */
  readonly gate: Float32Array
  readonly experts: number
  readonly perToken: number
}

/** Entropy of shares that add up to 1, by that of even ones: 1 where all experts are used alike, 0 where one takes all. */
export const loadEntropy = (load: ArrayLike<number>): number => {
  let h = 0
  for (let e = 0; e < load.length; e++) if (load[e]! > 0) h -= load[e]! * Math.log(load[e]!)
  return load.length < 2 ? 1 : h / Math.log(load.length)
}

/** Σ over the inner axis of a `[m, k]` and b `[n, k]`: `[m, n]`. */
const products = (a: Float32Array, b: Float32Array, k: number): Float64Array => {
  const [m, n] = [a.length / k, b.length / k]
  const out = new Float64Array(m * n)
  for (let i = 0; i < m; i++)
    for (let j = 0; j < n; j++) {
      let s = 0
      for (let c = 0; c < k; c++) s += a[i * k + c]! * b[j * k + c]!
      out[i * n + j] = s
    }
  return out
}

/** Shares of all choices that go to each expert, where a token's logits get `offsets` times its `along`. */
const loadWith = (
  logits: Float64Array,
  { experts, perToken }: RouterProbe,
  offsets: Float64Array,
  along: Float64Array,
): Float64Array => {
  const load = new Float64Array(experts)
  const row = new Float64Array(experts)
  for (let t = 0; t < along.length; t++) {
    for (let e = 0; e < experts; e++) row[e] = logits[t * experts + e]! + offsets[e]! * along[t]!
    for (let i = 0; i < perToken; i++) {
      let best = 0
      for (let e = 1; e < experts; e++) if (row[e]! > row[best]!) best = e
      row[best] = Number.NEGATIVE_INFINITY
      load[best]! += 1 / (perToken * along.length)
    }
  }
  return load
}

/**
 * The load that a router gives its experts on the probed tokens: shares of all choices, in the order of the experts.
 *
 * @category calibration
 */
export const probedLoad = (p: RouterProbe): Float64Array => {
  const size = p.gate.length / p.experts
  const none = new Float64Array(p.inputs.length / size)
  return loadWith(products(p.inputs, p.gate, size), p, new Float64Array(p.experts), none)
}

/** What {@link calibratedRouter} gives. */
export interface CalibratedRouter {
  /** The new weight, `[expert, embed]`. */
  readonly gate: Float32Array
  /** The load on the probed tokens with the old weight and with the new one. */
  readonly before: Float64Array
  readonly after: Float64Array
}

/** Rounds of the search for offsets; steps shrink by a hundredth each. */
const rounds = 400

/**
 * A router with the offsets that maximise the entropy of its load on the probed tokens: subgradient steps from the offsets that
 * it has, of which the best are kept. So it is never below what it was.
 *
 * @category calibration
 */
export const calibratedRouter = (p: RouterProbe): CalibratedRouter => {
  const { experts } = p
  const size = p.gate.length / experts
  const tokens = p.inputs.length / size
  const mean = new Float64Array(size)
  for (let i = 0; i < p.inputs.length; i++) mean[i % size]! += p.inputs[i]! / tokens
  const square = mean.reduce((n, x) => n + x * x, 0)
  const direction = mean.map((x) => (square > 0 ? x / square : 0))
  const along = products(p.inputs, Float32Array.from(direction), size)
  const logits = products(p.inputs, p.gate, size)
  const middle = logits.reduce((n, x) => n + x, 0) / logits.length
  const spread = Math.sqrt(logits.reduce((n, x) => n + (x - middle) ** 2, 0) / logits.length)
  const offsets = new Float64Array(experts)
  const before = loadWith(logits, p, offsets, along)
  let best = { offsets: Float64Array.from(offsets), load: before }
  let step = spread / 10
  for (let i = 0; i < rounds; i++) {
    const load = loadWith(logits, p, offsets, along)
    if (loadEntropy(load) > loadEntropy(best.load)) best = { offsets: Float64Array.from(offsets), load }
    for (let e = 0; e < experts; e++) offsets[e]! -= step * (load[e]! * experts - 1)
    step *= 0.99
  }
  const gate = Float32Array.from(
    p.gate,
    (w, i) => w + best.offsets[Math.floor(i / size)]! * direction[i % size]!,
  )
  // what is told is what the rounded weight gives
  return { gate, before, after: probedLoad({ ...p, gate }) }
}
