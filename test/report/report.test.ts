import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Script } from 'node:vm'
import fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { logTicks, type Point, smooth, thin, thinBand, wantsLog } from '../../src/report/curve.ts'
import { escapeHtml, html } from '../../src/report/html.ts'
import { renderReport, wilson, writeReport } from '../../src/report/index.ts'
import { type Label, placeLabels, textWidth } from '../../src/report/labels.ts'
import { lossOverview } from '../../src/report/loss-charts.ts'
import { picture } from '../../src/report/rl-charts.ts'
import { script } from '../../src/report/script.ts'
import { stageTimes, timeUnit } from '../../src/report/time-charts.ts'
import { endedRight, selection, viewOf } from '../../src/report/view.ts'
import type { EventOf, RunEvent } from '../../src/run/events.ts'
import type { Manifest } from '../../src/run/manifest.ts'
import { evaluationBlock } from '../../src/run/progress.ts'
import { advance, emptyRun, withoutRepeats } from '../../src/run/run-state.ts'
import { unbalanced } from '../support/balanced.ts'
import { syntheticEvents, syntheticManifest, writeSyntheticRun } from '../support/synthetic-run.ts'

const test = suite('report')
let root = ''
test.before(() => {
  root = mkdtempSync(join(tmpdir(), 'sailwright-report-'))
})
test.after(() => rmSync(root, { recursive: true, force: true }))

const manifest = syntheticManifest()
const render = (events: readonly RunEvent[], m: Manifest = manifest): Promise<string> =>
  renderReport({ folder: '/nowhere', manifest: m, events }, new Map())

/** The first and the last stage only: fewer charts to draw. */
const brief = (perFamily = 0): readonly RunEvent[] =>
  syntheticEvents(perFamily).filter(
    (e) => !('stage' in e) || e.stage === 'align-adapter' || e.stage === 'sft',
  )

test('the report shows the model that was trained: its own configuration and blocks', async () => {
  const page = await render(brief(), {
    ...manifest,
    model: {
      ...manifest.model,
      name: 'my encoder',
      config: { imageSize: 96, vision: { hiddenSize: 77, tied: false } },
    },
  })
  const section = page.slice(page.indexOf('id="model"'))
  assert.match(section, 'my encoder')
  assert.match(section, /<dt>image size<\/dt><dd>96<\/dd>/)
  assert.match(section, /<h3>vision<\/h3>/)
  assert.match(section, /<dt>hidden size<\/dt><dd>77<\/dd>/)
  assert.match(section, /<dt>tied<\/dt><dd>no<\/dd>/)
  assert.equal(unbalanced(page), [])
})

test('how samples share rows is drawn for each stage that trains on packs, from its event alone', async () => {
  const plain = brief()
  assert.not.match(await render(plain), 'How samples share rows')
  const at = plain.findIndex((e) => e.type === 'step' && e.stage === 'sft')
  const packed: EventOf<'packed'> = {
    ...{ type: 'packed', stage: 'sft', step: 1, sizes: { rows: 2, tokens: 100, images: 3 } },
    packs: [
      [
        [
          { tokens: 60, images: 1 },
          { tokens: 35, images: 2 },
        ],
        [{ tokens: 50, images: 0 }],
      ],
    ],
  }
  const events = plain.toSpliced(at + 1, 0, packed)
  const page = await render(events)
  const section = page.slice(page.indexOf('id="packing"'), page.indexOf('id="accuracy"'))
  assert.match(section, 'pack 1: 2 of 2 rows, 3 segments, 3 of 3 images, 73 % full')
  assert.equal(section.match(/<rect class="(even|odd)"/g)?.length, 3)
  assert.equal(section.match(/<circle class="image"/g)?.length, 3)
  assert.match(section, '<h3>5. sft</h3>')
  assert.not.match(section, 'align-adapter')
  assert.match(section, 'First step: 1 pack: 3 segments, 3 images, 145 tokens; 73 % of the tokens')
  assert.equal(unbalanced(page), [])
  // a stage that goes on has drawn its packs once, and one that begins anew draws them again
  const resumed = withoutRepeats([
    ...events.slice(0, at + 2),
    ...events.filter((e) => e.type === 'stage-started' && e.stage === 'sft'),
  ])
  assert.is(resumed.filter((e) => e.type === 'packed').length, 1)
  const anew = withoutRepeats([
    ...events.slice(0, at + 2),
    ...events.slice(0, at + 2).filter((e) => 'stage' in e && e.stage === 'sft'),
  ])
  assert.is(anew.filter((e) => e.type === 'packed').length, 1)
})

