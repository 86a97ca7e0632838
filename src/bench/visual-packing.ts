/**
 * What visual packing saves (SAIL-VL2 §5.1), simulated: devices train on a pack each, and every step ends with the slowest.
 * Nothing is timed. A pack takes what the graphs of SAIL-VL2-2B cost in floating-point operations at these lengths, so the
 * same options give the same numbers on every machine.
 *
 * @since 0.1.0
 */
import { type Conversation, packed, type RgbImage, type Source } from '../data/index.ts'
import { cost } from '../dsl/index.ts'
import { aimv2Huge, qwen3Medium, qwen3Model, sailVitModel } from '../models/index.ts'
import { type Random, random } from '../random/index.ts'
import { present } from '../settings/internal.ts'

/** One sample of a mixture. */
export interface TiledSample {
  /** Area of its image in tiles of 448 × 448 pixels, 0 for text alone. */
  readonly tiles: number
  /** Tokens beside those of the image. */
  readonly text: number
}

/** Samples of one kind of data. */
export interface TiledMixture {
  readonly name: string
  /** What is in it, for a reader. */
  readonly about: string
  readonly draw: (r: Random) => TiledSample
}

/**
 * How images are encoded: tile by tile, or whole (SAIL-ViT-AnyRes), where each patch attends to those of the whole image.
 * Either way a tile's area is 256 tokens of the language model.
 */
export type Encoding = 'tiles' | 'whole'

/** Tokens of the language model for a tile's area. */
const perTile = 256
/** Lengths are counted in blocks of so many tokens, rounded up. */
const block = 64

/** A length of which short and long ones are alike by their logarithm. */
const between = (r: Random, least: number, most: number): number =>
  Math.round(least * (most / least) ** r.next())

/** The mixtures that are simulated, the evenest first. */
export const tiledMixtures: readonly TiledMixture[] = [
  {
    name: 'images',
    about: 'images of 1 to 10 tiles, each as likely, with 16 to 256 tokens of text',
    draw: (r) => ({ tiles: r.int(1, 10), text: between(r, 16, 256) }),
  },
  {
    name: 'images and text',
    about: 'half as before, half text alone of 1,024 to 4,096 tokens',
    draw: (r) =>
      r.chance(0.5)
        ? { tiles: r.int(1, 10), text: between(r, 16, 256) }
        : { tiles: 0, text: between(r, 1024, 4096) },
  },
  {
    name: 'pages, pictures and reasoning',
    about:
      'half are images with 16 to 256 tokens of text, two in five of them pages of 10 tiles and the others pictures of 1 to 5; half are reasoning in text alone, of 1,536 to 4,096 tokens',
    draw: (r) =>
      r.chance(0.5)
        ? { tiles: r.chance(0.4) ? 10 : r.int(1, 5), text: between(r, 16, 256) }
        : { tiles: 0, text: between(r, 1536, 4096) },
  },
]

/** Options of {@link simulateVisualPacking}. */
export interface VisualPackingOptions {
  readonly mixtures?: readonly TiledMixture[]
  readonly encodings?: readonly Encoding[]
  /** Devices that share a step; default 8. */
  readonly devices?: number
  /** Steps; default 100. */
  readonly steps?: number
  /** Tokens of a device's pack; default 8192, as SAIL-VL2 was trained. */
  readonly tokens?: number
  /** Samples that wait and among which a pack chooses; default 128. */
  readonly buffer?: number
  /** Share of a pack that visual packing may leave empty, of 1; default 0.05. */
  readonly slack?: number
}

/** How one way of packing came out. */
export interface PackingOutcome {
  /** Time bound by the slowest device, in that which devices take that all are as busy as their mean: 1 is balance. */
  readonly slowest: number
  /** Tiles of the device that has the most of them in a step, in those of the mean device. */
  readonly mostTiles: number
  /** Tokens that packs hold, of 1. */
  readonly fill: number
  /** Tokens of all devices in the time of 10¹⁵ floating-point operations of one. */
  readonly speed: number
}

/** A mixture, packed by tokens alone (data packing), and by tokens and images (visual packing). */
export interface VisualPackingResult {
  readonly mixture: string
  readonly about: string
  readonly encoding: Encoding
  readonly data: PackingOutcome
  readonly visual: PackingOutcome
  /** Speed with visual packing, in that with data packing. */
  readonly gain: number
}

/** Floating-point operations of a forward pass; those of the backward pass are in proportion. */
interface Costs {
  readonly image: (tiles: number) => number
  /** Of a sample's tokens, which attend to their own sample alone. */
  readonly tokens: (tokens: number) => number
}

