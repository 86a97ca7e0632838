import { pipe } from 'fp-ts/lib/function.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { axis } from '../../src/dsl/axis.ts'
import { contractOf } from '../../src/dsl/contract.ts'
import { add, cast, less, mul, neg, select, square, tanh } from '../../src/dsl/elementwise.ts'
import { gradient } from '../../src/dsl/gradient.ts'
import { type LayerMark, type Tensor, topological } from '../../src/dsl/graph.ts'
import { scatterAdd } from '../../src/dsl/indexing.ts'
import { ones } from '../../src/dsl/init.ts'
import { blocks } from '../../src/dsl/inspect/blocks.ts'
import { cost, flopsOf } from '../../src/dsl/inspect/cost.ts'
import { countOf, diagram, type Item, titleOf } from '../../src/dsl/inspect/diagram.ts'
import { mermaid } from '../../src/dsl/inspect/mermaid.ts'
import { type SummaryRow, showSummary, summary, summaryJson } from '../../src/dsl/inspect/summary.ts'
import { svg } from '../../src/dsl/inspect/svg.ts'
import { type Laid, layOut } from '../../src/dsl/inspect/svg-layout.ts'
import { andThen, applyTo, at, join, layer, named, repeat, residual, tied } from '../../src/dsl/layer.ts'
import { gelu } from '../../src/dsl/layers/activation.ts'
import { causal, selfAttention } from '../../src/dsl/layers/attention.ts'
import { embedding, head, linear } from '../../src/dsl/layers/linear.ts'
import { swiGlu } from '../../src/dsl/layers/mlp.ts'
import { rmsNorm } from '../../src/dsl/layers/norm.ts'
import { rotations } from '../../src/dsl/layers/rotary.ts'
import { input, parameter, state } from '../../src/dsl/leaves.ts'
import { logSoftmax, max, softmax, sum, total } from '../../src/dsl/reduce.ts'
import { reshape, transpose } from '../../src/dsl/shape.ts'
import { presets } from '../../src/models/presets.ts'
import { qwen3 } from '../../src/models/qwen3.ts'
import { sailVit } from '../../src/models/sail-vit.ts'
import { grouped, short } from '../../src/terminal/format.ts'

const [Batch, Token, Embed, Hidden] = [
  axis('batch', 2),
  axis('token', 3),
  axis('embed', 4),
  axis('hidden', 6),
]
const Vocab = axis('vocab', 11)

/** A language model in small: embedding, blocks with rotary positions and a mask that all of them share, tied head. */
const model = (times = 3, wider?: number): Tensor => {
  const positions = input('positions', [Batch, Token], 'int32')
  const rotary = rotations(positions, axis('headDim', 2), 100)
  const mask = causal(Token)
  const block = (i: number) =>
    pipe(
      residual(
        pipe(
          at('norm_1')(rmsNorm(Embed)),
          andThen(at('attn')(selfAttention({ token: Token, embed: Embed, heads: 2, rotary, mask }))),
        ),
      ),
      andThen(
        residual(
          pipe(
            at('norm_2')(rmsNorm(Embed)),
            andThen(at('mlp')(swiGlu(Embed, i === wider ? axis('hidden', 7) : Hidden))),
          ),
        ),
      ),
      named('block'),
    )
  const trunk = pipe(
    at('blocks')(repeat(times, block)),
    andThen(at('norm')(rmsNorm(Embed))),
    named('decoder'),
    at('trunk'),
  )
  const ids = input('ids', [Batch, Token], 'int32')
  const x = applyTo(at('embed')(embedding(Vocab, Embed)), ids)
  return applyTo(tied(at('embed')(head(Embed, Vocab))), applyTo(trunk, x))
}

const rowOf = (rows: readonly SummaryRow[], path: string, layer?: string): SummaryRow => {
  const found = rows.find((r) => r.path === path && (layer === undefined || r.layer === layer))
  assert.ok(found, `a row ${path} among ${rows.map((r) => r.path).join(', ')}`)
  return found!
}

const x = input('x', [Batch, Token, Embed])