test('how much each expert is used is drawn by layer, at the end of each stage that has experts', async () => {
  const plain = brief()
  assert.not.match(await render(plain), 'How much each expert is used')
  const at = plain.findIndex((e) => e.type === 'step' && e.stage === 'sft')
  const load = (step: number, rows: readonly (readonly number[])[]): EventOf<'expert-load'> => ({
    ...{ type: 'expert-load', stage: 'sft', step },
    load: rows,
  })
  const even = [0.25, 0.25, 0.25, 0.25]
  const page = await render(
    plain.toSpliced(at + 1, 0, load(1, [[0.5, 0.5, 0, 0], even]), load(2, [[0.5, 0.25, 0.25, 0], even])),
  )
  const section = page.slice(page.indexOf('id="experts"'), page.indexOf('id="accuracy"'))
  assert.match(section, '<h3>5. sft</h3>')
  assert.equal(section.match(/<rect/g)?.length, 8)
  assert.equal(section.match(/<rect class="idle"/g)?.length, 1)
  assert.match(section, '<title>layer 0, expert 0: 50.0 %</title>')
  assert.match(section, 'load of 4 experts in 2 layers')
  assert.match(
    section,
    'At step 2; evenness by layer 0.75 to 1.00, at step 1 0.50 to 1.00. 1 expert has no token.',
  )
  // every other layer has experts: rows are called by the layers' numbers
  const other = { ...load(2, [even, even]), layers: [1, 3] }
  const sparse = await render(plain.toSpliced(at + 1, 0, other))
  assert.match(sparse, '<title>layer 3, expert 0: 25.0 %</title>')
  assert.not.match(sparse, '<title>layer 0, expert 0')
  assert.match(sparse, /<text[^>]*>1<\/text><text[^>]*>3<\/text>/)
  // twice an even share is darkest
  assert.match(section, /fill-opacity="1\.00"[^>]*><title>layer 0, expert 0:/)
  assert.match(section, /class="idle"[^>]*><title>layer 0, expert 3:/)
  assert.equal(unbalanced(page), [])
})

test('what a search for the learning rate decided stands in a table under its stage', async () => {
  const plain = syntheticEvents()
  const step = plain.findIndex((e) => e.type === 'step' && e.step === 40)
  const { stage } = plain[step] as { readonly stage: string }
  const decided = { type: 'ada-lrs', stage, scale: 3, velocity: 0.25 } as const
  const events: readonly RunEvent[] = [
    ...plain.slice(0, step),
    { ...decided, step: 31, decision: 'Watched' },
    { ...decided, step: 35, decision: 'Tried', from: 1, against: 0.5 },
    { ...decided, step: 39, decision: 'RolledBack', scale: 0.5, from: 3, velocity: null, why: 'exceeded' },
    { ...decided, step: 40, decision: 'Kept', against: 0.1, error: 0.01 },
    ...plain.slice(step),
  ]
  const page = (of: readonly RunEvent[]) =>
    renderReport({ folder: '', manifest: syntheticManifest(), events: of }, new Map())
  const text = (await page(events)).replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ')
  assert.match(text, /The search for the learning rate \(AdaLRS\): 3 decisions, 1 window watched/)
  assert.match(text, / 35 tried 3\.00 2\.5e-1 5\.0e-1 – /)
  assert.match(text, / 39 rolled back \(exceeded\) 0\.500 – – – /)
  assert.match(text, / 40 kept 3\.00 2\.5e-1 1\.0e-1 1\.0e-2 /)
  // marked in the chart of its stage, in that of no other, each in its colour and shape
  const figures = (await page(events)).split('<figure').filter((f) => f.includes('Loss and learning rate of'))
  const marked = figures.filter((f) => /mark-symbol/.test(f))
  assert.equal([figures.length, marked.length], [5, 1])
  const symbols = [
    ...marked[0]!.matchAll(
      /<path aria-roledescription|<path transform="translate\(([\d.]+),([\d.]+)\)"[^>]*fill="(var[^"]*)"/g,
    ),
  ]
  assert.equal(
    symbols.map((m) => m[3]),
    ['var(--second)', 'var(--fourth)', 'var(--wrong)'],
  )
  assert.match(marked[0]!, 'its search decided 1 × higher rate tried, 1 × kept, 1 × rolled back')
  assert.match(marked[0]!, '>✚</span>rolled back')
  assert.not.match(await page(plain), /AdaLRS/)
})

