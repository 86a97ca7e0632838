/** What the user reads where axes do not fit: from the compiler, and, where only sizes differ, while the graph is built. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { pipe } from 'fp-ts/lib/function.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add,
  andThen,
  at,
  axis,
  broadcast,
  causal,
  concat,
  contract,
  embedding,
  exp,
  GraphError,
  gather,
  head,
  input,
  layer,
  less,
  linear,
  max,
  mean,
  merge,
  mul,
  named,
  type Program,
  parameter,
  parametersOf,
  program,
  rename,
  repeat,
  reshape,
  residual,
  rmsNorm,
  scatterAdd,
  select,
  selfAttention,
  softmax,
  splitAxis,
  sum,
  type Tensor,
  tied,
  uniform,
} from '../../src/dsl/index.ts'
import { nano } from '../../src/models/presets.ts'
import { qwen3 } from '../../src/models/qwen3.ts'
import { moduleAt } from '../support/program.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const here = fileURLToPath(import.meta.url)
const types = suite('dsl: what the compiler says')

/** A message of the compiler: where it stands, and all its lines. */
interface Diagnostic {
  readonly file: string
  readonly line: number
  readonly text: string
}

/** Runs the compiler over files in a folder outside the repository; `import` paths into the repository are made absolute. */
const compile = async (sources: Readonly<Record<string, string>>): Promise<readonly Diagnostic[]> => {
  const folder = mkdtempSync(join(tmpdir(), 'sailwright-types-'))
  try {
    for (const [name, text] of Object.entries(sources))
      writeFileSync(
        join(folder, name),
        text
          .replaceAll("'../../src/", `'${join(root, 'src')}/`)
          .replaceAll("'fp-ts/", `'${join(root, 'node_modules', 'fp-ts')}/`),
      )
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        extends: join(root, 'tsconfig.json'),
        compilerOptions: {
          typeRoots: [join(root, 'node_modules', '@types')],
          rewriteRelativeImportExtensions: false,
          noUnusedLocals: false,
          noUnusedParameters: false,
        },
        include: ['*.ts'],
      }),
    )
    const compiler = join(root, 'node_modules', '.bin', 'tsc')
    const { stdout } = await promisify(execFile)(compiler, ['-p', folder, '--noEmit', '--pretty', 'false'], {
      cwd: folder,
    }).catch((e: { readonly stdout?: string }) => ({ stdout: String(e.stdout ?? e) }))
    return stdout
      .split(/\n(?=\S)/)
      .map((text) => ({ text, at: /^(.+?)\((\d+),\d+\): /.exec(text) }))
      .filter(({ text }) => text.trim() !== '')
      .map(({ text, at }) => ({ text, file: at?.[1] ?? '', line: Number(at?.[2]) }))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const source = (name: string): string => readFileSync(join(root, 'test', 'types', name), 'utf8')
const directive = /^\s*\/\/ @ts-expect-error (.*)$/

const wrong = source('wrong.ts')
const lines = wrong.split('\n')
const diagnostics = await compile({
  'right.ts': source('right.ts'),
  'marked.ts': wrong,
  'wrong.ts': lines.map((l) => (directive.test(l) ? '//' : l)).join('\n'),
})

types('what is right compiles, and every marked line is an error', () => {
  assert.equal(
    diagnostics.filter((d) => d.file !== 'wrong.ts').map((d) => d.text),
    [],
  )
  assert.ok(diagnostics.length >= 30)
})

for (const [i, l] of lines.entries()) {
  const says = directive.exec(l)?.[1]?.split(' · ')
  if (says === undefined) continue
  types(`line ${i + 1}: ${lines[i + 1]!.trim()}`, () => {
    const found = diagnostics.filter((d) => d.file === 'wrong.ts' && d.line === i + 2)
    assert.is(found.length, 1, 'one message at the marked line')
    for (const part of says)
      assert.ok(found[0]!.text.includes(part), `the message says ${part}:\n${found[0]!.text}`)
  })
}