test('FLOPs of a node', () => {
  const w = state('w', [Hidden, Embed], ones)
  assert.is(flopsOf(contractOf(x, w, ['embed'], { line: '' })), 2 * (2 * 3) * 6 * 4)
  assert.is(flopsOf(contractOf(x, x, ['embed', 'token'], { line: '' })), 2 * 2 * (3 * 4))
  assert.is(flopsOf(add(x, state('b', [Embed], ones))), 24)
  assert.is(flopsOf(tanh(x)), 24)
  assert.is(flopsOf(less(x, 0)), 24)
  assert.is(flopsOf(select(less(x, 0), x, 0)), 24)
  assert.is(flopsOf(sum(x, 'embed')), 24)
  assert.is(flopsOf(max(x, 'embed')), 24)
  assert.is(flopsOf(softmax(x, 'embed')), 120)
  assert.is(flopsOf(logSoftmax(x, 'embed')), 120)
  assert.is(flopsOf(scatterAdd(input('i', [Batch], 'int32'), x, axis('into', 9))), 24)
  for (const free of [
    transpose(x, ['token', 'batch', 'embed']),
    reshape(x, [axis('n', 24)]),
    cast(x, 'int32'),
  ])
    assert.is(flopsOf(free), 0)
})

test('cost of a graph: intermediate results by their bytes, states once, composites by their body', () => {
  const w = state('w', [Embed], ones)
  const again = state('w', [axis('other', 4)], ones)
  const c = cost([mul(less(x, 0) && cast(less(x, 0), 'float32'), w), mul(again, 2)])
  // one comparison (bool), one cast, two products; the second comparison was never used
  assert.equal(c, {
    flops: 24 + 24 + 4,
    activationBytes: 24 + 96 + 96 + 16,
    parameters: 4,
    parameterBytes: 16,
  })
  assert.equal(cost([gelu.apply(x) as Tensor]).flops, 5 * 24)
  const moment = state('optimizer.w', [Embed], ones)
  assert.is(cost([add(w, moment)], (key) => !key.startsWith('optimizer.')).parameters, 4)
})

test('a layer that gives back what was there before it computes nothing and is no block', () => {
  let kept: Tensor | undefined
  const keep = layer('keep', [Embed], (y) => {
    kept = tanh(y)
    return kept
  })
  const recall = layer('recall', [Embed], () => kept!)
  const y = at('recall')(recall).apply(neg(at('keep')(keep).apply(x)))
  assert.is(y, kept)
  const { rows } = summary([add(y, neg(y))])
  assert.equal(
    rows.map((r) => r.layer),
    ['model', 'keep'],
  )
  assert.is(rowOf(rows, 'keep').flops, 24)
})

test('each row has the parameters, axes and FLOPs of its layer', () => {
  const { rows, totals } = summary([model()], { name: 'small' })
  const block = rowOf(rows, 'trunk.blocks.0…2')
  assert.is(block.times, 3)
  assert.is(block.layer, 'block')
  assert.equal(block.axes, [Batch, Token, Embed])
  assert.is(block.parameters, 3 * (4 + 4 * 16 + 4 + 3 * 24))
  assert.is(rowOf(rows, 'trunk.blocks.0…2.mlp').parameters, 3 * 72)
  assert.is(rowOf(rows, 'trunk.blocks.0…2.mlp.gate_proj').flops, 3 * (2 * 6 * 4 * 6))
  assert.is(rowOf(rows, 'trunk.blocks.0…2.mlp.gate_proj').activationBytes, 3 * (6 * 6 * 4))
  // the scores between the projections belong to the attention and not to the output map
  const q = 2 * 6 * 4 * 4
  assert.is(rowOf(rows, 'trunk.blocks.0…2.attn.o_proj').flops, 3 * q)
  assert.ok(rowOf(rows, 'trunk.blocks.0…2.attn').flops > 3 * (4 * q + 2 * (2 * 2 * 2 * 3 * 3 * 2)))
  assert.is(totals.parameters, 11 * 4 + block.parameters + 4)
  assert.is(totals.parameters, cost([model()]).parameters)
  assert.is(totals.flops, cost([model()]).flops)
  assert.is(totals.activationBytes, cost([model()]).activationBytes)
  assert.equal(rows[0]!.path, '')
  assert.equal(
    rows.filter((r) => r.depth === 1).map((r) => [r.path, r.layer]),
    [
      ['embed', 'embedding'],
      ['trunk', 'decoder'],
      ['embed', 'head'],
    ],
  )
})

