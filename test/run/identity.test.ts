import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { codeFiles, ownCode } from '../../src/cli/code-files.ts'
import { manifestOf } from '../../src/cli/manifest.ts'
import type { Picked } from '../../src/engine/pick.ts'
import { differences, showDifference } from '../../src/run/differences.ts'
import { changesBetween } from '../../src/run/identity.ts'
import type { Manifest } from '../../src/run/manifest.ts'
import { readRun } from '../../src/run/read-run.ts'
import { openRun, type RunFolder } from '../../src/run/run-folder.ts'
import type { Experiment } from '../../src/train/experiment.ts'
import { RecipeError } from '../../src/train/setting-checks.ts'
import { syntheticManifest } from '../support/synthetic-run.ts'

const test = suite('a run’s identity')
const root = mkdtempSync(join(tmpdir(), 'sailwright-identity-'))
test.after(() => rmSync(root, { recursive: true, force: true }))
const right = <L, R>(e: E.Either<L, R>): R => {
  if (E.isLeft(e)) throw new Error(JSON.stringify(e.left))
  return e.right
}

const json = fc.jsonValue({ maxDepth: 3 })

test('data differ nowhere from themselves, and somewhere from whatever is not equal', () => {
  fc.assert(
    fc.property(json, json, (a, b) => {
      const copy = JSON.parse(JSON.stringify(a))
      assert.equal(differences(copy, JSON.parse(JSON.stringify(a))), [])
      const [x, y] = [JSON.stringify(sorted(a)), JSON.stringify(sorted(b))]
      assert.is(differences(copy, JSON.parse(JSON.stringify(b))).length === 0, x === y, `${x} ${y}`)
    }),
  )
})

const sorted = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(sorted)
    : typeof value === 'object' && value !== null
      ? Object.fromEntries(
          Object.entries(value)
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([k, v]) => [k, sorted(v)]),
        )
      : value

test('each difference is named by its path, with both values', () => {
  const then = { stages: [{ rate: 1 }, { rate: 0.002, decay: { 'a.b': 1 } }], seed: 'x', gone: null }
  const now = {
    stages: [{ rate: 1 }, { rate: 0.004, decay: { 'a.b': 2 } }, { rate: 3 }],
    seed: 'x',
    come: [],
  }
  assert.equal(differences(then, now).map(showDifference), [
    'stages[1].rate: 0.002 then, 0.004 now',
    'stages[1].decay["a.b"]: 1 then, 2 now',
    'stages[2]: nothing then, {"rate":3} now',
    'gone: null then, nothing now',
    'come: nothing then, [] now',
  ])
  assert.equal(differences(1, '1').map(showDifference), ['all of it: 1 then, "1" now'])
  assert.equal(
    showDifference({ path: 'a', then: Number.NaN, now: 'x'.repeat(200) }),
    `a: NaN then, "${'x'.repeat(76)}… now`,
  )
})

let count = 0
const manifest = syntheticManifest()
/** What opening a run with another manifest says; undefined where it goes on. */
const goingOn = async (other: Manifest, options = {}) => {
  const folder = join(root, `run-${++count}`)
  right(right(await openRun(folder, manifest)()).close())
  const again = await openRun(folder, other, options)()
  if (E.isRight(again)) right(again.right.close())
  return { folder, told: E.isLeft(again) ? again.left.message : undefined, run: again }
}
const stages = (manifest.recipe as { stages: Record<string, unknown>[] }).stages
const withStage = (i: number, some: object): unknown => ({
  stages: stages.map((s, j) => (j === i ? { ...s, ...some } : s)),
})

test('another setting is another run: each kind is refused and named, whatever is allowed', async () => {
  const kinds: readonly (readonly [Partial<Manifest>, string])[] = [
    [{ name: 'other' }, 'name: "synthetic" then, "other" now'],
    [{ seed: 8 }, 'seed: 7 then, 8 now'],
    [{ engine: { ...manifest.engine, name: 'tensorflow' } }, 'engine: "onnx" then, "tensorflow" now'],
    [{ recipe: withStage(2, { steps: 201 }) }, 'stages[2].steps: 200 then, 201 now'],
    [
      { recipe: withStage(1, { optimizer: { kind: 'adamW', beta1: 0.9, beta2: 0.95, decay: 0.02 } }) },
      'stages[1].optimizer.decay: 0.01 then, 0.02 now',
    ],
    [
      { recipe: withStage(0, { groups: [{ keys: 'norm', decay: 0 }] }) },
      'stages[0].groups: nothing then, [{"keys":"norm","decay":0}] now',
    ],
    [{ recipe: { stages: stages.slice(0, 4) } }, 'stages[4]: {"name":"sft"'],
    [
      { model: { ...manifest.model, config: { ...(manifest.model.config as object), theta: 1e6 } } },
      'model.config.theta: nothing then, 1000000 now',
    ],
    [{ model: { ...manifest.model, parameters: 1 } }, 'model.parameters: 1234567 then, 1 now'],
    [{ families: ['read'] }, 'families[1]: "count" then, nothing now'],
  ]
  for (const [some, message] of kinds)
    for (const options of [{}, { allowChangedCode: true }]) {
      const { told } = await goingOn({ ...manifest, ...some }, options)
      assert.match(told ?? 'gone on with', message)
      assert.match(told ?? '', 'choose another folder with --out')
    }
})

