/** Where messages point: the user's own line, at whatever depth, at no cost for each node. */
import { pipe } from 'fp-ts/lib/function.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add,
  andThen,
  applyTo,
  at,
  axis,
  crossEntropy,
  fanout,
  fixed,
  GraphError,
  gelu,
  gradient,
  input,
  inside,
  layer,
  linear,
  merged,
  mul,
  neg,
  parametersOf,
  program,
  repeat,
  residual,
  rmsNorm,
  selfAttention,
  siteOf,
  state,
  swiGlu,
  type Tensor,
  topological,
  total,
  zeros,
} from '../../src/dsl/index.ts'
import { adamW, clipByGlobalNorm } from '../../src/optim/index.ts'

const test = suite('dsl: sites')

const [Token, Embed, Hidden] = [axis('token', 3), axis('embed', 4), axis('hidden', 8)]

/** The line of this file on which the function that calls it stands. */
const hereLine = (): string => /site\.test\.ts:\d+/.exec(new Error().stack!.split('\n')[2]!)![0]

const lineOf = (t: Tensor): string => /site\.test\.ts:\d+/.exec(t.site.line)?.[0] ?? t.site.line

test('a builder has the line that calls it, and so has a function between', () => {
  const x = input('x', [Embed])
  const [y, line] = [neg(x), hereLine()]
  assert.is(lineOf(y), line)
  const twice = (t: Tensor): Tensor => {
    return add(t, t)
  }
  assert.is.not(lineOf(twice(x)), lineOf(y))
  assert.match(lineOf(twice(x)), 'site.test.ts')
})

test('all nodes that one line builds share one site: a graph keeps no stacks', () => {
  let x: Tensor = input('x', [Embed])
  for (let i = 0; i < 1000; i++) x = neg(x)
  const sites = new Set(topological([x]).map((t) => t.site))
  assert.is(sites.size, 2)
})

/** A function below so many frames. */
const deep = <A>(frames: number, f: () => A): A => (frames === 0 ? f() : deep(frames - 1, f))

test('every node of a training step names a file of the user, however deep it was built', () => {
  const block = pipe(
    residual(
      pipe(rmsNorm(Embed), andThen(selfAttention({ token: Token, embed: Embed, heads: 2 })), at('attn')),
    ),
    andThen(residual(pipe(rmsNorm(Embed), andThen(swiGlu(Embed, Hidden)), at('mlp')))),
    andThen(gelu),
  )
  const step = fixed(() => {
    const y = deep(60, () => applyTo(repeat(2, block), input('x', [Token, Embed])))
    const { mean } = crossEntropy(y, input('labels', [Token], 'int32'), 'embed')
    const weights = parametersOf(mean)
    const { gradients } = clipByGlobalNorm(gradient(mean, [...weights.values()]), 1)
    return { outputs: { mean }, next: adamW(weights, gradients, input('rate', [])).next }
  })
  const [v] = program({ name: 'p', functions: { step } }).functions.get('step')!
  const order = topological([...Object.values(v!.outputs), ...v!.next.values()])
  assert.ok(order.length > 300)
  for (const t of order) assert.match(t.site.line, 'site.test.ts', `${t.op.op} has '${t.site.line}'`)
  // a layer's nodes have the line that made the layer
  const attention = order.find((t) => t.op.op === 'composite' && t.op.kind === 'attention')!
  const score = order.find((t) => t.op.op === 'softmax')!
  assert.is(lineOf(score), lineOf(attention))
})

test('what builds inside a site shares it, and yet its errors point to the line nearest to them', () => {
  const other = (x: Tensor): Tensor => inside(siteOf(other), () => add(neg(x), 1))
  const x = input('x', [Embed])
  const [y, line] = [other(x), hereLine()]
  assert.equal(topological([y]).slice(1).map(lineOf), [line, line, line])

  const wrong = (): Tensor => add(x, input('x', [axis('embed', 5)]) as never)
  const thrown = (f: () => unknown): GraphError => {
    try {
      f()
    } catch (e) {
      assert.instance(e, GraphError)
      return e as GraphError
    }
    throw new Error('nothing was thrown')
  }
  const straight = thrown(wrong).where
  assert.match(straight, /site\.test\.ts:\d+:\d+$/)
  assert.is(thrown(() => inside(siteOf(thrown), wrong)).where, straight)
  const mine = layer('mine', [Embed], wrong)
  assert.is(thrown(() => mine.apply(x)).where, straight)
  assert.is(thrown(() => pipe(fanout(mine, mine), merged(mul)).apply(x)).where, straight)
})

test('a layer of the user has the lines of its own body', () => {
  let line = ''
  const mine = layer('mine', [Embed], (x) => {
    const y = neg(x)
    line = hereLine()
    return y
  })
  const y = pipe(linear(Embed, Embed), andThen(mine)).apply(input('x', [Embed]))
  assert.is(Number(lineOf(y).split(':')[1]) + 1, Number(line.split(':')[1]))
})

test('the process formats its stacks as before', () => {
  const before = { limit: Error.stackTraceLimit, format: Error.prepareStackTrace }
  try {
    Error.stackTraceLimit = 3
    Error.prepareStackTrace = (e, frames) => `mine ${e} ${frames.length}`
    const x = state('w', [Embed], zeros)
    assert.match(total(mul(x, x)).site.line, /site\.test\.[jt]s:\d/)
    assert.is(Error.stackTraceLimit, 3)
    assert.is(new Error('x').stack, 'mine Error: x 3')
  } finally {
    Error.stackTraceLimit = before.limit
    Error.prepareStackTrace = before.format
  }
})

test.run()