test('a tied weight belongs to the layer of its key that comes first', () => {
  const { rows } = summary([model()])
  assert.is(rowOf(rows, 'embed', 'embedding').parameters, 44)
  assert.is(rowOf(rows, 'embed', 'head').parameters, 0)
})

test('what all blocks share belongs to none of them', () => {
  const { root, ownerOf, order } = blocks([model()])
  const owners = (op: string): Set<string> =>
    new Set(order.filter((t) => t.op.op === 'unary' && t.op.fn === op).map((t) => ownerOf(t).path))
  assert.equal([...owners('cos')], ['trunk'])
  assert.equal(owners('rsqrt').size, 7)
  const parts = root.children.reduce((n, c) => n + c.cost.flops, 0)
  assert.is(root.cost.flops, parts)
})

test('only equal neighbours fold', () => {
  const paths = (t: Tensor): string[] =>
    summary([t], { depth: 2 })
      .rows.filter((r) => r.layer === 'block')
      .map((r) => `${r.path} ${r.times}`)
  assert.equal(paths(model(6)), ['trunk.blocks.0…5 6'])
  assert.equal(paths(model(6, 2)), ['trunk.blocks.0…1 2', 'trunk.blocks.2 1', 'trunk.blocks.3…5 3'])
  assert.equal(paths(model(1)), ['trunk.blocks.0 1'])
  const open = summary([model(3)], { fold: false }).rows
  assert.is(open.filter((r) => r.layer === 'block').length, 3)
  assert.is(
    rowOf(summary([model(3)]).rows, 'trunk.blocks.0…2').flops,
    open.filter((r) => r.layer === 'block').reduce((n, r) => n + r.flops, 0),
  )
})

test('rows in rows: experts inside blocks', () => {
  const expert = layer('expert', [Embed], (t, path) => mul(t, parameter(join(path, 'w'), [Embed], ones)))
  const moe = named('moe')(at('experts')(repeat(4, expert)))
  const { rows } = summary([applyTo(at('layers')(repeat(2, moe)), x)])
  assert.equal(
    rows.slice(1).map((r) => [r.path, r.times, r.parameters]),
    [
      ['layers.0…1', 2, 32],
      ['layers.0…1.experts.0…3', 8, 32],
    ],
  )
})

test('layers on one path without scopes of their own: siblings stay siblings', () => {
  const f = pipe(
    at('fc1')(linear(Embed, Hidden)),
    andThen(gelu),
    andThen(at('fc2')(linear(Hidden, Embed))),
    andThen(gelu),
  )
  const { rows } = summary([applyTo(f, x, 'mlp')])
  assert.equal(
    rows.map((r) => [r.depth, r.path, r.layer]),
    [
      [0, '', 'model'],
      [1, 'mlp.fc1', 'linear'],
      [1, 'mlp', 'gelu'],
      [1, 'mlp.fc2', 'linear'],
      [1, 'mlp', 'gelu'],
    ],
  )
})

test('a layer that is applied twice is two rows, and its weights are in the first', () => {
  const f = at('f')(linear(Embed, Embed))
  const { rows } = summary([applyTo(f, tanh(applyTo(f, x)))])
  assert.equal(
    rows.map((r) => [r.path, r.parameters, r.flops]),
    [
      ['', 20, 2 * (2 * 6 * 16 + 24) + 24],
      ['f', 20, 2 * 6 * 16 + 24],
      ['f', 0, 2 * 6 * 16 + 24],
    ],
  )
})

test('losses and gradients belong to the root, and leave the layers as they were', () => {
  const logits = model()
  const loss = total(square(logits))
  const weights = [
    ...new Map(topological([loss]).flatMap((t) => (t.op.op === 'state' ? [[t.op.key, t]] : []))).values(),
  ]
  const forward = summary([logits]).rows.slice(1)
  const { rows, totals } = summary([loss, ...gradient(loss, weights as Tensor[])])
  assert.equal(rows.slice(1), forward)
  assert.ok(totals.flops > 2.5 * summary([logits]).totals.flops)
})

