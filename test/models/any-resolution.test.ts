/** Images of any sizes in one packed row: each is as it is alone, whatever lies beside it; tiles are the special case. */
import * as fc from 'fast-check'
import { isLeft } from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import {
  and,
  axis,
  causal,
  elements,
  fill,
  GraphError,
  gradient,
  input,
  mul,
  normal,
  notPadding,
  parametersOf,
  type Tensor,
  total,
} from '../../src/dsl/index.ts'
import {
  type AnyResolution,
  decodeConfig,
  imageInputs,
  logitsOf,
  patchPlaces,
  placesInput,
  resizedPositions,
  type SailVitConfig,
  type SailVl2Config,
  sailVit,
  sailVitPacked,
  sailVl2Model,
  sameImage,
  visionLanguageConfig,
  vitAxes,
} from '../../src/models/index.ts'
import { loadCase, maxRelativeError } from '../support/fixtures.ts'
import { gridPlaces } from '../support/model-cases.ts'
import { numbers, random } from '../support/random.ts'

const test = suite('any resolution')

const encoder = (anyResolution: AnyResolution): SailVitConfig => ({
  ...{ imageSize: 8, patchSize: 2, hiddenSize: 8, intermediateSize: 6, layers: 2, heads: 2, epsilon: 1e-5 },
  anyResolution,
})

/** The encoder over a packed row, and the gradients of Σ output · weights with respect to all its weights. */
const graphOf = (c: SailVitConfig, patches: number): Readonly<Record<string, Tensor>> => {
  const { channel, vision } = vitAxes(c)
  const patch = axis('patch', patches)
  const [height, width] = [axis('height', c.patchSize), axis('width', c.patchSize)]
  const output = sailVitPacked(c, placesInput(patch)).apply(
    input('pixel_values', [patch, channel, height, width]),
  )
  const loss = total(mul(output, input('loss_weights', [patch, vision])))
  const weights = [...parametersOf(loss)]
  const flows = gradient(
    loss,
    weights.map(([, w]) => w),
  )
  return { output, ...Object.fromEntries(weights.map(([key], i) => [key, flows[i]!])) }
}

interface Image {
  readonly rows: number
  readonly columns: number
  readonly pixels: readonly number[]
  readonly lossWeights: readonly number[]
}

/** The encoder's numbers over images side by side, and so many patches of padding behind them. */
const encoded = (c: SailVitConfig, images: readonly Image[], padding = 0, noise = 0) => {
  const perPatch = 3 * c.patchSize ** 2
  const places = images.flatMap((g, i) => gridPlaces(g.rows, g.columns, i + 1))
  const patches = places.length / 5 + padding
  const outputs = graphOf(c, patches)
  const states = new Map(
    [...parametersOf(outputs.output!)].map(([key, t]) => [key, fill(normal(0.5), elements(t.axes), 3, key)]),
  )
  const values = evaluate(Object.values(outputs), {
    inputs: {
      pixel_values: [...images.flatMap((g) => g.pixels), ...Array(padding * perPatch).fill(noise)],
      patch_places: [...places, ...Array(padding * 5).fill(0)],
      loss_weights: [...images.flatMap((g) => g.lossWeights), ...Array(padding * c.hiddenSize).fill(0)],
    },
    states,
  })
  return Object.fromEntries(Object.keys(outputs).map((name, i) => [name, [...values[i]!]]))
}

const imageOf = (c: SailVitConfig, rows: number, columns: number, seed: number): Image => {
  const next = random(seed)
  const patches = rows * columns
  return {
    ...{ rows, columns },
    pixels: numbers(patches * 3 * c.patchSize ** 2, next),
    lossWeights: numbers(patches * c.hiddenSize, next),
  }
}

const close = (what: string, got: ArrayLike<number>, want: ArrayLike<number>): void => {
  const error = maxRelativeError(got, want)
  assert.ok(error < 1e-9, `${what}: relative error ${error}`)
}

test('packed equals separate: values and gradients, at any sizes, whatever fills the row', () => {
  const even = fc.integer({ min: 1, max: 4 }).map((n) => 2 * n)
  fc.assert(
    fc.property(
      fc.constantFrom<AnyResolution>(
        { positions: 'learned' },
        { positions: 'rotary' },
        { positions: 'both' },
        { positions: 'both', interpolation: 'bilinear', ropeTheta: 10 },
        { positions: 'learned', interpolation: 'bilinearCorners' },
      ),
      fc.array(fc.tuple(even, even), { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 0, max: 5 }),
      fc.nat(1000),
      (any, sides, padding, seed) => {
        const c = encoder(any)
        const images = sides.map(([rows, columns], i) => imageOf(c, rows, columns, seed + i))
        const packed = encoded(c, images, padding, 7)
        const alone = images.map((image) => encoded(c, [image]))
        for (const key of Object.keys(packed)) {
          const [got, ours] = [packed[key]!, alone.map((a) => a[key]!)]
          // values lie side by side, gradients add up
          const want = key === 'output' ? ours.flat() : got.map((_, i) => ours.reduce((n, o) => n + o[i]!, 0))
          close(key, got.slice(0, want.length), want)
          assert.ok(got.every(Number.isFinite), `${key} is finite`)
        }
      },
    ),
    { numRuns: 12 },
  )
})

