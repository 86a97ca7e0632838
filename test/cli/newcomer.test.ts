/** What a newcomer does wrong in an experiment file, and what is said then: one row a mistake. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { commandIn } from '../support/in-process.ts'

const test = suite('newcomer')
const root = mkdtempSync(join(tmpdir(), 'sailwright-newcomer-'))
test.after(() => rmSync(root, { recursive: true, force: true }))

const write = (name: string, text: string): void => {
  mkdirSync(dirname(join(root, name)), { recursive: true })
  writeFileSync(join(root, name), text)
}

interface Ended {
  readonly code: number
  readonly err: string
}

/** The command in this process. */
const cli = commandIn(root)

/** Node on some words, in a process of its own. */
const node = (...words: readonly string[]): Promise<Ended> =>
  new Promise((done) => {
    execFile(process.execPath, words, { cwd: root, timeout: 600_000 }, (e, _, err) =>
      done({ code: e === null ? 0 : Number(e.code ?? -1), err }),
    )
  })

/** Name, text, what is said; the exit code is 1. */
const mistakes: readonly (readonly [name: string, text: string, said: RegExp])[] = [
  [
    'no-return.ts',
    'export default () => { 1 }',
    /no-return\.ts exports as default returns nothing: .*return experiment/,
  ],
  ['no-braces.ts', 'export default async () => {}', /returns nothing/],
  ['undefined.ts', 'let x\nexport default x', /default export of undefined\.ts is undefined/],
  ['empty.ts', '', /empty\.ts has no default export/],
  [
    'named.ts',
    'export const experimnt = 1',
    /no default export.*It exports experimnt\. Did you mean 'experimnt'/,
  ],
  ['text.ts', "export default 'nano'", /it is the text 'nano'; make it with experiment\(\)/],
  ['null.ts', 'export default null', /it is null/],
  ['list.ts', 'export default [1, 2]', /it is a list of 2/],
  ['object.ts', 'export default {}', /it needs name, model and run/],
  ['task.ts', 'export default () => async () => 1', /a TaskEither is run by calling it, 'await task\(\)'/],
  [
    'either.ts',
    "import { left } from 'fp-ts/lib/Either.js'\nexport default () => left(new Error('no weights there'))",
    /left side of an Either: no weights there/,
  ],
  ['stream.ts', "import { of } from 'rxjs'\nexport default of(1)", /it is an Observable/],
  ['recipe.ts', 'export default { name: "r", stages: [] }', /it is a recipe: give it to experiment\(\)/],
  [
    'stage.ts',
    'export default { source: 1, objective: 2 }',
    /it is a stage: append it to a recipe with next/,
  ],
  ['program.ts', 'export default { functions: {} }', /it is a program/],
  [
    'throws.ts',
    'const f = (o: any) => o.a.b\n\nexport default () => f({})',
    /reading 'b'[\s\S]*throws\.ts:1:/,
  ],
  ['throws-text.ts', "export default () => { throw 'a text' }", /run: a text/],
  ['throws-nothing.ts', 'throw undefined', /the file threw undefined; throw an Error/],
  ['broken.ts', 'const x =\nexport default x\n', /broken\.ts:2:1: [\s\S]*export default x/],
  ['broken.mjs', 'const list = [1, 2\nexport default list\n', /broken\.mjs:2:1: [\s\S]*export default list/],
  ['cut.js', 'export default {', /cut\.js:1:\d+: /],
  ['beside.mjs', "import x from './lib/cut.mjs'\nexport default x", /lib\/cut\.mjs:2:\d+: /],
  ['common.ts', 'module.exports = {}', /ES module, with 'import' and 'export default' in place of/],
  [
    'name.ts',
    "import {\n  linaer } from 'sailwright/dsl'\nexport default linaer",
    /'linaer'\. Did you mean 'linear'\?\n {2}at .*name\.ts:2/,
  ],
  ['place.ts', "import { nano } from 'sailwright/dsl'\nexport default nano", /It is in sailwright\/models/],
  [
    'subpath.ts',
    "import { nano } from 'sailwright/model'\nexport default nano",
    /Did you mean 'sailwright\/models'/,
  ],
  [
    'package.ts',
    "import x from 'no-such-package'\nexport default x",
    /Cannot find package 'no-such-package'[\s\S]*npm install no-such-package/,
  ],
  ...(['objective', 'optimizer'] as const).map(
    (part) =>
      [
        `own-${part}.ts`,
        `import { nanoModel, nanoProcessor, rendered } from 'sailwright/tasks'
    import * as t from 'sailwright/train'
    const broken = (): never => { throw new Error('of my own') }
    const nextToken = t.nextToken(nanoModel, nanoProcessor(), { rows: 2, tokens: 80 })
    const learning = t.supervised({
      name: 'mine', from: 'a', to: 'b', train: [nanoModel.parts.adapter], steps: 1, learningRate: 1,
      objective: nextToken, source: rendered({ mixture: { seed: 1, split: 'train', levels: [1, 1], weights: { read: 1 } }, captions: 0 }),
      ...${part === 'objective' ? '{ objective: { ...nextToken, terms: broken } }' : '{ optimizer: { config: {}, update: broken } }'},
    })
    const begun = t.begin({ name: 'mine', seed: 0, model: nanoModel, start: t.fromScratch, now: 'a' })
    export default t.experiment(t.next(learning)(begun), t.unmeasured)`,
        /stage 'mine': of my own\n {2}at .*own-\w+\.ts:3:/,
      ] as const,
  ),
  ['missing.ts', "import x from './nope'\nexport default x", /Cannot find module '.*nope'/],
]

