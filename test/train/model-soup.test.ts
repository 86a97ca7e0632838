/** A soup as a stage: its runs are those that they would be alone, it hands on their average, and it goes on to the bit. */
import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import { firstValueFrom, takeWhile, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Engine } from '../../src/engine/index.ts'
import { heldOut } from '../../src/eval/index.ts'
import type { RunEvent } from '../../src/run/index.ts'
import {
  begin,
  experiment,
  fromScratch,
  loadWeights,
  modelSoup,
  next,
  nextToken,
  orThrow,
  type Stage,
  unmeasured,
} from '../../src/train/index.ts'
import { hostEngines } from '../support/engines.ts'
import { temporaryFolders } from '../support/temporary-folders.ts'
import { contextIn, tinyConversation, tinyModel, tinyProcessor, tinyStage, watched } from '../support/tiny.ts'

const engines = await hostEngines()
const test = suite(`train: soups on ${engines.map((e) => e.name).join(' and ')}`)
const { folder, remove } = temporaryFolders('sailwright-soup-')
test.after(remove)

const before = tinyStage({ name: 'before', to: 'tuned', steps: 3, learningRate: 2e-2 })
const order = (name: string, from: number, more: object = {}): Stage<'tuned', 'run'> =>
  tinyStage({
    ...{ name, from: 'tuned', to: 'run', steps: 6, learningRate: 2e-2 },
    source: watched((i) => tinyConversation(from + i)),
    ...more,
  })
const [one, two] = [order('one', 100), order('two', 200)]
const contrast = order('other', 300, { learningRate: 9e-2, steps: 4 })
const soup = modelSoup({ name: 'soup', from: 'tuned', to: 'souped', runs: [one, two], contrast })
const objective = nextToken(tinyModel, tinyProcessor, { rows: 4, tokens: 32 })
const held = watched((i) => tinyConversation(900 + i), 8)
const loss = heldOut({ family: 'loss', objective, source: held, batches: 2, metric: 'loss' })
const beginning = begin({ name: 'soup', seed: 5, model: tinyModel, start: fromScratch, now: 'fresh' })

const ran = (
  recipe: Parameters<typeof experiment>[0],
  engine: Engine,
  at: string,
  earlier: readonly RunEvent[] = [],
  until: (e: RunEvent) => boolean = () => false,
): Promise<readonly RunEvent[]> =>
  firstValueFrom(
    experiment(recipe, recipe.stages.includes(soup) ? loss : unmeasured, { checkpointEvery: 4 })
      .run(contextIn(at, engine, earlier))
      .pipe(
        takeWhile((e) => !until(e), true),
        toArray(),
      ),
  )
const whole = pipe(beginning, next(before), next(soup))
/** A folder in which the stage before the soup has ended, as it did in a run, and the events of that. */
const behind = async (
  run: readonly RunEvent[],
  at: string,
): Promise<readonly [string, readonly RunEvent[]]> => {
  const own = await folder()
  await cp(join(at, 'checkpoints', before.name), join(own, 'checkpoints', before.name), { recursive: true })
  return [own, run.slice(0, run.findIndex((e) => e.type === 'stage-finished') + 1)]
}
const weightsIn = async (at: string, stage: string, file = 'model.safetensors') =>
  orThrow(loadWeights(join(at, 'checkpoints', stage, file)))