types('one mistake is one message: nothing but the marked lines is reported', () => {
  const marked = new Set(lines.flatMap((l, i) => (directive.test(l) ? [i + 2] : [])))
  const other = diagnostics.filter((d) => d.file === 'wrong.ts' && !marked.has(d.line))
  assert.equal(
    other.map((d) => d.text),
    [],
  )
})

types.run()

// --- sizes, while the graph is built ----------------------------------------------------------------------------

const build = suite('dsl: errors while a graph is built')

const Batch = axis('batch', 2)
const Token = axis('token', 4)
const Embed = axis('embed', 8)
const Wide = axis('embed', 9)
const x = input('x', [Batch, Token, Embed])

const failing = (make: () => unknown): GraphError => {
  try {
    make()
  } catch (e) {
    assert.instance(e, GraphError)
    return e as GraphError
  }
  throw new Error('it was built')
}

/** The line of this file on which the marker stands. */
const lineOf = (marker: string): number =>
  readFileSync(here, 'utf8')
    .split('\n')
    .findIndex((l) => l.includes(`// ${marker}`)) + 1

const points = (e: GraphError, marker: string): void => {
  assert.ok(e.where.startsWith(`${here}:${lineOf(marker)}:`), `${e.where}, not line ${lineOf(marker)}`)
  assert.ok(e.message.endsWith(`\n  at ${e.where}`), e.message)
}

const sized = (e: GraphError, ...axes: readonly (readonly [string, number])[]): void => {
  assert.is(e.tag, 'SizeMismatch')
  assert.equal(
    e.axes.map((a) => [a.name, a.size]),
    axes,
  )
  for (const [name, size] of axes) {
    assert.ok(e.message.includes(`'${name}'`), e.message)
    assert.ok(e.message.includes(String(size)), e.message)
  }
}

build('a layer that was made for another size: both axes, and the line that made it', () => {
  const e = failing(() => {
    const model = pipe(
      linear(Embed, axis('hidden', 16)),
      andThen(rmsNorm(axis('hidden', 17))), // made here
    )
    return model.apply(x)
  })
  sized(e, ['hidden', 16], ['hidden', 17])
  points(e, 'made here')
  assert.match(e.message, /^rmsNorm: axis 'hidden' has size 16 on one side and 17 on the other/)
})

build('operations: both axes, and the line that called them', () => {
  const w = input('w', [Wide])
  const sum = failing(() => add(x, w)) // added here
  sized(sum, ['embed', 8], ['embed', 9])
  points(sum, 'added here')
  const product = failing(() => contract(x, w, 'embed')) // multiplied here
  sized(product, ['embed', 8], ['embed', 9])
  points(product, 'multiplied here')
  const joined = failing(() => concat([x, input('y', [Batch, Token, Wide])], 'token')) // joined here
  sized(joined, ['embed', 8], ['embed', 9])
  points(joined, 'joined here')
  const merged = failing(() => merge(x, ['token', 'embed'], axis('all', 33))) // merged here
  sized(merged, ['all', 32], ['all', 33])
  points(merged, 'merged here')
  const parted = failing(() => splitAxis(x, 'embed', [axis('head', 3), axis('headDim', 3)])) // split here
  assert.is(parted.tag, 'BadShape')
  assert.match(parted.message, /axis 'embed' of size 8 cannot become head 3 × headDim 3 \(9 elements\)/)
  points(parted, 'split here')
})

build('a model of the library names the line that made it', () => {
  const token = axis('token', 3)
  const ids = input('ids', [Batch, token], 'int32')
  const e = failing(() => {
    const positions = input('positions', [Batch, Token], 'int32')
    const model = qwen3(nano.language, { token: Token, positions, mask: causal(Token) }) // the model
    return model.apply(ids)
  })
  sized(e, ['token', 3], ['token', 4])
  points(e, 'the model')
})

