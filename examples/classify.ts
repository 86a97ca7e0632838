/**
 * What does an image show? A small ViT, a linear head and an objective of one's own, on a folder with a folder of
 * images for each class, or with `metadata.jsonl`, whose lines are `{ "file_name": "0.png", "label": "cat" }`: `--data <folder>`.
 */
import { pipe } from 'fp-ts/lib/function.js'
import * as rows from 'sailwright/data'
import * as d from 'sailwright/dsl'
import { tensorValue } from 'sailwright/engine'
import { heldOut } from 'sailwright/eval'
import { nano, sailVit, sailVitModel, vitAxes } from 'sailwright/models'
import * as t from 'sailwright/train'

const [batch, vit] = [16, { ...nano.vision, imageSize: 32, patchSize: 8, layers: 2 }]
const model = sailVitModel('classifier', vit)

/** Cross-entropy of a linear map of the patches' mean. */
const classify = (classes: number): t.Objective<{ image: rows.RgbImage; label: number }> => ({
  ...{ name: 'classify', config: { kind: 'classify', vit, classes, batch }, unit: 'nats per image' },
  ...{ model, batch, buckets: [{}] },
  terms: () => {
    const [image, { channel, height, width, vision }] = [d.axis('image', batch), vitAxes(vit)]
    const patches = sailVit(vit).apply(d.input('pixels', [image, channel, height, width]))
    const head = d.at('head')(d.linear(vision, d.axis('class', classes)))
    const labels = d.input('labels', [image], 'int32')
    return t.crossEntropyTerms('class', { logits: head.apply(d.mean(patches, 'patch')), labels })
  },
  collate: (examples) => {
    const shape = [batch, 3, vit.imageSize, vit.imageSize]
    const pixels = new Float32Array(batch * 3 * vit.imageSize ** 2)
    for (const [i, { image }] of examples.entries())
      rows.imagenetNormalise(image, pixels, (i * pixels.length) / batch)
    const labels = Array.from({ length: batch }, (_, i) => examples[i]?.label ?? d.Ignored)
    const values = [tensorValue('float32', shape, pixels), tensorValue('int32', [batch], labels)] as const
    return [{ sizes: {}, inputs: { pixels: values[0], labels: values[1] } }]
  },
})

const file: t.ExperimentFile = async ({ seed, setting, data }) => {
  const [images, seen] = [data.rows(), new Set<unknown>()]
  for await (const { example } of images.open()) seen.add(example.columns.label ?? undefined)
  const classes = [...seen].flatMap((label) => (label === undefined ? [] : [String(label)])).sort()
  const shown = async (r: rows.Row) => {
    const label = classes.indexOf(`${r.columns.label}`)
    if (label >= 0) return { image: await rows.readRowImage(r, vit.imageSize), label }
    throw new rows.RowError(r, 'it has no label')
  }
  // a row without an image that can be read, or a label, is set aside
  const labelled = (from: rows.Source<rows.Row>) =>
    rows.mapped({ rows: from.config, classes }, from, shown, { onBadRow: data.onBadRow })
  const sides = rows.split(images, { heldOut: 0.2, by: rows.rowKey })
  const source = labelled(rows.shuffled(rows.repeated(sides.train), { seed, buffer: 1000 }))
  const [objective, name] = [classify(classes.length), 'classify']
  const about = { name, from: 'fresh', to: 'classifier', train: [d.everyKey], learningRate: 1e-3 } as const
  const stage = t.supervised({ ...about, objective, source, steps: setting.integer('steps', 300) })
  const held = { family: 'images', stage: name, objective, source: labelled(sides.heldOut), batches: 99 }
  const begun = t.begin({ name, seed, model, start: t.fromScratch, now: 'fresh' })
  return t.experiment(pipe(begun, t.next(stage)), heldOut(held))
}
export default file
