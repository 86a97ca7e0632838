/** `sailwright chat` and `sailwright serve`: what a run trained, asked in the terminal and over HTTP. */
import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { OpenAI } from 'openai'
import { lastValueFrom, toArray } from 'rxjs'
import sharp from 'sharp'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Io } from '../../src/cli/command.ts'
import { main } from '../../src/cli/main.ts'
import { write } from '../../src/cli/talk.ts'
import { conversation, processor } from '../../src/data/index.ts'
import { tensorValue } from '../../src/engine/index.ts'
import { serverPolicy } from '../../src/rl/index.ts'
import { nanoTokenizer } from '../../src/tasks/index.ts'
import { loadWeights, orThrow, saveWeights } from '../../src/train/index.ts'
import { cpuPlugin } from '../support/cpu-plugin.ts'
import { moduleAt } from '../support/program.ts'
import { tinyModel } from '../support/tiny.ts'
import { until } from '../support/until.ts'

const test = suite('chat and serve')
const root = mkdtempSync(join(tmpdir(), 'sailwright-chat-'))
const experiment = moduleAt('test/support/experiments/exported.ts')
const children: ChildProcess[] = []
test.after(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(root, { recursive: true, force: true })
})

/** The command in this process; `typed` are the lines that a person types, each when it is asked for. */
const cli = async (words: readonly string[], typed?: readonly (string | (() => void))[]) => {
  const [out, err]: [string[], string[]] = [[], []]
  const left = [...(typed ?? [])]
  const acts = new Set<() => void>()
  let onOut = (): void => undefined
  const io: Io = {
    stdout: {
      write: (t) => {
        out.push(t)
        onOut()
      },
    },
    stderr: { write: (t) => err.push(t) },
    env: { XDG_CACHE_HOME: join(root, 'cache') },
    cwd: root,
    onInterrupt: () => () => undefined,
    ...(typed === undefined
      ? {}
      : {
          lines: () => ({
            next: async () => {
              const line = left.shift()
              if (typeof line !== 'string') {
                // the next answer is interrupted at its first words
                onOut = () => {
                  onOut = () => undefined
                  for (const act of [...acts]) act()
                }
                return left.shift() as string | undefined
              }
              return line
            },
            onInterrupt: (act) => {
              acts.add(act)
              return () => acts.delete(act)
            },
            close: () => undefined,
          }),
        }),
  }
  const code = await main(words, io)
  return { code, out: out.join(''), err: err.join('') }
}
const onnx = ['--engine', 'onnx']

test.before(async () => {
  for (const [kind, steps] of [
    ['text', 200],
    ['joined', 3],
    ['own', 1],
  ] as const) {
    const words = [
      'run',
      experiment,
      ...onnx,
      '--set',
      `kind=${kind}`,
      '--set',
      `steps=${steps}`,
      '--out',
      kind,
    ]
    const { code, err } = await cli(words)
    assert.is(code, 0, err)
  }
  const image = sharp({ create: { width: 20, height: 30, channels: 3, background: 'red' } })
  writeFileSync(join(root, 'red.png'), await image.png().toBuffer())
})

/** The command in a process of its own. */
const started = (...words: readonly string[]) => {
  const child = spawn(process.execPath, [resolve('bin/sailwright.js'), ...words], { cwd: root })
  children.push(child)
  const said = { out: '', err: '' }
  child.stdout.on('data', (d) => {
    said.out += d
  })
  child.stderr.on('data', (d) => {
    said.err += d
  })
  const ended = new Promise<number | null>((done) => child.on('close', (code) => done(code)))
  return { child, said, ended }
}

test('one message gets one answer: of a run, a checkpoint, its averages, and what was exported of it', async () => {
  for (const model of ['text', 'text/checkpoints/tune']) {
    const { code, out, err } = await cli(['chat', model, ...onnx, '--message', 'say 3'])
    assert.equal([code, out], [0, '3\n'], err)
  }
  assert.is((await cli(['chat', 'text', ...onnx, '--ema', '--message', 'say 2'])).out, '2\n')
  assert.is((await cli(['export', 'text', '--hf', '--out', 'folder'])).code, 0)
  const { code, out, err } = await cli(['chat', 'folder', ...onnx, '--message', 'say 3'])
  assert.equal([code, out], [0, '3\n'], err)
  assert.not.match(err, 'not read')
  // another folder may have weights beside the model's own
  const file = join(root, 'folder/model.safetensors')
  const more = new Map(await orThrow(loadWeights(file))).set('probe.weight', tensorValue('float32', [1], [2]))
  await orThrow(saveWeights(file, more, {}))
  const beside = await cli(['chat', 'folder', ...onnx, '--message', 'say 3'])
  assert.equal([beside.code, beside.out], [0, '3\n'], beside.err)
  assert.match(beside.err, 'not read, because the model has no place for it: probe.weight')
})

