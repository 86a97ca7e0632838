/**
 * Layers and their category.
 *
 * A layer is a value that maps tensors whose trailing axes are `I` to tensors whose trailing axes are `O`; whatever axes
 * come before ride along. `identity` and `andThen` make a category, and the other combinators are built on it.
 *
 * @since 0.1.0
 */
import { type Axis, type Names, showAxes } from './axis.ts'
import { sizeMismatch } from './axis-error.ts'
import { binaryOf } from './elementwise.ts'
import { GraphError } from './error.ts'
import { marking, type Tensor } from './graph.ts'
import type { NamesOf } from './leaves.ts'
import { onlyTensors } from './only-tensors.ts'
import { application, sharing, working } from './owner.ts'
import { asUser, inside, nowhere, type Site, siteOf } from './site.ts'

/** A map of tensors over the trailing axes `I` to `O`, under a parameter path. */
export interface Layer<I extends Names, O extends Names> {
  /** What it is: `rmsNorm`, `selfAttention`. */
  readonly kind: string
  /**
   * Builds the graph. `path` is the prefix of the parameters' keys, `''` at the root.
   *
   * @throws GraphError where trailing axes are missing or of another size, naming the user's line
   */
  readonly apply: <L extends Names = readonly []>(
    x: Tensor<readonly [...L, ...I]>,
    path?: string,
  ) => Tensor<readonly [...L, ...O]>
}

/** What the compiler shows where two layers do not meet: the axes of both, at the `andThen` that joins them. */
export interface Mismatch<Gives extends Names, Takes extends Names> {
  readonly 'the first layer gives these axes': Gives
  readonly 'the second layer takes these axes': Takes
}

/** Asks nothing where one side ends in the other's axes, and the impossible where neither does. */
export type Meets<Gives extends Names, Takes extends Names> = Gives extends readonly [
  ...infer _ extends Names,
  ...Takes,
]
  ? unknown
  : Takes extends readonly [...infer _ extends Names, ...Gives]
    ? unknown
    : Mismatch<Gives, Takes>

/**
 * The composite's type: the narrower side is lifted over the other's leading axes. Where they do not meet, {@link Meets} is
 * the error, and the type goes on as if they did, so that one mistake is one message.
 */
export type Lift<
  I1 extends Names,
  O1 extends Names,
  I2 extends Names,
  O2 extends Names,
> = O1 extends readonly [...infer L extends Names, ...I2]
  ? Layer<I1, readonly [...L, ...O2]>
  : I2 extends readonly [...infer L extends Names, ...O1]
    ? Layer<readonly [...L, ...I1], O2>
    : Layer<I1, O2>

/** `trunk.blocks` and `3` make `trunk.blocks.3`. */
export const join = (path: string, name: string): string =>
  path === '' ? name : name === '' ? path : `${path}.${name}`

/** Checks that a tensor ends in these axes. */
const endsIn = (kind: string, x: Tensor, takes: readonly Axis[], site: Site): void => {
  onlyTensors(kind, [x], site, false)
  const tail = x.axes.slice(x.axes.length - takes.length)
  takes.forEach((want, i) => {
    const have = tail[i]
    if (takes.length > x.axes.length || have === undefined || have.name !== want.name)
      throw new GraphError(
        'UnknownAxis',
        `${kind} takes a tensor that ends in ${showAxes(takes)}, and was given ${showAxes(x.axes)}`,
        site,
        [...x.axes, ...takes],
      )
    if (have.size !== want.size) throw sizeMismatch(kind, have, want, site)
  })
}

/**
 * Makes a layer from a function. The trailing axes are checked before it runs, its output is marked with path and kind.
 *
 * @example
 * const scale = <N extends string>(a: Axis<N>) =>
 *   layer('scale', [a], (x, path) => mul(x, parameter(join(path, 'weight'), [a], ones)))
 * const scaled = scale(axis('embed', 16)) // Layer<['embed'], ['embed']>
 *
 * @category constructors
 */
export const layer = <const I extends readonly Axis[], O extends Names = NamesOf<I>>(
  kind: string,
  takes: I,
  build: (x: Tensor, path: string) => Tensor,
): Layer<NamesOf<I>, O> => {
  const site = siteOf(layer)
  return layerOf(site, kind, takes, (x, path) => {
    const out = asUser(site, () => build(x, path))
    onlyTensors(`what layer ${kind} makes`, [out], site, false)
    return out
  })
}

/**
 * {@link layer} for the library's own: all that it builds has the site of the line that made the layer, or of the line that
 * applies it where it is a constant of the library.
 */
export const builtIn = <const I extends readonly Axis[], O extends Names = NamesOf<I>>(
  site: Site,
  kind: string,
  takes: I,
  build: (x: Tensor, path: string) => Tensor,
): Layer<NamesOf<I>, O> => {
  const made: Layer<NamesOf<I>, O> = layerOf(site, kind, takes, (x, path) =>
    inside(site === nowhere ? siteOf(made.apply) : site, () => build(x, path)),
  )
  return made
}