for (const [name, text, said] of mistakes)
  test(`${name}: ${said.source}`, async () => {
    write('package.json', '{ "type": "module" }')
    write('lib/cut.mjs', 'export default\n  [')
    write(name, text)
    const { code, err } = await cli(['run', name])
    assert.is(code, 1, err)
    assert.match(err, said)
    assert.not.match(err, /\n {4}at .*\n {4}at /)
  })

test('an experiment that is written by hand says all that a run needs', async () => {
  const hand = (change: string) =>
    `import { nanoModel } from 'sailwright/tasks'
    const made = { name: 'x', seed: 0, model: nanoModel, families: [], recipe: {}, run: () => [1] }
    export default { ...made, ${change} }`
  for (const [i, [change, said]] of (
    [
      ['seed: undefined', /the experiment, seed: it is undefined; give a whole number/],
      ["name: ''", /the experiment, name: it is ''/],
      ['families: undefined', /the experiment, families: it is undefined; give a list of names/],
      ["model: { name: 'm', config: {} }", /the experiment, model: it is a record without graph/],
      ['model: { ...nanoModel, config: undefined }', /the experiment, model\.config: it is undefined/],
      ['recipe: undefined', /the experiment, recipe: it is undefined/],
      ['programs: 3', /the experiment, programs: it is 3; give a function/],
      ['', /the run said something that is no event/],
    ] as const
  ).entries()) {
    write(`hand-${i}.ts`, hand(change))
    const { code, err } = await cli(['run', `hand-${i}.ts`, '--engine', 'onnx', '--out', `hand-${i}`])
    assert.is(code, 1, err)
    assert.match(err, said)
  }
})