test('marks that do not say where a layer begins: it begins after the layers that are not below its path', () => {
  const marks = new Map<LayerMark, LayerMark>()
  const bareMark = (m: LayerMark): LayerMark => {
    const had = marks.get(m) ?? { path: m.path, layer: m.layer }
    marks.set(m, had)
    return had
  }
  const bare = (t: Tensor): Tensor => {
    const seen = new Map<Tensor, Tensor>()
    const go = (u: Tensor): Tensor => {
      const had = seen.get(u)
      if (had !== undefined) return had
      const copy = {
        ...u,
        inputs: u.inputs.map(go),
        marks: u.marks.map(bareMark),
      }
      seen.set(u, copy)
      return copy
    }
    return go(t)
  }
  const { rows, totals } = summary([bare(model())])
  assert.is(totals.parameters, summary([model()]).totals.parameters)
  assert.is(totals.flops, summary([model()]).totals.flops)
  assert.is(rowOf(rows, 'trunk').parameters, rowOf(summary([model()]).rows, 'trunk').parameters)
})

test('published parameter counts', () => {
  const tokens = [axis('batch', 1), axis('token', 8)] as const
  const language = (name: string): number => {
    const preset = presets[name]!
    if (preset.kind !== 'language') throw new Error(name)
    const positions = input('positions', tokens, 'int32')
    const context = { token: tokens[1], positions, mask: causal(tokens[1]) }
    const logits = applyTo(qwen3(preset.config, context), input('ids', tokens, 'int32'))
    const { totals } = summary([logits])
    return totals.parameters
  }
  assert.is(language('qwen3-0.6b'), 596_049_920)
  const huge = presets['aimv2-huge']!
  if (huge.kind !== 'vision') throw new Error('aimv2-huge')
  const images = input('images', [
    axis('tile', 1),
    axis('channel', 3),
    axis('height', 448),
    axis('width', 448),
  ])
  const s = summary([applyTo(sailVit(huge.config), images)])
  assert.is(s.totals.parameters, 682_031_616)
  assert.is(rowOf(s.rows, 'vision_model.trunk.blocks.0…23').times, 24)
})

test('a graph of 10,000 nodes is summed up in less than 500 ms', () => {
  const logits = model(160)
  assert.ok(topological([logits]).length > 10_000)
  const once = (): number => {
    const start = process.cpuUsage()
    assert.is(rowOf(summary([logits]).rows, 'trunk.blocks.0…159').times, 160)
    const { user, system } = process.cpuUsage(start)
    return (user + system) / 1000
  }
  const took = Math.min(once(), once(), once())
  assert.ok(took < 500, `it took ${took.toFixed(0)} ms`)
})

test('the table and the JSON say the same', () => {
  const s = summary([model()], { name: 'small', depth: 2 })
  const text = showSummary(s).split('\n')
  assert.is(text.length, 2 + s.rows.length)
  assert.match(text[0]!, /^block +layer +axes +parameters +FLOPs +activations$/)
  assert.match(
    text.find((l) => l.includes('×3'))!,
    /^ {4}blocks\.0…2 ×3 +block +batch 2 × token 3 × embed 4 +432 /,
  )
  const json = JSON.parse(JSON.stringify(summaryJson(s)))
  assert.is(json.parameters, s.totals.parameters)
  assert.is(json.bytes, 4 * s.totals.parameters)
  assert.is(json.rows.length, s.rows.length)
  assert.is(json.rows[0].axes, '')
  assert.is(json.rows[1].axes, 'batch 2 × token 3 × embed 4')
  assert.ok(s.rows.every((r) => r.depth <= 2))
})

test('numbers for people', () => {
  assert.equal([0, 999, 1000, 1234567].map(grouped), ['0', '999', '1,000', '1,234,567'])
  assert.equal([0, 7, 999, 1000, 999_500, 1_720_574_976].map(short), [
    '0',
    '7',
    '999',
    '1.00 k',
    '1.00 M',
    '1.72 G',
  ])
})

const find = (x: Item, title: string): Item => {
  const go = (y: Item): Item | undefined =>
    titleOf(y) === title ? y : y.items.map(go).find((z) => z !== undefined)
  const found = go(x)
  assert.ok(found, title)
  return found!
}