test('several turns, each with those before; what cannot be answered was not said', async () => {
  const lines = [
    'say 3',
    '',
    'say 1',
    '/what',
    '/picture red.png',
    'say 2',
    '/new',
    'say 4',
    '/exit',
    'say 0',
  ]
  const { code, out, err } = await cli(['chat', 'text', '--weights', 'stored', '--max-tokens', '4'], lines)
  assert.is(code, 0, err)
  const answers = out.trim().split('\n')
  assert.is(answers.length, 3)
  assert.equal([answers[0], answers[2]], ['3', '4'])
  assert.match(err, '--weights stored: none is stored in bfloat16, so that all lie in float32')
  // it alone holds weights in 16 bits
  assert.match(err, 'the weights after stage tune of text, on onnx')
  assert.match(err, '/picture <file>')
  assert.match(err, 'reads text alone')
})

test('an answer that is stopped ends, and the talk goes on', async () => {
  const stop = (): void => undefined
  const words = ['chat', 'joined', ...onnx, '--temperature', '1', '--picture', 'red.png']
  const { code, out, err } = await cli(words, [stop, 'what', 'what', '/exit'])
  assert.is(code, 0, err)
  assert.is(err.split('(stopped)').length, 2)
  assert.ok(out.length > 0)
})

test('what would steer a terminal is shown as a mark there', () => {
  const said = (isTTY: boolean): string => {
    let out = ''
    const sink = { isTTY, write: (t: string) => (out += t) }
    write({ stdout: sink } as unknown as Io, 'a\u001b[2J\tb\n\u0007\u009b')
    return out
  }
  assert.is(said(true), 'a\u00b7[2J\tb\n\u00b7\u00b7')
  assert.is(said(false), 'a\u001b[2J\tb\n\u0007\u009b')
})

test('a picture is seen: its tokens are in the prompt, and too many or too long are refused', async () => {
  const asked = ['chat', 'joined', ...onnx, '--message', 'what', '--max-tokens', '3']
  const { code, err } = await cli([...asked, '--picture', 'red.png'])
  assert.is(code, 0, err)
  assert.match(err, '(cut off: --max-tokens is 3)')
  const none = await cli([...asked, '--picture', 'no.png'])
  assert.equal([none.code, none.out], [1, ''])
  assert.match(none.err, 'there is no such file')
  const many = await cli([...asked, '--images', '1', '--picture', 'red.png', '--picture', 'red.png'])
  assert.match(many.err, 'there are 2 pictures, and room for 1; raise --images')
  const long = await cli([...asked, '--context', '24', '--picture', 'red.png'])
  assert.match(
    long.err,
    /what was said has \d+ tokens, and with the answer it may have 24; shorten it, or raise --context/,
  )
})

test('a published model sees a picture in the tiles that its config.json says, and a video; there is room for them', async () => {
  assert.is((await cli(['export', 'joined', '--hf', '--out', 'seeing'])).code, 0)
  const file = join(root, 'seeing', 'config.json')
  const config = JSON.parse(readFileSync(file, 'utf8'))
  const wide = sharp({ create: { width: 600, height: 100, channels: 3, background: 'red' } })
  writeFileSync(join(root, 'wide.png'), await wide.png().toBuffer())
  mkdirSync(join(root, 'frames'))
  for (let i = 0; i < 16; i++) cpSync(join(root, 'red.png'), join(root, 'frames', `${i}.png`))
  const asked = ['chat', 'seeing', ...onnx, '--message', 'what', '--max-tokens', '2']
  const tokens = async (picture: string): Promise<number> => {
    const few = await cli([...asked, '--context', '12', '--picture', picture])
    return Number(/what was said has (\d+) tokens/.exec(few.err)![1])
  }
  const one = await tokens('wide.png')
  writeFileSync(
    file,
    JSON.stringify({ ...config, dynamic_image_size: true, max_dynamic_patch: 6, use_thumbnail: true }),
  )
  // six tiles and the whole
  assert.is((await tokens('wide.png')) - one, 6 * tinyModel.image.tokens)
  for (const picture of ['wide.png', 'frames']) {
    const { code, err } = await cli([...asked, '--picture', picture])
    assert.equal([code, err.trim()], [0, '(cut off: --max-tokens is 2)'], picture)
  }
})