build('an axis of no size', () => {
  const e = failing(() => axis('patch', (56 / 15) ** 2)) // the axis
  assert.is(e.tag, 'BadArgument')
  assert.match(e.message, /^axis 'patch': its size must be a positive whole number, not 13\.9/)
  points(e, 'the axis')
})

build('an axis of no name', () => {
  const e = failing(() => axis('', 4)) // no name
  assert.is(
    e.message.split('\n')[0],
    "axis: its name is empty; give one that says what the axis is, such as 'batch'",
  )
  points(e, 'no name')
  assert.match(
    failing(() => axis(undefined as never, 4)).message,
    /^axis: its name is no text: undefined; give /,
  )
})

build('one name twice in one tensor', () => {
  const twice: readonly (() => unknown)[] = [
    () => input('y', [Embed, Batch, Embed]),
    () => rename(x, 'token', 'embed'),
    () => reshape(x, [Batch, axis('a', 8), axis('a', 4)]),
    () => splitAxis(x, 'embed', [axis('token', 2), axis('rest', 4)]),
    () => broadcast(x, [Batch, axis('new', 2), Token, Embed, axis('new', 2)]),
    () => gather(input('table', [axis('vocab', 3), Token]), input('ids', [Token], 'int32')),
    () => scatterAdd(input('ids', [Batch], 'int32'), x, axis('embed', 3)),
    () => linear(Embed, Token).apply(x),
  ]
  for (const make of twice) {
    const e = failing(make)
    assert.is(e.tag, 'DuplicateAxis', e.message)
    assert.ok(e.where.startsWith(`${here}:`), e.where)
  }
  assert.match(failing(twice[1]!).message, /axis 'embed' occurs twice in batch 2 × embed 4 × embed 8; rename/)
})

build('an axis that is named twice', () => {
  const y = input('y', [axis('token', 4), axis('embed', 8)])
  for (const [what, make] of [
    ['sum', () => sum(y, 'embed', 'embed')],
    ['max', () => max(y, 'embed', 'embed')],
    ['mean', () => mean(y, 'embed', 'embed')],
    ['contract', () => contract(y, y, 'embed', 'embed')],
  ] as const) {
    const e = failing(make)
    assert.is(e.tag, 'BadArgument')
    assert.match(e.message, `${what}: axis 'embed' is named twice`)
    assert.ok(e.where.startsWith(`${here}:`), e.where)
  }
})

build('what the compiler would not let through, as plain JavaScript gives it', () => {
  const any = (given: unknown): never => given as never
  for (const [why, make] of [
    [
      "sum: an axis is asked for by its name, and this is the axis itself; give its name, 'embed'",
      () => sum(x, any(Embed)),
    ],
    [
      "contract over 'embed', first operand: an axis is asked for by its name, and this is a list of 1",
      () => contract(x, x, any(['embed'])),
    ],
    ['softmax: an axis is asked for by its name, and this is undefined', () => softmax(x, any(undefined))],
    ["input 'z': axes[1] is 3; give an axis", () => input('z', any([Embed, 3]))],
    ["input 'z': axes[0] is 'embed'; give an axis", () => input('z', any(['embed']))],
    [
      "state 'w': its init is of kind 'gaussian'; give one of the kinds zeros",
      () => parameter('w', [Embed], any({ kind: 'gaussian', std: 1 })),
    ],
    ["state 'w': its init is undefined; give", () => parameter('w', [Embed], any(undefined))],
    [
      "state 'w': its init normal has std undefined; give a finite",
      () => parameter('w', [Embed], any({ kind: 'normal', stdev: 1 })),
    ],
    ["state 'w': its init uniform has limit NaN", () => parameter('w', [Embed], uniform(Number.NaN))],
    ["mul: no tensor and no number but '2'", () => mul(x, any('2'))],
    ['add: no tensor and no number but undefined', () => add(any(undefined), x)],
    ['less: no tensor and no number but a record', () => less(x, any({}))],
    ['exp: no tensor but 3; give one', () => exp(any(3))],
    ['select: no tensor but true; give one', () => select(any(true), x, 0)],
    [
      'what layer mine makes: no tensor but undefined',
      () => layer('mine', [Embed], () => any(undefined)).apply(x),
    ],
    [
      'what layer mine makes: no tensor but a list of 1',
      () => layer('mine', [Embed], (y) => any([y])).apply(x),
    ],
    ['rmsNorm: no tensor but undefined; give one', () => rmsNorm(Embed).apply(any(undefined))],
  ] as const) {
    const e = failing(make)
    assert.is(e.tag, 'BadArgument', e.message)
    assert.ok(e.message.startsWith(why), e.message)
    assert.ok(e.where.startsWith(`${here}:`), e.where)
  }
})

