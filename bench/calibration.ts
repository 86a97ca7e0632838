/**
 * Calibration of routers on language data, on moe-nano: the nano bases upcycled, trained on language alone, then a fresh
 * adapter on pictures. From there on two ways: with calibration and without, each tuned for the same steps on the same
 * pictures. Entropy of expert activation and loss are of sets that nothing was trained or calibrated on.
 *
 *     npm run build
 *     node --import tsx bench/calibration.ts [--seeds N] [--steps N] [--tune N] [--batches N]
 */
import { parseArgs } from 'node:util'
import { type Conversation, indexed, type Source } from '../src/data/index.ts'
import { buckets, type Keys, program } from '../src/dsl/index.ts'
import { onnxEngine, type Session, type TensorValue } from '../src/engine/index.ts'
import {
  calibratedRouter,
  loadEntropy,
  moeNano,
  routersOf,
  sailVl2Model,
  upcycled,
} from '../src/models/index.ts'
import { adamWith } from '../src/optim/index.ts'
import {
  captionRequest,
  conversationAt,
  describeAt,
  nanoBases,
  nanoProcessor,
  textAt,
  textConversation,
} from '../src/tasks/index.ts'
import { learnerProgram, lossSum, nextToken, orThrow, update } from '../src/train/index.ts'

const { values } = parseArgs({
  options: {
    ...{ seeds: { type: 'string' }, steps: { type: 'string' } },
    ...{ tune: { type: 'string' }, batches: { type: 'string' } },
  },
})
const [seeds, steps] = [Number(values.seeds ?? 3), Number(values.steps ?? 25)]
const [tune, batches] = [Number(values.tune ?? 12), Number(values.batches ?? 6)]

const model = sailVl2Model('moe-nano', moeNano)
const moe = moeNano.language.moe!
const { vision, adapter, language } = model.parts
const objective = nextToken(model, nanoProcessor(), { rows: 8, tokens: 80 })
const weights = { read: 1.5, count: 2, chart: 1.7, arithmetic: 0.3 }
const mixture = (seed: string) => ({ seed, split: 'train', levels: [1, 3], weights }) as const
const pictures = (seed: string): Source<Conversation> =>
  indexed({ kind: 'pictures', seed }, function* (from) {
    for (let i = from; ; i++) yield conversationAt({ mixture: mixture(seed), captions: 0.3 }, i)
  })
const texts = (seed: string): Source<Conversation> =>
  indexed({ kind: 'texts', seed }, function* (from) {
    for (let i = from; ; i++) {
      const answer = describeAt(mixture(seed), i).caption
      yield textConversation(
        `${seed}/${i}`,
        i % 2 === 0 ? textAt(seed, i) : { prompt: captionRequest, answer },
      )
    }
  })

/** The first `count` batches of a source, collated. */
const batchesFrom = async (source: Source<Conversation>, count: number) => {
  const stream = source.open()
  const all: Conversation[] = []
  while (all.length < 8 * count) all.push((await stream.next()).value.example)
  return objective.collate(all)
}

type Held = ReadonlyMap<string, TensorValue>
const engine = await orThrow(onnxEngine())

/** Trains some parts and gives all weights. */
const trained = async (
  from: Held,
  train: readonly Keys[],
  rate: number,
  source: Source<Conversation>,
  count: number,
  seed: number,
): Promise<Held> => {
  const optimizer = adamWith({ beta2: 0.98 })
  const spec = { name: 'bench', objective, train, optimizer, maxGradientNorm: 1, accumulate: 1 }
  const made = learnerProgram(spec)
  const session = await orThrow(engine.load(made.program, { seed }))
  await orThrow(session.write(new Map([...from].filter(([key]) => made.program.states.has(key)))))
  for (const [i, b] of (await batchesFrom(source, count)).entries())
    await update(session, [b], rate * Math.min(1, (i + 1) / 8))
  const keys = [...made.program.states.keys()].filter((key) => !key.startsWith('optimizer.'))
  const out = await orThrow(session.read(keys))
  await orThrow(session.close())
  return out
}