/** c₁·n + c₂·n² through two points: a part for each, and attention of each to all. */
const quadratic = (n: number, at: number, m: number, atM: number): ((x: number) => number) => {
  const second = (atM / m - at / n) / (m - n)
  const first = at / n - n * second
  return (x) => x * (first + x * second)
}

const costsOf = (encoding: Encoding): Costs => {
  const language = qwen3Model('language', { ...qwen3Medium, tied: false })
  const text = (tokens: number): number => cost([language.graph({ tokens })]).flops
  const vision = (imageSize: number): number =>
    cost([sailVitModel('vision', { ...aimv2Huge, imageSize }).graph()]).flops
  const tile = vision(448)
  return {
    image: encoding === 'tiles' ? (tiles) => tiles * tile : quadratic(1, tile, 4, vision(896)),
    tokens: quadratic(1024, text(1024), 2048, text(2048)),
  }
}

/** A sample as packing sees it. */
type Sized = Conversation & { readonly sample: TiledSample }

const dot: RgbImage = { width: 1, height: 1, channels: 3, data: new Uint8Array(3) }
const tokensOf = ({ text, tiles }: TiledSample): number => text + perTile * tiles

/** The mixture without end; `units` says what packing is to see of an image. */
const endless = (mixture: TiledMixture, units: (tiles: number) => number): Source<Sized> => ({
  config: mixture.name,
  async *open() {
    for (let i = 0; ; i++) {
      const sample = mixture.draw(random('visual packing', mixture.name, i))
      const ids = new Array<number>(Math.ceil(tokensOf(sample) / block)).fill(0)
      const images = new Array<RgbImage>(units(sample.tiles)).fill(dot)
      yield { example: { id: `${i}`, ids, lossMask: [], promptLength: 0, images, sample }, next: i + 1 }
    }
  },
})

const add = (all: readonly number[]): number => all.reduce((a, b) => a + b, 0)

/** What a device of a step holds, and how long it takes. */
interface Held {
  readonly tokens: number
  readonly tiles: number
  readonly time: number
}

const outcome = async (
  mixture: TiledMixture,
  costs: Costs,
  visual: boolean,
  o: Required<VisualPackingOptions>,
): Promise<PackingOutcome> => {
  const held = (samples: readonly TiledSample[]): Held => ({
    tokens: add(samples.map(tokensOf)),
    tiles: add(samples.map((s) => s.tiles)),
    time: add(samples.map((s) => costs.tokens(tokensOf(s)) + costs.image(s.tiles))),
  })
  // images weigh what they cost, in tiles; packing by tokens alone does not see them
  const units = (tiles: number): number => (visual ? Math.round(costs.image(tiles) / costs.image(1)) : 0)
  const packs = packed(endless(mixture, units), {
    ...{ rows: 1, tokens: Math.floor(o.tokens / block), buffer: o.buffer },
    images: units(Math.ceil(o.tokens / perTile)),
    ...(visual ? { visualSlack: o.slack } : {}),
  })
  const all: Held[] = []
  for await (const { example } of packs.open()) {
    all.push(held(example.rows.flat().map((c) => c.sample)))
    if (all.length === o.steps * o.devices) break
  }
  /** Of the device that has the most in a step, added up over the steps. */
  const most = (of: keyof Held): number =>
    add(
      Array.from({ length: o.steps }, (_, step) =>
        Math.max(...all.slice(step * o.devices, (step + 1) * o.devices).map((h) => h[of])),
      ),
    )
  const mean = (of: keyof Held): number => add(all.map((h) => h[of])) / o.devices
  return {
    slowest: most('time') / mean('time'),
    mostTiles: most('tiles') / mean('tiles'),
    fill: mean('tokens') / (o.steps * o.tokens),
    speed: (1e15 * o.devices * mean('tokens')) / most('time'),
  }
}

/**
 * Packs every mixture by tokens alone and by tokens and images, in the order in which devices that share a step would take
 * the packs, and adds up the times of the slowest.
 *
 * @category measuring
 */
export const simulateVisualPacking = async (
  options: VisualPackingOptions = {},
): Promise<readonly VisualPackingResult[]> => {
  const o: Required<VisualPackingOptions> = {
    ...{ mixtures: tiledMixtures, encodings: ['tiles', 'whole'] },
    ...{ devices: 8, steps: 100, tokens: 8192, buffer: 128, slack: 0.05, ...present(options) },
  }
  const results: VisualPackingResult[] = []
  for (const encoding of o.encodings) {
    const costs = costsOf(encoding)
    for (const mixture of o.mixtures) {
      const data = await outcome(mixture, costs, false, o)
      const visual = await outcome(mixture, costs, true, o)
      const { name, about } = mixture
      results.push({
        ...{ mixture: name, about, encoding, data, visual },
        gain: visual.speed / data.speed,
      })
    }
  }
  return results
}