test('a loss is shown in its own unit, and in plain nats where none is said', async () => {
  const inUnits = (...units: (string | undefined)[]): readonly RunEvent[] => {
    let i = 0
    return brief().map((e) => {
      if (e.type !== 'stage-started') return e
      const unit = units[i++]
      return unit === undefined ? e : { ...e, unit }
    })
  }
  const tokens = await render(inUnits('nats per token', 'nats per token'))
  assert.match(tokens, 'loss of each step (nats per token)')
  assert.match(tokens, /loss at the end [\d.]+ nats per token/)
  assert.match(tokens, /loss, nats per token( \(log\))?</)
  const mixed = await render(inUnits('nats per patch', undefined))
  assert.match(mixed, 'loss of each step (in the unit of its stage)')
  assert.match(mixed, /loss at the end [\d.]+ nats per patch/)
  assert.match(mixed, /loss at the end [\d.]+ nats</)
  assert.match(await render(brief()), 'loss of each step (nats)')
})

test('what weights a stage begins with stands under its curve', async () => {
  const [first] = brief().flatMap((e) => (e.type === 'stage-started' ? [e.stage] : []))
  const found: RunEvent = {
    ...{ type: 'weights', stage: first!, taken: 1083, unused: ['old.<head>'] },
    fresh: ['mlp1.0.bias', 'mlp1.0.weight', 'mlp1.1.bias', 'mlp1.1.weight'],
  }
  const page = await render([found, ...brief()])
  assert.match(
    page,
    'begins with 1,083 weights taken, 4 fresh (mlp1.0.bias, mlp1.0.weight and 2 more), 1 not read here (old.&lt;head&gt;)',
  )
  assert.not.match(await render(brief()), 'begins with')
})

test('a held-out loss and the averaged weights stand beside the accuracies', async () => {
  const events = brief()
  const at = events.findIndex((e) => e.type === 'stage-finished' && e.stage === 'sft')
  const share = events.find((e): e is EventOf<'evaluated'> => e.type === 'evaluated' && e.stage === 'sft')!
  const loss = {
    type: 'measured',
    family: 'held <out>',
    unit: 'nats per token',
    weight: 1234,
    seconds: 1,
  } as const
  const first = { ...loss, stage: 'align-adapter', value: 3.21 }
  const told: readonly RunEvent[] = [
    { ...loss, stage: 'sft', value: 0.456 },
    { ...loss, stage: 'sft', value: 0.432, weights: 'averaged' },
    { ...share, correct: 199, weights: 'averaged' },
  ]
  const page = await render([...events.slice(0, at), ...told, ...events.slice(at), first])
  assert.equal(unbalanced(page), [])
  const tiles = page.slice(page.indexOf('class="tiles"'), page.indexOf('<main>')).replace(/<[^>]*>/g, ' ')
  assert.match(
    tiles.replace(/\s+/g, ' '),
    /held &lt;out&gt; 0\.456 nats per token, over 1,234 averaged weights 0\.432/,
  )
  assert.match(tiles.replace(/\s+/g, ' '), /averaged weights 99\.5 %/)
  const section = page.slice(page.indexOf('id="accuracy"'), page.indexOf('id="predictions"'))
  assert.match(section, '>held &lt;out&gt;, averaged weights</th>')
  assert.match(section, '>read, averaged weights</th>')
  assert.match(section, /99\.5 %<br><small>199 of 200/)
  assert.match(
    section,
    'aria-label="held &lt;out&gt;: 3.21 nats per token after align-adapter, 0.456 nats per token after sft; averaged weights 0.432 after sft."',
  )
  assert.match(section, 'their moving averages')
  const plain = await render(events)
  assert.not.match(plain, /averaged weights|moving averages|Means on held-out/)
})