for (const engine of engines) {
  let at = ''
  let events: readonly RunEvent[] = []
  test(`${engine.name}: what runs end with alone, and the average of it`, async () => {
    at = await folder()
    events = await ran(whole, engine, at)
    const alone = await Promise.all(
      [one, two, contrast].map(async (stage) => {
        const [own, earlier] = await behind(events, at)
        await ran(pipe(beginning, next(before), next(stage)), engine, own, earlier)
        return weightsIn(own, stage.name)
      }),
    )
    const [files, heterogeneous, mean] = [
      [await weightsIn(at, 'soup', 'run-1.safetensors'), await weightsIn(at, 'soup', 'run-2.safetensors')],
      await weightsIn(at, 'soup', 'heterogeneous.safetensors'),
      await weightsIn(at, 'soup'),
    ]
    let apart = 0
    for (const [key, { data }] of mean) {
      const [a, b, c] = alone.map((w) => w.get(key)!.data)
      for (let i = 0; i < data.length; i++) {
        assert.is(files[0]!.get(key)!.data[i], a![i], key)
        assert.is(files[1]!.get(key)!.data[i], b![i], key)
        assert.ok(Math.abs(data[i]! - (a![i]! + b![i]!) / 2) < 1e-6, key)
        assert.ok(Math.abs(heterogeneous.get(key)!.data[i]! - (a![i]! + c![i]!) / 2) < 1e-6, key)
        apart = Math.max(apart, Math.abs(a![i]! - b![i]!))
      }
    }
    assert.ok(apart > 1e-3, `${apart}`)
    const steps = events.flatMap((e) => (e.type === 'step' && e.stage === 'soup' ? [e.step] : []))
    assert.equal(
      steps,
      Array.from({ length: 16 }, (_, i) => i + 1),
    )
    assert.equal(
      events.flatMap((e) => (e.type === 'measured' && e.stage === 'soup' ? [e.weights] : [])),
      [undefined, 'run 1', 'run 2', 'heterogeneous soup'],
    )
  })

  test(`${engine.name}: stopped in any of its runs, it ends with the same bytes`, async () => {
    const file = join('checkpoints', 'soup', 'model.safetensors')
    const want = await readFile(join(at, file))
    const total = events.find((e) => e.type === 'stage-finished' && e.stage === 'soup')
    // what goes on is the same code on each engine
    for (const [type, step] of engine === engines[0]
      ? ([
          ['step', 5],
          ['step', 14],
          ['checkpointed', 16],
        ] as const)
      : ([['step', 11]] as const)) {
      const [other, earlier] = await behind(events, at)
      const stops = (e: RunEvent): boolean => e.type === type && e.stage === 'soup' && e.step === step
      const first = await ran(whole, engine, other, earlier, stops)
      const rest = await ran(whole, engine, other, [...earlier, ...first])
      assert.ok((await readFile(join(other, file))).equals(want), `stopped after ${step}`)
      const end = rest.find((e) => e.type === 'stage-finished' && e.stage === 'soup')
      assert.ok(end?.type === 'stage-finished' && total?.type === 'stage-finished')
      assert.equal([end.loss, end.samples], [total.loss, total.samples], `stopped after ${step}`)
      // one that had ended is measured alone
      if (type === 'checkpointed') assert.not(rest.some((e) => e.type === 'step'))
      else
        assert.ok(
          rest.some((e) => e.type === 'step' && e.stage === 'soup' && e.step > 4 && e.step <= step + 1),
        )
    }
  })
}

test('what is no soup is refused', () => {
  const made = (runs: readonly Stage<'tuned', string>[]) => () =>
    modelSoup({ name: 'soup', from: 'tuned', to: 'souped', runs })
  assert.throws(made([one]), /stage 'soup', runs: a soup is made of at least two/)
  assert.throws(
    made([one, tinyStage({ name: 'x', from: 'fresh' as 'tuned', steps: 2 })]),
    /runs\[1\]: it begins from weights 'fresh', and the soup from 'tuned'/,
  )
  assert.throws(made([one, order('x', 1, { ema: 0.9 })]), /runs\[1\]: it has adapters or moving averages/)
  const bigger = order('x', 1, { objective: nextToken(tinyModel, tinyProcessor, { rows: 2, tokens: 32 }) })
  assert.throws(
    () => modelSoup({ name: 'soup', from: 'tuned', to: 'souped', runs: [one, bigger] }).program({}),
    /runs\[1\]: its graph is another than that of 'one'/,
  )
})

test.run()
