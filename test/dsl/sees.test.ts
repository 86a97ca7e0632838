/** What is said of a mask, that each row sees a key, against what masks hold: of random expressions too. */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Axis, elements } from '../../src/dsl/axis.ts'
import { binaryOf, compareOf, logicOf, unaryOf } from '../../src/dsl/elementwise.ts'
import { topological } from '../../src/dsl/graph.ts'
import {
  add,
  and,
  axis,
  causal,
  constant,
  equal,
  evaluate,
  gather,
  input,
  iota,
  less,
  lessEqual,
  maximum,
  mul,
  notPadding,
  or,
  reshape,
  sameBranch,
  sameSegment,
  type Tensor,
  transpose,
} from '../../src/dsl/index.ts'
import { gatherOf } from '../../src/dsl/indexing.ts'
import { allSee } from '../../src/dsl/layers/sees.ts'
import { broadcasted, renamed, reshaped, transposed } from '../../src/dsl/shape.ts'

const [Row, Slots] = [axis('batch', 3), axis('key', 4)]
const place: Tensor = input('place', [Row], 'int32')

test('slots up to a place that is never below 0 have one that is seen, whatever is fed', () => {
  const shown = transpose(lessEqual(iota(Slots), maximum(place, 0)), ['batch', 'key'])
  assert.ok(allSee(shown, 'key'))
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 3, maxLength: 3 }), (at) => {
      const [mask] = evaluate([shown], { inputs: { place: at } })
      for (let r = 0; r < 3; r++) assert.ok(mask!.slice(4 * r, 4 * r + 4).some((x) => x === 1))
    }),
  )
})

test('where it may be below 0, or the first slot is left out, none is promised', () => {
  for (const mask of [
    lessEqual(iota(Slots), place),
    lessEqual(iota(Slots), maximum(place, -1)),
    less(iota(Slots), maximum(place, 0)),
    lessEqual(maximum(place, 0), iota(Slots)),
    lessEqual(add(iota(Slots), 1), maximum(place, 0)),
    lessEqual(iota(Slots), mul(maximum(place, 0), -1)),
  ])
    assert.not(allSee(mask as Tensor, 'key'))
  // another axis than that of the keys
  assert.not(allSee(lessEqual(iota(Slots), maximum(place, 0)) as Tensor, 'token'))
})

test('fractions may be NaN, which does not see itself', () => {
  const Token = axis('token', 4)
  for (const dtype of ['int32', 'float32'] as const) {
    const segment: Tensor = input('segment', [Token], dtype)
    const mask = equal(segment, reshape(segment, [Slots])) as Tensor
    const [seen] = evaluate([mask], { inputs: { segment: [1, 1, dtype === 'int32' ? 2 : Number.NaN, 2] } })
    assert.is(allSee(mask, 'key'), dtype === 'int32', dtype)
    assert.is(
      seen!.slice(8, 12).some((x) => x === 1),
      dtype === 'int32',
      dtype,
    )
  }
})

const site = { line: '' }
/** Tokens, keys and others, of one size so that any may be taken for another, rows, and more keys in a row. */
const [Tokens, Keys, Others, Rows] = [axis('token', 3), axis('key', 3), axis('other', 3), axis('row', 4)]
const Long = axis('key', 9)
const axes = fc.constantFrom(Tokens, Keys, Keys, Others, Rows)
const several = fc.constantFrom<readonly Axis[]>(
  ...[[Tokens], [Keys], [Rows, Tokens], [Rows, Keys], [Tokens, Others], [Tokens, Keys], [Keys, Tokens]],
  ...[[Others], [Others, Keys], [Rows, Tokens, Keys], []],
)
const named = (kind: string, dtype: 'int32' | 'float32' | 'bool', of: readonly Axis[]): Tensor =>
  input(`${kind} ${of.map((a) => a.name).join()}`, [...of], dtype)