test('what a stage kept of its examples, and why not the others, stands under its curve and in the terminal', async () => {
  const events = brief()
  const at = events.findIndex((e) => e.type === 'stage-started') + 1
  const stage = (events[at - 1] as EventOf<'stage-started'>).stage
  const told: RunEvent = {
    ...{ type: 'curated', stage, what: 'chains <b>', of: 3200, kept: 1100 },
    dropped: { unique: 2000, boxed: 0, 'too <long>': 100 },
  }
  const all = [...events.slice(0, at), told, ...events.slice(at)]
  const page = await render(all)
  assert.match(page, '1,100 of 3,200 chains &lt;b&gt; kept (unique: 2,000, too &lt;long&gt;: 100)')
  assert.not.match(await render(events), 'made its examples first')
  const of = all.reduce(advance, emptyRun).stages.find((s) => s.stage === stage)!
  const look = { columns: 100, colours: false } as never
  assert.match(evaluationBlock(of, look), '1,100 of 3,200 chains <b> kept (unique: 2,000, too <long>: 100)')
})

test('what a soup was made of stands beside it', async () => {
  const events = brief()
  const at = events.findIndex((e) => e.type === 'stage-finished' && e.stage === 'sft')
  const share = events.find((e): e is EventOf<'evaluated'> => e.type === 'evaluated' && e.stage === 'sft')!
  const told = [
    { ...share, correct: 101, weights: 'run <1>' },
    { ...share, correct: 55, weights: 'heterogeneous soup' },
  ]
  const page = await render([...events.slice(0, at), ...told, ...events.slice(at)])
  assert.equal(unbalanced(page), [])
  const section = page.slice(page.indexOf('sft beside the weights'), page.indexOf('id="predictions"'))
  assert.match(section, /run &lt;1&gt;[\s\S]*101 of 200[\s\S]*heterogeneous soup[\s\S]*55 of 200/)
  assert.not.match(await render(events), 'beside the weights')
})

test('what lies deep in a setting is folded away under its line', async () => {
  const evaluation = {
    kind: 'exactAnswers',
    samples: 64,
    questions: { read: { kind: 'rendered', mixture: { seed: 'a', levels: [1, 3] } } },
  }
  const page = await render(brief(), { ...manifest, recipe: { evaluation, stages: [{ name: 'one' }] } })
  const ran = page.slice(page.indexOf('id="ran"'), page.indexOf('id="learning"'))
  assert.match(
    ran,
    '<dt>evaluation</dt><dd><details><summary>exactAnswers, samples 64</summary><dl class="facts"><dt>questions</dt>',
  )
  assert.match(ran, 'seed a, levels [1, 3]')
  const several = await render(brief(), {
    ...manifest,
    recipe: { evaluation: [evaluation, evaluation], stages: [{ name: 'one' }] },
  })
  assert.is(several.split('<summary>exactAnswers, samples 64</summary>').length, 3)
  assert.equal(unbalanced(page), [])
})

test('what a reader should know stands at the top, and code and cores are told', async () => {
  const warned: RunEvent = { type: 'warned', message: 'gone on with, although <cores> have changed' }
  const page = await render([...brief(), warned])
  assert.match(page, '<li>gone on with, although &lt;cores&gt; have changed</li>')
  assert.ok(page.indexOf('gone on with') < page.indexOf('<main>'))
  assert.match(page, '2 cores')
  assert.match(page, /<code>synthetic-run\.ts<\/code>/)
})

test("Wilson's interval: published values, bounds, and it holds the share", () => {
  // 81 of 263: Newcombe 1998, table I, method 3
  const [low, high] = wilson(81, 263)
  assert.is(low.toFixed(4), '0.2553')
  assert.is(high.toFixed(4), '0.3662')
  // 0 of 20: the same table
  assert.equal(
    wilson(0, 20).map((v) => v.toFixed(4)),
    ['0.0000', '0.1611'],
  )
  assert.equal(wilson(0, 0), [0, 1])
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5000 }), fc.double({ min: 0, max: 1, noNaN: true }), (n, p) => {
      const k = Math.round(n * p)
      const [a, b] = wilson(k, n)
      assert.ok(0 <= a && a <= k / n + 1e-12 && k / n - 1e-12 <= b && b <= 1)
      const [c, d] = wilson(n - k, n)
      assert.ok(Math.abs(1 - d - a) < 1e-12 && Math.abs(1 - c - b) < 1e-12)
    }),
  )
})

