/** Collects the nodes of a TensorFlow graph: unique names, each constant once, no reshape of a reshape. */
import type { Data, Dtype, Tensor } from '../../dsl/index.ts'
import { type AttrValue, attr, type NodeDef, tfTensor } from '../proto/tensorflow.ts'
import { sameShape } from '../values.ts'

/** A tensor of the TensorFlow graph: `node`, or `node:1` for its second output. */
export interface Ref {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly number[]
}

/** What collects the nodes; `blame` says which of the user's nodes the following ones stand for. */
export interface Builder {
  /** Adds an operation under a readable name and answers the name that it got. */
  readonly op: (
    op: string,
    inputs: readonly string[],
    attrs?: Readonly<Record<string, AttrValue>>,
    name?: string,
  ) => string
  /** A constant; equal constants are one node. */
  readonly constant: (dtype: Dtype, shape: readonly number[], data: Data) => Ref
  /** An int32 vector, for shapes, axes and permutations. */
  readonly ints: (values: readonly number[]) => string
  /** An int32 scalar. */
  readonly int: (value: number) => string
  /** A float32 scalar. */
  readonly float: (value: number) => Ref
  /** The same elements under another shape; nothing is emitted where it is the same shape. */
  readonly reshape: (x: Ref, shape: readonly number[]) => Ref
  /** Names the following nodes under a scope (`step.0`), until the next call. */
  readonly scope: (name: string) => void
  readonly blame: (t: Tensor | undefined) => void
  /** What was made under this key before, or what `make` makes now. */
  readonly once: (key: string, make: () => string) => string
  /** Builds what is repeated: the nodes of `make` lie in a frame of their own, where they may read constants. */
  readonly frame: <A>(name: string, make: () => A) => A
  /** Brings a value into the frame that is being built: for its first step, or for every one. */
  readonly enter: (x: Ref, steps: 'first' | 'every') => Ref
  /** Brings a value out of the frame that is being built, once it is through. */
  readonly leave: (x: Ref) => Ref
  /** Gives a node another input in this place. */
  readonly rewire: (node: string, place: number, input: string) => void
  /** Adds control inputs to a node. */
  readonly after: (node: string, ...before: readonly string[]) => void
  /** The user's node that a TensorFlow node stands for; also where TensorFlow has lengthened the name. */
  readonly ownerOf: (node: string) => Tensor | undefined
  readonly nodes: () => readonly NodeDef[]
}

/** `weight:1` is an output of the node `weight`. */
export const nodeOf = (ref: string): string => ref.replace(/:\d+$/, '')

/** TensorFlow allows letters, digits and `_ . / -`, and a letter, digit or dot at the beginning. */
const tfName = (name: string): string => {
  const clean = name.replace(/[^A-Za-z0-9_./-]/g, '_')
  return /^[A-Za-z0-9.]/.test(clean) ? clean : `x${clean}`
}

/** What is repeated, while it is built. */
interface Frame {
  readonly name: string
  readonly parent: Frame | undefined
  /** Its nodes. */
  readonly inside: Set<string>
  /** What stands in it for values from outside. */
  readonly entered: Map<string, string>
}

/** Data up to this many bytes is compared by content. */
const comparable = 4096

