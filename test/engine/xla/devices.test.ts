/** Training on several devices: the batch is dealt out, gradients are summed, and the way is that of one device. */
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isLeft } from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { firstValueFrom, lastValueFrom, takeWhile, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { axis, fixed, input, program, total } from '../../../src/dsl/index.ts'
import type { Engine } from '../../../src/engine/session.ts'
import { tensorValue } from '../../../src/engine/values.ts'
import { inWorker } from '../../../src/engine/worker/index.ts'
import { type XlaOptions, xlaEngine } from '../../../src/engine/xla/index.ts'
import { Client } from '../../../src/engine/xla/pjrt/client.ts'
import { adamWith } from '../../../src/optim/index.ts'
import type { RunEvent } from '../../../src/run/events.ts'
import { withoutRepeats } from '../../../src/run/run-state.ts'
import { unmeasured } from '../../../src/train/evaluation.ts'
import { begin, next } from '../../../src/train/recipe.ts'
import { experiment } from '../../../src/train/recipe-experiment.ts'
import { fromScratch } from '../../../src/train/recipe-start.ts'
import { orThrow } from '../../../src/train/task.ts'
import { loadWeights } from '../../../src/train/weights.ts'
import { cpuPlugin } from '../../support/cpu-plugin.ts'
import { maxRelativeError } from '../../support/fixtures.ts'
import { contextIn, counting, type TinySettings, thrown, tinyModel, tinyStage } from '../../support/tiny.ts'
import { until } from '../../support/until.ts'

const test = suite('xla: training on several devices')
const folders: string[] = []
test.after(async () => {
  for (const f of folders) await rm(f, { recursive: true, force: true })
})

/** Rows of which half the places alone are learnt. */
const wide: TinySettings<'fresh', 'tuned'> = { tokens: 64 }

const trained = (steps: number, rows = 8, more = wide) =>
  experiment(
    pipe(
      begin({ name: 'devices', seed: 3, model: tinyModel, start: fromScratch, now: 'fresh' }),
      // a large epsilon keeps gradients that are next to nothing from being blown up to whole steps
      next(tinyStage({ rows, steps, optimizer: adamWith({ epsilon: 1e-3 }), maxGradientNorm: 0.5, ...more })),
    ),
    unmeasured,
    { checkpointEvery: 2 },
  )

interface Run {
  readonly events: readonly RunEvent[]
  readonly losses: readonly number[]
  readonly weights: ReadonlyMap<string, { readonly data: ArrayLike<number> }>
}

const folder = async (): Promise<string> => {
  const at = await mkdtemp(join(tmpdir(), 'sailwright-devices-'))
  folders.push(at)
  return at
}
const lossesOf = (events: readonly RunEvent[]): readonly number[] =>
  withoutRepeats(events).flatMap((e) => (e.type === 'step' ? [e.loss] : []))

const weightsIn = (at: string) => orThrow(loadWeights(join(at, 'checkpoints', 'tiny', 'model.safetensors')))

const ran = async (engine: Engine, steps: number, more = wide): Promise<Run> => {
  const at = await folder()
  const events = await firstValueFrom(trained(steps, 8, more).run(contextIn(at, engine)).pipe(toArray()))
  return { events, losses: lossesOf(events), weights: await weightsIn(at) }
}

const plugin = await cpuPlugin()
if (plugin !== undefined) {
  const engineOf = async (options: XlaOptions): Promise<Engine> => {
    // tests compile more than they compute
    const flags = { xla_backend_optimization_level: 0, xla_llvm_disable_expensive_passes: true }
    const got = await xlaEngine({ plugin, flags, ...options })()
    if (isLeft(got)) throw new Error(got.left.message)
    return got.right
  }
  const near = (run: Run, one: Run): void => {
    assert.is(run.losses.length, one.losses.length)
    assert.ok(maxRelativeError(run.losses, one.losses) < 1e-5, `losses ${run.losses} ${one.losses}`)
    for (const [key, w] of one.weights) {
      const error = maxRelativeError(run.weights.get(key)!.data, w.data)
      assert.ok(error < 1e-5, `${key}: ${error}`)
    }
  }
  const steps = 6

  test('two and eight devices train as one does, optimizer whole or parted, in a thread too', async () => {
    const one = await ran(await engineOf({}), steps)
    assert.is(one.losses.length, steps)
    assert.ok(one.losses.at(-1)! < one.losses[0]!)
    for (const options of [
      { devices: 2 },
      { devices: 2, optimizer: 'parted' },
      { devices: 8, optimizer: 'parted' },
    ] as const)
      near(await ran(await engineOf(options), steps), one)
    near(await ran(inWorker(await engineOf({ devices: 2, optimizer: 'parted' })), steps), one)
  })

  test('stopped on two devices, a run goes on to the same bits on two, and the same way on eight and on one', async () => {
    const whole = await ran(await engineOf({ devices: 2, optimizer: 'parted' }), steps)
    const began = await folder()
    const two = counting(await engineOf({ devices: 2, optimizer: 'parted' }))
    const earlier = await firstValueFrom(
      trained(steps)
        .run(contextIn(began, two))
        .pipe(
          takeWhile((e) => !(e.type === 'step' && e.step === 5), true),
          toArray(),
        ),
    )
    await until(() => two.open === 0)
    for (const options of [
      { devices: 2, optimizer: 'parted' },
      { devices: 8, optimizer: 'parted' },
      { devices: 1 },
    ] as const) {
      const at = await folder()
      await cp(began, at, { recursive: true })
      const rest = await firstValueFrom(
        trained(steps)
          .run(contextIn(at, await engineOf(options), earlier))
          .pipe(toArray()),
      )
      assert.equal(
        rest.flatMap((e) => (e.type === 'step' ? [e.step] : [])),
        [5, 6],
        'it goes on from the checkpoint of step 4',
      )
      const run = { events: rest, losses: lossesOf([...earlier, ...rest]), weights: await weightsIn(at) }
      if (options.devices !== 2) near(run, whole)
      else {
        assert.equal(run.losses, whole.losses)
        for (const [key, w] of whole.weights) assert.equal(run.weights.get(key)!.data, w.data, key)
      }
    }
  })

  test('a search for the learning rate decides on two devices as on one, and rolls back what they share', async () => {
    // steps that are too long: what the first trial tries is undone; at 0.3 rounding alone grows tenfold a step near the end
    const adaLrs = { window: 3, search: [0, 1], error: 0 } as const
    const searched = async (options: XlaOptions) =>
      ran(await engineOf(options), 21, { adaLrs, learningRate: 0.2, schedule: { kind: 'constant' } })
    const [one, two] = [await searched({}), await searched({ devices: 2, optimizer: 'parted' })]
    const decisions = ({ events }: Run) =>
      events.flatMap((e) => (e.type === 'ada-lrs' ? [[e.step, e.decision, e.scale]] : []))
    assert.ok(
      decisions(one).some(([, decision]) => decision === 'RolledBack'),
      JSON.stringify(decisions(one)),
    )
    assert.equal(decisions(two), decisions(one))
    near(two, one)
  })

  test('what is fed is lent to one device; of several the answer waits for the first alone, and each has a copy', async () => {
    const a = axis('a', 1 << 15)
    const p = program({
      name: 'p',
      functions: { f: fixed(() => ({ outputs: { y: total(input('x', [a])) } })) },
    })
    const { upload } = Client.prototype
    const lent = async (devices: number): Promise<readonly boolean[]> => {
      const session = await orThrow((await engineOf({ devices })).load(p))
      const found: boolean[] = []
      Client.prototype.upload = function (...given) {
        found.push(given[4] ?? false)
        return upload.apply(this, given)
      }
      try {
        await orThrow(session.call('f', { x: tensorValue('float32', [a.size], new Float32Array(a.size)) }))
      } finally {
        Client.prototype.upload = upload
        await orThrow(session.close())
      }
      return found
    }
    assert.equal(await lent(1), [true])
    assert.equal(await lent(2), [false, false])
  })

  test('a number of devices that is none is refused', async () => {
    for (const devices of [0, -1, 1.5]) {
      const got = await xlaEngine({ plugin, devices })()
      assert.is(isLeft(got) && got.left._tag, 'BadOption')
    }
  })
}

test('rows that the devices do not divide are refused before anything is loaded', async () => {
  const at = await folder()
  const engine: Engine = {
    ...{ name: 'xla', version: 'xla', devices: 4 },
    load: () => async () => {
      throw new Error('it was loaded')
    },
  }
  const run = (rows: number): Promise<unknown> => lastValueFrom(trained(2, rows).run(contextIn(at, engine)))
  const refused = await thrown(() => run(6))
  assert.match(refused.message, "stage 'tiny'")
  assert.match(refused.message, 'its batches have 6 rows')
  assert.match(refused.message, 'make that a multiple of 4')
  assert.match((await thrown(() => run(8))).message, 'it was loaded')
})

if (plugin === undefined) test.skip('there is no plugin for this processor', () => undefined)

test.run()