const curve = fc
  .array(fc.double({ min: -100, max: 100, noNaN: true }), { minLength: 1, maxLength: 400 })
  .map((ys): readonly Point[] => ys.map((y, i) => ({ x: i + 1, y })))

test('smoothing keeps a constant, starts at the first value, stays within the values', () => {
  assert.ok(
    smooth(
      [4, 4, 4, 4].map((y, x) => ({ x, y })),
      7,
    ).every((p) => Math.abs(p.y - 4) < 1e-12),
  )
  fc.assert(
    fc.property(curve, (points) => {
      const even = smooth(points, 9)
      assert.is(even[0]!.y, points[0]!.y)
      const ys = points.map((p) => p.y)
      for (const p of even) assert.ok(p.y >= Math.min(...ys) - 1e-9 && p.y <= Math.max(...ys) + 1e-9)
    }),
  )
})

test('thinning keeps the ends, the lowest, the highest, the order, and only real points', () => {
  fc.assert(
    fc.property(curve, fc.integer({ min: 4, max: 60 }), (points, most) => {
      const few = thin(points, most)
      assert.ok(few.length <= Math.max(most + 2, 4))
      assert.ok(few.every((p) => points.includes(p)))
      assert.ok(few.every((p, i) => i === 0 || p.x > few[i - 1]!.x))
      assert.is(few[0], points[0])
      assert.is(few.at(-1), points.at(-1))
      for (const end of [Math.min, Math.max])
        assert.is(end(...few.map((p) => p.y)), end(...points.map((p) => p.y)))
    }),
  )
})

test('a band that is thinned lies around all that it stands for, from its first place to its last', () => {
  fc.assert(
    fc.property(curve, fc.integer({ min: 2, max: 60 }), (points, most) => {
      const band = points.map((p) => ({ ...p, high: p.y + (p.x % 7) }))
      const few = thinBand(band, most)
      assert.ok(few.length <= most)
      assert.ok(few.every((p, i) => i === 0 || p.x > few[i - 1]!.x))
      assert.equal([few[0]!.x, few.at(-1)!.x], [1, points.length])
      assert.is(Math.min(...few.map((p) => p.y)), Math.min(...band.map((p) => p.y)))
      assert.is(Math.max(...few.map((p) => p.high)), Math.max(...band.map((p) => p.high)))
      if (band.length <= most) assert.is(few, band)
    }),
  )
})

test('a stage of a hundred thousand updates has pictures as small as any', async () => {
  const points = Array.from({ length: 100_000 }, (_, i) => ({ x: i + 1, y: Math.sin(i) }))
  const [spread, about] = [points.map(() => 0.5), { title: 'Reward', note: '', steps: points.length }]
  const series = [
    { name: 'all', points, spread },
    { name: 'some', points },
  ]
  const drawn = html`${await picture({ ...about, as: 'number', series })}`.text
  assert.match(drawn, '<svg')
  assert.ok(drawn.length < 40_000, `${drawn.length} characters`)
})

test('a logarithmic axis where it helps, with round values', () => {
  const of = (...ys: number[]): readonly Point[] => ys.map((y, x) => ({ x, y }))
  assert.equal([of(1, 5), of(1, 3), of(0, 9), of(-1, 9), []].map(wantsLog), [
    true,
    false,
    false,
    false,
    false,
  ])
  assert.equal(logTicks(0.09, 6), [0.1, 0.2, 0.5, 1, 2, 5])
  assert.equal(logTicks(0.0009, 2000), [0.001, 0.01, 0.1, 1, 10, 100, 1000])
})

/** Pairs of texts in one row whose extents meet. */
const overlaps = (labels: readonly Pick<Label, 'x' | 'width' | 'row'>[]): number =>
  labels.flatMap((a, i) =>
    labels.slice(i + 1).filter((b) => a.row === b.row && Math.abs(a.x - b.x) < (a.width + b.width) / 2),
  ).length

/** Stretches of these lengths, in an image of `width` pixels. */
const stretches = (named: readonly (readonly [name: string, length: number])[], width: number) => {
  const all = named.reduce((a, [, length]) => a + length, 0)
  let to = 0
  return named.map(([name, length], i) => {
    const from = to
    to += (length / all) * width
    return { number: i + 1, name, from, to }
  })
}