/** An empty graph. */
export const builder = (): Builder => {
  const nodes: NodeDef[] = []
  const byName = new Map<string, NodeDef>()
  /** The number that the next node of a name may get: those below are taken. */
  const tried = new Map<string, number>()
  const controls = new Map<NodeDef, Set<string>>()
  const owners = new Map<string, Tensor>()
  const small = new Map<string, Ref>()
  const large = new Map<object, Map<string, Ref>>()
  const views = new Map<string, Ref>()
  const made = new Map<string, string>()
  const sources = new Map<string, Ref>()
  const constants = new Map<string, Ref>()
  let frame: Frame | undefined
  let frames = 0
  let scope = ''
  let blamed: Tensor | undefined

  const unique = (wanted: string): string => {
    const base = tfName(wanted)
    let name = base
    let i = tried.get(base) ?? 1
    for (; byName.has(name); i++) name = `${base}_${i}`
    tried.set(base, i)
    return name
  }
  const push = (
    name: string,
    op: string,
    input: readonly string[],
    attrs: Readonly<Record<string, AttrValue>>,
  ) => {
    const node: NodeDef = { name, op, input: [...input], attr: { ...attrs } }
    nodes.push(node)
    byName.set(name, node)
    if (blamed !== undefined) owners.set(name, blamed)
    return name
  }
  const named = (name: string): string => unique(scope === '' ? name : `${scope}/${name}`)
  const op: Builder['op'] = (kind, inputs, attrs = {}, name = kind) => {
    const into = frame
    const made = push(
      named(name),
      kind,
      into === undefined ? inputs : inputs.map((x) => brought(into, x)),
      attrs,
    )
    into?.inside.add(made)
    return made
  }
  const enter = (into: Frame, x: Ref, steps: 'first' | 'every'): string => {
    const from = into.parent === undefined ? x.name : brought(into.parent, x.name)
    const made = push(named('Enter'), 'Enter', [from], {
      T: attr.type(x.dtype),
      frame_name: attr.string(into.name),
      is_constant: attr.bool(steps === 'every'),
      parallel_iterations: attr.int(1),
    })
    into.inside.add(made)
    return made
  }
  /** A value as the nodes of a frame read it: their own, or a constant. */
  const brought = (into: Frame, name: string): string => {
    if (into.inside.has(nodeOf(name))) return name
    const made = into.entered.get(name) ?? enter(into, constants.get(name)!, 'every')
    into.entered.set(name, made)
    return made
  }

  const emitConstant: Builder['constant'] = (dtype, shape, data) => {
    const name = push(unique('constant'), 'Const', [], {
      dtype: attr.type(dtype),
      value: attr.tensor(tfTensor(dtype, shape, data)),
    })
    const ref: Ref = { name, dtype, shape }
    constants.set(name, ref)
    return ref
  }
  const constant: Builder['constant'] = (dtype, shape, data) => {
    const kind = `${dtype} ${shape.join(',')}`
    if (data.byteLength <= comparable) {
      const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('latin1')
      const key = `${kind} ${bytes}`
      const had = small.get(key) ?? emitConstant(dtype, shape, data)
      small.set(key, had)
      return had
    }
    const forms = large.get(data) ?? new Map<string, Ref>()
    large.set(data, forms)
    const had = forms.get(kind) ?? emitConstant(dtype, shape, data)
    forms.set(kind, had)
    return had
  }

  const reshape: Builder['reshape'] = (x, shape) => {
    if (sameShape(x.shape, shape)) return x
    const source = sources.get(x.name) ?? x
    if (sameShape(source.shape, shape)) return source
    // what lies in a frame is read there alone
    const key = `${frame?.name ?? ''} ${source.name} ${shape.join(',')}`
    const had = views.get(key)
    if (had !== undefined) return had
    const name = op('Reshape', [source.name, ints(shape)], {
      T: attr.type(x.dtype),
      Tshape: attr.type('int32'),
    })
    const view: Ref = { name, dtype: x.dtype, shape }
    views.set(key, view)
    sources.set(name, source)
    return view
  }
  const ints = (values: readonly number[]): string =>
    constant('int32', [values.length], Int32Array.from(values)).name

  const ownerOf: Builder['ownerOf'] = (node) => {
    for (let name = node; name !== ''; name = name.replace(/[/\-_:][^/\-_:]*$|^[^/\-_:]*$/, '')) {
      const owner = owners.get(name)
      if (owner !== undefined) return owner
    }
    return undefined
  }

  return {
    op,
    constant,
    ints,
    int: (value) => constant('int32', [], Int32Array.of(value)).name,
    float: (value) => constant('float32', [], Float32Array.of(value)),
    reshape,
    scope: (name) => {
      scope = name
    },
    blame: (t) => {
      blamed = t
    },
    once: (key, make) => {
      const own = `${frame?.name ?? ''} ${key}`
      const name = made.get(own) ?? make()
      made.set(own, name)
      return name
    },
    frame: (name, make) => {
      const parent = frame
      frame = {
        name: `${scope}/${name}_${frames++}`,
        parent,
        inside: new Set(),
        entered: new Map(),
      }
      try {
        return make()
      } finally {
        frame = parent
      }
    },
    enter: (x, steps) => ({ ...x, name: enter(frame!, x, steps) }),
    leave: (x) => {
      const name = push(named('Exit'), 'Exit', [x.name], { T: attr.type(x.dtype) })
      frame!.parent?.inside.add(name)
      return { ...x, name }
    },
    rewire: (node, place, input) => {
      byName.get(node)!.input[place] = input
    },
    after: (node, ...before) => {
      const def = byName.get(nodeOf(node))
      if (def === undefined) throw new Error(`there is no node '${node}'`)
      const had = controls.get(def) ?? new Set()
      controls.set(def, had)
      for (const b of before) {
        const control = `^${nodeOf(b)}`
        if (had.has(control)) continue
        had.add(control)
        def.input.push(control)
      }
    },
    ownerOf,
    nodes: () => nodes,
  }
}
