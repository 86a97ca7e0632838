/**
 * Images in tiles, several of them between the words, through batches, packs and generation: what stands beside a conversation
 * in a batch changes nothing, and each place reads its own tile.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { played, processor, type RgbImage, said, shown, unitConversation } from '../../src/data/index.ts'
import type { Pack } from '../../src/data/pack.ts'
import { buckets, elements, type FunctionSpec, fill, parametersOf, program } from '../../src/dsl/index.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { generator } from '../../src/generation/generator.ts'
import { random } from '../../src/random/index.ts'
import { nanoTokenizer } from '../../src/tasks/nano.ts'
import { nextToken } from '../../src/train/next-token.ts'
import type { MicroBatch, Objective } from '../../src/train/objective.ts'
import { packedNextToken } from '../../src/train/packed-next-token.ts'
import { orThrow } from '../../src/train/task.ts'
import { hostEngines } from '../support/engines.ts'
import { tinyModel as model } from '../support/tiny.ts'

const engines = await hostEngines()
const test = suite(`train: images in tiles on ${engines.map((e) => e.name).join(' and ')}`)

const layout = processor(nanoTokenizer(), { image: { ...model.image, tiling: { most: 4 } } })
/** Dark on the left and bright on the right, with some noise: no tile is like another. */
const noise = (width: number, height: number, name: string): RgbImage => {
  const r = random('tiles', name)
  return {
    ...{ width, height, channels: 3 },
    data: Uint8Array.from(
      { length: width * height * 3 },
      (_, i) => (200 * (Math.floor(i / 3) % width)) / width + r.int(0, 50),
    ),
  }
}
const of = (id: string, ...units: Parameters<typeof unitConversation>[2]) =>
  unitConversation(layout, id, units, { answer: 'red' })
const samples = [
  of('wide', shown(noise(64, 16, 'a')), said('\nwhat?')),
  of('two', said('a '), shown(noise(16, 16, 'b')), said(' or '), shown(noise(16, 32, 'c')), said('?')),
  of('none', said('what?')),
  of('video', played([noise(30, 20, 'd'), noise(30, 20, 'e')]), said('which?')),
]

test('they have tiles of their own number', () => {
  assert.equal(
    samples.map((c) => c.images.length),
    [5, 4, 0, 2],
  )
})

const sums = (o: Objective<never>): FunctionSpec =>
  buckets(o.buckets, (s) => {
    const { sum, weight } = o.terms(s)
    return { outputs: { sum, weight } }
  })

const inRows = nextToken(model, layout, { rows: 4, tokens: 128, images: 12 })
const alone = nextToken(model, layout, { rows: 1, tokens: 128, images: 6 })
const together = packedNextToken(model, layout, { rows: 2, tokens: 220, images: 11 })
const pack: Pack = {
  rows: [
    [samples[3]!, samples[0]!],
    [samples[2]!, samples[1]!],
  ],
}
const writing = (rows: number, images: number) =>
  generator(model, layout, { rows, prompt: 120, capacity: 128, images })
const [many, one] = [writing(4, 12), writing(1, 6)]

for (const engine of engines)
  test(`${engine.name}: the loss is that of each conversation alone, in rows and in packs; so is what is written`, async () => {
    const functions = {
      inRows: sums(inRows),
      alone: sums(alone),
      together: sums(together),
      ...many.functions,
    }
    const session = await orThrow(engine.load(program({ name: 'tiles', functions })))
    const single = await orThrow(engine.load(program({ name: 'single', functions: one.functions })))
    const sumOf = async (name: string, [batch]: readonly MicroBatch[]): Promise<number> =>
      Number((await orThrow(session.call(name, batch!.inputs))).sum!.data[0])
    try {
      const weights = new Map(
        [...parametersOf(alone.terms(alone.buckets[0]!).sum)].map(([key, t]) => [
          key,
          tensorValue(
            'float32',
            t.axes.map((a) => a.size),
            fill({ kind: 'uniform', limit: 0.7 }, elements(t.axes), 5, key).map((x) =>
              key.includes('norm') ? 1 + x : x,
            ),
          ),
        ]),
      )
      await orThrow(session.write(weights))
      await orThrow(single.write(weights))
      let wanted = 0
      const each: number[] = []
      for (const c of samples) {
        each.push(await sumOf('alone', alone.collate([c])))
        wanted += each.at(-1)!
      }
      for (const [name, got] of [
        ['inRows', await sumOf('inRows', inRows.collate(samples))],
        ['together', await sumOf('together', together.collate([pack]))],
      ] as const)
        assert.ok(Math.abs(got - wanted) <= 2e-5 * Math.abs(wanted), `${name}: ${got} and not ${wanted}`)
      // a tile in another's place would be seen
      const [a, ...others] = samples[0]!.images
      const turned = { ...samples[0]!, images: [...others, a!] }
      const other = await sumOf('alone', alone.collate([turned]))
      assert.ok(Math.abs(other - each[0]!) > 1e-3 * Math.abs(each[0]!), `${other} and ${each[0]}`)
      const answers = await many.generate(session, samples)
      for (const [i, c] of samples.entries())
        assert.equal(await one.generate(single, [c]), [answers[i]], c.id)
    } finally {
      await orThrow(session.close())
      await orThrow(single.close())
    }
  })

test.run()
