/**
 * A program: named functions over state. A function maps (state, inputs) to (outputs, next state); each declared bucket
 * of sizes is one variant, compiled once.
 *
 * @since 0.1.0
 */
import { onlySettings } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import { type Axis, sameAxes, showAxes } from './axis.ts'
import { GraphError } from './error.ts'
import { type Dtype, node, type Tensor, topological } from './graph.ts'
import { literalFault } from './index-checks.ts'
import type { Init } from './init.ts'
import { sameOwner } from './owner.ts'
import { asUser, type Site, siteOf } from './site.ts'

/** What a function returns: outputs for the caller, and the states that change. */
export interface Results {
  readonly outputs: Readonly<Record<string, Tensor>>
  /** New values by the key of their state; states that are not named stay as they are. */
  readonly next?: ReadonlyMap<string, Tensor>
}

/** One compiled size of a function. */
export interface Variant {
  /** Input leaves by name. */
  readonly inputs: ReadonlyMap<string, Tensor>
  /** State leaves by key: everything that is read or replaced. */
  readonly states: ReadonlyMap<string, Tensor>
  readonly outputs: Readonly<Record<string, Tensor>>
  readonly next: ReadonlyMap<string, Tensor>
}

/** What a variant computes: its outputs, then its next states. */
export const rootsOf = (v: Pick<Variant, 'outputs' | 'next'>): readonly Tensor[] => [
  ...Object.values(v.outputs),
  ...v.next.values(),
]

/** The variant with other roots in the same order; it lists the states that these read. */
export const withRoots = (v: Variant, roots: readonly Tensor[]): Variant => {
  const names = Object.keys(v.outputs)
  const inputs = new Map(v.inputs)
  const states = new Map<string, Tensor>()
  for (const t of topological(roots)) {
    if (t.op.op === 'input') inputs.set(t.op.name, t)
    if (t.op.op === 'state' && !states.has(t.op.key)) states.set(t.op.key, t)
  }
  return {
    inputs,
    states,
    outputs: Object.fromEntries(names.map((n, i) => [n, roots[i]!])),
    next: new Map([...v.next.keys()].map((k, i) => [k, roots[names.length + i]!])),
  }
}

/** A state's declaration: its key is its name in a checkpoint, its axes the published shape. */
export interface StateSpec {
  readonly key: string
  readonly axes: readonly Axis[]
  readonly dtype: Dtype
  readonly init: Init
}

/** State plus named functions over it, ready to be loaded by an engine, printed, drawn or saved. */
export interface Program {
  readonly name: string
  readonly states: ReadonlyMap<string, StateSpec>
  /** The variants of each function, in the order of their buckets. */
  readonly functions: ReadonlyMap<string, readonly Variant[]>
  /** The engines that some functions are made for, by their names; the other functions are for all. */
  readonly engines?: ReadonlyMap<string, readonly string[]>
}

/** A function before it is compiled: a list of sizes and what to build at each. */
export interface FunctionSpec {
  readonly build: readonly (() => Results)[]
  /** The engines that it is made for: what takes a whole program at once leaves it out elsewhere. Default: all. */
  readonly engines?: readonly string[]
}

/** Builds when it is first asked: programs that have a function in common have its graph in common. */
const once = (build: () => Results): (() => Results) => {
  let built: Results | undefined
  return () => {
    built ??= build()
    return built
  }
}

/**
 * A function that is compiled once for each bucket of sizes.
 *
 * @example
 * const squares = buckets([64, 96], (tokens) => ({ outputs: { y: square(input('x', [axis('token', tokens)])) } }))
 * const { functions } = program({ name: 'squares', functions: { squares } })
 * functions.get('squares')!.length // 2
 *
 * @category constructors
 */
export const buckets = <S>(sizes: readonly S[], build: (size: S) => Results): FunctionSpec => ({
  build: sizes.map((s) => once(() => build(s))),
})

/** A function of one size. */
export const fixed = (build: () => Results, options: Pick<FunctionSpec, 'engines'> = {}): FunctionSpec => {
  const { engines } = onlySettings('fixed', options, ['engines'])
  return { build: [once(build)], ...present({ engines }) }
}
/** Whether an engine of this name has a function of the program. */
export const madeFor = ({ engines }: Program, name: string, engine: string): boolean =>
  engines?.get(name)?.includes(engine) ?? true

