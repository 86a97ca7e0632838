/** What an update refuses, before anything is trained by it. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  axis,
  cast,
  evaluate,
  GraphError,
  gradient,
  input,
  neg,
  parameter,
  square,
  type Tensor,
  total,
  transpose,
  zeros,
} from '../../src/dsl/index.ts'
import { type AdamWSettings, adamW, clipByGlobalNorm } from '../../src/optim/index.ts'

const test = suite('optim: what is refused')

const [In, Out] = [axis('in', 3), axis('out', 2)]
const w = parameter('a.weight', [Out, In], zeros)
const b = parameter('a.bias', [Out], zeros)
const parameters = new Map<string, Tensor>([
  ['a.weight', w],
  ['a.bias', b],
])
const rate = input('rate', [])
const g = (t: Tensor, name = 'g'): Tensor => input(name, t.axes)

const refused = (f: () => unknown): GraphError => {
  try {
    f()
  } catch (e) {
    assert.instance(e, GraphError)
    assert.match((e as GraphError).where, 'refused.test.ts')
    return e as GraphError
  }
  throw new Error('nothing was refused')
}

test('gradients that are not those of the parameters: too few, too many, swapped, narrow, turned, of another dtype', () => {
  const of = (gradients: readonly Tensor[] | ReadonlyMap<string, Tensor>) => () =>
    adamW(parameters, gradients, rate)
  const table: readonly (readonly [() => unknown, string, RegExp])[] = [
    [of([g(w)]), 'BadArgument', /2 parameters and 1 gradients; 'a.bias' has no gradient/],
    [of([g(w), g(b), g(b)]), 'BadArgument', /2 parameters and 3 gradients/],
    [of([g(b), g(w)]), 'SizeMismatch', /'a.weight' has out 2 × in 3 and its gradient out 2;/],
    [of([g(b), g(b)]), 'SizeMismatch', /'a.weight' has out 2 × in 3 and its gradient out 2;/],
    [of([input('g', []), g(b)]), 'SizeMismatch', /its gradient a scalar/],
    [of([transpose(g(w) as never, ['in', 'out'] as never), g(b)]), 'SizeMismatch', /in 3 × out 2/],
    [of([input('g', [Out, axis('in', 4)]), g(b)]), 'SizeMismatch', /out 2 × in 4/],
    [of([cast(g(w), 'int32'), g(b)]), 'BadDtype', /'a.weight' is float32 and its gradient int32/],
    [of(new Map([['a.weight', g(w)]])), 'BadArgument', /'a.bias' has no gradient/],
    [
      of(new Map([...parameters.keys(), 'c'].map((k) => [k, g(parameters.get(k) ?? b)]))),
      'BadArgument',
      /the gradient 'c' has no parameter/,
    ],
    [
      () => adamW(new Map([['other', w]]), [g(w)], rate),
      'BadArgument',
      /under 'other' is no state of that key/,
    ],
    [() => adamW(new Map([['w', neg(w)]]), [g(w)], rate), 'BadArgument', /no state of that key/],
    [
      () => adamW(parameters, [g(w), g(b)], input('rate', [Out])),
      'BadArgument',
      /learning rate is float32 with out 2/,
    ],
    [
      () => adamW(parameters, [g(w), g(b)], input('rate', [], 'int32')),
      'BadArgument',
      /learning rate is int32/,
    ],
  ]
  for (const [f, tag, message] of table) {
    const e = refused(f)
    assert.is(e.tag, tag, e.message)
    assert.match(e.message, message)
  }
})

test('gradients by key are those by order', () => {
  const values = {
    inputs: { rate: [0.1], x: [1, 2] },
    states: { 'a.bias': [3, 4] } as Record<string, number[]>,
  }
  const one = new Map<string, Tensor>([['a.bias', b]])
  const slopes = gradient(total(square(b)), [b])
  for (const k of ['step', 'exp_avg.a.bias', 'exp_avg_sq.a.bias'])
    values.states[`optimizer.${k}`] = k === 'step' ? [0] : [0, 0]
  const next = (gs: readonly Tensor[] | ReadonlyMap<string, Tensor>) =>
    evaluate([...adamW(one, gs, rate).next.values()], values)
  assert.equal(next(slopes), next(new Map([['a.bias', slopes[0]!]])))
})

test('settings out of their range', () => {
  const none = [Number.NaN, Number.POSITIVE_INFINITY, -1]
  const table: readonly (readonly [string, readonly unknown[]])[] = [
    ['beta1', [...none, 1, 1.5, '0.9']],
    ['beta2', [...none, 1]],
    ['epsilon', [...none, 0]],
    ['decay', none],
  ]
  for (const [name, values] of table)
    for (const value of values) {
      const settings = { [name]: value } as AdamWSettings
      assert.match(
        refused(() => adamW(parameters, [g(w), g(b)], rate, settings)).message,
        `adamW: ${name} is ${value}`,
      )
    }
  for (const value of none) {
    const factor = refused(() => adamW(parameters, [g(w), g(b)], rate, { rate: () => value }))
    assert.match(factor.message, `the factor on the learning rate of 'a.weight' is ${value}`)
    const decay = refused(() => adamW(parameters, [g(w), g(b)], rate, { decay: () => value }))
    assert.match(decay.message, `the decay of 'a.weight' is ${value}`)
  }
  adamW(parameters, [g(w), g(b)], rate, { beta1: 0, beta2: 0, epsilon: 1e-30, decay: 0, rate: () => 0 })
})

test('a limit of a norm that is not above 0', () => {
  for (const limit of [0, -1, -0, Number.NaN, Number.NEGATIVE_INFINITY])
    assert.match(refused(() => clipByGlobalNorm([g(w)], limit)).message, /clipByGlobalNorm: the limit is/)
  const free = clipByGlobalNorm([g(w)], Number.POSITIVE_INFINITY)
  assert.equal([...evaluate(free.gradients, { inputs: { g: [1, 2, 3, 4, 5, 6] } })[0]!], [1, 2, 3, 4, 5, 6])
})

test.run()