build('a name that is only known when the graph is built', () => {
  const unknown = failing(() => rmsNorm(axis('vision', 8)).apply(x as unknown as Tensor<readonly ['vision']>)) // applied
  assert.is(unknown.tag, 'UnknownAxis')
  assert.match(
    unknown.message,
    /rmsNorm takes a tensor that ends in vision 8, and was given batch 2 × token 4 × embed 8/,
  )
  points(unknown, 'applied')
})

build('the place is found in a folder with a space in its name', async () => {
  const folder = join(mkdtempSync(join(tmpdir(), 'sailwright-site-')), 'my experiments')
  const file = join(folder, 'one.mjs')
  mkdirSync(folder)
  const dsl = pathToFileURL(moduleAt('src/dsl/index.ts'))
  writeFileSync(
    file,
    `import { add, axis, input } from '${dsl}'\nexport const build = () =>\n  add(input('a', [axis('n', 2)]), input('b', [axis('n', 3)]))\n`,
  )
  try {
    const { build } = (await import(pathToFileURL(file).href)) as { readonly build: () => unknown }
    assert.is(failing(build).where, `${file}:3:3`)
  } finally {
    rmSync(join(folder, '..'), { recursive: true })
  }
})

build.run()

// --- one key, two layers ----------------------------------------------------------------------------------------

const sharing = suite('dsl: one key and two layers')

const loaded = (...roots: readonly Tensor[]): Program =>
  program({
    name: 'p',
    functions: {
      f: { build: [() => ({ outputs: Object.fromEntries(roots.map((r, i) => [`y${i}`, r])) })] },
    },
  })

const keys = (t: Tensor): string[] => [...parametersOf(t).keys()]

sharing('two norms without a scope are an error that names the key, both layers and what to do', () => {
  const first = rmsNorm(Embed) // the first norm
  const e = failing(() =>
    pipe(
      first,
      andThen(linear(Embed, Embed, { weight: 'projection', bias: false })),
      andThen(rmsNorm(Embed)), // the second norm
    ).apply(x, 'block'),
  )
  assert.is(e.tag, 'KeyConflict')
  assert.match(e.message, /'block\.weight' is declared by two layers/)
  assert.match(e.message, /at\('…'\).*tied/)
  assert.ok(e.message.includes(`${here}:${lineOf('the first norm')}:`), e.message)
  points(e, 'the second norm')
})

sharing('wherever the two stand: in a residual, in a row, inside other layers', () => {
  const f = () => linear(Embed, Embed, { bias: false })
  assert.is(failing(() => residual(pipe(f(), andThen(f()))).apply(x, 'a')).tag, 'KeyConflict')
  assert.is(failing(() => pipe(residual(f()), andThen(residual(f()))).apply(x, 'a')).tag, 'KeyConflict')
  assert.is(failing(() => repeat(2, pipe(f(), named('f'), andThen(f()))).apply(x, 'a')).tag, 'KeyConflict')
  const attention = () => selfAttention({ token: Token, embed: Embed, heads: 2 })
  assert.is(failing(() => pipe(attention(), andThen(attention())).apply(x, 'a')).tag, 'KeyConflict')
  const own = layer('own', [Embed], (y, path) => f().apply(f().apply(y as typeof x, path), path))
  assert.is(failing(() => own.apply(x, 'a')).tag, 'KeyConflict')
  // an error leaves nothing behind
  assert.equal(keys(f().apply(x, 'a')), ['a.weight'])
})