/** The program with the functions that an engine of this name has. */
export const forEngine = (p: Program, engine: string): Program => ({
  ...p,
  functions: new Map([...p.functions].filter(([name]) => madeFor(p, name, engine))),
})

/** Checks that a name is one in every file and engine: not empty, without NUL, and not what safetensors keeps for itself. */
const nameable = (what: string, name: string, site: Site): void => {
  const no = (how: string): GraphError =>
    new GraphError('BadArgument', `${what} has ${how}; give it another`, site)
  if (name === '') throw no('the empty name')
  if (name.includes('\0')) throw no(`a name with the character NUL, ${JSON.stringify(name)}`)
  if (name === '__metadata__') throw no(`the name '${name}', which no safetensors file can hold`)
}

const sameInit = (a: Init, b: Init): boolean => a === b || showInit(a) === showInit(b)

/** `normal (std 0.02)`, `zeros`. */
const showInit = ({ kind, ...settings }: Init): string => {
  const all = Object.entries(settings).map(([name, value]) => `${name} ${value}`)
  return all.length === 0 ? kind : `${kind} (${all.sort().join(', ')})`
}

/** Checks that an initialiser gives values of the state's dtype. */
const initialisable = (key: string, dtype: Dtype, init: Init, site: Site): void => {
  if (dtype === 'float32' || init.kind === 'zeros' || init.kind === 'ones') return
  const what = `state '${key}' is ${dtype} and`
  if (init.kind !== 'constant')
    throw new GraphError(
      'BadArgument',
      `${what} its initialiser is '${init.kind}', which draws fractions; fill it with zeros, ones or a constant`,
      site,
    )
  const { value } = init
  if (dtype === 'bool' ? value !== 0 && value !== 1 : (value | 0) !== value)
    throw new GraphError(
      'BadArgument',
      `${what} begins with ${value}; ${dtype === 'bool' ? 'a bool is 0 or 1' : 'an int32 is an integer from −2³¹ to 2³¹ − 1'}`,
      site,
    )
}

/** The leaves of a function at one size; every state it reads is declared in `states`. */
const leavesOf = (name: string, r: Results, states: Map<string, StateSpec>): Variant => {
  const next = r.next ?? new Map<string, Tensor>()
  const inputs = new Map<string, Tensor>()
  const leaves = new Map<string, Tensor>()
  for (const [output, t] of Object.entries(r.outputs))
    nameable(`an output of function '${name}'`, output, t.site)
  for (const t of topological(rootsOf({ outputs: r.outputs, next }))) {
    if (t.op.op === 'input') {
      nameable(`an input of function '${name}'`, t.op.name, t.site)
      const had = inputs.get(t.op.name)
      if (had !== undefined && (!sameAxes(had.axes, t.axes) || had.dtype !== t.dtype))
        throw new GraphError(
          'KeyConflict',
          `function '${name}': input '${t.op.name}' is declared as ${showAxes(had.axes)} (${had.dtype}) and as ${showAxes(t.axes)} (${t.dtype}); give one of them another name`,
          t.site,
          t.axes,
        )
      if (had === undefined) inputs.set(t.op.name, t)
    }
    if (t.op.op === 'state') {
      const key = t.op.key
      const had = states.get(key)
      if (had !== undefined && (!sameShape(had.axes, t.axes) || had.dtype !== t.dtype))
        throw new GraphError(
          'KeyConflict',
          `state '${key}' is declared as ${showAxes(had.axes)} and as ${showAxes(t.axes)}; a key names one state of one shape`,
          t.site,
          t.axes,
        )
      if (had !== undefined && !sameInit(had.init, t.op.init))
        throw new GraphError(
          'KeyConflict',
          `state '${key}' begins with ${showInit(had.init)} and with ${showInit(t.op.init)}; a key names one state of one beginning`,
          t.site,
          t.axes,
        )
      nameable('a state', key, t.site)
      initialisable(key, t.dtype, t.op.init, t.site)
      if (had === undefined) states.set(key, { key, axes: t.axes, dtype: t.dtype, init: t.op.init })
      const leaf = leaves.get(key)
      if (leaf === undefined) leaves.set(key, t)
      else sameOwner(key, leaf, t)
    }
  }
  return { inputs, states: leaves, outputs: r.outputs, next }
}

