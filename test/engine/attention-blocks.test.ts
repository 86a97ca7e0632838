/** Attention of long sequences in both lowerings for processors: in blocks, each computed once the one before it is. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { computedAfter } from '../../src/dsl/composite.ts'
import {
  attend,
  attentionBlocks,
  axis,
  causal,
  fixed,
  gradient,
  input,
  mul,
  program,
  type Results,
  state,
  type Tensor,
  topological,
  total,
  zeros,
} from '../../src/dsl/index.ts'
import { lower } from '../../src/engine/onnx/lower.ts'
import { lowerProgram } from '../../src/engine/tensorflow/saved-model.ts'

const test = suite('engines: attention of long sequences')

const one = (r: () => Results) => program({ name: 'one', functions: { f: fixed(r) } })

/** Attention of so many tokens and its gradient. */
const results = (tokens: number): Record<string, Tensor> => {
  const token = axis('token', tokens)
  const axes = [token, axis('head', 1), axis('headDim', 2)]
  const keys = [axis('key', tokens), ...axes.slice(1)]
  const [q, k, v] = [input('q', axes), input('k', keys), input('v', keys)]
  const y = attend(q, k, v, 'headDim', causal(token))
  const [dq, dk, dv] = gradient(total(mul(y, input('w', axes))), [q, k, v]) as [Tensor, Tensor, Tensor]
  return { y, dq, dk, dv }
}

interface Node {
  readonly op: string
  readonly name: string
  readonly reads: readonly string[]
}

/** The nodes that each engine's lowering gives, in their order. */
const lowered: Readonly<Record<string, (tokens: number) => readonly Node[]>> = {
  onnx: (tokens) => {
    const p = one(() => ({ outputs: results(tokens) }))
    return lower('f', p.functions.get('f')![0]!).model.graph.node.map((n) => ({
      ...{ op: n.opType, name: n.output[0]! },
      reads: n.input,
    }))
  },
  tensorflow: (tokens) =>
    lowerProgram(one(() => ({ outputs: results(tokens) })))
      .builder.nodes()
      .map((n) => ({
        ...{ op: n.op, name: n.name },
        reads: n.input.map((x) => x.replace(/^\^/, '').replace(/:\d+$/, '')),
      })),
}

/** All that a node waits for. */
const waitsFor = (nodes: readonly Node[], name: string): ReadonlySet<string> => {
  const byName = new Map(nodes.map((n) => [n.name, n]))
  const found = new Set<string>()
  const left = [name]
  for (let at = left.pop(); at !== undefined; at = left.pop())
    for (const x of byName.get(at)?.reads ?? [])
      if (!found.has(x)) {
        found.add(x)
        left.push(x)
      }
  return found
}

for (const [engine, nodesOf] of Object.entries(lowered)) {
  const weighing = (nodes: readonly Node[]) => nodes.filter((n) => n.op === 'Softmax' || n.op === 'Exp')
  /** Copies of a range: a slice, or rows whose numbers are known late. */
  const pieces = (nodes: readonly Node[]): readonly Node[] => {
    const choices = new Set(nodes.filter((n) => n.op === 'Where').map((n) => n.name))
    return nodes.filter((n) => n.op === 'Slice' || (n.op === 'Gather' && choices.has(n.reads[1]!)))
  }

  test(`${engine}: a short one as its definition, whose softmax the gradient shares`, () => {
    assert.is(weighing(nodesOf(1024)).length, 1)
  })

  test(`${engine}: a long one block after block, forward and backward`, () => {
    const nodes = nodesOf(2048)
    const found = weighing(nodes)
    assert.equal(
      found.map((n) => n.op),
      Array.from({ length: engine === 'onnx' ? 6 : 4 }, () => (engine === 'onnx' ? 'Exp' : 'Softmax')),
    )
    const waits = found.map((n) => waitsFor(nodes, n.name))
    const pairs = found.flatMap((_, i) => found.flatMap((b, j) => (waits[i]!.has(b.name) ? [[i, j]] : [])))
    // a block waits for the one before it. Tensorflow: of four, two are forward, and the backward ones need those for Σ g y. Onnx:
    // the second of tokens, whose keys are two runs, waits for the first; the last keys, which half of the tokens see, for those
    // three; the first keys for all four, in two runs: the tokens that see them all and those that do not
    assert.is(pairs.length, engine === 'onnx' ? 2 + 3 + 4 + 4 : 1 + 2 + 3)
  })

  test(`${engine}: pieces are copied when their block is due, so that none is kept`, () => {
    const nodes = nodesOf(2048)
    const weights = new Set(weighing(nodes).map((n) => n.name))
    const found = pieces(nodes)
    const early = found.filter((n) => [...waitsFor(nodes, n.name)].every((x) => !weights.has(x)))
    // queries, keys and values of the first block; later ones, and those of the gradient, wait for weights
    assert.is(early.length, 3)
    assert.ok(found.length >= 12)
  })
}

test('onnx: only what a mask may hide is masked', () => {
  const masked = lowered.onnx!(2048).filter((n) => n.op === 'Trilu' || n.op === 'Where')
  // the scores of tokens among their own block's keys, forward and backward; other choices only wait
  assert.is(masked.filter((n) => n.op === 'Trilu' || n.reads[1] !== n.reads[2]).length, 4)
})

test('a block is of so many tokens at least, however many scores that are', () => {
  const blocks = (tokens: number): number => {
    const made = topological(attentionBlocks({ from: 1, block: 1, tokens })([results(64).y!]))
    return made.find((t) => t.op.op === 'concat' && t.op.along === 'token')!.inputs.length
  }
  assert.equal([blocks(1), blocks(16), blocks(40)], [64, 4, 2])
})

test('tensorflow: an input that is waited with is copied before a state keeps it', () => {
  const x = axis('x', 2)
  const copies = (value: (a: Tensor, b: Tensor) => Tensor): number =>
    lowerProgram(
      one(() => {
        const s = state('s', [x], zeros)
        return { outputs: { s }, next: new Map([['s', value(input('a', [x]), mul(s, 2))]]) }
      }),
    )
      .builder.nodes()
      .filter((n) => n.op === 'DeepCopy' && n.name.startsWith('f.0/')).length
  assert.is(
    copies((a, b) => computedAfter(a, b)),
    1,
  )
  assert.is(
    copies((_, b) => computedAfter(b, b)),
    0,
  )
})

test.run()
