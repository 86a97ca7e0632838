/** Images of any sizes in one packed row: each is as it is alone, whatever lies beside it; tiles are the special case. */
import * as fc from 'fast-check'
import { isLeft } from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import {
  axis,
  elements,
  fill,
  GraphError,
  gradient,
  input,
  mul,
  normal,
  parametersOf,
  type Tensor,
  total,
} from '../../src/dsl/index.ts'
import {
  type AnyResolution,
  decodeConfig,
  patchPlaces,
  placesInput,
  type SailVitConfig,
  sailVit,
  sailVitPacked,
  sameImage,
  visionConfig,
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

test('tiles are the special case: the reference numbers of the fixed resolution come out of packed patches', () => {
  const reference = loadCase('sail-vit')
  const read = decodeConfig(visionConfig, reference.config)
  if (isLeft(read)) throw read.left
  const c: SailVitConfig = { ...read.right, anyResolution: { positions: 'learned' } }
  const [tiles, channels, size] = reference.shape('pixel_values') as readonly [number, number, number]
  const side = size / c.patchSize
  const whole = reference.floats('pixel_values')
  const pixels = new Float32Array(whole.length)
  let at = 0
  for (let tile = 0; tile < tiles; tile++)
    for (let p = 0; p < side * side; p++)
      for (let ch = 0; ch < channels; ch++)
        for (let y = 0; y < c.patchSize; y++)
          for (let x = 0; x < c.patchSize; x++) {
            const row = Math.floor(p / side) * c.patchSize + y
            const column = (p % side) * c.patchSize + x
            pixels[at++] = whole[((tile * channels + ch) * size + row) * size + column]!
          }
  const { channel } = vitAxes(c)
  const patch = axis('patch', tiles * side * side)
  const [height, width] = [axis('height', c.patchSize), axis('width', c.patchSize)]
  const output = sailVitPacked(c, placesInput(patch)).apply(
    input('pixel_values', [patch, channel, height, width]),
  )
  const [got] = evaluate([output], {
    inputs: {
      pixel_values: pixels,
      patch_places: Array.from({ length: tiles }, (_, i) => gridPlaces(side, side, i + 1)).flat(),
    },
    states: new Map([...reference.weights].map(([key, w]) => [key, w.data])),
  })
  const error = maxRelativeError(got!, reference.floats('output'))
  assert.ok(error < reference.case.relative_tolerance, `relative error ${error}`)
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
