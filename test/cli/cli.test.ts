import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { adviceOf, type EngineFound } from '../../src/cli/advice.ts'
import type { Args, CliError } from '../../src/cli/command.ts'
import { runCommand, settingsOf } from '../../src/cli/commands/run.ts'
import { commandHelp, wrap } from '../../src/cli/help.ts'
import type { MachineNow } from '../../src/cli/machine.ts'
import { commands } from '../../src/cli/main.ts'
import { outlet } from '../../src/cli/outlet.ts'
import { parse } from '../../src/cli/parse.ts'
import { presets } from '../../src/models/presets.ts'
import type { RunEvent } from '../../src/run/events.ts'
import { type RecordedRun, readRun } from '../../src/run/read-run.ts'
import { called, shellWord } from '../../src/terminal/called.ts'
import { editDistance, nearest } from '../../src/terminal/nearest.ts'
import { presentEngines } from '../support/engines.ts'
import { commandIn, type Ended } from '../support/in-process.ts'
import { command, moduleAt } from '../support/program.ts'
import { writeSyntheticRun } from '../support/synthetic-run.ts'

const test = suite('command')
let root = ''
test.before(() => {
  root = mkdtempSync(join(tmpdir(), 'sailwright-cli-'))
})
test.after(() => rmSync(root, { recursive: true, force: true }))

const experiments = resolve('test/support/experiments')
const tiny = moduleAt('test/support/experiments/tiny.ts')
const trained = moduleAt('test/support/experiments/trained.ts')

/** The program run in this process, with streams that collect. */
const cli = (words: readonly string[], cwd = root) => commandIn(root)(words, { cwd })

/** The program run as a process of its own. */
const spawned = (words: readonly string[]) => {
  const child = spawn(process.execPath, [...command, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1' },
  })
  let out = ''
  let err = ''
  child.stdout.on('data', (d) => {
    out += d
  })
  child.stderr.on('data', (d) => {
    err += d
  })
  const ended = new Promise<Ended>((done) =>
    child.once('close', (code) => done({ code: code ?? -1, out, err })),
  )
  return { child, ended, said: () => err }
}

const parsed = (...words: string[]): Args => {
  const args = parse(runCommand, words)
  if (E.isLeft(args)) throw new Error(args.left.message)
  return args.right
}
const refused = (...words: string[]): string => {
  const args = parse(runCommand, words)
  if (E.isRight(args)) throw new Error('should have been refused')
  assert.is(args.left._tag, 'Usage')
  return args.left.message
}

test('the distance of two words', () => {
  assert.equal(
    [
      ['', 'abc'],
      ['run', 'run'],
      ['rnu', 'run'],
      ['kitten', 'sitting'],
      ['smmary', 'summary'],
    ].map(([a, b]) => editDistance(a!, b!)),
    [3, 0, 1, 3, 1],
  )
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
      const d = editDistance(a, b)
      assert.is(d, editDistance(b, a))
      assert.ok(d >= Math.abs(a.length - b.length) && d <= Math.max(a.length, b.length))
      assert.is(d === 0, a === b)
    }),
  )
  const names = commands.map((c) => c.name)
  assert.equal(
    ['smmary', 'docter', 'reprot', 'benhc', 'rnu', 'summ', 'RUN', 'train', 'zzz'].map((w) =>
      nearest(w, names),
    ),
    ['summary', 'doctor', 'report', 'bench', 'run', 'summary', 'run', undefined, undefined],
  )
})

test('words are read: options anywhere, with = or without, values checked', () => {
  const args = parsed('--seed', '7', 'a.ts', '--out=runs/x', '--set', 'a=1', '--set', 'b=2=3', '--quick')
  assert.equal(args.positionals, ['a.ts'])
  assert.is(args.integer('seed'), 7)
  assert.is(args.text('out'), 'runs/x')
  assert.is(args.on('quick'), true)
  assert.is(args.on('json'), false)
  assert.equal(settingsOf(args), E.right({ a: '1', b: '2=3' }))
  assert.equal(parsed('--', '--odd-name.ts').positionals, ['--odd-name.ts'])
})

