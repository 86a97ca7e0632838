/** Gradients of composites that have their own against those of their definitions, in float64. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { axis } from '../../src/dsl/axis.ts'
import { bodyOf } from '../../src/dsl/composite.ts'
import { cos as cosOf, mul, sin } from '../../src/dsl/elementwise.ts'
import { evaluate } from '../../src/dsl/evaluate.ts'
import { gradient } from '../../src/dsl/gradient.ts'
import { rewrite, type Tensor, topological } from '../../src/dsl/graph.ts'
import { input, iota, parametersOf } from '../../src/dsl/index.ts'
import { applyTo } from '../../src/dsl/layer.ts'
import { silu } from '../../src/dsl/layers/activation.ts'
import { rmsNorm } from '../../src/dsl/layers/norm.ts'
import { rotate, rotations } from '../../src/dsl/layers/rotary.ts'
import { total } from '../../src/dsl/reduce.ts'
import { concat } from '../../src/dsl/shape.ts'
import { numbers, random } from '../support/graphs.ts'

const test = suite('gradients of composites')

const [Row, Token, Head, Dim] = [axis('row', 2), axis('token', 3), axis('head', 2), axis('dim', 4)]
const x = input('x', [Row, Token, Head, Dim])

/** The graph with definitions in place of composites. */
const defined = (roots: readonly Tensor[]): Tensor[] =>
  rewrite(roots, (t) => (t.op.op === 'composite' ? bodyOf(t) : t))

const next = random(7)
const values = {
  inputs: {
    x: numbers(48, next),
    y: numbers(48, next),
    r: numbers(48, next),
    cos: numbers(12, next),
    sin: numbers(12, next),
    half: numbers(6, next),
  },
  states: { weight: numbers(4, next) },
}

const elementsOf = (grads: readonly Tensor[]): readonly number[][] =>
  evaluate(grads, values).map((v) => [...v])

const near = (given: readonly number[][], wanted: readonly number[][]): void => {
  assert.is(given.length, wanted.length)
  for (const [i, g] of given.entries())
    for (const [k, v] of g.entries())
      assert.ok(Math.abs(v - wanted[i]![k]!) < 1e-12, `${i} ${k}: ${v}, ${wanted[i]![k]}`)
}

/** The gradients of Σ r · f with respect to these, of the composite and of its definition. */
const both = (f: Tensor, wrt: readonly Tensor[]): void => {
  const loss = total(mul(f, input('r', f.axes)))
  const [plain] = defined([loss])
  const same = new Map(
    topological([plain!]).map((t) => [
      t.op.op === 'state' ? t.op.key : t.op.op === 'input' ? t.op.name : t,
      t,
    ]),
  )
  const named = (t: Tensor): Tensor =>
    same.get(t.op.op === 'state' ? t.op.key : t.op.op === 'input' ? t.op.name : t)!
  near(elementsOf(gradient(loss, wrt)), elementsOf(gradient(plain!, wrt.map(named))))
}

const count = (roots: readonly Tensor[], size: number): number =>
  topological(roots).filter(
    (t) => t.inputs.length > 0 && t.axes.reduce((n, a) => n * a.size, 1) >= size && t.op.op !== 'composite',
  ).length

for (const [name, f] of [
  ['silu', applyTo(silu, x, '')],
  ['rmsNorm', applyTo(rmsNorm(Dim), x, '')],
] as const)
  test(`${name}: of its operands, and in fewer passes than the definition takes`, () => {
    const wrt = [x, ...parametersOf(f).values()]
    both(f, wrt)
    const loss = total(mul(f, input('r', f.axes)))
    const [plain] = defined([loss])
    const ofDefinition = gradient(plain!, [topological([plain!]).find((t) => t.op.op === 'input')!])
    assert.ok(count(gradient(loss, [x]), 48) < count(ofDefinition, 48))
  })

test('silu: of the inside of its definition', () => {
  const f = applyTo(silu, x, '')
  const sigmoid = topological([f]).find((t) => t.op.op === 'unary')!
  const loss = total(mul(f, input('r', f.axes)))
  const [inside] = evaluate(gradient(loss, [sigmoid]), values)
  near([[...inside!]], [values.inputs.r.map((r, i) => r * values.inputs.x[i]!)])
})

test('rotary: turned back, where both halves of the angles are one', () => {
  const angles = rotations(iota(Token), Dim, 100)
  const f = rotate(x, angles, 'dim')
  both(f, [x])
  const back = gradient(total(mul(f, input('r', f.axes))), [x])
  assert.is(topological(back).filter((t) => t.op.op === 'composite' && t.op.kind === 'rotary').length, 1)
})

test('rotary: of what is turned to each of several positions, the sum over them', () => {
  const one = input('x', [Row, Head, Dim])
  both(rotate(one, rotations(iota(Token), Dim, 100), 'dim'), [one])
})

test('rotary: by the definition where the halves differ, and where angles are learnt', () => {
  const [cos, own] = [input('cos', [Token, Dim]), input('sin', [Token, Dim])]
  both(rotate(x, { cos, sin: own }, 'dim'), [x, cos, own])
  both(rotate(x, { cos, sin: sin(own) }, 'dim'), [x])
  // both halves of what is learnt are one
  const half = input('half', [Token, axis('dim', 2)])
  const whole = concat([half, half], 'dim')
  both(rotate(x, { cos: cosOf(whole), sin: sin(whole) }, 'dim'), [x, half])
})

test.run()