sharing('scopes part them', () => {
  const norms = pipe(at('norm_1')(rmsNorm(Embed)), andThen(at('norm_2')(rmsNorm(Embed)))).apply(x, 'block')
  assert.equal(keys(norms), ['block.norm_1.weight', 'block.norm_2.weight'])
  const row = repeat(2, rmsNorm(Embed)).apply(x, 'norms')
  assert.equal(keys(row), ['norms.0.weight', 'norms.1.weight'])
})

sharing('one layer value used twice is one set of weights', () => {
  const norm = rmsNorm(Embed)
  assert.equal(keys(pipe(norm, andThen(norm)).apply(x, 'shared')), ['shared.weight'])
  const attention = selfAttention({ token: Token, embed: Embed, heads: 2, qkNorm: 1e-6 })
  const block = pipe(at('norm')(rmsNorm(Embed)), andThen(attention), named('block'))
  assert.equal(
    keys(pipe(block, andThen(block)).apply(x, 'shared')).sort(),
    keys(block.apply(x, 'shared')).sort(),
  )
})

sharing('a tied head, inside one layer and beside it', () => {
  const Vocab = axis('vocab', 5)
  const ids = input('ids', [Batch, Token], 'int32')
  const table = at('tokens')(embedding(Vocab, Embed))
  const tiedModel = pipe(table, andThen(tied(at('tokens')(head(Embed, Vocab)))))
  assert.equal(keys(tiedModel.apply(ids)), ['tokens.weight'])
  assert.is(
    failing(() => pipe(table, andThen(at('tokens')(head(Embed, Vocab)))).apply(ids)).tag,
    'KeyConflict',
  )
  const token = Token
  const model = qwen3(nano.language, { token, positions: ids, mask: causal(token) })
  assert.ok(!keys(model.apply(ids)).includes('lm_head.weight'))
})

sharing('a model that is built and applied twice in one program means the same weights', () => {
  const y = input('y', [Batch, Token, Embed])
  const model = () => at('model')(rmsNorm(Embed))
  assert.equal([...loaded(mul(model().apply(x), model().apply(y))).states.keys()], ['model.weight'])
})

sharing('keys without a scope do not meet by accident', () => {
  const y = input('y', [Batch, Token, Embed])
  const e = failing(() => loaded(rmsNorm(Embed).apply(x), rmsNorm(Embed).apply(y)))
  assert.is(e.tag, 'KeyConflict')
  assert.match(e.message, /'weight' is declared by two layers/)
  const norm = rmsNorm(Embed)
  assert.equal([...loaded(norm.apply(x), norm.apply(y)).states.keys()], ['weight'])
  assert.equal([...loaded(norm.apply(x), tied(rmsNorm(Embed)).apply(y)).states.keys()], ['weight'])
})

sharing('names that no file or engine can hold are refused where the graph is built', () => {
  for (const [key, why] of [
    ['', /a state has the empty name; give it another/],
    ['a\0b', /a state has a name with the character NUL, "a\\u0000b"; give it another/],
    ['__metadata__', /a state has the name '__metadata__', which no safetensors file can hold/],
  ] as const) {
    const e = failing(() => loaded(parameter(key, [Embed], { kind: 'zeros' }), x)) // named
    assert.is(e.tag, 'BadArgument')
    assert.match(e.message, why)
    points(e, 'named')
  }
})

sharing.run()