test('wrong words are refused, and the message says what is possible', () => {
  assert.match(
    refused('a.ts', '--sed', '1'),
    /no option --sed\. Did you mean 'seed'\? The options are --quick, --seed/,
  )
  assert.match(refused('a.ts', '-q'), /no option -q\./)
  assert.match(refused('a.ts', '--seed'), /--seed needs <n>/)
  assert.match(refused('a.ts', '--seed', '--quick'), /--seed needs <n>/)
  assert.match(refused('a.ts', '--seed', 'many'), /--seed is an integer from 0 on, and not 'many'/)
  assert.match(refused('a.ts', '--seed', '-1'), /and not '-1'/)
  assert.match(refused('a.ts', '--seed', '1.5'), /and not '1.5'/)
  assert.match(refused('a.ts', '--checkpoint-every', '-1'), /--checkpoint-every is an integer from 0 on/)
  assert.match(refused('a.ts', '--checkpoint-every', '2.5'), /and not '2.5'/)
  assert.match(refused('a.ts', '--checkpoint-every'), /--checkpoint-every needs <steps>/)
  assert.match(refused('a.ts', '--seed=1', '--seed=2'), /--seed is given twice/)
  assert.match(
    refused('a.ts', '--engine', 'onxx'),
    /one of auto, tensorflow, onnx, xla, and not 'onxx'\. Did you mean 'onnx'/,
  )
  assert.match(refused('a.ts', '--quick=yes'), /--quick takes no value/)
  assert.match(refused(), /<file\.ts> is missing.*sailwright run <file\.ts> \[options\]/)
  assert.match(refused('a.ts', 'b.ts'), /'b\.ts' is one argument too many/)
  assert.match(refused(''), /an argument is empty\. Usage: /)
  for (const [words, message] of [
    [['--set', 'novalue'], /--set takes key=value, and not 'novalue'/],
    [['--set', '=1'], /--set takes key=value/],
    [['--set', 'a=1', '--set', 'a=2'], /--set a is given twice/],
  ] as const) {
    const result = settingsOf(parsed('a.ts', ...words))
    assert.ok(E.isLeft(result) && message.test(result.left.message), words.join(' '))
  }
})

test('any words at all: an exit code, never an exception', async () => {
  const word = fc.oneof(
    fc.constantFrom(
      '--help',
      '--version',
      '--',
      '-',
      'help',
      'engine',
      'install',
      'report',
      '--json',
      '--depth',
    ),
    fc.string({ maxLength: 8 }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(word, { maxLength: 4 }), async (words) => {
      const known = ['doctor', 'bench', 'run', 'summary']
      fc.pre(!words.some((w) => known.includes(w)) && words.join(' ') !== 'engine install tensorflow')
      const { code, err } = await cli(words)
      assert.ok([0, 1, 2].includes(code), `${code}`)
      assert.not.match(err, /\n {4}at /)
    }),
    { numRuns: 200 },
  )
})

test('help of everything and of each command, on stdout; without a command on stderr', async () => {
  const all = await cli(['--help'])
  assert.is(all.code, 0)
  assert.is(all.err, '')
  for (const c of commands) {
    assert.match(all.out, c.name)
    const own = await cli([...c.name.split(' '), '--help'])
    assert.is(own.code, 0, c.name)
    assert.match(own.out, `sailwright ${c.name}`)
    for (const flag of Object.keys(c.flags)) assert.match(own.out, `--${flag}`)
    assert.ok(
      own.out.split('\n').every((l) => l.length <= 110),
      c.name,
    )
    assert.is((await cli(['help', ...c.name.split(' ')])).out, own.out)
    assert.is((await cli(['-h', ...c.name.split(' ')])).out, own.out)
  }
  const none = await cli([])
  assert.is(none.code, 2)
  assert.is(none.out, '')
  assert.is(none.err, all.out)
})

test('every example in the help is a command line that is accepted', () => {
  for (const c of commands)
    for (const [example] of c.examples) {
      const words = example
        .replace(/^sailwright /, '')
        .slice(c.name.length + 1)
        .split(' ')
        .filter((w) => w !== '')
        .map((w) => w.replaceAll("'", ''))
      assert.ok(example.startsWith(`sailwright ${c.name}`), example)
      assert.ok(E.isRight(parse(c, words)), example)
    }
})