/** Checks that a function only replaces states that some function reads, and by values of their shape. */
const checked = (name: string, v: Variant, states: ReadonlyMap<string, StateSpec>): Variant => {
  const leaves = new Map(v.states)
  for (const [key, t] of v.next) {
    const spec = states.get(key)
    if (spec === undefined)
      throw new GraphError(
        'KeyConflict',
        `function '${name}' replaces state '${key}', which no function reads; read it once, or leave it out of next`,
        t.site,
        t.axes,
      )
    if (!sameShape(spec.axes, t.axes) || spec.dtype !== t.dtype)
      throw new GraphError(
        'SizeMismatch',
        `function '${name}': the next value of state '${key}' has ${showAxes(t.axes)} (${t.dtype}), the state has ${showAxes(spec.axes)} (${spec.dtype})`,
        t.site,
        t.axes,
      )
    if (!leaves.has(key))
      leaves.set(key, node({ op: 'state', key, init: spec.init }, [], spec.axes, spec.dtype, t.site))
  }
  const fault = literalFault(rootsOf(v))
  if (fault !== undefined)
    throw new GraphError(
      'BadArgument',
      `function '${name}': ${fault.message}`,
      fault.use.by.site,
      fault.use.by.axes,
    )
  return { ...v, states: leaves }
}

/** What was built as a variant, by the name of its function: programs that have it in common have this in common. */
const known = new WeakMap<Results, Map<string, Variant>>()

/** The variant that another program has of what was built, where its states are the same there. */
const shared = (name: string, of: Results, own: Variant): Variant => {
  const had = known.get(of) ?? new Map<string, Variant>()
  known.set(of, had)
  const there = had.get(name)
  if (there !== undefined && sameStates(there, own)) return there
  had.set(name, own)
  return own
}

/** Whether a function's states are declared alike in two programs. */
const sameStates = (a: Variant, b: Variant): boolean =>
  a.states.size === b.states.size &&
  [...a.states].every(([key, x]) => {
    const y = b.states.get(key)
    return (
      x === y ||
      (y?.op.op === 'state' &&
        x.op.op === 'state' &&
        sameAxes(x.axes, y.axes) &&
        sameInit(x.op.init, y.op.init))
    )
  })

const sameShape = (a: readonly Axis[], b: readonly Axis[]): boolean =>
  a.length === b.length && a.every((x, i) => x.size === b[i]!.size)

/**
 * Builds every function at every bucket.
 *
 * @example
 * const count = state('count', [], zeros)
 * const step = fixed(() => ({ outputs: { count }, next: new Map([['count', add(count, 1)]]) }))
 * const counter = program({ name: 'counter', functions: { step } }) // Program
 * Array.from(counter.states.keys()) // ['count']
 *
 * @throws GraphError `KeyConflict` where one key or input name stands for two shapes, or a key for two initialisers, `BadArgument` for an empty name, for
 *   an initialiser that gives no values of the state's dtype, and for a literal index out of range; whatever the functions throw
 * @category constructors
 */
export const program = (spec: {
  readonly name: string
  readonly functions: Readonly<Record<string, FunctionSpec>>
}): Program => {
  const site = siteOf(program)
  const states = new Map<string, StateSpec>()
  const functions = new Map<string, readonly Variant[]>()
  const built = new Map<string, readonly Results[]>()
  for (const [name, f] of Object.entries(spec.functions)) {
    nameable('a function', name, site)
    if (f.build.length === 0)
      throw new GraphError(
        'BadArgument',
        `function '${name}' has no bucket of sizes; declare at least one`,
        site,
      )
    const results = f.build.map((build) => asUser(site, build))
    built.set(name, results)
    functions.set(
      name,
      results.map((r) => leavesOf(name, r, states)),
    )
  }
  for (const [name, variants] of functions)
    functions.set(
      name,
      variants.map((v, i) => shared(name, built.get(name)![i]!, checked(name, v, states))),
    )
  const engines = new Map(
    Object.entries(spec.functions).flatMap(([name, f]) =>
      f.engines === undefined ? [] : [[name, f.engines] as const],
    ),
  )
  return { name: spec.name, states, functions, ...(engines.size === 0 ? {} : { engines }) }
}
