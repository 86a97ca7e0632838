/** The examples, run and compiled as a user does, as the built package has them. */
import { execFile } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import sharp from 'sharp'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { elements, parametersOf, sizes } from '../../src/dsl/index.ts'
import { writeSafetensors } from '../../src/formats/safetensors.ts'
import { openCheckpoint } from '../../src/formats/safetensors-index.ts'
import { toPublished } from '../../src/models/config.ts'
import { qwen3Model } from '../../src/models/qwen3.ts'
import { fillNormal, keyOf } from '../../src/random/index.ts'
import { orThrow } from '../../src/train/task.ts'
import { commandIn, type Ended } from '../support/in-process.ts'
import { loader, moduleAt } from '../support/program.ts'
import { tiny } from '../support/tiny.ts'

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

/** A program among the examples, in a process of its own. */
const script = async (name: string, ...words: readonly string[]): Promise<Ended> => {
  const env = { ...process.env, TSX_TSCONFIG_PATH: join(folder, 'tsconfig.json'), NO_COLOR: '1' }
  const all = [...loader, moduleAt(`examples/${name}`), ...words]
  return promisify(execFile)(process.execPath, all, { cwd: root, env }).then(
    ({ stdout, stderr }) => ({ code: 0, out: stdout, err: stderr }),
    (e) => ({ code: Number(e.code), out: String(e.stdout), err: String(e.stderr) }),
  )
}

/** The command in this process: what one run has loaded serves the next. */
const cli = (words: readonly string[]): Promise<Ended> => commandIn(folder)(words, { cwd: root })