const names = (box: Item): string[] =>
  box.arrows.map((a) => [a.from, a.to].map((e) => (typeof e === 'string' ? e : titleOf(e))).join(' → '))

test('the diagram: residuals join, attention reads three projections, the definition of a composite is not drawn', () => {
  const d = diagram([model()], { name: 'small' })
  assert.equal(names(d), ['ids → embed', 'embed → trunk', 'trunk → embed', 'embed → out'])
  const block = find(d, 'blocks.0…2 ×3')
  assert.is(countOf(block), '3 × 144 = 432 parameters')
  assert.equal(names(block), [
    'in → norm_1',
    'norm_1 → attn',
    'in → +',
    'attn → +',
    '+ → norm_2',
    'norm_2 → mlp',
    '+ → +',
    'mlp → +',
    '+ → out',
  ])
  assert.equal(names(find(block, 'attn')), [
    'in → q_proj',
    'q_proj → rotary',
    'in → k_proj',
    'k_proj → rotary',
    'in → v_proj',
    'rotary → attention',
    'rotary → attention',
    'v_proj → attention',
    'attention → o_proj',
    'o_proj → out',
  ])
  assert.equal(names(find(block, 'mlp')).slice(-3), ['up_proj → ×', '× → down_proj', 'down_proj → out'])
  assert.ok(find(d, 'trunk').items.some((i) => i.kind === 'input' && i.label === 'positions'))
  assert.is(find(diagram([model()], { depth: 1 }), 'trunk').items.length, 0)
})

test('Mermaid: every arrow joins nodes that are declared, subgraphs close, text is escaped', () => {
  const text = mermaid([model()], { name: 'a "small" <model> #1' })
  const lines = text
    .trim()
    .split('\n')
    .map((l) => l.trim())
  assert.is(lines[0], 'flowchart TB')
  assert.match(lines[1]!, 'a #quot;small#quot; #lt;model#gt; #35;1')
  const declared = new Set(lines.flatMap((l) => /^(n\d+(?:in|out)?)[([]/.exec(l)?.slice(1) ?? []))
  const arrows = lines.flatMap((l) => {
    const m = /^(\S+) --> (\S+)$/.exec(l)
    return m === null ? [] : [[m[1]!, m[2]!]]
  })
  assert.ok(arrows.length > 20)
  for (const end of arrows.flat()) assert.ok(declared.has(end), `${end} is declared`)
  assert.is(lines.filter((l) => l.startsWith('subgraph')).length, lines.filter((l) => l === 'end').length)
})

test('layout: boxes lie inside their box and do not overlap', () => {
  const check = (b: Laid): number => {
    b.inside.forEach((p, i) => {
      assert.ok(
        p.x >= 0 && p.y >= 0 && p.x + p.width <= b.width && p.y + p.height <= b.height,
        titleOf(p.item),
      )
      for (const q of b.inside.slice(i + 1))
        assert.ok(
          p.x + p.width <= q.x || q.x + q.width <= p.x || p.y + p.height <= q.y || q.y + q.height <= p.y,
          `${titleOf(p.item)} and ${titleOf(q.item)} overlap`,
        )
    })
    assert.is(b.paths.length, b.item.arrows.length)
    return b.inside.reduce((n, p) => n + check(p), 1)
  }
  assert.ok(check(layOut(diagram([model(4, 1)]))) > 25)
})

test('SVG: well formed, self-contained, with every title', () => {
  const image = svg([model()], { name: 'a "small" <model> & more' })
  const open: string[] = []
  for (const [, close, name, rest] of image.matchAll(/<(\/?)([a-z]+)((?:[^>"]|"[^"]*")*)>/g)) {
    if (close === '/') assert.is(open.pop(), name)
    else if (!rest!.endsWith('/')) open.push(name!)
  }
  assert.equal(open, [])
  assert.match(image, 'a &quot;small&quot; &lt;model&gt; &amp; more')
  assert.match(image, 'blocks.0…2 ×3')
  assert.is(image.replace('http://www.w3.org/2000/svg', '').includes('http'), false)
  assert.not.match(image, 'NaN')
  assert.not.match(image, 'undefined')
  assert.match(image, 'prefers-color-scheme:dark')
})

test.run()