test('a patch sees its own image alone, and padding sees nothing', () => {
  const patch = axis('patch', 4)
  const mask = sameImage(patchPlaces(input('patch_places', [patch, axis('place', 5)], 'int32')))
  const patch_places = [1, 1, 2, 0].flatMap((image) => [image, 0, 0, 2, 2])
  const [got] = evaluate([mask], { inputs: { patch_places } })
  assert.equal(
    [...got!],
    [
      [1, 1, 0, 0],
      [1, 1, 0, 0],
      [0, 0, 1, 0],
      [0, 0, 0, 0],
    ].flat(),
  )
})

test('positions tell: an image of the same patches in another grid, or turned, is another', () => {
  for (const positions of ['learned', 'rotary', 'both'] as const) {
    const c = encoder({ positions })
    const image = imageOf(c, 2, 6, 1)
    const first = encoded(c, [image]).output!
    for (const other of [
      { ...image, rows: 6, columns: 2 },
      { ...image, rows: 4, columns: 3 },
    ])
      assert.ok(maxRelativeError(encoded(c, [other]).output!, first) > 1e-2, positions)
  }
})

/** Tiles as packed patches, square by square: pixels and places. */
const packedTiles = (whole: Float32Array, [tiles, , size]: readonly number[], patchSize: number) => {
  const side = size! / patchSize
  const pixels: number[] = []
  const places: number[] = []
  for (let tile = 0; tile < tiles!; tile++)
    for (let n = 0; n < side * side; n++) {
      const [square, within] = [Math.floor(n / 4), n % 4]
      const row = 2 * Math.floor(square / (side / 2)) + Math.floor(within / 2)
      const column = 2 * (square % (side / 2)) + (within % 2)
      places.push(tile + 1, row, column, side, side)
      for (let ch = 0; ch < 3; ch++)
        for (let y = 0; y < patchSize; y++) {
          const from = ((tile * 3 + ch) * size! + row * patchSize + y) * size! + column * patchSize
          pixels.push(...whole.subarray(from, from + patchSize))
        }
    }
  return { pixels, places }
}

test('tiles are the special case: the joined model’s reference numbers come out of packed patches', () => {
  const reference = loadCase('sail-vl2')
  const read = decodeConfig(visionLanguageConfig, reference.config)
  if (isLeft(read)) throw read.left
  const c: SailVl2Config = {
    ...read.right,
    vision: { ...read.right.vision, anyResolution: { positions: 'learned' } },
  }
  const { pixels, places } = packedTiles(
    reference.floats('pixel_values'),
    reference.shape('pixel_values'),
    c.vision.patchSize,
  )
  const [rows, length] = reference.shape('input_ids') as readonly [number, number]
  const [batch, token] = [axis('batch', rows), axis('token', length)]
  const model = sailVl2Model('reference', c)
  const logits = logitsOf(model, {
    ids: input('input_ids', [batch, token], 'int32'),
    positions: input('position_ids', [batch, token], 'int32'),
    mask: and(causal(token), notPadding(input('attention_mask', [batch, token], 'int32'), 'token')),
    token,
    // a square is a token
    images: imageInputs(model, places.length / 5 / 4, batch, token),
  })
  const ids = [...reference.ints('input_ids')]
  let next = 0
  const [got] = evaluate([logits], {
    inputs: {
      ...{ input_ids: ids, pixel_values: pixels, patch_places: places },
      position_ids: reference.ints('position_ids'),
      attention_mask: reference.ints('attention_mask'),
      visual_index: ids.map((id) => (id === reference.config.img_context_token_id ? next++ : -1)),
    },
    states: new Map([...reference.weights].map(([key, w]) => [key, w.data])),
  })
  assert.is(next, places.length / 5 / 4)
  const real = reference.ints('attention_mask')
  const shown = got!.map((x, i) => x * real[Math.floor(i / c.language.vocabSize)]!)
  const error = maxRelativeError(shown, reference.floats('logits'))
  assert.ok(error < reference.case.relative_tolerance, `relative error ${error}`)
})

test('a grid of one row has the table’s first where corners align, as PyTorch has it', () => {
  const [side, embed] = [4, axis('embed', 3)]
  const data = numbers(side * side * 3, random(5))
  const table = input('table', [axis('gridRow', side), axis('gridColumn', side), embed])
  const places = placesInput(axis('patch', side))
  const [got] = evaluate([resizedPositions(table, places, 'bilinearCorners')], {
    inputs: { table: data, patch_places: gridPlaces(1, side) },
    states: new Map(),
  })
  assert.ok(maxRelativeError(Array.from(got!), Array.from(data.slice(0, side * 3))) < 1e-6)
})

test('an encoder is of one kind: the other constructor says so', () => {
  const any = encoder({ positions: 'both' })
  const { anyResolution, ...fixed } = any
  const patch = axis('patch', 4)
  const thrown = (f: () => unknown): string => {
    try {
      f()
    } catch (e) {
      if (e instanceof GraphError) return e.message
      throw e
    }
    return ''
  }
  assert.match(
    thrown(() => sailVit(any)),
    /sailVitPacked/,
  )
  assert.match(
    thrown(() => sailVitPacked(fixed, placesInput(patch))),
    /anyResolution/,
  )
  assert.match(
    thrown(() => sailVitPacked({ ...any, heads: 4 }, placesInput(patch))),
    /multiple of 4, not 2/,
  )
})

test.run()