/** How an expression is built; what does not fit together is none. */
type Build = () => Tensor
const built = (build: Build): Tensor | undefined => {
  try {
    const t = build()
    return t.axes.length <= 4 ? t : undefined
  } catch {
    return undefined
  }
}
/** The same numbers where the names are another tensor's. */
const under = (x: Build, of: readonly Axis[]): Build => {
  return () => reshaped(x(), of, site)
}
const turned = (x: Build, by: number): Build => {
  return () => {
    const t = x()
    const names = t.names.map((_, i) => t.names[(i + by) % t.names.length]!)
    return transposed(t, names, site)
  }
}
const wider = (x: Build, by: Axis, at: number): Build => {
  return () => {
    const t = x()
    return broadcasted(t, t.axes.toSpliced(Math.min(at, t.axes.length), 0, by), site)
  }
}

const compares = fc.constantFrom('equal', 'less', 'lessEqual')
const { mask } = fc.letrec<{ int: Build; mask: Build }>((tie) => ({
  int: fc.oneof(
    { maxDepth: 2 },
    fc.tuple(fc.constantFrom('a', 'b'), several).map(
      ([k, of]) =>
        () =>
          named(k, 'int32', of),
    ),
    axes.map((a) => () => iota(a) as Tensor),
    fc.tuple(axes, fc.array(fc.integer({ min: -1, max: 3 }), { minLength: 3, maxLength: 3 })).map(
      ([a, data]) =>
        () =>
          constant(Int32Array.from([...data, 0].slice(0, a.size)), [a]) as Tensor,
    ),
    fc.tuple(tie('int'), several).map(([x, of]) => under(x, of)),
    fc.tuple(tie('int'), fc.nat({ max: 2 })).map(([x, by]) => turned(x, by)),
    fc.tuple(tie('int'), axes, fc.nat({ max: 2 })).map(([x, by, at]) => wider(x, by, at)),
    fc
      .tuple(
        fc.constantFrom('max', 'min', 'add', 'mul'),
        tie('int'),
        fc.oneof(tie('int'), fc.constantFrom(-1, 0)),
      )
      .map(
        ([fn, x, y]) =>
          () =>
            binaryOf(fn, x(), typeof y === 'number' ? y : y(), site),
      ),
  ),
  mask: fc.oneof(
    { maxDepth: 3 },
    fc.tuple(compares, tie('int'), tie('int')).map(
      ([fn, a, b]) =>
        () =>
          compareOf(fn, a(), b(), site),
    ),
    // tokens and themselves, as numbers or fractions, under one other name or several
    fc
      .tuple(
        compares,
        fc.constantFrom('int32', 'float32'),
        several,
        fc.shuffledSubarray(['token', 'key', 'other', 'again'], { minLength: 2, maxLength: 2 }),
      )
      .map(([fn, dtype, of, to]) => () => {
        const x = named('a', dtype, of)
        const other = of.filter((a) => a.size === 3)
        const names = Object.fromEntries(other.map((a, i) => [a.name, to[i]!]))
        return compareOf(fn, x, renamed(x, names, site), site)
      }),
    fc.tuple(compares, axes, axes).map(
      ([fn, a, b]) =>
        () =>
          compareOf(fn, iota(a), iota(b), site),
    ),
    fc.tuple(fc.constantFrom(Keys, Keys, Long), tie('int'), fc.constantFrom(-1, 0, 1)).map(
      ([keys, x, y]) =>
        () =>
          lessEqual(iota(keys), binaryOf('max', x(), y, site)) as Tensor,
    ),
    // rows of many keys, cut
    several.map((of) => () => {
      const long = lessEqual(iota(Long), maximum(named('a', 'int32', [Rows]), 0)) as Tensor
      return reshaped(transposed(long, ['row', 'key'], site), [Rows, Tokens, ...of.slice(-1)], site)
    }),
    several.map((of) => () => named('seen', 'bool', of)),
    fc.tuple(fc.constantFrom('and', 'or'), tie('mask'), tie('mask')).map(
      ([fn, a, b]) =>
        () =>
          logicOf(fn, a(), b(), site),
    ),
    tie('mask').map((x) => () => unaryOf('not', x(), site)),
    fc.tuple(tie('mask'), fc.nat({ max: 2 })).map(([x, by]) => turned(x, by)),
    fc.tuple(tie('mask'), axes, fc.nat({ max: 2 })).map(([x, by, at]) => wider(x, by, at)),
    fc.tuple(tie('mask'), several).map(([x, of]) => under(x, of)),
    fc.tuple(tie('mask'), axes).map(
      ([x, a]) =>
        () =>
          gatherOf(x(), input(`rows ${a.name}`, [a], 'int32') as Tensor, site),
    ),
  ),
}))

