/** The examples, run and compiled as a user does, against the sources instead of the built package. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

const test = suite('examples')
const root = fileURLToPath(new URL('../../', import.meta.url))
const example = (name: string): string => readFileSync(join(root, 'examples', name), 'utf8')

let folder = ''
test.before(() => {
  folder = mkdtempSync(join(tmpdir(), 'sailwright-examples-'))
  mkdirSync(join(folder, 'wrong'))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      extends: join(root, 'tsconfig.json'),
      compilerOptions: {
        paths: { 'sailwright/*': [join(root, 'src', '*', 'index.ts')] },
        typeRoots: [join(root, 'node_modules', '@types')],
      },
      include: ['wrong'],
    }),
  )
})
test.after(() => rmSync(folder, { recursive: true, force: true }))

interface Ended {
  readonly code: number
  readonly out: string
  readonly err: string
}

const node = async (...words: readonly string[]): Promise<Ended> => {
  const env = { ...process.env, TSX_TSCONFIG_PATH: join(folder, 'tsconfig.json'), NO_COLOR: '1' }
  return promisify(execFile)(process.execPath, words, { cwd: root, env }).then(
    ({ stdout, stderr }) => ({ code: 0, out: stdout, err: stderr }),
    (e) => ({ code: Number(e.code), out: String(e.stdout), err: String(e.stderr) }),
  )
}

test('hello-layer: summary, engine, and a loss that falls', async () => {
  const { code, out, err } = await node('--import', 'tsx', 'examples/hello-layer.ts', '100')
  assert.is(code, 0, err)
  assert.match(out, /hello +4,481/)
  assert.match(out, /blocks\.0…1 ×2 +block +batch 128 × hidden 32 +4,352/)
  assert.match(out, /scale +scale +batch 128 × hidden 32 +64/)
  assert.match(out, /^(tensorflow|onnxruntime-node) .*\(cpu|cuda|gpu.*\): /m)
  const losses = [...out.matchAll(/^step (\d+): loss (\d+\.\d+)$/gm)].map((m) => [Number(m[1]), Number(m[2])])
  assert.equal(
    losses.map(([step]) => step),
    [1, 20, 40, 60, 80, 100],
  )
  assert.ok(losses.at(-1)![1]! < losses[0]![1]! / 5, out)
})

test('hello-layer: the mistake that it speaks of is an error of the compiler that names both axes', async () => {
  const right = example('hello-layer.ts')
  const wrong = right.replace('d.mlp(Hidden, Hidden, Hidden)', 'd.mlp(Hidden, Hidden, Height)')
  assert.is.not(wrong, right)
  writeFileSync(join(folder, 'wrong', 'right.ts'), right)
  writeFileSync(join(folder, 'wrong', 'wrong.ts'), wrong)
  const { stdout } = await promisify(execFile)(
    join(root, 'node_modules', '.bin', 'tsc'),
    ['-p', folder, '--noEmit', '--pretty', 'false'],
    { cwd: folder },
  ).catch((e: { readonly stdout: string }) => e)
  const line = wrong.split('\n').findIndex((l) => l.includes("d.at('scale')")) + 1
  assert.match(stdout, new RegExp(`^wrong/wrong\\.ts\\(${line},`))
  assert.match(stdout, /Mismatch<readonly \["height"\], readonly \["hidden"\]>/)
  assert.not.match(stdout, /right\.ts/)
})

test('recipe: all five stages at a fiftieth of their size, a report at the end', async () => {
  const out = join(folder, 'recipe')
  const words = [
    'run',
    'examples/recipe.ts',
    '--engine',
    'onnx',
    '--set',
    'scale=0.02',
    '--out',
    out,
    '--json',
  ]
  const { code, out: said, err } = await node('bin/sailwright.js', ...words)
  assert.is(code, 0, err)
  const { stages } = JSON.parse(said) as { readonly stages: readonly { readonly stage: string }[] }
  assert.equal(
    stages.map((s) => s.stage),
    ['alignment-1', 'alignment-2', 'alignment-3', 'basic-pretraining', 'sft'],
  )
  assert.match(readFileSync(join(out, 'report.html'), 'utf8'), /basic-pretraining/)
})

test('ada-lrs: with and without the search, from the same rate over the same steps', async () => {
  type Event = { readonly type: string; readonly loss: number; readonly learningRate: number }
  const [searched, fixed] = [[], []] as [Event[], Event[]]
  for (const [search, events] of [
    ['on', searched],
    ['off', fixed],
  ] as const) {
    const out = join(folder, `search-${search}`)
    const rest = ['--engine', 'onnx', '--quick', '--set', `search=${search}`, '--out', out]
    const { code, err } = await node('bin/sailwright.js', 'run', 'examples/ada-lrs.ts', ...rest)
    assert.is(code, 0, err)
    for (const line of readFileSync(join(out, 'events.jsonl'), 'utf8').trim().split('\n'))
      events.push(JSON.parse(line))
    const report = readFileSync(join(out, 'report.html'), 'utf8')
    assert.is(report.includes('The search for the learning rate (AdaLRS)'), search === 'on')
  }
  const told = (events: readonly Event[]) => events.filter((e) => e.type === 'step')
  assert.is(told(searched).length, told(fixed).length)
  assert.equal(told(searched)[0]?.loss, told(fixed)[0]?.loss, 'the same weights and pictures')
  assert.is(told(searched)[0]?.learningRate, told(fixed)[0]?.learningRate)
  assert.ok(searched.some((e) => e.type === 'ada-lrs'))
  assert.not(fixed.some((e) => e.type === 'ada-lrs'))
})

test('the examples are short', () => {
  for (const name of ['hello-layer.ts', 'recipe.ts', 'ada-lrs.ts'])
    assert.ok(example(name).trimEnd().split('\n').length < 60, name)
})

test.run()