test('other code, versions or cores are refused and named, and gone on with where that is asked for', async () => {
  const [file] = manifest.code
  const kinds: readonly (readonly [Partial<Manifest>, string])[] = [
    [{ sailwright: '0.0.1' }, 'Sailwright: "0.0.0-test" then, "0.0.1" now'],
    [{ ownCode: '1' }, 'the code of Sailwright: changed'],
    [{ node: 'v22.0.0' }, 'Node: "v20.0.0" then, "v22.0.0" now'],
    [{ cores: 4 }, 'cores: 2 then, 4 now'],
    [{ platform: 'other' }, 'platform: "test x64" then, "other" now'],
    [
      { engine: { ...manifest.engine, version: '2' } },
      'engine onnx: "onnxruntime-node 0.0.0 (invented)" then, "2" now',
    ],
    [{ code: [{ ...file!, sha256: 'e' }] }, 'synthetic-run.ts: changed'],
    [{ code: [file!, { file: '../lib/loss.ts', sha256: 'e' }] }, '../lib/loss.ts: added'],
    [{ code: [] }, 'synthetic-run.ts: taken away'],
  ]
  for (const [some, message] of kinds) {
    const { told } = await goingOn({ ...manifest, ...some })
    assert.match(told ?? 'gone on with', message)
    assert.match(told ?? '', 'go on all the same with --allow-changed-code')
    const allowed = await goingOn({ ...manifest, ...some }, { allowChangedCode: true })
    assert.is(allowed.told, undefined)
    const { events } = right(await readRun(allowed.folder)())
    assert.is(events.length, 1)
    assert.ok(events[0]?.type === 'warned' && events[0].message.includes(message), 'the run tells of it')
  }
  assert.is((await goingOn({ ...manifest, engine: { ...manifest.engine, why: 'told to' } })).told, undefined)
  const elsewhere = { command: 'x', file: 'y', startedAt: 'z' }
  assert.is((await goingOn({ ...manifest, ...elsewhere })).told, undefined)
})

test('another graph of a stage is told of, where both starts tell of graphs', () => {
  const of = (programs: Manifest['programs']): Manifest => ({ ...manifest, programs })
  assert.equal(changesBetween(of({ sft: 'a', align: 'b' }), of({ sft: 'c', align: 'b' })).surroundings, [
    'the graph of stage sft: changed',
  ])
  assert.equal(changesBetween(of({}), of({ sft: 'c' })).surroundings, [])
})

test('a run of another form is told by its number, whatever is in it', async () => {
  for (const [text, form] of [
    ['{"sailwright":"0.0.9","name":"old"}', 1],
    ['{"format":9,"sailwright":"9.0.0"}', 9],
  ] as const) {
    const folder = join(root, `run-${++count}`)
    mkdirSync(folder)
    writeFileSync(join(folder, 'manifest.json'), text)
    for (const opened of [await openRun(folder, manifest)(), await readRun(folder)()])
      assert.match(
        E.isLeft(opened as E.Either<{ message: string }, RunFolder>)
          ? (opened as E.Left<{ message: string }>).left.message
          : '',
        new RegExp(
          `written in form ${form}, by Sailwright .*, and this version reads form 3; use the version that wrote it`,
        ),
      )
    assert.is(readFileSync(join(folder, 'manifest.json'), 'utf8'), text)
  }
})

const put = (path: string, text: string): string => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  return path
}