test('names over stretches: none over another, none outside, and none missing that has room', () => {
  const name = fc.string({ unit: fc.constantFrom(...'abimw-18MÄ字'), minLength: 1, maxLength: 24 })
  fc.assert(
    fc.property(
      fc.array(fc.tuple(name, fc.integer({ min: 1, max: 2000 })), { minLength: 1, maxLength: 12 }),
      fc.constantFrom(290, 880),
      (named, width) => {
        const over = stretches(named, width)
        const labels = placeLabels(over, [-40, width])
        assert.is(labels.length, over.length)
        const placed = labels.filter((l) => l !== undefined)
        assert.is(overlaps(placed), 0)
        for (const l of placed) {
          assert.is(l.width, textWidth(l.text, 12))
          assert.ok(l.x - l.width / 2 >= -40 - 1e-9 && l.x + l.width / 2 <= width + 1e-9, l.text)
        }
        const [widest] = over
          .map((_, i) => i)
          .sort((a, b) => over[b]!.to - over[b]!.from - over[a]!.to + over[a]!.from)
        if (textWidth(`${widest! + 1}. ${over[widest!]!.name}`, 12) <= width)
          assert.is(labels[widest!]?.text, `${widest! + 1}. ${over[widest!]!.name}`)
      },
    ),
  )
})

test('names over stretches: the second row, then the number alone, then nothing', () => {
  const at = (lengths: readonly number[], width: number) =>
    placeLabels(
      stretches(
        lengths.map(
          (n, i) => [['align-adapter', 'align-vision', 'align-all', 'pretrain', 'sft'][i]!, n] as const,
        ),
        width,
      ),
      [-40, width],
    ).map((l) => l && `${l.row} ${l.text}`)
  assert.equal(at([400, 400], 880), ['0 1. align-adapter', '0 2. align-vision'])
  assert.equal(at([150, 150, 700, 100, 900], 880), [
    '0 1. align-adapter',
    '1 2. align-vision',
    '0 3. align-all',
    '0 4. pretrain',
    '0 5. sft',
  ])
  const narrow = at([150, 150, 700, 100, 900], 290)
  assert.is(narrow[1], '0 2.')
  assert.equal(at([1, 1, 1, 1, 996], 290).filter((l) => l === undefined).length > 0, true)
})

test('in the chart of all stages no name is drawn over another', async () => {
  for (const lengths of [
    [150, 150, 700, 100, 900],
    [500, 1, 1, 1, 1],
    [1, 1, 1, 1, 1],
  ]) {
    const image = await lossOverview(viewOf(syntheticEvents(0, lengths), manifest.families).stages)
    for (const part of image.text.split('at-narrow')) {
      const labels = [
        ...part.matchAll(
          /<text text-anchor="middle" transform="translate\(([-\d.]+),([-\d.]+)\)"[^>]*>([^<]*)/g,
        ),
      ].flatMap(([, x, y, text]) =>
        // a mean advance of 0.6 em at 12 pixels; the axis has numbers of its own
        Number(y) < 0 && /^\d\./.test(text!)
          ? [{ x: Number(x), row: Math.round(Number(y)), width: 0.6 * 12 * text!.length }]
          : [],
      )
      assert.ok(labels.length >= 2, `${lengths}: ${labels.length} labels`)
      assert.is(overlaps(labels), 0, `${lengths}`)
    }
  }
})

test('a stage of one step has a point, not an empty chart', async () => {
  const page = await render(brief(0).filter((e) => e.type !== 'step' || e.stage !== 'sft' || e.step === 1))
  assert.not.match(page, /NaN|Infinity/)
  const cards = page.split('<h3>')
  const sft = cards.find((c) => c.startsWith('5. sft'))!
  assert.match(cards[0]!, '>5. sft<')
  assert.match(sft, 'mark-symbol')
  assert.not.match(cards.find((c) => c.startsWith('1. align-adapter'))!, 'mark-symbol')
})

test('the time axis has the unit of its length', () => {
  assert.equal(
    [0, 180, 181, 10_800, 10_801].map((s) => timeUnit(s)[0]),
    ['seconds', 'seconds', 'minutes', 'minutes', 'hours'],
  )
})