test('what cannot work is said before anything is loaded', async () => {
  const said = async (code: number, ...words: readonly string[]) => {
    const got = await cli(words)
    assert.is(got.code, code, got.err)
    return got.err
  }
  assert.match(await said(1, 'chat', 'own', '--message', 'a'), 'writes no text')
  assert.match(await said(1, 'serve', 'own'), 'writes no text')
  assert.match(
    await said(2, 'serve', 'own', '--port', '65536'),
    '--port is an integer from 0 to 65535, and not',
  )
  assert.match(await said(2, 'chat', 'nothing', '--message', 'a'), 'there is no folder nothing')
  assert.match(
    await said(2, 'chat', 'text', '--message', 'a', '--devices', '2'),
    '--devices 2: what devices share are rows, and one conversation is one row',
  )
  assert.match(
    await said(2, 'serve', 'text', '--rows', '8', '--devices', '3'),
    '--devices 3: it does not divide the 8 rows that are answered at a time',
  )
  assert.match(await said(2, 'serve', 'text', ...onnx, '--devices', '2'), 'is for the engine xla')
  assert.match(
    await said(2, 'serve', 'text', '--weights', 'stored', '--devices', '2'),
    '--weights stored is for the engine onnx, and --devices 2 for xla',
  )
  assert.match(
    await said(2, 'chat', 'text', '--message', 'a', '--picture', 'red.png'),
    /--picture red\.png: the model of .* reads text alone; leave it out\./,
  )
  for (const words of [
    ['chat', 'text', '--message', 'a'],
    ['serve', 'text', '--port', '0'],
  ]) {
    const err = await said(1, ...words, ...onnx, '--context', '100000000000')
    assert.match(err, /its states take [\d.]+ GiB, and there are [\d.]+ GiB; the largest is 'cache\./)
    assert.match(err, /: --context is 100000000000/)
    assert.not.match(err, /ompil/)
  }
  assert.match(await said(2, 'chat', 'text'), 'give --message')
  for (const odd of ['hot', '0x1', ' 1', ''])
    assert.match(
      await said(2, 'chat', 'text', '--message', 'a', `--temperature=${odd}`),
      odd === '' ? '--temperature needs' : `a number from 0 to 100, and not '${odd}'`,
    )
  for (const filter of ['--top-p', '--top-k', '--min-p'])
    assert.match(
      await said(2, 'chat', 'text', '--message', 'a', filter, '1'),
      `${filter} is of drawing tokens, and the likeliest is taken`,
    )
  assert.match(await said(1, 'chat', 'text', ...onnx, '--message', 'a', '--think'), 'no tokens for a thought')
})

test('in a process: lines from a pipe, Ctrl-C while nothing is answered, and one for a message', async () => {
  const talk = started('chat', 'text', ...onnx)
  await until(() => talk.said.err.includes('/exit ends.'))
  talk.child.kill('SIGINT')
  await until(() => talk.said.err.includes('/exit ends the chat.'))
  talk.child.stdin.write('say 3\n')
  await until(() => talk.said.out.includes('\n'))
  talk.child.stdin.end('/exit\n')
  assert.is(await talk.ended, 0)
  assert.is(talk.said.out, '3\n')
})

test('served: the openai client and a policy ask it; Ctrl-C ends it', async () => {
  const server = started('serve', 'text', ...onnx, '--port', '0', '--json', '--name', 'judge')
  await until(() => server.said.out.includes('}'))
  const { baseURL, model, engine } = JSON.parse(server.said.out)
  assert.equal([model, engine], ['judge', 'onnx'])
  const client = new OpenAI({ baseURL, apiKey: 'none' })
  const messages = [{ role: 'user' as const, content: 'say 3' }]
  const { choices } = await client.chat.completions.create({ model, messages, temperature: 0 })
  assert.is(choices[0]!.message.content, '3')
  const p = processor(nanoTokenizer())
  const policy = serverPolicy({ baseURL, model, processor: p, transport: 'tokens' })
  const requests = Array.from({ length: 20 }, (_, i) => ({
    ...{ task: `${i}`, sample: 0 },
    prompt: conversation(p, { id: `${i}`, request: `say ${i % 5}`, answer: '' }),
  }))
  const drawn = await lastValueFrom(
    policy.sample(requests, { maxNewTokens: 8, temperature: 0 }).pipe(toArray()),
  )
  assert.is(drawn.length, 20)
  for (const c of drawn) assert.is(c.text, `${Number(c.task) % 5}`)
  server.child.kill('SIGINT')
  assert.is(await server.ended, 130)
})

const plugin = await cpuPlugin()
if (plugin !== undefined)
  test('served over two devices: the rows are dealt out, and the answers are those of one', async () => {
    process.env.SAILWRIGHT_XLA_PLUGIN = plugin
    const words = ['--devices', '2', '--rows', '4', '--context', '32', '--port', '0', '--json']
    const server = started('serve', 'text', ...words)
    await until(() => server.said.out.includes('}') || server.child.exitCode !== null)
    assert.match(server.said.out, 'baseURL', server.said.err)
    const { baseURL, model, engine } = JSON.parse(server.said.out)
    assert.is(engine, 'xla')
    const client = new OpenAI({ baseURL, apiKey: 'none' })
    const said = await Promise.all(
      [0, 1, 2, 3, 4].map((i) =>
        client.chat.completions.create({
          ...{ model, temperature: 0 },
          messages: [{ role: 'user' as const, content: `say ${i}` }],
        }),
      ),
    )
    assert.equal(
      said.map(({ choices }) => choices[0]!.message.content),
      ['0', '1', '2', '3', '4'],
    )
    server.child.kill('SIGINT')
    assert.is(await server.ended, 130)
  })
else test.skip('there is no plugin for this processor', () => undefined)

test('served: a port that is in use', async () => {
  const other = createServer()
  await new Promise<void>((done) => other.listen(0, '127.0.0.1', done))
  const { port } = other.address() as { port: number }
  const { code, err } = await cli(['serve', 'text', ...onnx, '--port', `${port}`])
  other.close()
  assert.is(code, 1)
  assert.match(err, `port ${port} of 127.0.0.1 is in use by another program; choose another port`)
})

test.run()