test('what is no file of code: exit code 2, and what is there instead', async () => {
  write('conf.json', '{}')
  write('folder/mine.ts', 'export default {}')
  for (const [word, said] of [
    ['conf.json', /conf\.json is no experiment: it is code, .* and not JSON/],
    ['folder', /'folder' is a folder; name the experiment's file\. There is folder\/mine\.ts/],
    ['', /an argument is empty/],
    // as the pages name it that are read in a clone
    [
      'examples/recipe.ts',
      /there is no file examples\/recipe\.ts here\. The package has one: .*examples\/recipe\.ts$/m,
    ],
    ['folder/mien', /Did you mean 'folder\/mine\.ts'/],
    ['conf.json/x.ts', /conf\.json is no folder/],
    ['nowhere/x.ts', /the folder nowhere does not exist/],
  ] as const) {
    const { code, err } = await cli(['run', word])
    assert.is(code, 2, word)
    assert.match(err, said)
  }
})

test('settings: of another kind, never asked for, out of reach', async () => {
  write(
    'settings.ts',
    `export default ({ setting, settings }) => ({
      name: 'x', model: {}, run: () => {},
      scale: setting.number('scale', 1, { from: 0 }), steps: setting.integer('steps', 10),
      part: setting.choice('part', ['all', 'vision'], 'all'), fast: setting.flag('fast', false), old: settings.old,
    })`,
  )
  write('fixed.ts', "export default { name: 'x', model: {}, run: () => {} }")
  for (const [file, set, said] of [
    ['settings.ts', 'scale=abc', /--set scale is a number from 0 on, and not 'abc'/],
    ['settings.ts', 'scale=', /and not ''/],
    ['settings.ts', 'scale=-1', /and not '-1'/],
    ['settings.ts', 'scale=Infinity', /and not 'Infinity'/],
    ['settings.ts', 'steps=1.5', /--set steps is a whole number, and not '1\.5'/],
    ['settings.ts', 'part=visoin', /--set part is one of all, vision, and not 'visoin'/],
    ['settings.ts', 'fast=yes', /--set fast is true or false/],
    [
      'settings.ts',
      'scael=2',
      /no setting 'scael'\. Did you mean 'scale'\? It asks for scale, steps, part, fast, old\./,
    ],
    ['fixed.ts', 'scale=2', /--set cannot reach it/],
  ] as const) {
    const { code, err } = await cli(['run', file, '--set', set])
    assert.is(code, 2, `${set}: ${err}`)
    assert.match(err, said)
  }
})

test('a setting that the experiment refuses is a wrong argument; an experiment that is wrong without it is not', async () => {
  write(
    'refusing.ts',
    `import { adamWith } from 'sailwright/optim'
    import { wholeSetting } from 'sailwright/train'
    export default ({ setting }) => {
      wholeSetting('stage rl', 'episodes', setting.integer('episodes', 8), 1)
      adamWith({ beta2: setting.number('beta', 0.9) })
      const [low, high] = [setting.number('low', 0), setting.number('high', 1)]
      if (low > high) throw new Error('low is above high')
      return { name: 'x', model: {}, run: () => {} }
    }`,
  )
  const set = (...all: readonly string[]) => cli(['run', 'refusing.ts', ...all.flatMap((s) => ['--set', s])])
  for (const [all, said] of [
    [['episodes=0'], /--set episodes=0 cannot be: stage rl, episodes: it is 0; give a whole number from 1/],
    [['low=0.5', 'episodes=-1'], /run: --set episodes=-1 cannot be: /],
    [['beta=1.5'], /--set beta=1.5 cannot be: .*beta2/],
    [['episodes=0', 'beta=2'], /--set episodes=0 --set beta=2 cannot be: /],
    [['low=2', 'high=1.5', 'beta=0.5'], /run: --set low=2 cannot be: low is above high/],
  ] as const) {
    const { code, err } = await set(...all)
    assert.is(code, 2, `${all}: ${err}`)
    assert.match(err, said)
  }
  write(
    'needing.ts',
    `import { wholeSetting } from 'sailwright/train'
    export default ({ settings }) => {
      if (settings.episodes === undefined) throw new Error('say --set episodes=<n>')
      wholeSetting('stage rl', 'episodes', Number(settings.episodes), 1)
    }`,
  )
  const needed = await cli(['run', 'needing.ts', '--set', 'episodes=0'])
  assert.is(needed.code, 2, needed.err)
  assert.match(needed.err, '--set episodes=0 cannot be: stage rl, episodes: it is 0')
  write(
    'wrong.ts',
    "export default ({ setting }) => { setting.number('scale', 1); throw new Error('no data') }",
  )
  const { code, err } = await cli(['run', 'wrong.ts', '--set', 'scale=2'])
  assert.is(code, 1, err)
  assert.not.match(err, 'cannot be')
})

const bin = resolve('bin/sailwright.js')

test('a file that Node takes for CommonJS is told how to be a module', async () => {
  write('common/package.json', '{ "type": "commonjs" }')
  for (const [name, text] of [
    ['common/import.js', "import 'node:fs'\nexport default {}"],
    ['common/export.js', 'export default {}'],
  ] as const) {
    write(name, text)
    const { code, err } = await cli(['run', name])
    assert.is(code, 1)
    assert.match(
      err,
      /a file that ends in \.js is CommonJS where .*"type": "module"; say so there, or call the file \.mjs or \.ts/,
    )
    assert.match(err, join(root, name))
  }
})

test('a file that never ends loading, or ends the process, is named', async () => {
  write('hangs.ts', 'await new Promise(() => {})\nexport default {}')
  write('hangs-inside.ts', 'export default () => new Promise(() => {})')
  write('exits.ts', 'process.exit(0)')
  for (const name of ['hangs.ts', 'hangs-inside.ts']) {
    const { code, err } = await node(bin, 'run', name)
    assert.is(code, 1, err)
    assert.match(err, `${name} never ends loading: it awaits something that nothing settles`)
  }
  write(
    'stalls.ts',
    `import { NEVER } from 'rxjs'
    import { nanoModel as model } from 'sailwright/tasks'
    export default { name: 'stalls', seed: 0, model, families: [], recipe: {}, run: () => NEVER }`,
  )
  const stalls = await node(bin, 'run', 'stalls.ts', '--engine', 'onnx', '--out', 'stalled')
  assert.is(stalls.code, 1, stalls.err)
  assert.match(stalls.err, 'neither goes on nor ends')
  const running = (name: string, act: string) =>
    write(
      name,
      `import { NEVER } from 'rxjs'
      import { nanoModel as model } from 'sailwright/tasks'
      setInterval(() => undefined, 1000)
      const run = () => { setTimeout(() => { ${act} }, 0); return NEVER }
      export default { name: 'away', seed: 0, model, families: [], recipe: {}, run }`,
    )
  for (const [name, act, said] of [
    [
      'ends.ts',
      'process.exit(0)',
      /ended the process \(process\.exit\) before the run's end\. To go on: .* run ends\.ts/,
    ],
    ['strays.ts', "throw new Error('a timer')", /nobody catches: a timer\n {2}at .*strays\.ts:4:\d+/],
    ['rejects.ts', "Promise.reject(new Error('a promise'))", /nobody catches: a promise/],
  ] as const) {
    running(name, act)
    const { code, err } = await node(bin, 'run', name, '--engine', 'onnx', '--out', `${name}-run`)
    assert.is(code, 1, err)
    assert.match(err, said)
    assert.not.match(err, 'Node.js v')
  }
  // what is thrown when the run has ended takes neither its report nor its folder away, and is told
  write(
    'late.ts',
    `import { EMPTY } from 'rxjs'
    import { nanoModel as model } from 'sailwright/tasks'
    const thrown = () => { throw new Error('too late') }
    const run = () => { process.nextTick(() => setImmediate(thrown)); return EMPTY }
    export default { name: 'late', seed: 0, model, families: [], recipe: {}, run }`,
  )
  const late = await node(bin, 'run', 'late.ts', '--engine', 'onnx', '--out', 'late-run')
  assert.is(late.code, 1, late.err)
  assert.match(
    late.err,
    /nobody catches: too late\n {2}at .*late\.ts:3:\d+.*\nThat was after the run's end: nothing is lost\. .* its report is/,
  )
  assert.not.match(late.err, 'Node.js v')
  const exits = await node(bin, 'run', 'exits.ts')
  assert.is(exits.code, 1)
  assert.match(exits.err, 'exits.ts ended the process (process.exit)')
})

test('an experiment file that is started by itself says how it is run; other files say nothing', async () => {
  const train = JSON.stringify(resolve('dist/src/train/index.js'))
  const own = (text: string) => `${text}\n// import from 'sailwright/train'\n`
  write('self.mjs', own(`import { experiment } from ${train}\nexport default () => experiment({}, {})`))
  write(
    'self.ts',
    own(`import { experiment } from ${train}\nexport default () => experiment({} as any, {} as any)`),
  )
  write('library.mjs', own(`import { experiment } from ${train}\nexport const make = experiment`))
  write('uses.mjs', `import ${JSON.stringify(join(root, 'self.mjs'))}`)
  const tsx = import.meta.resolve('tsx')
  for (const words of [['self.mjs'], ['--import', tsx, 'self.ts']]) {
    const { code, err } = await node(...words)
    assert.is(code, 1, err)
    assert.match(
      err,
      /^self\.m?[jt]s defines an experiment, and nothing has run it: (npx |pnpm exec )?sailwright run self\.m?[jt]s\n$/,
    )
  }
  for (const quiet of ['library.mjs', 'uses.mjs'])
    assert.equal(await node(quiet), { code: 0, err: '' }, quiet)
})

test.run()