test('hello-layer: summary, engine, and a loss that falls', async () => {
  const { code, out, err } = await script('hello-layer.ts', '100')
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

test('custom-reward: four answers, their parts by name, and other weights from the command line', async () => {
  assert.ok(example('custom-reward.ts').split('\n').length <= 60)
  const worth = async (...words: readonly string[]) => {
    const { code, out, err } = await script('custom-reward.ts', ...words)
    assert.is(code, 0, err)
    return out.trim().split('\n')
  }
  const lines = await worth()
  assert.equal(
    lines.map((line) => line.split('  <think>')[0]!.replace(/ {2}\d+$/, '')),
    [
      '1.00  (answer 1.00, format 1.00, brief 1.00)',
      '0.90  (answer 1.00, format 1.00, brief 0.00)',
      '0.10  (answer 0.00, format 0.00, brief 1.00)',
      '0.20  (answer 0.00, format 1.00, brief 1.00)',
    ],
  )
  assert.equal(
    (await worth('brief=0.5,format=0')).map((line) => line.slice(0, 4)),
    ['1.30', '0.80', '0.50', '0.50'],
  )
  const { code, err } = await script('custom-reward.ts', 'breif=1')
  assert.is(code, 1)
  assert.match(err, /Did you mean 'brief'/)
})

test('recipe: all ten stages at a two hundredth of their size, a report at the end', async () => {
  const out = join(folder, 'recipe')
  const words = [
    'run',
    'examples/recipe.ts',
    '--engine',
    'onnx',
    '--set',
    'scale=0.005',
    '--out',
    out,
    '--json',
  ]
  const { code, out: said, err } = await cli(words)
  assert.is(code, 0, err)
  const { stages } = JSON.parse(said) as { readonly stages: readonly { readonly stage: string }[] }
  assert.equal(
    stages.map((s) => s.stage),
    [
      ...['alignment-1', 'alignment-2', 'alignment-3', 'basic-pretraining', 'sft', 'soup'],
      ...['longcot', 'verifiable-rl', 'think-fusion', 'mixed-rl'],
    ],
  )
  assert.match(readFileSync(join(out, 'report.html'), 'utf8'), /basic-pretraining/)
})

test('distill: half a nano learns from what the recipe left, and is written without the other half', async () => {
  const teacher = join(folder, 'recipe/checkpoints/soup')
  const out = join(folder, 'distill')
  const words = ['examples/distill.ts', '--engine', 'onnx', '--quick', '--set', `teacher=${teacher}`]
  const { code, err } = await cli(['run', ...words, '--set', 'steps=2', '--out', out])
  assert.is(code, 0, err)
  const keysOf = async (checkpoint: string) => (await orThrow(openCheckpoint(checkpoint))).keys
  const halved = (await keysOf(teacher)).filter((key) => !/\.layers\.[23]\./.test(key))
  assert.equal([...(await keysOf(join(out, 'checkpoints/distill')))].sort(), [...halved].sort())
})

test('moe: upcycled, calibrated, tuned; how evenly experts are used is measured and drawn', async () => {
  const out = join(folder, 'moe')
  const words = ['examples/moe.ts', '--engine', 'onnx', '--quick', '--set', 'steps=1', '--out', out, '--json']
  const { code, out: said, err } = await cli(['run', ...words])
  assert.is(code, 0, err)
  const { stages } = JSON.parse(said) as { readonly stages: readonly { readonly stage: string }[] }
  assert.equal(
    stages.map((s) => s.stage),
    ['language', 'alignment', 'calibration', 'sft'],
  )
  const page = readFileSync(join(out, 'report.html'), 'utf8')
  assert.match(page, /How much each expert is used/)
  assert.match(page, /pictures, layer 3/)
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
    const { code, err } = await cli(['run', 'examples/ada-lrs.ts', ...rest])
    assert.is(code, 0, err)
    for (const line of readFileSync(join(out, 'events.jsonl'), 'utf8').trim().split('\n'))
      events.push(JSON.parse(line))
    const report = readFileSync(join(out, 'report.html'), 'utf8')
    assert.is(report.includes('The search for the learning rate (AdaLRS)'), search === 'on')
  }
  const told = (events: readonly Event[]) => events.filter((e) => e.type === 'step')
  assert.is(told(searched).length, told(fixed).length)
  assert.equal(told(searched)[0]?.loss, told(fixed)[0]?.loss, 'the same weights and images')
  assert.is(told(searched)[0]?.learningRate, told(fixed)[0]?.learningRate)
  assert.ok(searched.some((e) => e.type === 'ada-lrs'))
  assert.not(fixed.some((e) => e.type === 'ada-lrs'))
})

/** Runs an example on data of a user's own: its stages, what was measured, what it said of bad rows. */
const ownRun = async (name: string, data: string, settings: Readonly<Record<string, string | number>>) => {
  const out = join(folder, `run-${name}`)
  const set = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`])
  const words = [
    'run',
    `examples/${name}`,
    '--engine',
    'onnx',
    '--data',
    data,
    ...set,
    '--out',
    out,
    '--json',
  ]
  const { code, out: said, err } = await cli(words)
  assert.is(code, 0, err)
  const { stages, badRows } = JSON.parse(said) as {
    readonly stages: readonly { readonly stage: string }[]
    readonly badRows: number
  }
  const events = readFileSync(join(out, 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  return {
    stages: stages.map((s) => s.stage),
    measured: events.filter((e) => e.type === 'evaluated'),
    losses: events.filter((e) => e.type === 'step').map((e) => Number(e.loss)),
    badRows,
    bad: events.filter((e) => e.type === 'bad-row' || e.type === 'bad-rows'),
    report: readFileSync(join(out, 'report.html'), 'utf8'),
    said: `${said}${err}`,
  }
}

test('text-sft: a folder in the layout of published models, chats of a file, bad ones named', async () => {
  const own = join(folder, 'Tiny-Qwen3')
  mkdirSync(own)
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    cpSync(join(root, 'assets/nano', name), join(own, name))
  writeFileSync(
    join(own, 'chat_template.jinja'),
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
  )
  const { language } = tiny
  writeFileSync(join(own, 'config.json'), JSON.stringify(toPublished({ kind: 'language', config: language })))
  const weights = [...parametersOf(qwen3Model('tiny', language).graph())].map(([key, { axes }]) => {
    const values = new Float32Array(elements(axes))
    fillNormal(values, 0.1, keyOf(0, key))
    return [key, { dtype: 'F32', shape: sizes(axes), values }] as const
  })
  await orThrow(writeSafetensors(join(own, 'model.safetensors'), new Map(weights)))
  const colours = ['red', 'green', 'blue']
  const chat = (i: number): unknown => ({
    messages: [
      { role: 'user', content: `Item ${i}: which colour comes ${i % 3}?` },
      { role: 'assistant', content: colours[i % 3] },
    ],
  })
  const lines = Array.from({ length: 60 }, (_, i) => JSON.stringify(i === 9 ? { messages: 5 } : chat(i)))
  const data = join(folder, 'chats.jsonl')
  writeFileSync(data, lines.join('\n'))
  const settings = { model: own, rows: 8, tokens: 64, steps: 30, rate: 0.02 }
  const { stages, measured, losses, said, bad, badRows, report } = await ownRun('text-sft.ts', data, settings)
  assert.equal(stages, ['sft'])
  assert.is(losses.length, 30)
  assert.ok(losses.at(-1)! < losses[0]! - 0.4, String(losses))
  assert.is(measured.length, 1)
  assert.ok(Number(measured[0]!.total) > 0)
  const [row, number] = bad
  assert.equal([bad.length, row!.file, row!.line, number!.count], [2, data, 10, 1])
  assert.match(said, /1 bad row was set aside:\n {2}\S*chats\.jsonl:10: its messages is 5/)
  assert.is(badRows, 1)
  assert.match(report, /Rows that were set aside[\s\S]*chats\.jsonl[\s\S]*its messages is 5/)
})

test('own-pictures: a folder of images with questions, bad ones named, held-out ones answered', async () => {
  const own = join(folder, 'images')
  mkdirSync(own)
  const colours = { red: '#c00', green: '#0a0', blue: '#00c' }
  const names = Object.keys(colours) as (keyof typeof colours)[]
  const lines: string[] = []
  for (let i = 0; i < 40; i++) {
    const answer = names[i % 3]!
    const file_name = `${i}.png`
    const made = { width: 30 + i, height: 50, channels: 3 as const, background: colours[answer] }
    await sharp({ create: made }).png().toFile(join(own, file_name))
    lines.push(JSON.stringify({ file_name, question: 'Which colour is it?', answer }))
  }
  lines.push(JSON.stringify({ file_name: 'none.png', question: 'Which?', answer: 'red' }))
  writeFileSync(join(own, 'metadata.jsonl'), lines.join('\n'))
  const { stages, measured, said } = await ownRun('own-pictures.ts', own, { rows: 4, scale: 0.02 })
  assert.equal(stages, ['aligned', 'tuned'])
  assert.is(measured.length, 2)
  assert.ok(Number(measured[1]!.total) > 0 && Number(measured[1]!.total) < 20)
  assert.match(said, /metadata\.jsonl:41: image .*none\.png: there is no such file/)
})

test('own-model: a Llama as transformers saved it, tuned on a few conversations', async () => {
  const [model, data, out] = [
    join(folder, 'llama'),
    join(folder, 'llama-chats.jsonl'),
    join(folder, 'own-model'),
  ]
  cpSync(join(root, 'test/fixtures/models/llama'), model, { recursive: true })
  rmSync(join(model, 'io.safetensors'))
  cpSync(join(root, 'test/fixtures/text/tokenizers/word-level.json'), join(model, 'tokenizer.json'))
  const chat = (i: number) => ({
    messages: [
      { role: 'user', content: `what is ${i}` },
      { role: 'assistant', content: `it is ${i}` },
    ],
  })
  writeFileSync(data, Array.from({ length: 6 }, (_, i) => `${JSON.stringify(chat(i))}\n`).join(''))
  const sets = [`model=${model}`, 'tokens=64', 'steps=3'].flatMap((s) => ['--set', s])
  const words = [
    'run',
    'examples/own-model.ts',
    '--engine',
    'onnx',
    '--data',
    data,
    ...sets,
    '--out',
    out,
    '--json',
  ]
  const none = await cli(['run', 'examples/own-model.ts', '--data', data])
  assert.is(none.code, 2)
  assert.match(none.err, "--set model is a folder with a config.json, and 'llama' has none")
  const { code, err } = await cli(words)
  assert.is(code, 0, err)
  const events = readFileSync(join(out, 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((l) => JSON.parse(l))
  const told = events.find((e) => e.type === 'weights')
  // 2 layers of 9 weights, the embedding, the last norm, the head: all from the file
  assert.equal([told.taken, told.fresh, told.unused], [21, [], []])
  assert.is(events.filter((e) => e.type === 'step' && e.loss > 0).length, 3)
})

test('classify: a folder of images of two colours, told apart on those that were held out', async () => {
  const [images, out] = [join(folder, 'coloured'), join(folder, 'classify')]
  mkdirSync(images)
  const rows = await Promise.all(
    Array.from({ length: 60 }, async (_, i) => {
      const [label, background] =
        i % 2 === 0 ? ['red', { r: 200 + (i % 50), g: i, b: 9 }] : ['blue', { r: 9, g: i, b: 220 }]
      const create = { width: 20 + i, height: 24, channels: 3, background } as const
      await sharp({ create })
        .png()
        .toFile(join(images, `${i}.png`))
      return { file_name: `${i}.png`, label }
    }),
  )
  writeFileSync(join(images, 'metadata.jsonl'), rows.map((r) => `${JSON.stringify(r)}\n`).join(''))
  const words = ['run', 'examples/classify.ts', '--engine', 'onnx', '--data', images, '--set', 'steps=20']
  const { code, out: said, err } = await cli([...words, '--out', out, '--json'])
  assert.is(code, 0, err)
  const { stages } = JSON.parse(said)
  const { family, correct, total } = stages[0].families[0]
  assert.is(family, 'images')
  assert.ok(total > 4 && total < 20, `${total} are held out`)
  assert.ok(correct >= total - 1, `${correct} of ${total}`)
})

test('any-resolution: wide, tall and square images through three stages', async () => {
  const out = join(folder, 'any-resolution')
  const set = ['--set', 'scale=0.002', '--set', 'encoder=both']
  const words = ['run', 'examples/any-resolution.ts', '--engine', 'onnx', ...set, '--out', out, '--json']
  const { code, out: said, err } = await cli(words)
  assert.is(code, 0, err)
  const { stages } = JSON.parse(said) as {
    readonly stages: readonly { readonly families: readonly { readonly family: string }[] }[]
  }
  assert.equal(
    stages.map(({ families }) => families.map(({ family }) => family)),
    ['alignment-1', 'alignment-2', 'alignment-3'].map(() => ['square', 'wide', 'tall']),
  )
})

test('several-images: one image is described, then several are compared, and each is in the report', async () => {
  const out = join(folder, 'several')
  const words = ['examples/several-images.ts', '--engine', 'onnx', '--quick', '--set', 'steps=2']
  const { code, err, out: said } = await cli(['run', ...words, '--out', out, '--json'])
  assert.is(code, 0, err)
  const { stages } = JSON.parse(said) as {
    readonly stages: readonly {
      readonly stage: string
      readonly families: readonly { readonly family: string }[]
    }[]
  }
  assert.equal(
    stages.map((s) => [s.stage, ...s.families.map(({ family }) => family)]),
    [
      ['align', 'differs', 'changes'],
      ['several', 'differs', 'changes'],
    ],
  )
  assert.match(readFileSync(join(out, 'report.html'), 'utf8'), /image 3 of [34] of the family changes/)
})

test('the examples are short', () => {
  for (const name of [
    'any-resolution.ts',
    'hello-layer.ts',
    'recipe.ts',
    'ada-lrs.ts',
    'text-sft.ts',
    'finetune.ts',
    'own-pictures.ts',
    'several-images.ts',
    'own-model.ts',
    'classify.ts',
    'distill.ts',
    ...readdirSync(join(root, 'examples/recipe')).map((name) => `recipe/${name}`),
  ])
    assert.ok(example(name).trimEnd().split('\n').length < 60, name)
})

test('they compile in a project that tells what is absent from what is undefined', async () => {
  const tsconfig = join(folder, 'exact.json')
  writeFileSync(
    tsconfig,
    JSON.stringify({
      extends: join(folder, 'tsconfig.json'),
      compilerOptions: {
        exactOptionalPropertyTypes: true,
        // declarations, as the package has them
        paths: { 'sailwright/*': [join(root, 'dist', 'src', '*', 'index.d.ts')] },
      },
      include: [join(root, 'examples')],
    }),
  )
  const tsc = join(root, 'node_modules', '.bin', 'tsc')
  const { stdout } = await promisify(execFile)(tsc, ['-p', tsconfig, '--pretty', 'false']).catch(
    (e: { readonly stdout: string }) => e,
  )
  assert.is(stdout, '')
})

test.run()