test('help stays within the terminal, but for a command that is longer itself', () => {
  for (const columns of [60, 80, 100, 140])
    for (const c of commands)
      for (const line of commandHelp(c, { colour: false, columns }).split('\n'))
        assert.ok(
          line.length <= columns || /^ {2}(?:npx )?sailwright(?: \S+)*$/.test(line),
          `${columns}: ${line}`,
        )
})

test('a terminal that cannot write over what stands on it is written to as a file is', () => {
  const stream = Object.assign(new PassThrough(), { isTTY: true }) as unknown as NodeJS.WriteStream
  assert.is(outlet(stream, { TERM: 'xterm' }).sink.isTTY, true)
  assert.is(outlet(stream, { TERM: 'dumb' }).sink.isTTY, false)
})

test('README and the pages name commands and options that there are', () => {
  const pages = ['README.md', 'ARCHITECTURE.md', ...readdirSync('docs').map((f) => `docs/${f}`)]
  const odd: string[] = []
  let named = 0
  // a row of the table of commands, a line of a block, words in a sentence
  for (const page of pages)
    for (const [, row, line, inside] of readFileSync(page, 'utf8').matchAll(
      /^\| `sailwright ([a-z].*)|^(?:npx )?sailwright ([a-z][^#\n]*)|`(?:npx )?sailwright ([a-z][^`\n]*)`/gm,
    )) {
      const words = (row ?? line ?? inside)!
      const c = commands.find(({ name }) =>
        words
          .match(/^[a-z ]+/)![0]
          .concat(' ')
          .startsWith(`${name} `),
      )
      if (c === undefined) odd.push(`${page}: ${words}`)
      for (const [, option] of words.matchAll(/(?<![\w-])--([a-z][a-z-]*)/g)) {
        named++
        if (c !== undefined && !(option! in c.flags)) odd.push(`${page}: ${c.name} --${option}`)
      }
    }
  assert.equal(odd, [])
  assert.ok(named > 100, `${named}`)
})

test('the version', async () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
  assert.equal(await cli(['--version']), { code: 0, out: `${version}\n`, err: '' })
})

test('unknown commands', async () => {
  const near = await cli(['sumary'])
  assert.is(near.code, 2)
  assert.match(near.err, "sailwright: there is no command 'sumary'. Did you mean 'summary'?")
  assert.match((await cli(['engine'])).err, `There is '${called()} engine install'`)
  assert.match((await cli(['--verbose', 'run'])).err, 'there is no option --verbose before a command')
})

test('summary: exact counts as JSON, and nothing else on stdout', async () => {
  const counts: Readonly<Record<string, number>> = {
    'aimv2-huge': 682_031_616,
    'qwen3-0.6b': 596_049_920,
    'qwen3-1.7b': 1_720_574_976,
    'qwen3-8b': 8_190_735_360,
    'sail-vl2-2b': 682_031_616 + 2_031_739_904 + 16_793_600,
    'sail-vl2-8b': 682_031_616 + 8_190_735_360 + 41_963_520,
  }
  for (const [name, parameters] of Object.entries(counts)) {
    const { code, out, err } = await cli(['summary', name, '--json', '--depth', '1'])
    assert.is(code, 0, err)
    const printed = JSON.parse(out) as { parameters: number; bytes: number; flops: number; rows: unknown[] }
    assert.is(printed.parameters, parameters, name)
    assert.is(printed.bytes, 4 * parameters)
    assert.ok(printed.flops > 2 * parameters && printed.rows.length > 1)
  }
})

test('summary: of a model with experts also how many parameters work for a token', async () => {
  const { out, err } = await cli(['summary', 'qwen3-30b-a3b', '--json', '--depth', '0'])
  const printed = JSON.parse(out) as { parameters: number; activeParameters: number }
  assert.is(printed.parameters, 30_532_122_624, err)
  // of 128 experts 8, each three maps of 2,048 by 768, in 48 layers
  assert.is(printed.activeParameters, 30_532_122_624 - 48 * 120 * 3 * 2048 * 768)
  const text = await cli(['summary', 'moe-nano', '--depth', '0'])
  const told = /\n([\d,]+) of ([\d,]+) parameters work for a token\n/.exec(text.out) ?? []
  const [working = 0, all = 0] = told.slice(1).map((n) => Number(n.replaceAll(',', '')))
  // of 8 experts 2, each three maps of 160 by 448, in 4 layers
  assert.is(all - working, 4 * 6 * 3 * 160 * 448, text.out)
  assert.not.match((await cli(['summary', 'nano'])).out, 'work for a token')
})

test('summary: text, Mermaid, SVG, sizes', async () => {
  const text = await cli(['summary', 'nano', '--depth', '1'])
  assert.match(text.out, 'vision_model')
  assert.match(text.out, 'batch 1 × token 80')
  assert.match((await cli(['summary', 'nano', '--batch', '3', '--tokens', '40'])).out, 'batch 3 × token 40')
  assert.match((await cli(['summary', 'nano', '--mermaid'])).out, /^flowchart /)
  const both = await cli(['summary', 'nano', '--json', '--mermaid'])
  assert.is(both.code, 2)
  assert.match(both.err, 'only one of --json, --mermaid at a time')
  const drawn = await cli(['summary', 'nano', '--svg', 'deep/nano.svg'])
  assert.is(drawn.code, 0)
  assert.match(readFileSync(join(root, 'deep/nano.svg'), 'utf8'), /^<svg /)
})

test('summary: a preset that there is not, and the model of an experiment', async () => {
  const wrong = await cli(['summary', 'sail-vl2-2'])
  assert.is(wrong.code, 2)
  assert.match(wrong.err, /no preset 'sail-vl2-2'\. Did you mean 'sail-vl2-\db'/)
  for (const name of Object.keys(presets)) assert.match(wrong.err, name)
  assert.is((await cli(['summary', 'toString'])).code, 2)
  const file = await cli(['summary', tiny, '--json', '--depth', '0'])
  assert.is(file.code, 0, file.err)
  assert.is(
    JSON.parse(file.out).parameters,
    JSON.parse((await cli(['summary', 'nano', '--json'])).out).parameters,
  )
})

test('run: from a file to a folder with its report', async () => {
  const { code, out, err } = await cli([
    'run',
    tiny,
    '--engine',
    'onnx',
    '--seed',
    '3',
    '--out',
    'whole',
    '--json',
  ])
  assert.is(code, 0, err)
  const printed = JSON.parse(out) as { folder: string; report: string; stages: { families: unknown[] }[] }
  assert.is(printed.folder, 'whole')
  assert.is(printed.report, 'whole/report.html')
  assert.equal(printed.stages[1]!.families, [{ family: 'read', correct: 4, total: 5, accuracy: 0.8 }])
  assert.ok(existsSync(join(root, 'whole/report.html')))
  const run = await readRun(join(root, 'whole'))()
  assert.ok(E.isRight(run))
  const { manifest, events } = run.right
  assert.is(manifest.seed, 3)
  assert.is(manifest.engine.name, 'onnx')
  assert.is(manifest.command, `sailwright run ${tiny} --engine onnx --seed 3 --out whole --json`)
  assert.ok(manifest.model.parameters > 1e6 && manifest.model.rows.length > 5)
  assert.match(manifest.model.svg, /^<svg /)
  assert.is(events.at(-1)?.type, 'run-finished')
  assert.match(err, '1/2 first')

  const again = await cli(['run', tiny, '--engine', 'onnx', '--seed', '3', '--out', 'whole'])
  assert.is(again.code, 0)
  assert.match(again.err, 'this run is finished: nothing is trained again')
  const other = await cli(['run', tiny, '--engine', 'onnx', '--seed', '4', '--out', 'whole'])
  assert.is(other.code, 2)
  assert.match(other.err, 'seed: 3 then, 4 now')
})

test('run: auto measures once where two engines load, says so, and remembers; a run that goes on keeps its engine', async () => {
  const first = await cli(['run', tiny, '--out', 'auto', '--set', 'fail=5'])
  assert.is(first.code, 1, first.err)
  const { right: began } = (await readRun(join(root, 'auto'))()) as E.Right<RecordedRun>
  const name = began.manifest.engine.name
  const loading = (await presentEngines()).map((e) => e.name)
  if (loading.length > 1 && !began.manifest.engine.why.includes('GPU')) {
    assert.match(first.err, 'measuring once which engine is faster here, tensorflow or onnx')
    assert.match(began.manifest.engine.why, /times as fast as \w+ here, measured \d{4}-\d\d-\d\d/)
    assert.ok(existsSync(join(root, 'cache/sailwright/engine-speeds.json')))
    const second = await cli(['run', tiny, '--out', 'auto-2'])
    assert.not.match(second.err, 'measuring once')
    // another measurement would choose the other engine, but not for this run
    const file = join(root, 'cache/sailwright/engine-speeds.json')
    const turned = readFileSync(file, 'utf8').replace(new RegExp(`"${name}": [\\d.]+`), `"${name}": 0.001`)
    writeFileSync(file, turned)
    const other = await cli(['run', tiny, '--out', 'auto-3'])
    assert.is(other.code, 0, other.err)
    const { right: begun } = (await readRun(join(root, 'auto-3'))()) as E.Right<RecordedRun>
    assert.is.not(begun.manifest.engine.name, name)
  }
  const more = await cli(['run', tiny, '--out', 'auto'])
  assert.is(more.code, 0, more.err)
  assert.match(more.err, 'the run began with it')
})

test('run: a short pass is called one, on the terminal and in the report; a whole run is not', async () => {
  const words = ['run', tiny, '--engine', 'onnx', '--out']
  const short = await cli([...words, 'short', '--quick'])
  assert.is(short.code, 0, short.err)
  assert.is(short.err.split('far too short to learn').length, 3, 'before the first stage and after the last')
  assert.match(readFileSync(join(root, 'short/report.html'), 'utf8'), 'far too short to learn')
  const long = await cli([...words, 'long'])
  assert.not.match(long.err, 'too short')
  assert.not.match(readFileSync(join(root, 'long/report.html'), 'utf8'), 'too short')
})

test('run: changed code is refused by the name of its file, and gone on with where that is asked for', async () => {
  const file = join(root, 'ruled.ts')
  const rule = join(root, 'rule.ts')
  writeFileSync(rule, 'export const rule = 1\n')
  writeFileSync(
    file,
    `import { of } from 'rxjs'
import { rule } from './rule'
import tiny from ${JSON.stringify(tiny)}
const { model } = tiny({ quick: true, seed: 0, settings: {}, setting: { number: (_, n) => n, integer: (_, n) => n } })
export default {
  name: 'ruled', seed: 0, model, families: [], recipe: { name: 'r' },
  run: () => of({ type: 'run-finished', seconds: rule }),
}
`,
  )
  const words = ['run', file, '--engine', 'onnx', '--out', 'ruled']
  const first = await cli(words)
  assert.is(first.code, 0, first.err)
  assert.is((await cli(words)).code, 0)
  writeFileSync(rule, 'export const rule = 2\n')
  const changed = await cli(words)
  assert.is(changed.code, 2)
  assert.match(changed.err, '\n  rule.ts: changed\n')
  assert.match(changed.err, 'go on all the same with --allow-changed-code')
  const allowed = await cli([...words, '--allow-changed-code'])
  assert.is(allowed.code, 0, allowed.err)
  assert.match(readFileSync(join(root, 'ruled/report.html'), 'utf8'), 'rule.ts: changed')
})

test('run: one that fails says so, keeps what was done, and goes on from there', async () => {
  // as a user has it, with types: a message names its lines
  const file = join(experiments, 'tiny.ts')
  const words = ['run', file, '--engine', 'onnx', '--out', 'fails']
  const { code, out, err } = await cli([...words, '--set', 'fail=5'])
  assert.is(code, 1)
  assert.is(out, '')
  assert.match(err, 'this step was told to fail')
  assert.match(err, /at .*tiny\.ts:\d+/)
  assert.match(err, 'What was done is in fails, its report is fails/report.html')
  assert.match(err, `To go on: ${called()} run ${file} --engine onnx --out fails --set fail=5 (with --allow-`)
  assert.match(readFileSync(join(root, 'fails/report.html'), 'utf8'), 'stopped on an error')
  assert.not.ok(existsSync(join(root, 'fails/lock.json')))
  const more = await cli(words)
  assert.is(more.code, 0, more.err)
  const run = await readRun(join(root, 'fails'))()
  assert.ok(E.isRight(run))
  const types = run.right.events.filter((e) => e.type === 'stage-started').map((e) => e.stage)
  assert.equal(types, ['first', 'second', 'second'])
  assert.match(more.err, /first .*\nsecond /)
  assert.match(more.err, 'this start took 3.0 s')
})

test('run: one that fails before anything was trained leaves no folder, and can be begun again there', async () => {
  const file = join(root, 'weightless.ts')
  writeFileSync(
    file,
    `import { throwError } from 'rxjs'
import tiny from ${JSON.stringify(tiny)}
export default (options) => ({ ...tiny(options), run: () => throwError(() => new Error('no such weights')) })
`,
  )
  const words = ['run', file, '--engine', 'onnx', '--out', 'unbegun']
  const { code, err } = await cli(words)
  assert.is(code, 1)
  assert.match(err, 'no such weights')
  assert.match(err, '\nNothing was trained, and no run folder is left.')
  assert.not.ok(existsSync(join(root, 'unbegun')))
})

test('run: what is wrong with a file is said, with what to do', async () => {
  const near = await cli(['run', join(experiments, 'tny.ts')])
  assert.is(near.code, 2)
  assert.match(near.err, /there is no file .*tny\.ts\. Did you mean '.*tiny\.ts'\?/)
  assert.match((await cli(['run', 'nowhere/x.ts'])).err, 'the folder nowhere does not exist')
  assert.match((await cli(['run', experiments])).err, 'is a folder')
  writeFileSync(join(root, 'notes.txt'), '')
  assert.match((await cli(['run', 'notes.txt'])).err, 'in a file that ends in .ts')
  const none = await cli(['run', join(experiments, 'no-default.ts')])
  assert.is(none.code, 1)
  assert.match(none.err, /has no default export.*It exports experiment/)
  assert.match(
    (await cli(['run', join(experiments, 'wrong-default.ts')])).err,
    'it needs name, model and run',
  )
  assert.match(
    (await cli(['run', join(experiments, 'throws.ts')])).err,
    /Cannot read properties[\s\S]*at .*throws\.ts:3/,
  )
  writeFileSync(join(root, 'imports.ts'), "import 'no-such-package'\nexport default {}\n")
  assert.match((await cli(['run', 'imports.ts'])).err, "Cannot find package 'no-such-package'")
  // a module, whatever the folder says: this one has no package.json
  writeFileSync(join(root, 'awaits.ts'), 'const x: number = await Promise.resolve(1)\nexport default { x }\n')
  assert.match((await cli(['run', 'awaits.ts'])).err, 'it needs name, model and run')
  const unread = await cli(['run', tiny, '--set', 'paec=3'])
  assert.is(unread.code, 2)
  assert.match(unread.err, "asks for no setting 'paec'")
})

/** Whether a run has told of a step. */
const stepped = (folder: string, stage: string, step: number): boolean => {
  const file = join(folder, 'events.jsonl')
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []
  return lines
    .map((l) => JSON.parse(l) as RunEvent)
    .some((e) => e.type === 'step' && e.stage === stage && e.step === step)
}

test('run: an interrupt ends it with 130, a report, and the words that go on', async () => {
  const folder = join(root, 'stopped')
  const { child, ended, said } = spawned([
    'run',
    tiny,
    '--engine',
    'onnx',
    '--set',
    'hold=4',
    '--out',
    folder,
  ])
  // the second stage never goes past its fourth step, so that the run is there whenever the signal comes
  while (!/stage 2\/2/.test(said()) || !stepped(folder, 'second', 3)) {
    assert.is(child.exitCode, null, said())
    await new Promise((go) => setTimeout(go, 20))
  }
  const second = await cli(['run', tiny, '--engine', 'onnx', '--out', folder])
  assert.is(second.code, 1)
  assert.match(
    second.err,
    `process ${child.pid} on this host (${hostname()}) has been writing this run since`,
  )
  assert.match(second.err, 'or choose another folder with --out')
  assert.is((await cli(['report', folder])).code, 0, 'reading needs no lock')
  child.kill('SIGINT')
  const { code, err, out } = await ended
  assert.is(code, 130, err)
  assert.is(out, '')
  assert.not.ok(existsSync(join(folder, 'lock.json')))
  assert.match(err, /stopped in stage 2 of 2, second, after step 3 of 12\./)
  assert.match(err, `To go on: ${called()} run ${tiny} --engine onnx --set hold=4 --out ${folder}`)
  assert.ok(existsSync(join(folder, 'report.html')))
  const more = await cli(['run', tiny, '--engine', 'onnx', '--out', folder])
  assert.is(more.code, 0, more.err)
})

test('run: killed inside a stage and started again, it ends with the bits of a run that was not', async () => {
  const weights = (folder: string): Buffer =>
    readFileSync(join(root, folder, 'checkpoints/tune/model.safetensors'))
  const whole = await cli(['run', trained, '--engine', 'onnx', '--out', 'not-killed'])
  assert.is(whole.code, 0, whole.err)

  const folder = join(root, 'killed')
  const told = (): readonly RunEvent[] => {
    const file = join(folder, 'events.jsonl')
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []
    return lines.map((l) => JSON.parse(l))
  }
  const words = ['run', trained, '--engine', 'onnx', '--out', folder, '--checkpoint-every', '5']
  const { child, ended, said } = spawned([...words, '--set', 'pace=20', '--set', 'hold=40'])
  while (!told().some((e) => e.type === 'step' && e.stage === 'tune' && e.step === 12)) {
    assert.is(child.exitCode, null, said())
    await new Promise((go) => setTimeout(go, 10))
  }
  child.kill('SIGKILL')
  await ended
  const before = told()
  assert.is(JSON.parse(readFileSync(join(folder, 'lock.json'), 'utf8')).pid, child.pid)
  assert.not.ok(existsSync(join(folder, 'checkpoints/tune/model.safetensors')))

  const more = await cli(words)
  assert.is(more.code, 0, more.err)
  const steps = told()
    .slice(before.length)
    .flatMap((e) => (e.type === 'step' ? [`${e.stage} ${e.step}`] : []))
  const from = before.findLast((e) => e.type === 'checkpointed')
  assert.ok(from?.type === 'checkpointed' && from.stage === 'tune' && [10, 15, 20].includes(from.step))
  assert.is(steps[0], `tune ${from.step + 1}`)
  assert.is(steps.at(-1), 'tune 24')
  assert.ok(weights('killed').equals(weights('not-killed')))
  const { programs, model } = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'))
  assert.equal(Object.keys(programs), ['warm', 'tune'])
  assert.is.not(programs.warm, programs.tune)
  assert.ok(model.config !== undefined)
  assert.not.ok(existsSync(join(folder, 'lock.json')))
})

test('a reader that goes away ends the program quietly', async () => {
  const { child, ended } = spawned(['summary', 'nano', '--json'])
  child.stdout.destroy()
  const { code, err } = await ended
  assert.is(code, 0)
  assert.is(err, '')
})

test('report: the path on stdout; a folder that is no run', async () => {
  await writeSyntheticRun(join(root, 'synthetic'))
  const { code, out } = await cli(['report', 'synthetic'])
  assert.is(code, 0)
  assert.is(out, `${join(root, 'synthetic', 'report.html')}\n`)
  const wrong = await cli(['report', '.'])
  assert.is(wrong.code, 2)
  assert.match(wrong.err, 'this is not a run folder')
})

test('engine install: engines, flags and sources that there are not are refused', async () => {
  assert.match((await cli(['engine', 'install', 'onnx'])).err, 'it comes with the package')
  assert.match((await cli(['engine', 'install', 'tensorflw'])).err, "Did you mean 'tensorflow'?")
  assert.match((await cli(['engine', 'install'])).err, '<engine> is missing')
  assert.is((await cli(['engine', 'install', 'torch'])).code, 2)
  const nowhere = await cli(['engine', 'install', 'tensorflow', '--from', './nowhere'])
  assert.is(nowhere.code, 2)
  assert.match(nowhere.err, /there is no file or folder '.*nowhere'/)
  // a flag of the other engine
  for (const [engine, flag, other] of [
    ['tensorflow', 'plugin', 'xla'],
    ['tensorflow', 'python', 'xla'],
    ['xla', 'compiler', 'tensorflow'],
  ] as const) {
    const { code, err } = await cli(['engine', 'install', engine, `--${flag}`, './nowhere'])
    assert.is(code, 2, err)
    assert.match(err, `--${flag} is for '${called()} engine install ${other}'; ${engine} takes none.`)
  }
})

test('doctor without measuring: one JSON object on stdout', async () => {
  const { code, out } = await cli(['doctor', '--no-measure', '--json'])
  assert.is(code, 0)
  const found = JSON.parse(out) as { engines: EngineFound[]; taken: { name: string } }
  assert.equal(
    found.engines.map((e) => e.name),
    ['tensorflow', 'onnx', 'xla'],
  )
  assert.ok(found.engines.find((e) => e.name === found.taken.name)?.loads)
  assert.match((await cli(['doctor', '--no-measure'])).out, /This machine[\s\S]*Engines[\s\S]*taken: /)
})

test('advice follows from what was found', () => {
  const here: MachineNow = {
    ...{ cpu: 'some', cores: 4, memory: 16, system: 'linux x64, kernel 6', node: 'v20.0.0' },
    ...{ load: 1, memoryBytes: 16e9, freeBytes: 8e9, gpus: [] },
  }
  const step = (samplesPerSecond: number) => ({
    ...{ model: 'nano', batch: 16, length: 128, firstStepSeconds: 1, steps: 9, losses: [] },
    ...{ stepSeconds: 16 / samplesPerSecond, samplesPerSecond },
  })
  const onnx: EngineFound = { name: 'onnx', loads: true, step: step(200) }
  const missing: EngineFound = { name: 'tensorflow', loads: false, problem: 'not installed' }
  const cpu: EngineFound = { name: 'tensorflow', loads: true, gpu: false, step: step(100) }
  assert.equal(adviceOf(here, [{ ...cpu, step: step(210) }, onnx], 'tensorflow'), [])
  assert.match(adviceOf(here, [missing, onnx], 'onnx').join(), `${called()} engine install tensorflow`)
  assert.match(adviceOf({ ...here, gpus: ['A GPU'] }, [cpu, onnx], 'tensorflow')[0]!, 'engine install xla')
  assert.match(adviceOf(here, [cpu, onnx], 'tensorflow').join(), 'onnx was 2.00 times as fast as tensorflow')
  const webgpu: EngineFound = { ...onnx, device: 'webgpu', gpu: true, step: step(900) }
  assert.match(
    adviceOf(here, [onnx, webgpu], 'onnx').join(),
    'onnx on webgpu was 4.50 times as fast as onnx: ',
  )
  assert.match(adviceOf(here, [onnx, webgpu], 'onnx').join(), '--engine onnx --device webgpu')
  assert.equal(adviceOf(here, [onnx, webgpu], 'onnx on webgpu'), [])
  assert.equal(adviceOf(here, [onnx, { ...webgpu, differs: 0.01 }], 'onnx'), [])
  assert.match(adviceOf({ ...here, load: 9 }, [onnx], 'onnx').join(), 'load 9.0 on 4 cores')
  assert.match(adviceOf({ ...here, freeBytes: 1e9 }, [onnx], 'onnx').join(), 'Only 1.00 GB')
  assert.match(adviceOf(here, [missing], undefined)[0]!, 'No engine loads')
})

test('wrapped text loses no word; printed words can be pasted', () => {
  fc.assert(
    fc.property(fc.lorem({ maxCount: 30 }), fc.integer({ min: 10, max: 60 }), (text, columns) => {
      const lines = wrap(text, columns)
      assert.is(lines.join(' '), text)
      assert.ok(lines.every((l) => l.length <= columns || !l.includes(' ')))
    }),
  )
  assert.equal(['a.ts', "it's", 'a b', '$x', ''].map(shellWord), [
    'a.ts',
    "'it'\\''s'",
    "'a b'",
    "'$x'",
    "''",
  ])
  assert.is(relative(root, join(root, 'x')), 'x')
  assert.match(commandHelp(runCommand, { colour: true, columns: 80 }), '\x1b[1mUsage')
})

test('each error has its exit code', async () => {
  const { exitCodeOf } = await import('../../src/cli/command.ts')
  const tags: readonly CliError['_tag'][] = ['Usage', 'Failed', 'Interrupted']
  assert.equal(
    tags.map((_tag) => exitCodeOf({ _tag, message: '' })),
    [2, 1, 130],
  )
})

test.run()