test('code is the file and what it imports from outside of packages, in every form, each once', () => {
  const at = join(root, 'code')
  const main = put(
    join(at, 'exp/main.ts'),
    `import { a } from './a.js'
import type { T } from "../lib/types"
export * from '../lib'
import data from './data.json' with { type: 'json' }
const later = () => import(\`./later.ts\`)
const old = require('./old.cjs')
const table = new URL('./table.csv', import.meta.url)
import 'left-pad'
import { experiment } from 'sailwright/train'
import { shared } from 'shared'
import './not-there.ts'
`,
  )
  put(join(at, 'exp/a.ts'), "import './main.ts'\nexport const a = 1\n")
  put(join(at, 'exp/data.json'), '{}')
  put(join(at, 'exp/later.ts'), "import '../lib/deep'\n")
  put(join(at, 'exp/old.cjs'), '')
  put(join(at, 'exp/table.csv'), '1,2')
  put(join(at, 'exp/unrelated.ts'), '')
  put(join(at, 'lib/types.ts'), '')
  put(join(at, 'lib/index.ts'), '')
  put(join(at, 'lib/deep.mts'), '')
  put(join(at, 'node_modules/left-pad/package.json'), '{"main":"index.js"}')
  put(join(at, 'node_modules/left-pad/index.js'), '')
  put(join(at, 'shared/package.json'), '{"main":"index.js"}')
  put(join(at, 'shared/index.js'), '')
  symlinkSync(join(at, 'shared'), join(at, 'node_modules/shared'))
  const files = codeFiles(main)
  assert.equal(
    files.map((f) => f.file),
    [
      '../lib/deep.mts',
      '../lib/index.ts',
      '../lib/types.ts',
      '../shared/index.js',
      'a.ts',
      'data.json',
      'later.ts',
      'main.ts',
      'old.cjs',
      'table.csv',
    ],
  )
  assert.equal(codeFiles(main), files)
  for (const { file } of files) {
    appendFileSync(join(at, 'exp', file), ' ')
    const now = codeFiles(main)
    assert.equal(
      now.filter((f, i) => f.sha256 !== files[i]!.sha256).map((f) => f.file),
      files.slice(0, files.findIndex((f) => f.file === file) + 1).map((f) => f.file),
    )
  }
  assert.is(ownCode(), ownCode())
})

test('the code of an experiment that lies in a package is its files, and not those of other packages', () => {
  const at = join(root, 'installed')
  const main = put(
    join(at, 'node_modules/pkg/examples/main.ts'),
    "import './part.ts'\nimport 'other'\nimport { inner } from 'inner'\n",
  )
  put(join(at, 'node_modules/pkg/examples/part.ts'), '')
  for (const name of ['other', 'pkg/node_modules/inner']) {
    put(join(at, 'node_modules', name, 'package.json'), '{"main":"index.js"}')
    put(join(at, 'node_modules', name, 'index.js'), '')
  }
  assert.equal(
    codeFiles(main).map((f) => f.file),
    ['main.ts', 'part.ts'],
  )
})

test('what an experiment says of itself must be plain data', async () => {
  const { nanoModel } = await import('../../src/tasks/nano.ts')
  const of = (recipe: unknown): Manifest =>
    manifestOf({
      experiment: {
        name: 'e',
        seed: 1,
        model: nanoModel,
        families: [],
        recipe,
      } as unknown as Experiment,
      path: put(join(root, 'plain.ts'), ''),
      cwd: root,
      picked: { engine: { name: 'onnx', version: '1' }, why: 'test' } as Picked,
      version: '0',
      words: [],
      quick: false,
      settings: {},
      at: new Date(0),
    })
  const loop: { self?: unknown; readonly other: object } = { other: {} }
  loop.self = loop
  for (const [recipe, place, what] of [
    [{ stages: [{ rate: () => 1 }] }, 'recipe.stages[0].rate', 'a function'],
    [{ keys: new Map() }, 'recipe.keys', 'a Map'],
    [[1n], 'recipe[0]', 'a bigint'],
    [{ table: new Float32Array(2) }, 'recipe.table', 'a Float32Array'],
    [{ rate: Number.NaN }, 'recipe.rate', 'NaN'],
    [{ rate: Number.POSITIVE_INFINITY }, 'recipe.rate', 'Infinity'],
    [loop, 'recipe.self', 'part of itself'],
  ] as const)
    assert.throws(
      () => of(recipe),
      (e: Error) =>
        e instanceof RecipeError &&
        e.setting === place &&
        e.message.startsWith(`the experiment, ${place}: it is ${what};`),
    )
  const rates = { rate: 1e-3, none: undefined, one: null, twice: [loop.other, loop.other] }
  const written = of(rates)
  assert.equal(changesBetween(written, written), { settings: [], data: [], surroundings: [] })
  assert.equal(changesBetween(written, of({ ...rates, rate: 2e-3 })).settings, [
    'rate: 0.001 then, 0.002 now',
  ])
})

test.run()
