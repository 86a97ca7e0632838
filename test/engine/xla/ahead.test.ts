/** Programs that are compiled before they are loaded. */
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add,
  axis,
  contract,
  fixed,
  input,
  mul,
  normal,
  program,
  state,
  type Tensor,
} from '../../../src/dsl/index.ts'
import { type Engine, inPrecision, inWorker, xlaEngine } from '../../../src/engine/index.ts'
import { tensorValue } from '../../../src/engine/values.ts'
import { compileAhead } from '../../../src/engine/worker/index.ts'
import { xlaHome } from '../../../src/engine/xla/home.ts'
import { orThrow } from '../../../src/train/index.ts'
import { cpuPlugin } from '../../support/cpu-plugin.ts'

const plugin = await cpuPlugin()
const home = mkdtempSync(join(tmpdir(), 'sailwright-ahead-'))
process.env.SAILWRIGHT_HOME = home
test.after(() => rmSync(home, { recursive: true, force: true }))

const kept = (): readonly string[] =>
  readdirSync(home, { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.program'))

const N = axis('n', 4)
const w = (): Tensor => state('w', [N], normal(1))
const scaled = fixed(() => ({ outputs: { y: mul(w(), input('x', [N])) } }))
const stepped = fixed(() => ({
  outputs: {},
  next: new Map<string, Tensor>([['w', add(w(), input('x', [N]))]]),
}))
const first = program({ name: 'first', functions: { scaled, stepped } })
const second = program({
  name: 'second',
  functions: { scaled, other: fixed(() => ({ outputs: { z: add(w(), 1) } })) },
})
const product = contract(state('m', [N, axis('m', 4)], normal(1)), input('x', [N]), 'n')
const x = tensorValue('float32', [4], [1, 2, 3, 4])

test('what are no programs is refused in words', () => {
  for (const given of [undefined, null, 7])
    assert.throws(
      () => compileAhead({ name: 'xla' } as Engine)(given as never),
      /compileAhead, programs: it is .*; give a list of programs/,
    )
  assert.throws(() => compileAhead({ name: 'xla' } as Engine)([], { precison: 'tf32' } as never), /precison/)
})

if (plugin !== undefined) {
  const engine = await orThrow(xlaEngine({ plugin }))

  test('what was compiled ahead is found by a session: it compiles nothing, and gives the same', async () => {
    const work = compileAhead(engine)([first, second])
    await work.done
    const ahead = kept()
    assert.is(ahead.length, 3, 'a function of two programs is compiled once')
    const alone = await orThrow(engine.load(first, { seed: 3 }))
    const session = await orThrow(inWorker(engine).load(first, { seed: 3 }))
    for (const s of [alone, session]) await orThrow(s.call('stepped', { x }))
    const [a, b] = [await orThrow(alone.call('scaled', { x })), await orThrow(session.call('scaled', { x }))]
    assert.equal(b.y!.data, a.y!.data)
    assert.equal(kept(), ahead)
    await orThrow(session.close())
    await orThrow(alone.close())
  })

  test('a function that several programs have is asked for once', async () => {
    const again = xlaHome().programs
    const old = new Date(1_000_000_000_000)
    const touched = (): number =>
      readdirSync(again).filter((f) => statSync(join(again, f)).mtimeMs !== old.getTime()).length
    function* programs() {
      yield first
      for (const f of readdirSync(again)) utimesSync(join(again, f), old, old)
      yield second
    }
    await compileAhead(engine)(programs()).done
    assert.is(touched(), 1, 'the one that the second has alone')
  })

  test('an engine that computes in another precision compiles ahead what it will load', async () => {
    const threaded = inWorker({ ...engine, accelerated: true })
    const rounded = await orThrow(TE.fromEither(inPrecision(threaded, 'bfloat16')))
    const p = program({ name: 'product', functions: { product: fixed(() => ({ outputs: { y: product } })) } })
    await rounded.compileAhead!([p]).done
    const ahead = kept()
    const session = await orThrow(rounded.load(p))
    await orThrow(session.call('product', { x }))
    assert.equal(kept(), ahead)
    await orThrow(session.close())
  })

  test('it can be ended at any time, and what does not compile disturbs nothing', async () => {
    const odd = { ...first, functions: new Map([['broken', [{} as never]]]) }
    const work = compileAhead(engine)([odd, second])
    await work.done
    const others = [2, 3, 4].map((factor) =>
      program({
        name: `times ${factor}`,
        functions: { scaled: fixed(() => ({ outputs: { y: mul(w(), factor) } })) },
      }),
    )
    const before = kept().length
    const begun = compileAhead(engine)(others)
    await begun.end()
    await begun.done
    assert.ok(kept().length <= before + 1, 'what was not begun is left')
  })

  test('a processor, on which it would take what training computes on, does without', () => {
    assert.is(inWorker(engine).compileAhead, undefined)
    assert.type(inWorker({ ...engine, accelerated: true }).compileAhead, 'function')
  })
}

test.run()