const layerOf = <I extends readonly Axis[], O extends Names>(
  site: Site,
  kind: string,
  takes: I,
  build: (x: Tensor, path: string) => Tensor,
): Layer<NamesOf<I>, O> => {
  const made: AnyLayer = {
    kind,
    apply: (x, path = '') => {
      endsIn(kind, x, takes, site)
      return marking({ path, layer: kind, input: x }, () =>
        working({ layer: made, kind, site }, () => build(x, path)),
      )
    },
  }
  return made as unknown as Layer<NamesOf<I>, O>
}

/**
 * Applies a layer to a tensor whose axes the compiler does not know: for the insides of layers, where names are computed.
 * The layer's own check of the trailing axes stands.
 */
export const applyTo = (l: { readonly kind: string }, x: Tensor, path = ''): Tensor =>
  untyped(l).apply(x, path)

/** The layer that changes nothing. @category category */
export const identity: Layer<readonly [], readonly []> = { kind: 'identity', apply: (x) => x }

type AnyLayer = { readonly kind: string; readonly apply: (x: Tensor, path?: string) => Tensor }
/** A layer seen without its axes, for combinators. */
const untyped = (l: unknown): AnyLayer => l as AnyLayer
/** A combinator's layer: what it is built from is applied as one. */
const composed = (l: AnyLayer): AnyLayer => ({
  kind: l.kind,
  apply: (x, path) => application(() => l.apply(x, path)),
})
const typed = <I extends Names, O extends Names>(l: AnyLayer): Layer<I, O> =>
  composed(l) as unknown as Layer<I, O>

/** What `andThen(g)` is: it takes any layer that meets g. */
export type After<I2 extends Names, O2 extends Names> = <I1 extends Names, O1 extends Names>(
  f: Layer<I1, O1> & Meets<O1, I2>,
) => Lift<I1, O1, I2, O2>

/**
 * Composition, data-last for `pipe`: `pipe(f, andThen(g))` is g after f. Where they do not meet, the compiler's message stands
 * at this `andThen` and names the axes of both.
 *
 * @example
 * const [Embed, Hidden] = [axis('embed', 16), axis('hidden', 64)]
 * const mlp = pipe(
 *   at('up')(linear(Embed, Hidden)),
 *   andThen(gelu),
 *   andThen(at('down')(linear(Hidden, Embed))), // linear(Embed, Embed) here would not compile
 * ) // Layer<['embed'], ['embed']>
 *
 * @category category
 */
export const andThen = <I2 extends Names, O2 extends Names>(g: Layer<I2, O2>): After<I2, O2> => {
  const after = (f: unknown): AnyLayer =>
    composed({ kind: 'andThen', apply: (x, path = '') => untyped(g).apply(untyped(f).apply(x, path), path) })
  return after as unknown as After<I2, O2>
}

/**
 * Puts a layer's parameters under a scope: `at('attn')(attention(…))`.
 *
 * @example
 * const Embed = axis('embed', 16)
 * const up = pipe(linear(Embed, axis('hidden', 64)), at('up'), at('mlp'))
 * const y = up.apply(input('x', [Embed]))
 * Array.from(parametersOf(y).keys()) // ['mlp.up.weight', 'mlp.up.bias']
 *
 * @category category
 */
export const at =
  (scope: string) =>
  <I extends Names, O extends Names>(l: Layer<I, O>): Layer<I, O> =>
    typed({ kind: l.kind, apply: (x, path = '') => untyped(l).apply(x, join(path, scope)) })

/**
 * Says that a layer's parameters may be another layer's: `tied(at('model.embed_tokens')(head(…)))`. Without it, two layers
 * that declare one key in one application are an error.
 *
 * @category category
 */
export const tied = <I extends Names, O extends Names>(l: Layer<I, O>): Layer<I, O> =>
  typed({ kind: l.kind, apply: (x, path) => sharing(() => untyped(l).apply(x, path)) })

/** Gives a composed layer a name of its own: one row in a summary, one box in a picture. @category category */
export const named =
  (kind: string) =>
  <I extends Names, O extends Names>(l: Layer<I, O>): Layer<I, O> =>
    typed({
      kind,
      apply: (x, path = '') => marking({ path, layer: kind, input: x }, () => untyped(l).apply(x, path)),
    })

/**
 * x + f(x).
 *
 * @example
 * const Embed = axis('embed', 16)
 * const block = pipe(at('norm')(rmsNorm(Embed)), andThen(at('map')(linear(Embed, Embed))), residual) // Layer<['embed'], ['embed']>
 * const x = input('x', [axis('row', 2)])
 * evaluate([residual(identity).apply(x)], { inputs: { x: [1, 2] } }) // [new Float64Array([2, 4])]
 *
 * @category category
 */
export const residual = <I extends Names>(f: Layer<I, I>): Layer<I, I> => {
  const site = siteOf(residual)
  return typed({
    kind: 'residual',
    apply: (x, path = '') => binaryOf('add', x, untyped(f).apply(x, path), site),
  })
}