const probing = program({
  name: 'probe',
  functions: {
    probe: buckets(objective.buckets, (sizes) => {
      const terms = objective.terms(sizes)
      const inputs = routersOf(terms.sum).map((r) => [r.path, r.input] as const)
      const { counted, sums } = terms.batch!
      return {
        outputs: {
          sum: lossSum(terms),
          weight: terms.weight,
          counted,
          load: sums.expertLoad!,
          ...Object.fromEntries(inputs),
        },
      }
    }),
  },
})
const paths = routersOf(objective.terms(objective.buckets[0]!).sum).map((r) => r.path)

/** Entropy by layer, loss, and what each router read. */
const probed = async (session: Session, source: Source<Conversation>, count: number) => {
  const loads = paths.map(() => new Float64Array(moe.experts))
  const rows = paths.map((): Float32Array[] => [])
  let [sum, weight] = [0, 0]
  for (const b of await batchesFrom(source, count)) {
    const out = await orThrow(session.call('probe', b.inputs))
    sum += out.sum!.data[0]!
    weight += out.weight!.data[0]!
    paths.forEach((path, l) => {
      loads[l]!.forEach((_, e) => {
        loads[l]![e]! += out.load!.data[l * moe.experts + e]!
      })
      const { data, shape } = out[path]!
      const size = shape.at(-1)!
      out.counted!.data.forEach((yes, i) => {
        if (yes) rows[l]!.push((data as Float32Array).slice(i * size, (i + 1) * size))
      })
    })
  }
  const entropies = loads.map((load) => {
    const all = load.reduce((a, b) => a + b)
    return loadEntropy(load.map((n) => n / all))
  })
  const inputs = rows.map((all) => Float32Array.from(all.flatMap((row) => [...row])))
  return { entropies, loss: sum / weight, inputs }
}

const mean = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length
const measured = async (held: Held) => {
  const session = await orThrow(engine.load(probing))
  await orThrow(session.write(new Map([...held].filter(([key]) => probing.states.has(key)))))
  const [text, seen] = [
    await probed(session, texts('measure'), batches),
    await probed(session, pictures('measure'), batches),
  ]
  await orThrow(session.close())
  return { text: text.entropies, pictures: seen.entropies, textLoss: text.loss, loss: seen.loss }
}

const calibrated = async (held: Held, seed: number): Promise<Held> => {
  const session = await orThrow(engine.load(probing))
  await orThrow(session.write(new Map([...held].filter(([key]) => probing.states.has(key)))))
  const { inputs } = await probed(session, texts(`probe${seed}`), batches)
  await orThrow(session.close())
  return new Map(
    [...held].map(([key, value]) => {
      const l = paths.findIndex((path) => key === `${path}.gate.weight`)
      if (l < 0) return [key, value]
      const gate = value.data as Float32Array
      return [key, { ...value, data: calibratedRouter({ inputs: inputs[l]!, gate, ...moe }).gate }]
    }),
  )
}

const three = (xs: readonly number[]): string =>
  `${mean(xs).toFixed(3)} (${xs.map((x) => x.toFixed(2)).join(' ')})`
const show = (what: string, m: Awaited<ReturnType<typeof measured>>): void =>
  console.log(
    `  ${what.padEnd(28)} text ${three(m.text)}, pictures ${three(m.pictures)}; loss ${m.loss.toFixed(4)}, on text ${m.textLoss.toFixed(4)}`,
  )
console.log(
  `${steps} steps on language, ${steps} of the adapter, ${tune} of all; entropy: mean over layers (by layer)`,
)
for (let seed = 0; seed < seeds; seed++) {
  console.log(`seed ${seed}`)
  const bases = upcycled(moe, await orThrow(nanoBases))
  const spoken = await trained(bases, [language], 1e-3, texts(`l${seed}`), steps, seed)
  const joined = await trained(spoken, [adapter], 4e-3, pictures(`a${seed}`), steps, seed)
  show('before', await measured(joined))
  const moved = await calibrated(joined, seed)
  show('calibrated', await measured(moved))
  const all = [vision, adapter, language]
  show(
    'tuned, without calibration',
    await measured(await trained(joined, all, 1e-3, pictures(`s${seed}`), tune, seed)),
  )
  show(
    'tuned, calibrated before',
    await measured(await trained(moved, all, 1e-3, pictures(`s${seed}`), tune, seed)),
  )
}