/** Numbers for all that is fed: small ones, some below 0, fractions that are none among them. */
const fed = (t: Tensor, next: () => number): Readonly<Record<string, readonly number[]>> =>
  Object.fromEntries(
    topological([t]).flatMap(({ op, axes, dtype }) => {
      if (op.op !== 'input') return []
      const draw = (): number => {
        if (dtype === 'bool') return Math.floor(next() * 2)
        // rows of any table
        if (op.name.startsWith('rows')) return Math.floor(next() * 3)
        return dtype === 'float32' && next() < 0.3 ? Number.NaN : Math.floor(next() * 5) - 2
      }
      return [[op.name, Array.from({ length: elements(axes) }, draw)]]
    }),
  )

/** Whether each row of a mask has a key that is seen, by its values. */
const rowsSee = (t: Tensor, values: ArrayLike<number>): boolean => {
  const at = t.names.indexOf('key')
  if (at < 0) return false
  const [size, inner] = [t.axes[at]!.size, elements(t.axes.slice(at + 1))]
  const seen = new Map<number, boolean>()
  for (let i = 0; i < values.length; i++) {
    const row = Math.floor(i / (inner * size)) * inner + (i % inner)
    seen.set(row, seen.get(row) === true || values[i] !== 0)
  }
  return [...seen.values()].every(Boolean)
}

test('what is promised of a random mask holds, whatever is fed', () => {
  let promised = 0
  fc.assert(
    fc.property(
      mask,
      fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
      (m, stream) => {
        const t = built(m)
        if (t === undefined || !allSee(t, 'key')) return
        promised++
        const next = (): number => stream.next().value as number
        for (let i = 0; i < 12; i++) {
          const inputs = fed(t, next)
          assert.ok(rowsSee(t, evaluate([t], { inputs })[0]!), JSON.stringify(inputs))
        }
      },
    ),
    { numRuns: 4000 },
  )
  assert.ok(promised > 150, `${promised}`)
})

test('of the masks that models have it is known', () => {
  const [Batch, Picked] = [axis('batch', 2), axis('picked', 2)]
  const segment: Tensor = input('segment', [Batch, Tokens], 'int32')
  const inside = sameSegment(segment, 'token')
  const all: readonly Tensor[] = [
    causal(Tokens),
    inside,
    and(causal(Tokens), inside),
    and(causal(Tokens), sameBranch(segment, 'token')),
    and(and(causal(Tokens), inside), sameBranch(segment, 'token')),
  ]
  for (const m of all) {
    assert.ok(allSee(m, 'key'))
    const whole = transpose(m, [...m.names.filter((n) => n !== 'key'), 'key'])
    const rows = m.names.includes('batch')
      ? reshape(whole, [axis('row', 6), Keys])
      : (whole as Tensor<readonly ['token', 'key']>)
    assert.ok(allSee(gather(rows as Tensor, input('places', [Picked], 'int32')), 'key'))
    // padding may hide a token from itself
    assert.not(allSee(and(m, notPadding(input('attention', [Batch, Tokens], 'int32'), 'token')), 'key'))
    assert.ok(allSee(or(m, input('more', [Tokens, Keys], 'bool')), 'key'))
  }
})

test.run()