/**
 * The same kind of layer `times` in a row, each with its own parameters under the scopes `0`, `1`, ….
 *
 * @example
 * const Embed = axis('embed', 16)
 * const blocks = at('blocks')(repeat(2, residual(linear(Embed, Embed, { bias: false }))))
 * const y = blocks.apply(input('x', [Embed]))
 * Array.from(parametersOf(y).keys()) // ['blocks.0.weight', 'blocks.1.weight']
 *
 * @param block a layer, or a function from the place in the row to a layer
 * @throws GraphError `BadArgument` where `times` is not a whole number from 0 on
 * @category category
 */
export const repeat = <I extends Names>(
  times: number,
  block: Layer<I, I> | ((index: number) => Layer<I, I>),
): Layer<I, I> => {
  if (!Number.isInteger(times) || times < 0)
    throw new GraphError(
      'BadArgument',
      `repeat: times is ${times}; give a whole number from 0 on`,
      siteOf(repeat),
    )
  const blocks = Array.from({ length: times }, (_, i) =>
    at(String(i))(typeof block === 'function' ? block(i) : block),
  )
  return typed({
    kind: 'repeat',
    apply: (x, path = '') => blocks.reduce((y, b) => untyped(b).apply(y, path), x),
  })
}

/** Two layers over one input, or over the two results of another fork. */
export interface Fork<I extends Names, O1 extends Names, O2 extends Names> {
  readonly kind: string
  readonly apply: <L extends Names = readonly []>(
    x: Tensor<readonly [...L, ...I]>,
    path?: string,
  ) => readonly [Tensor<readonly [...L, ...O1]>, Tensor<readonly [...L, ...O2]>]
}

type AnyFork = {
  readonly kind: string
  readonly apply: (x: Tensor, path?: string) => readonly [Tensor, Tensor]
}
const untypedFork = (f: unknown): AnyFork => f as AnyFork
const fork = <I extends Names, O1 extends Names, O2 extends Names>(
  kind: string,
  apply: (x: Tensor, path: string) => readonly [Tensor, Tensor],
): Fork<I, O1, O2> =>
  ({
    kind,
    apply: (x: Tensor, path = '') => application(() => apply(x, path)),
  }) as unknown as Fork<I, O1, O2>

/** The fork's type: the side that takes fewer axes is lifted over the other's leading ones. */
export type Both<
  I1 extends Names,
  O1 extends Names,
  I2 extends Names,
  O2 extends Names,
> = I1 extends readonly [...infer L extends Names, ...I2]
  ? Fork<I1, O1, readonly [...L, ...O2]>
  : I2 extends readonly [...infer L extends Names, ...I1]
    ? Fork<I2, readonly [...L, ...O1], O2>
    : Fork<I1, O1, O2>

/**
 * ⟨f, g⟩: both layers on the same input. Where their inputs do not meet, the compiler's message stands at g.
 *
 * @category category
 */
export const fanout = <I1 extends Names, O1 extends Names, I2 extends Names, O2 extends Names>(
  f: Layer<I1, O1>,
  g: Layer<I2, O2> & Meets<I1, I2>,
): Both<I1, O1, I2, O2> =>
  fork('fanout', (x, path) => [untyped(f).apply(x, path), untyped(g).apply(x, path)]) as unknown as Both<
    I1,
    O1,
    I2,
    O2
  >

/** The axes that come out where a layer from A to B is applied to something that ends in A. */
export type Onto<O extends Names, A extends Names, B extends Names> = O extends readonly [
  ...infer L extends Names,
  ...A,
]
  ? readonly [...L, ...B]
  : B

/** Asks nothing where a fork's side ends in what its layer takes. */
export type EndsIn<Gives extends Names, Takes extends Names> = Gives extends readonly [
  ...infer _ extends Names,
  ...Takes,
]
  ? unknown
  : Mismatch<Gives, Takes>

/** f × g: one layer on each side of a fork. @category category */
export const parallel =
  <A extends Names, A2 extends Names, B extends Names, B2 extends Names>(f: Layer<A, A2>, g: Layer<B, B2>) =>
  <I extends Names, O1 extends Names, O2 extends Names>(
    both: Fork<I, O1, O2> & EndsIn<O1, A> & EndsIn<O2, B>,
  ): Fork<I, Onto<O1, A, A2>, Onto<O2, B, B2>> =>
    fork('parallel', (x, path) => {
      const [a, b] = untypedFork(both).apply(x, path)
      return [untyped(f).apply(a, path), untyped(g).apply(b, path)]
    })

/**
 * Brings the two sides of a fork together, as by `mul` in SwiGLU.
 *
 * @category category
 */
export const merged = (
  how: (a: Tensor, b: Tensor) => Tensor,
): (<I extends Names, O extends Names>(both: Fork<I, O, O>) => Layer<I, O>) => {
  const site = siteOf(merged)
  return (both) =>
    typed({
      kind: 'merged',
      apply: (x, path = '') => {
        const [a, b] = untypedFork(both).apply(x, path)
        return asUser(site, () => how(a, b))
      },
    })
}
