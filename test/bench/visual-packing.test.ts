/** Visual packing, simulated: what is counted, that it is the same every time, and what it gains. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { measuredEngines } from '../../src/bench/index.ts'
import { markdownVisualPacking, showVisualPacking } from '../../src/bench/show-visual-packing.ts'
import { simulateVisualPacking, type TiledMixture, tiledMixtures } from '../../src/bench/visual-packing.ts'
import { benchCommand } from '../../src/cli/commands/bench.ts'
import { cost } from '../../src/dsl/index.ts'
import { aimv2Huge, qwen3Medium, qwen3Model, sailVitModel } from '../../src/models/index.ts'
import { commandIn } from '../support/in-process.ts'

const test = suite('bench: visual packing')

const near = (x: number, wanted: number, by = 1e-9): void =>
  assert.ok(Math.abs(x / wanted - 1) <= by, `${x} and not ${wanted}`)

test('by hand: devices take packs in turns, and a step takes as long as the slowest of them', async () => {
  // packs of one sample: a page of ten tiles and then seven of text, again and again
  let i = 0
  const turns: TiledMixture = {
    name: 'turns',
    about: '',
    draw: () => (i++ % 8 === 0 ? { tiles: 4, text: 0 } : { tiles: 0, text: 1024 }),
  }
  const [r] = await simulateVisualPacking({
    ...{ mixtures: [turns], encodings: ['tiles'], steps: 3, tokens: 1024, buffer: 1 },
  })
  const language = cost([qwen3Model('l', { ...qwen3Medium, tied: false }).graph({ tokens: 1024 })]).flops
  const tile = cost([sailVitModel('v', aimv2Huge).graph()]).flops
  // every pack has 1,024 tokens
  near(r!.data.slowest, (language + 4 * tile) / (language + (4 * tile) / 8))
  assert.equal([r!.data.mostTiles, r!.data.fill], [8, 1])
  near(r!.data.speed, (1e15 * 8 * 1024) / (language + 4 * tile))
})

test('an image that is encoded whole costs what its graph does, at any size', async () => {
  const page: TiledMixture = { name: 'page', about: '', draw: () => ({ tiles: 9, text: 256 }) }
  const [r] = await simulateVisualPacking({
    ...{ mixtures: [page], encodings: ['whole'], steps: 1, devices: 1, tokens: 2560, buffer: 1 },
  })
  const language = cost([qwen3Model('l', { ...qwen3Medium, tied: false }).graph({ tokens: 2560 })]).flops
  const image = cost([sailVitModel('v', { ...aimv2Huge, imageSize: 3 * 448 }).graph()]).flops
  near(r!.data.speed, (1e15 * 2560) / (language + image), 1e-3)
})

test('balanced images gain at least 1.48 times on pages, pictures and reasoning, little on images alone; every time the same', async () => {
  const [images, , uneven] = tiledMixtures
  const all = await simulateVisualPacking({ mixtures: [images!, uneven!], encodings: ['whole'] })
  const [even, gained] = all
  assert.ok(even!.gain > 1 && even!.gain < 1.15, `${even!.gain}`)
  assert.ok(gained!.gain >= 1.48, `${gained!.gain}`)
  for (const { data, visual } of all) {
    assert.ok(visual.slowest < data.slowest && visual.slowest >= 1)
    assert.ok(visual.fill > data.fill - 0.02)
  }
  const some = { mixtures: [uneven!], encodings: ['tiles'], steps: 3 } as const
  const once = await simulateVisualPacking(some)
  assert.equal(await simulateVisualPacking(some), once)
  // what is undefined is not said
  assert.equal(await simulateVisualPacking({ ...some, devices: undefined, slack: undefined }), once)
  const shown = showVisualPacking(all, { colour: false })
  assert.match(shown, new RegExp(`× ${gained!.gain.toFixed(2)}`))
  assert.match(shown, `${uneven!.name}: ${uneven!.about}`)
  assert.equal(markdownVisualPacking(all).match(/^\|/gm)?.length, 4)
  assert.ok(benchCommand.flags['visual-packing'] !== undefined)
})

test('what says how to measure is refused beside it, by name', async () => {
  const cli = commandIn(process.cwd())
  const { code, out, err } = await cli(['bench', '--visual-packing', '--engine', 'onnx', '--rounds', '3'])
  assert.equal([code, out], [2, ''])
  assert.match(err, '--visual-packing measures nothing, and --engine, --rounds say how to measure')
})

test('in another precision tensorflow is measured compiled alone', () => {
  assert.equal(measuredEngines({ compile: 'xla' }), [['tensorflow'], ['onnx'], ['tensorflow', 'xla']])
  const compiled = { engines: ['tensorflow'], compile: 'xla', precision: 'bfloat16' } as const
  assert.equal(measuredEngines(compiled), [['tensorflow', 'xla']])
  assert.equal(measuredEngines({ engines: ['xla'], precision: 'bfloat16' }), [['xla']])
})

test.run()
