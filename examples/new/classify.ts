/**
 * What does an image show? A small vision transformer with a linear head. Written by `sailwright new classify`; it is yours,
 * change anything.
 *
 *     sailwright run classify.ts --quick      a short pass, to see that everything works
 *     sailwright run classify.ts              trains, measures, writes runs/…/report.html
 *     sailwright run classify.ts --data my-images
 *
 * The data is a folder of images of any kind and size: in a folder for each class, or with a `metadata.jsonl`, whose lines are
 * `{ "file_name": "0.png", "label": "cat" }`.
 */
import { pipe } from 'fp-ts/lib/function.js'
import * as rows from 'sailwright/data'
import * as d from 'sailwright/dsl'
import { tensorValue } from 'sailwright/engine'
import { heldOut } from 'sailwright/eval'
import { type Model, type SailVitConfig, sailVit, vitAxes } from 'sailwright/models'
import * as t from 'sailwright/train'

/** The encoder: images are resized to 32 × 32 pixels and cut into patches of 8 × 8. */
const vit: SailVitConfig = {
  ...{ imageSize: 32, patchSize: 8, hiddenSize: 96, intermediateSize: 256, layers: 3, heads: 4 },
  ...{ epsilon: 1e-5, patchInit: 'centred' },
}

/** Images a step. */
const batch = 16

/** Images to a score of each class: the encoder's patches, their mean, a linear map. The graph is what is exported, too. */
const scores = (images: number, classes: number): d.Tensor => {
  const { channel, height, width, vision } = vitAxes(vit)
  const pixels = d.input('pixel_values', [d.axis('image', images), channel, height, width])
  const head = d.at('head')(d.linear(vision, d.axis('class', classes)))
  return head.apply(d.mean(sailVit(vit).apply(pixels), 'patch'))
}

const classifier = (classes: readonly string[]): Model => ({
  name: 'classifier',
  config: { kind: 'classifier', vit, classes },
  parts: { encoder: d.keys('encoder', 'vision_model.**'), head: d.keys('head', 'head.**') },
  graph: ({ batch: images = 1 } = {}) => scores(images, classes.length),
})

/** The loss: cross-entropy of the scores. */
const classify = (
  model: Model,
  classes: readonly string[],
): t.Objective<{ image: rows.RgbImage; label: number }> => ({
  ...{ name: 'classify', config: { kind: 'classify', model: model.config, batch }, unit: 'nats per image' },
  ...{ model, batch, buckets: [{}] },
  terms: () => {
    const labels = d.input('labels', [d.axis('image', batch)], 'int32')
    return t.crossEntropyTerms('class', { logits: scores(batch, classes.length), labels })
  },
  collate: (examples) => {
    const pixels = new Float32Array(batch * 3 * vit.imageSize ** 2)
    for (const [i, { image }] of examples.entries())
      rows.imagenetNormalise(image, pixels, (i * pixels.length) / batch)
    // a place without an image counts for nothing
    const labels = Array.from({ length: batch }, (_, i) => examples[i]?.label ?? d.Ignored)
    const inputs = {
      pixel_values: tensorValue('float32', [batch, 3, vit.imageSize, vit.imageSize], pixels),
      labels: tensorValue('int32', [batch], labels),
    }
    return [{ sizes: {}, inputs }]
  },
})

const file: t.ExperimentFile = async ({ quick, seed, setting, data }) => {
  // what --set can say; each has a default
  const steps = setting.integer('steps', quick ? 10 : 200, { from: 1 })
  const rate = setting.number('rate', 1e-3, { from: 0 })

  // what --data says, else the sample; the classes are the labels that occur
  const images = data.rows('sample-images')
  const seen = new Set<string>()
  for await (const { example } of images.open())
    if (example.columns.label != null) seen.add(String(example.columns.label))
  const classes = [...seen].sort()
  if (classes.length === 0) throw new t.SettingError('no row of the data has a label')
  const model = classifier(classes)
  const labelOf = (row: rows.Row) => {
    const label = classes.indexOf(String(row.columns.label))
    if (label >= 0) return label
    throw new rows.RowError(row, 'it has no label')
  }
  const labelled = (from: rows.Source<rows.Row>) =>
    rows.mapped(
      { rows: from.config, classes },
      from,
      async (row) => ({
        image: await rows.readRowImage(row, vit.imageSize),
        label: labelOf(row),
      }),
      { onBadRow: data.onBadRow }, // a row without an image that can be read, or a label, is set aside, and the run ends with their list
    )
  // one image in five is held out: which ones depends on their names alone
  const sides = rows.split(images, { heldOut: 0.2, by: rows.rowKey })

  const objective = classify(model, classes)
  const stage = t.supervised({
    ...{ name: 'classify', from: 'fresh', to: 'classifier', objective, steps, learningRate: rate },
    train: Object.values(model.parts),
    source: labelled(rows.shuffled(rows.repeated(sides.train), { seed, buffer: 1000 })),
  })
  return t.experiment(
    pipe(t.begin({ name: 'classify', seed, model, start: t.fromScratch, now: 'fresh' }), t.next(stage)),
    heldOut({
      ...{ family: 'held-out images', stage: 'classify', objective, batches: 99 },
      source: labelled(sides.heldOut),
    }),
  )
}

export default file