test('templates escape what is put in, and nothing else', () => {
  assert.is(
    html`<b>${'<i>&"\''}</b>${html`<u>${1}</u>`}${[false, null, 'x']}`.text,
    '<b>&lt;i&gt;&amp;&quot;&#39;</b><u>1</u>x',
  )
  fc.assert(
    fc.property(fc.string(), (s) => {
      assert.not.match(escapeHtml(s), /[<>"']/)
    }),
  )
})

test('of a run that answers nothing, as a classifier, no section speaks of answers', async () => {
  const events = syntheticEvents(2)
  assert.match(await render(events), 'What it answers')
  assert.not.match(await render(events.filter((e) => e.type !== 'predicted')), 'What it answers')
})

test('samples are shown once, with the answer after each stage', () => {
  const view = viewOf(syntheticEvents(), manifest.families)
  assert.is(view.samples.length, 24)
  assert.ok(view.samples.every((s) => s.answers.length === 5))
  assert.is(view.samples.filter(endedRight).length, 20)
  assert.equal(view.families, manifest.families)
})

test('a selection leaves out no family and neither right nor wrong', () => {
  const { samples } = viewOf(syntheticEvents(40), manifest.families)
  assert.is(samples.length, 160)
  const chosen = selection(samples, 30)
  assert.is(chosen.length, 30)
  for (const family of manifest.families)
    for (const right of [true, false])
      if (samples.some((s) => s.family === family && endedRight(s) === right))
        assert.ok(
          chosen.some((s) => s.family === family && endedRight(s) === right),
          `${family} ${right}`,
        )
  assert.equal(selection(samples, 160), samples)
})

test('the times of a stage add up to its end', () => {
  const view = viewOf(syntheticEvents(), manifest.families)
  for (const [i, t] of stageTimes(view).entries()) {
    const end = view.stages[i]!.finished!
    assert.ok(Math.abs(t.data + t.compute + t.other - end.trainSeconds) < 1e-9)
    assert.is(t.evaluation, end.evaluateSeconds)
    assert.ok(t.other > 0)
  }
})

test('the written report stands alone, with its images inside', async () => {
  const folder = join(root, 'whole')
  await writeSyntheticRun(folder)
  const path = await writeReport(folder)()
  assert.equal(path, E.right(join(folder, 'report.html')))
  const page = readFileSync(join(folder, 'report.html'), 'utf8')
  for (const [, url] of page.matchAll(/(?:src|href|url|action)=["']([^"']*)["']/g))
    assert.ok(url!.startsWith('data:') || url!.startsWith('#'), url!.slice(0, 60))
  assert.not.match(page.replaceAll('http://www.w3.org/2000/svg', ''), /https?:\/\//)
  assert.not.match(page, /@import|url\(/)
  assert.is([...page.matchAll(/<img src="data:image\/png;base64,iVBOR/g)].length, 24)
  assert.is([...page.matchAll(/<img [^>]*alt="[^"]+"/g)].length, [...page.matchAll(/<img /g)].length)
  assert.equal(unbalanced(page), [])
  for (const text of [
    '95.0<small> %',
    '190 of 200',
    manifest.command,
    'onnxruntime-node 0.0.0',
    'align-adapter',
  ])
    assert.ok(page.includes(text), text)
  // two of all stages (wide and narrow), one a stage, one a family, two of the time
  assert.is([...page.matchAll(/<svg [^>]*role="img" aria-label="[^"]+"/g)].length, 2 + 5 + 4 + 2)
  new Script(script)
})

test('what a run says cannot become part of the page', async () => {
  const evil = '</script><script>alert(1)</script><img src=x onerror=alert(1)>"\''
  const events = brief(1).map((e): RunEvent => {
    if (e.type === 'predicted')
      return {
        ...e,
        question: evil,
        answered: evil,
        text: `${evil}!`,
        expected: evil,
        family: evil,
        image: evil,
      }
    return 'stage' in e ? { ...e, stage: e.stage + evil } : e
  })
  const page = await render([...events, { type: 'run-failed', message: evil }], {
    ...manifest,
    name: evil,
    command: evil,
    recipe: { [evil]: evil, stages: [{ [evil]: evil }] },
    model: { ...manifest.model, name: evil, svg: evil, rows: [{ ...manifest.model.rows[0]!, path: evil }] },
  })
  assert.is([...page.matchAll(/<script/g)].length, 1)
  assert.not.match(page, /<img src=x/)
  assert.equal(unbalanced(page), [])
})

test('a setting that every stage has stands once, one that differs in a column each', async () => {
  const stage = (name: string, steps: number) => ({
    name,
    steps,
    optimizer: { kind: 'muon', momentum: 0.95 },
  })
  const page = await render(brief(), { ...manifest, recipe: { stages: [stage('one', 7), stage('two', 9)] } })
  assert.is([...page.matchAll(/momentum 0\.95/g)].length, 1)
  assert.match(page, 'The same in every stage: optimizer')
  assert.match(page, /<td[^>]*>7<\/td><td[^>]*>9<\/td>/)
  const alone = await render(brief(), { ...manifest, recipe: { stages: [stage('one', 7)] } })
  assert.not.match(alone, 'The same in every stage')
  const plain = await render(brief(), { ...manifest, recipe: { stages: [{ name: 'one', selection: {} }] } })
  assert.match(plain, /selection<\/th><td>as by default<\/td>/)
  assert.equal(unbalanced(page), [])
})

test('a run without events, one that goes on, one that failed: each has a page that says so', async () => {
  const none = await render([])
  assert.match(none, 'not finished: 0 of 0')
  assert.match(none, 'Nothing was evaluated yet')
  assert.not.match(none, 'What it answers')
  assert.equal(unbalanced(none), [])
  const events = brief()
  const half = await render(
    events.slice(0, events.findIndex((e) => e.type === 'step' && e.stage === 'sft') + 30),
  )
  assert.match(half, 'not finished: 1 of 5 stages are done')
  assert.match(half, '30 of 300 steps')
  const failed = await render([
    ...events.slice(0, 60),
    { type: 'run-failed', message: 'the loss became NaN' },
  ])
  assert.match(failed, 'stopped on an error')
  assert.match(failed, 'the loss became NaN')
})

test('losses near nought and far above it have short numbers beside them', async () => {
  const scaled = (by: number) =>
    syntheticEvents()
      .filter((e) => e.type !== 'step' || e.stage === 'sft')
      .map((e) => (e.type === 'step' ? { ...e, loss: by * (e.step % 2 === 0 ? -1 : 1) } : e))
  for (const [by, wanted] of [
    [2e-8, /[>]-?[12]e-8</],
    [3e9, /[>]-?2e\+?9</],
  ] as const) {
    const page = await render(scaled(by))
    assert.match(page, wanted)
    assert.not.match(page, /[>]-?(0\.00000\d+|[\d,]+,000,000)</)
  }
})

test('losses that are no numbers are counted, not drawn', async () => {
  const events = syntheticEvents(0).map(
    (e): RunEvent =>
      e.type === 'step' && e.stage === 'sft' && e.step % 100 === 0 ? { ...e, loss: Number.NaN } : e,
  )
  const page = await render(events)
  assert.match(page, 'In 3 steps the loss was not a finite number')
  assert.not.match(page.replace(/<script>[\s\S]*/, ''), /d="[^"]*NaN/)
})

test('an image outside the run folder is not read', async () => {
  const folder = join(root, 'outside')
  const secret = brief(1).map(
    (e): RunEvent => (e.type === 'predicted' ? { ...e, image: '../whole/images/read-0.png' } : e),
  )
  await writeSyntheticRun(folder, secret)
  assert.ok(existsSync(join(root, 'whole', 'images', 'read-0.png')))
  await writeReport(folder)()
  const page = readFileSync(join(folder, 'report.html'), 'utf8')
  assert.not.match(page, 'data:image/png')
  assert.match(page, 'image missing')
})

test('a folder that is no run fails and says so', async () => {
  const result = await writeReport(join(root, 'nothing'))()
  assert.ok(E.isLeft(result) && result.left._tag === 'Missing')
})

test('a stage that was begun again is shown once', async () => {
  const events = brief()
  const again = events.findIndex((e) => e.type === 'stage-started' && e.stage === 'sft')
  const page = await render([...events.slice(0, again + 40), ...events.slice(again)])
  assert.is(page, (await render(events)).replace(`${events.length} events`, `${events.length + 40} events`))
  const steps = viewOf([...events, ...events], []).stages.map((s) => s.taken.length)
  assert.equal(
    steps,
    viewOf(events, []).stages.map((s) => (s.taken.at(-1) as EventOf<'step'>).step),
  )
})

test.run()
