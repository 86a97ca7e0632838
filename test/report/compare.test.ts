import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { compare, labelsOf, settingRows } from '../../src/report/compare/comparison.ts'
import { renderComparison, wilsonDifference, writeComparison } from '../../src/report/index.ts'
import type { Manifest, RecordedRun, RunEvent } from '../../src/run/index.ts'
import { commandIn } from '../support/in-process.ts'
import { syntheticEvents, syntheticManifest, writeSyntheticRun } from '../support/synthetic-run.ts'

const test = suite('report: runs compared')
let root = ''
test.before(() => {
  root = mkdtempSync(join(tmpdir(), 'sailwright-compare-'))
})
test.after(() => rmSync(root, { recursive: true, force: true }))

/** Only these stages of the invented run. */
const only = (...stages: readonly string[]): readonly RunEvent[] =>
  syntheticEvents(0).filter((e) => !('stage' in e) || stages.includes(e.stage))
const recipeOf = (m: Manifest) => m.recipe as { readonly stages: readonly Record<string, unknown>[] }
const manifest = syntheticManifest()
const one: RecordedRun = { folder: '/runs/one', manifest, events: only('align-adapter', 'sft') }
/** Another seed and rate, another stage in between, one stage less, a search for the rate, an unfinished end. */
const other: RecordedRun = {
  folder: '/runs/two',
  manifest: {
    ...manifest,
    seed: 8,
    recipe: {
      stages: recipeOf(manifest).stages.flatMap((s, i): readonly Record<string, unknown>[] =>
        s.name === 'align-adapter'
          ? []
          : s.name === 'sft'
            ? [
                { name: 'extra', steps: 5 },
                { ...s, steps: 99 },
              ]
            : [{ ...s, ...(i === 1 ? { batch: 32 } : {}) }],
      ),
    },
  },
  events: only('pretrain', 'sft').flatMap((e): readonly RunEvent[] => {
    if (e.type === 'run-finished') return []
    if (e.type === 'evaluated') return [{ ...e, correct: Math.round(e.correct / 2) }]
    if (e.type === 'step' && e.stage === 'sft' && e.step === 20)
      return [
        e,
        { type: 'ada-lrs', stage: 'sft', step: 20, decision: 'Kept', scale: 3, velocity: 0.2, against: 0.1 },
      ]
    return [e]
  }),
}
const cells = (page: string): string => page.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ')

test('the difference of two shares: a published interval, and it holds the difference', () => {
  // Newcombe 1998 (II), table II, example (a), method 10: 56/70 and 48/80
  const d = wilsonDifference({ correct: 48, total: 80 }, { correct: 56, total: 70 })
  assert.equal(
    [d.difference, d.low, d.high].map((x) => x.toFixed(4)),
    ['0.2000', '0.0524', '0.3339'],
  )
  const counts = fc
    .record({ total: fc.integer({ min: 1, max: 900 }), share: fc.double({ min: 0, max: 1, noNaN: true }) })
    .map(({ total, share }) => ({ total, correct: Math.round(total * share) }))
  fc.assert(
    fc.property(counts, counts, (a, b) => {
      const [ab, ba] = [wilsonDifference(a, b), wilsonDifference(b, a)]
      assert.ok(-1 - 1e-9 <= ab.low && ab.low <= ab.difference + 1e-9)
      assert.ok(ab.difference <= ab.high + 1e-9 && ab.high <= 1 + 1e-9)
      assert.ok(Math.abs(ab.low + ba.high) < 1e-12)
    }),
  )
})

test('settings that differ are found as deep as they lie, stages by name', () => {
  assert.equal(
    settingRows([
      { a: 1, b: [1, 2] },
      { a: 1, b: [1, 2] },
    ]),
    [],
  )
  assert.equal(settingRows([{ a: { b: 1 } }, { a: { b: 2, c: 3 } }, { a: { b: 1 } }]), [
    { path: 'a.b', values: [1, 2, 1] },
    { path: 'a.c', values: [undefined, 3, undefined] },
  ])
  const rows = compare([one, other]).settings
  assert.equal(
    rows.map((r) => r.path),
    [
      'seed',
      'recipe.stages.align-adapter',
      'recipe.stages.align-vision.batch',
      'recipe.stages.sft.steps',
      'recipe.stages.extra',
    ],
  )
  assert.equal(rows[3]!.values, [300, 99])
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      assert.equal(settingRows([a, a, a]), [])
      if (JSON.stringify(a) !== JSON.stringify(b))
        for (const r of settingRows([a, b])) assert.is(r.values.length, 2)
    }),
  )
})

test('labels are the shortest that tell folders apart', () => {
  assert.equal(labelsOf(['/r/a', '/r/b']), ['a', 'b'])
  assert.equal(labelsOf(['/x/s/a', '/y/s/a']), ['x/s/a', 'y/s/a'])
  assert.is(labelsOf(['/a', '/b/a']).length, 2)
})

test('differences first, then a chart of each stage with a line a run, then shares side by side', async () => {
  const page = await renderComparison([one, other])
  const at = (id: string): number => page.indexOf(`<h2 id="${id}"`)
  assert.ok(at('differences') > 0 && at('differences') < at('curves') && at('curves') < at('measured'))
  const section = (from: string, to: string): string => page.slice(at(from), at(to))
  assert.match(cells(section('differences', 'curves')), 'recipe. stages. sft. steps 300 99')
  assert.match(cells(section('differences', 'curves')), 'not finished: 2 of 5 stages are done')
  const charts = section('curves', 'measured').split('<figure').slice(1)
  assert.equal(
    charts.map((c) => [/<h3>([^<]*)/.exec(c)![1], ...new Set(c.match(/var\(--run\d\)/g))]),
    [
      ['align-adapter', 'var(--run1)'],
      ['sft', 'var(--run1)', 'var(--run2)'],
      ['pretrain', 'var(--run2)'],
    ],
  )
  assert.match(charts[0]!, 'Without such a stage: two')
  assert.is([...charts[1]!.matchAll(/mark-symbol/g)].length, 1, 'the decision of the search is marked')
  const measured = cells(section('measured', 'times'))
  assert.match(
    measured,
    /read 95\.0 % 190 of 200 91\.0 to 97\.3 % 47\.5 % 95 of 200 40\.7 to 54\.4 % −47\.5 points −/,
  )
  assert.not.match(page.replaceAll('http://www.w3.org/2000/svg', ''), /https?:\/\/|NaN|undefined/)
  const three = await renderComparison([one, other, { ...other, folder: '/runs/three' }])
  assert.not.match(three, 'points')
  assert.match(three, 'var(--run3)')
})

test('a loss is told against the first run’s, with its sign, and each line has its run’s colour', async () => {
  const worse = other.events.map((e) => (e.type === 'stage-finished' ? { ...e, loss: e.loss + 0.5 } : e))
  const page = await renderComparison([one, { ...other, events: worse }])
  assert.match(cells(page), /\+0\.50* to one/)
  const sft = page.split('<figure').find((f) => f.includes('<h3>sft</h3>'))!
  const lines = (run: number): number => sft.split(`stroke="var(--run${run})"`).length - 1
  assert.ok(lines(1) > 0)
  assert.is(lines(1), lines(2))
})

test('losses in two units share no axis', async () => {
  const inUnit = (r: RecordedRun, unit: string): RecordedRun => ({
    ...r,
    events: r.events.map((e) => (e.type === 'stage-started' ? { ...e, unit } : e)),
  })
  const page = await renderComparison([inUnit(one, 'nats per token'), inUnit(other, 'bits')])
  const sft = page.split('<figure').filter((f) => f.includes('<h3>sft</h3>'))
  assert.is(sft.length, 2)
  for (const f of sft) assert.match(f, 'the runs count it in several units')
  assert.not.match(cells(page), / to one\b/)
})

test('what a run says cannot become part of the page', async () => {
  const evil = '</style><script>alert(1)</script>'
  const page = await renderComparison([
    one,
    {
      folder: `/runs/${evil}`,
      manifest: { ...manifest, name: evil, recipe: { [evil]: evil } },
      events: [
        ...one.events.map((e) => ('stage' in e ? { ...e, stage: evil } : e)),
        { type: 'run-failed', message: evil },
      ],
    },
  ])
  assert.is([...page.matchAll(/<script/g)].length, 1)
})

test('runs without a step or an evaluation have a page, too', async () => {
  const page = await renderComparison([
    { ...one, events: [] },
    { ...other, events: [] },
  ])
  assert.match(page, 'No run has taken a step yet.')
  assert.match(page, 'Nothing was evaluated yet.')
})

const command = (...words: readonly string[]) => commandIn(root)(['report', ...words], { env: {} })

test('the command: a page beside the first run or where it is told, and errors that say which run', async () => {
  for (const [name, r] of Object.entries({ a: one, b: other }))
    await writeSyntheticRun(join(root, name), r.events)
  const made = await command('a', 'b')
  assert.is(made.out, `${join(root, 'comparison-a-b.html')}\n`)
  assert.is(made.code, 0)
  assert.match(readFileSync(join(root, 'comparison-a-b.html'), 'utf8'), '2 runs compared')
  assert.equal(JSON.parse((await command('a', 'b', '--out', 'c.html', '--json')).out), {
    comparison: join(root, 'c.html'),
  })

  symlinkSync(join(root, 'a'), join(root, 'link'))
  const twice = await command('a', 'b', 'link')
  assert.is(twice.code, 2)
  assert.match(twice.err, /link is the same run as .*a; name different runs/)
  const none = await command('a', 'nowhere')
  assert.is(none.code, 2)
  assert.match(none.err, /nowhere.*this is not a run folder: it has no manifest\.json/)
  const odd = await command('a', '--out', 'x.html')
  assert.is(odd.code, 2)
  assert.match(odd.err, '--out names the page that compares several runs')
  await writeSyntheticRun(join(root, 'broken'), one.events)
  writeFileSync(join(root, 'broken', 'events.jsonl'), '{ "type": "step"\n{}\n')
  const broken = await command('a', 'broken')
  assert.is(broken.code, 1)
  assert.match(broken.err, /broken.events\.jsonl:1/)
  assert.match((await command()).err, /<run folder> is missing: .*Usage: .*sailwright report <run folder> …/)
  const unwritable = await writeComparison(
    [join(root, 'a'), join(root, 'b')],
    join(root, 'a', 'manifest.json', 'x'),
  )()
  assert.ok(E.isLeft(unwritable))
})

test.run()
