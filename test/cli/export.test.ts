/** `sailwright export`: what it writes is read by others, and they compute what was trained. */
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { loadOnnxRuntime } from '../../src/engine/onnx/runtime.ts'
import { loadTensorflow } from '../../src/engine/tensorflow/index.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { encodeChat, renderChat } from '../../src/formats/index.ts'
import { type Model, pretrained, qwen3Model } from '../../src/models/index.ts'
import { readAdapter } from '../../src/optim/lora-adapter.ts'
import { mergeLora } from '../../src/optim/lora-merge.ts'
import { random } from '../../src/random/index.ts'
import { nanoTokenizer } from '../../src/tasks/nano.ts'
import { exportOnnxModel, forwardProgram, loadWeights, orThrow, type Weights } from '../../src/train/index.ts'
import { inMemory } from '../../src/train/weights.ts'
import { hostEngines } from '../support/engines.ts'
import { commandIn } from '../support/in-process.ts'
import { command, moduleAt } from '../support/program.ts'
import { decodeModel } from '../support/protobuf.ts'
import { fromPython } from '../support/python.ts'
import { tiny, tinyModel } from '../support/tiny.ts'

const test = suite('export')
const root = mkdtempSync(join(tmpdir(), 'sailwright-export-'))
test.after(() => rmSync(root, { recursive: true, force: true }))
const experiment = moduleAt('test/support/experiments/exported.ts')
const [engine] = await hostEngines()
const kinds = ['text', 'joined', 'lora', 'lora-twice', 'experts', 'own'] as const
type Kind = (typeof kinds)[number]

const cli = commandIn(root)

/** A run of each kind, in a folder of its name. */
test.before(async () => {
  for (const kind of kinds) {
    const words = ['run', experiment, '--engine', 'onnx', '--set', `kind=${kind}`, '--out', kind]
    const { code, err } = await cli(words)
    assert.is(code, 0, err)
  }
})

const exported = async (run: string, ...words: readonly string[]): Promise<string> => {
  const { code, out, err } = await cli(['export', run, ...words])
  assert.is(code, 0, err)
  return join(root, out.trim())
}
const weightsOf = (kind: Kind, file = 'model.safetensors'): Promise<Weights> =>
  orThrow(loadWeights(join(root, kind, 'checkpoints/tune', file)))
const textModel = qwen3Model('tiny-text', tiny.language)

/** What a model's graph needs, drawn: rows of ids and images of one tile a row. */
const [rows, tokens] = [2, 24]
const ids = Array.from({ length: rows * tokens }, (_, i) => random('ids', i).int(8, 60))
const positions = ids.map((_, i) => i % tokens)
const textInputs = {
  input_ids: tensorValue('int32', [rows, tokens], ids),
  position_ids: tensorValue('int32', [rows, tokens], positions),
}
const side = tiny.vision.imageSize
const joinedInputs = {
  ...textInputs,
  visual_index: tensorValue(
    'int32',
    [rows, tokens],
    positions.map((p, i) => (p < 16 ? Math.floor(i / tokens) * 16 + p : -1)),
  ),
  pixel_values: tensorValue(
    'float32',
    [rows, 3, side, side],
    Array.from({ length: rows * 3 * side * side }, (_, i) => random('pixels', i).next()),
  ),
}
type Inputs = Readonly<Record<string, ReturnType<typeof tensorValue>>>

/** A model's output as our own engine computes it. */
const computed = async (model: Model, weights: Weights, inputs: Inputs, name = 'logits') => {
  const program = forwardProgram(model, { batch: rows, tokens })
  const session = await orThrow(engine!.load(program, { values: inMemory(weights) }))
  try {
    const out = await orThrow(session.call('forward', inputs))
    return [...(out[name]!.data as Float32Array)]
  } finally {
    await orThrow(session.close())
  }
}
const farthest = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  assert.is(a.length, b.length)
  return Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0)
}

/** A file of ONNX in plain onnxruntime. */
const inOnnx = async (path: string, inputs: Inputs) => {
  const found = loadOnnxRuntime()
  if (found._tag === 'Left') throw new Error(found.left.message)
  const { ort } = found.right
  const session = await ort.InferenceSession.create(path)
  const fed = Object.fromEntries(
    Object.entries(inputs).map(([n, v]) => [n, new ort.Tensor(v.dtype as never, v.data as never, v.shape)]),
  )
  const out = await session.run(fed)
  return out as unknown as Readonly<Record<string, { readonly data: Float32Array }>>
}

test('a Qwen3 in Hugging Face’s layout: whole, and read back by pretrained() bit for bit', async () => {
  const folder = await exported('text', '--hf')
  assert.is(folder, join(root, 'text-hf'))
  assert.equal(readdirSync(folder).sort(), [
    'config.json',
    'generation_config.json',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
  ])
  const weights = await weightsOf('text')
  const back = await orThrow(pretrained(folder))
  assert.is(back.kind, 'language')
  assert.equal(back.model.config, textModel.config)
  assert.equal([...back.source.keys].sort(), [...weights.keys()].sort())
  for (const [key, { data }] of weights) assert.equal((await orThrow(back.source.read(key))).data, data, key)
  const t = nanoTokenizer()
  assert.equal([...back.tokenizer!.encode('say <|im_end|> 3')], t.encode('say <|im_end|> 3'))
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'))
  assert.is(config.eos_token_id, t.idOf('<|im_end|>'))
  assert.is(config.pad_token_id, t.idOf('<|endoftext|>'))
})

test('a checkpoint has beside its weights what an export of it has', async () => {
  const [folder, checkpoint] = [join(root, 'text-hf'), join(root, 'text/checkpoints/tune')]
  for (const file of readdirSync(folder).filter((f) => f.endsWith('.json')))
    assert.is(readFileSync(join(checkpoint, file), 'utf8'), readFileSync(join(folder, file), 'utf8'), file)
  const { model, source, tokenizer } = await orThrow(pretrained(checkpoint))
  assert.equal(model.config, textModel.config)
  assert.equal([...source.keys].sort(), [...(await weightsOf('text')).keys()].sort())
  assert.equal([...tokenizer!.encode('say 3')], nanoTokenizer().encode('say 3'))
})

test('transformers loads it: equal logits, equal ids of a chat, and it writes', async () => {
  const folder = join(root, 'text-hf')
  const messages = [
    { role: 'user', content: 'say 3' },
    { role: 'assistant', content: '3' },
  ] as const
  const script = `
import json, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, given, messages = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
model = AutoModelForCausalLM.from_pretrained(folder).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
ids = torch.tensor(given['ids']).view(given['rows'], -1)
with torch.no_grad():
  logits = model(input_ids=ids).logits
chat = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True)['input_ids']
written = model.generate(ids[:1, :4], max_new_tokens=3)
print(json.dumps({ 'logits': logits.flatten().tolist(), 'chat': chat, 'written': written[0].tolist(), 'dtype': str(model.dtype) }))`
  const words = [folder, JSON.stringify({ ids, rows }), JSON.stringify(messages)]
  const got = (await fromPython(['torch', 'transformers'], script, ...words)) as
    | { logits: number[]; chat: number[]; written: number[]; dtype: string }
    | undefined
  if (got === undefined) return
  assert.is(got.dtype, 'torch.float32')
  const own = await computed(textModel, await weightsOf('text'), textInputs)
  const error = farthest(got.logits, own)
  assert.ok(error < 1e-5 * Math.max(...own.map(Math.abs)), `${error}`)
  const { tokenizer: t } = await orThrow(pretrained(folder))
  const rendered = renderChat(t!.chatTemplate!, messages, { special: t!.special.keys() })
  if (rendered._tag === 'Left') throw rendered.left
  const chat = encodeChat(t!, rendered.right.pieces)
  assert.equal(got.chat, [...chat.ids])
  assert.is(got.written.length, 7)
})

test('a SAIL-VL2 in Hugging Face’s layout is whole in its own key names', async () => {
  const folder = await exported('joined', '--hf', '--out', 'out/joined')
  const weights = await weightsOf('joined')
  const back = await orThrow(pretrained(folder, 'tiny'))
  assert.is(back.kind, 'vision-language')
  assert.equal([...back.source.keys].sort(), [...weights.keys()].sort())
  for (const [key, { data }] of weights) assert.equal((await orThrow(back.source.read(key))).data, data, key)
  assert.ok(back.tokenizer !== undefined && back.tokenizer.chatTemplate !== undefined)
  const taken = new Map(
    await Promise.all(
      back.source.keys.map(async (key) => [key, await orThrow(back.source.read(key))] as const),
    ),
  )
  const own = await computed(tinyModel, weights, joinedInputs)
  assert.equal(await computed(back.model, taken, joinedInputs), own, 'the same bits')
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'))
  assert.is(config.img_context_token_id, nanoTokenizer().idOf('<IMG_CONTEXT>'))
})

test('an ONNX file runs in plain onnxruntime and says what goes in and comes out', async () => {
  for (const [kind, model, inputs] of [
    ['text', textModel, textInputs],
    ['joined', tinyModel, joinedInputs],
  ] as const) {
    const folder = await exported(kind, '--onnx', '--batch', `${rows}`, '--tokens', `${tokens}`)
    const out = await inOnnx(join(folder, 'model.onnx'), inputs)
    const own = await computed(model, await weightsOf(kind), inputs)
    assert.ok(farthest(out.logits!.data, own) < 1e-5 * Math.max(...own.map(Math.abs)), kind)
    const { graph } = decodeModel(readFileSync(join(folder, 'model.onnx')))
    assert.equal(graph.input.map((v) => v.name).sort(), Object.keys(inputs).sort())
    assert.equal(
      graph.output.map((v) => v.name),
      ['logits'],
    )
    const told = [...graph.input, ...graph.output].map((v) => v.docString)
    assert.ok(
      told.every((t) => t !== undefined && t.length > 30),
      String(told),
    )
    const readme = readFileSync(join(folder, 'README.md'), 'utf8')
    for (const t of told) assert.ok(readme.includes(t!), t)
    assert.match(readme, `\`input_ids\`: int32 [batch ${rows}, token ${tokens}]: ids of tokens`)
  }
  const script = `
import json, sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])
given = json.loads(sys.argv[2])
ids = numpy.array(given['ids'], dtype=numpy.int32).reshape(given['rows'], -1)
places = numpy.arange(ids.shape[1], dtype=numpy.int32)[None].repeat(ids.shape[0], 0)
out, = session.run(['logits'], { 'input_ids': ids, 'position_ids': places })
print(json.dumps(out.flatten().tolist()))`
  const words = [join(root, 'text-onnx/model.onnx'), JSON.stringify({ ids, rows })]
  const got = (await fromPython(['numpy', 'onnxruntime'], script, ...words)) as number[] | undefined
  if (got === undefined) return
  const own = await computed(textModel, await weightsOf('text'), textInputs)
  assert.ok(farthest(got, own) < 1e-5 * Math.max(...own.map(Math.abs)))
})

test('weights too many for one ONNX file lie beside it', async () => {
  const [folder, weights] = [join(root, 'beside'), await weightsOf('text')]
  const { files } = await orThrow(
    exportOnnxModel(
      folder,
      { model: textModel, weights: inMemory(weights) },
      { batch: rows, tokens, inside: 1 },
    ),
  )
  assert.equal([...files].sort(), ['README.md', 'model.onnx', 'model.onnx.data'])
  const bytes = [...weights.values()].reduce((n, w) => n + w.data.byteLength, 0)
  assert.ok(readFileSync(join(folder, 'model.onnx')).length < bytes / 2)
  const out = await inOnnx(join(folder, 'model.onnx'), textInputs)
  const own = await computed(textModel, weights, textInputs)
  assert.ok(farthest(out.logits!.data, own) < 1e-5 * Math.max(...own.map(Math.abs)))
})

test('a SavedModel in TensorFlow alone: equal logits, a signature that trains, states that come back', async () => {
  const folder = await exported('text', '--savedmodel', '--batch', `${rows}`, '--tokens', `${tokens}`)
  const weights = await weightsOf('text')
  const own = await computed(textModel, weights, textInputs)
  const readme = readFileSync(join(folder, 'README.md'), 'utf8')
  assert.match(readme, /## step\.0\n\nIt changes the states\./)
  assert.match(readme, /`labels`: int32 \[batch 4, token 24\]: the id of each token that is learnt/)
  const script = `
import json, sys, numpy as np, tensorflow as tf
folder, given = sys.argv[1], json.loads(sys.argv[2])
def loaded():
  return tf.saved_model.load(folder).signatures
i32 = lambda a, rows: tf.constant(np.array(a, dtype=np.int32).reshape(rows, -1))
s = loaded()
ids, places = i32(given['ids'], given['rows']), i32(given['positions'], given['rows'])
logits = s['forward.0'](input_ids=ids, position_ids=places)['logits'].numpy()
begun = { k: v.numpy() for k, v in s['read']().items() }
batch = np.tile(np.array(given['ids'][:24], dtype=np.int32), (4, 1))
labels = batch.copy(); labels[:, 0] = -100
losses = []
for _ in range(12):
  out = s['step.0'](input_ids=tf.constant(batch), position_ids=i32(list(range(24)) * 4, 4), labels=tf.constant(labels), learning_rate=tf.constant(np.float32(1e-2)))
  losses.append(float(out['loss'].numpy()))
moved = { k: v.numpy() for k, v in s['read']().items() }
after = s['forward.0'](input_ids=ids, position_ids=places)['logits'].numpy()
# and what was read can be written back
s['write'](**{ k: tf.constant(v) for k, v in begun.items() })
back = s['forward.0'](input_ids=ids, position_ids=places)['logits'].numpy()
s['step.0'](input_ids=tf.constant(batch), position_ids=i32(list(range(24)) * 4, 4), labels=tf.constant(labels), learning_rate=tf.constant(np.float32(1e-2)))
again = loaded()['forward.0'](input_ids=ids, position_ids=places)['logits'].numpy()
key = given['key']
print(json.dumps({ 'logits': logits.flatten().tolist(), 'begun': begun[key].flatten().tolist(), 'losses': losses,
  'moved': bool(np.any(moved[key] != begun[key])), 'after': bool(np.any(after != logits)),
  'back': bool(np.all(back == logits)), 'again': bool(np.all(again == logits)) }))`
  const key = 'model.embed_tokens.weight'
  const words = [folder, JSON.stringify({ ids, positions, rows, key })]
  const got = (await fromPython(['numpy', 'tensorflow'], script, ...words)) as
    | {
        logits: number[]
        begun: number[]
        losses: number[]
        moved: boolean
        after: boolean
        back: boolean
        again: boolean
      }
    | undefined
  if (got !== undefined) {
    assert.ok(farthest(got.logits, own) < 1e-5 * Math.max(...own.map(Math.abs)))
    assert.equal(got.begun, [...weights.get(key)!.data], 'the states are those of the run')
    assert.ok(got.losses.at(-1)! < got.losses[0]! * 0.8, String(got.losses))
    const { moved, after, back, again } = got
    assert.equal({ moved, after, back, again }, { moved: true, after: true, back: true, again: true })
  }
  const tensorflow = loadTensorflow()
  if (tensorflow._tag === 'Left') return
  const { tf } = tensorflow.right
  const model = await tf.node.loadSavedModel(folder, ['serve'], 'step.0')
  const fed = {
    input_ids: tf.tensor(
      Int32Array.from({ length: 96 }, (_, i) => ids[i % 24]!),
      [4, 24],
      'int32',
    ),
    position_ids: tf.tensor(
      Int32Array.from({ length: 96 }, (_, i) => i % 24),
      [4, 24],
      'int32',
    ),
    labels: tf.tensor(
      Int32Array.from({ length: 96 }, (_, i) => (i % 24 ? ids[i % 24]! : -100)),
      [4, 24],
      'int32',
    ),
    learning_rate: tf.tensor(Float32Array.of(1e-2), [], 'float32'),
  }
  const losses = Array.from({ length: 8 }, () => {
    const out = model.predict(fed)
    const loss = out.loss!.dataSync()[0]!
    for (const x of Object.values(out)) x.dispose()
    return loss
  })
  for (const x of Object.values(fed)) x.dispose()
  model.dispose()
  assert.ok(losses.at(-1)! < losses[0]! * 0.9, String(losses))
})

test('a SavedModel holds the weights of the run, with what its stage has beside the model; one that is missing is told', async () => {
  for (const kind of ['text', 'own'] as const) {
    const { code, out, err } = await cli(['export', kind, '--savedmodel', '--out', `held-${kind}`, '--json'])
    assert.is(code, 0, err)
    assert.equal((JSON.parse(out) as { unused: unknown }).unused, [])
    const file = readFileSync(join(root, `held-${kind}`, 'saved_model.pb'))
    for (const [key, { data }] of await weightsOf(kind))
      assert.ok(file.includes(Buffer.from(data.buffer, data.byteOffset, data.byteLength)), key)
  }
  // the model alone has no place for what its stage has
  const { out: alone } = await cli(['export', 'own', '--onnx', '--out', 'alone', '--json'])
  assert.equal((JSON.parse(alone) as { unused: unknown }).unused, ['prior'])
  assert.ok(
    (await weightsOf('own')).get('prior')!.data.every((x) => x !== 0),
    'it has learnt',
  )
  const weights = new Map(await weightsOf('text'))
  weights.delete('model.norm.weight')
  const e = await exportOnnxModel(join(root, 'less'), { model: textModel, weights: inMemory(weights) })()
  assert.is(e._tag, 'Left')
  assert.match(e._tag === 'Left' ? e.left.message : '', /model\.norm\.weight/)
})

test('adapters: merged in the weights, apart in PEFT’s layout', async () => {
  const [hf, adapter] = [await exported('lora', '--hf'), await exported('lora', '--adapter')]
  assert.equal(readdirSync(adapter).sort(), ['adapter_config.json', 'adapter_model.safetensors'])
  const merged = await orThrow(loadWeights(join(hf, 'model.safetensors')))
  assert.not([...merged.keys()].some((k) => k.includes('lora')))
  // what the stage began with is a function of the seed
  const session = await orThrow(engine!.load(forwardProgram(textModel, {}), { seed: 0 }))
  const begun = await orThrow(session.read())
  await orThrow(session.close())
  const { tensors, alpha } = await orThrow(readAdapter(adapter))
  const again = mergeLora(begun as never, tensors, alpha)
  let moved = 0
  for (const [key, { data }] of merged) {
    assert.equal(data, again.get(key)!.data, key)
    if (farthest(data as Float32Array, begun.get(key)!.data) > 0) moved++
  }
  assert.is(moved, 7, 'each projection of the one layer')
  const said = async (...words: readonly string[]) => (await cli(['export', ...words])).err
  // the base as the experiment's start names it, where it can be one
  const configOf = (folder: string) =>
    JSON.parse(readFileSync(join(root, folder, 'adapter_config.json'), 'utf8')) as Record<string, unknown>
  assert.is(configOf('lora-adapter').base_model_name_or_path, null)
  cpSync(hf, join(root, 'their', 'base', 'deep'), { recursive: true })
  for (const [i, [start, base]] of (
    [
      ['fresh', null],
      ['the nano bases', null],
      ['their/base/deep', 'their/base/deep'],
      ['their/base/none', null],
      ['Qwen/Qwen3-0.6B', 'Qwen/Qwen3-0.6B'],
    ] as const
  ).entries()) {
    const run = `begun-${i}`
    cpSync(join(root, 'lora'), join(root, run), { recursive: true })
    const manifest = JSON.parse(readFileSync(join(root, run, 'manifest.json'), 'utf8'))
    const recipe = { ...manifest.recipe, start }
    writeFileSync(join(root, run, 'manifest.json'), JSON.stringify({ ...manifest, recipe }))
    assert.match(
      await said(run, '--adapter', '--out', `${run}-a`),
      base === null
        ? /It belongs over what the stage began with, .* its adapter_config\.json names no base/
        : `It belongs over ${base}, which its adapter_config.json names.`,
    )
    assert.is(configOf(`${run}-a`).base_model_name_or_path, base)
    const { out } = await cli(['export', run, '--adapter', '--out', `${run}-b`, '--json'])
    const told = JSON.parse(out) as Record<string, unknown>
    assert.equal([told.base, told.over, told.what], [base, null, `the weights after stage tune of ${run}`])
    assert.equal((await orThrow(readAdapter(join(root, `${run}-a`)))).tensors, tensors)
  }
  const later = await said('lora-twice', '--adapter')
  assert.match(later, /It belongs over the weights after stage tune of lora-twice, and over no others/)
  assert.match(later, 'its adapter_config.json names no base, so name it where PEFT loads the model')
  const { out: second } = await cli(['export', 'lora-twice', '--adapter', '--out', 'twice-json', '--json'])
  assert.is((JSON.parse(second) as { over: unknown }).over, 'the weights after stage tune of lora-twice')
  assert.match(
    await said('lora-twice', '--adapter', '--stage', 'tune'),
    /It belongs over what the stage began with/,
  )
  assert.not.match(await said('lora-twice', '--hf'), /It belongs/)
  // a fork of a stage's end begins with merged weights; one that goes on inside a stage with those under its adapters
  for (const [taken, over] of [
    ['weights', 'the weights after step 2 of stage tune of old, from which this run was forked'],
    ['everything', 'the weights that stage tune of old began with, which this run goes on with'],
  ] as const) {
    cpSync(join(root, 'lora'), join(root, taken), { recursive: true })
    const manifest = JSON.parse(readFileSync(join(root, taken, 'manifest.json'), 'utf8'))
    const forked = { run: 'old', stage: 'tune', step: 2, taken }
    writeFileSync(join(root, taken, 'manifest.json'), JSON.stringify({ ...manifest, forked }))
    assert.match(await said(taken, '--adapter'), `It belongs over ${over}, and over no others`)
  }
  const saved = await exported('lora', '--savedmodel', '--out', 'lora-saved')
  assert.match(readFileSync(join(saved, 'README.md'), 'utf8'), /## step\.0/)
})

test('a stage is made again with all that its run was told', async () => {
  writeFileSync(join(root, 'rows.jsonl'), '{"question":"say 1","answer":"1"}\n')
  const told = ['--set', 'kind=told', '--quick', '--seed', '3', '--data', 'rows.jsonl']
  const { code, err } = await cli(['run', experiment, '--engine', 'onnx', ...told, '--out', 'told'])
  assert.is(code, 0, err)
  const folder = await exported('told', '--hf')
  assert.equal(
    [...(await orThrow(loadWeights(join(folder, 'model.safetensors')))).keys()].sort(),
    [...(await orThrow(loadWeights(join(root, 'told/checkpoints/tune/model.safetensors')))).keys()].sort(),
  )
})

test('moving averages in place of the weights', async () => {
  const words = ['export', 'text', '--hf', '--ema', '--out', 'averages', '--json']
  const { out, err } = await cli(words)
  assert.is(JSON.parse(out).what, 'the moving averages after stage tune of text', err)
  const folder = join(root, 'averages')
  const [there, raw, averages] = [
    await orThrow(loadWeights(join(folder, 'model.safetensors'))),
    await weightsOf('text'),
    await weightsOf('text', 'ema.safetensors'),
  ]
  let other = 0
  for (const [key, { data }] of there) {
    assert.equal(data, averages.get(key)!.data, key)
    other += farthest(data as Float32Array, raw.get(key)!.data) > 0 ? 1 : 0
  }
  assert.ok(other > 5)
})

test('a model of the file’s own: its graph and head, its own configuration', async () => {
  const folder = await exported('own', '--onnx', '--batch', '3')
  const points = tensorValue('float32', [3, 3], [0, 1, 0, 1, 1, 2, 1, 0, 1])
  const out = await inOnnx(join(folder, 'model.onnx'), { points })
  const w = await weightsOf('own')
  const layer = (x: readonly number[], name: string, n: number): number[] =>
    Array.from({ length: n }, (_, o) =>
      x.reduce(
        (sum, xi, i) => sum + xi * w.get(`${name}.weight`)!.data[o * x.length + i]!,
        w.get(`${name}.bias`)?.data[o] ?? 0,
      ),
    )
  const want = [0, 1, 2].flatMap((r) =>
    layer(layer([...points.data.slice(3 * r, 3 * r + 3)], 'body', 8), 'head', 2),
  )
  assert.ok(farthest(out.output!.data, want) < 1e-5, `${out.output!.data} ${want}`)
  const hf = await exported('own/checkpoints/tune', '--hf')
  assert.is(hf, join(root, 'own-tune-hf'))
  const config = JSON.parse(readFileSync(join(hf, 'config.json'), 'utf8'))
  assert.equal([config.hidden, config.classes, config.torch_dtype], [8, 2, 'float32'])
  // labels of classes are no ids of tokens
  const saved = readFileSync(join(await exported('own', '--savedmodel'), 'README.md'), 'utf8')
  assert.match(saved, /- `labels`: int32 \[batch 4\]\n/)
  assert.match(saved, /- `learning_rate`: float32 \[\]: the learning rate of this step/)
})

test('a folder that was exported is exported again, as a published one', async () => {
  const folder = await exported('text-hf', '--onnx', '--batch', `${rows}`, '--tokens', `${tokens}`)
  assert.is(folder, join(root, 'text-hf-onnx'))
  const out = await inOnnx(join(folder, 'model.onnx'), textInputs)
  const own = await computed(textModel, await weightsOf('text'), textInputs)
  assert.ok(farthest(out.logits!.data, own) < 1e-5 * Math.max(...own.map(Math.abs)))
  const again = await exported('text-hf', '--hf')
  for (const file of readdirSync(again))
    assert.ok(readFileSync(join(again, file)).equals(readFileSync(join(root, 'text-hf', file))), file)
  const saved = await exported('text-hf', '--savedmodel')
  assert.not.match(readFileSync(join(saved, 'README.md'), 'utf8'), /step/)
})

test('what cannot be exported is refused with what to do', async () => {
  const unfinished = join(root, 'unfinished')
  cpSync(join(root, 'text'), unfinished, { recursive: true })
  const lines = readFileSync(join(unfinished, 'events.jsonl'), 'utf8').trim().split('\n')
  const kept = lines.filter((l) => !/"(stage|run)-finished"/.test(l))
  writeFileSync(join(unfinished, 'events.jsonl'), `${kept.join('\n')}\n`)
  const gone = join(root, 'gone')
  cpSync(join(root, 'text'), gone, { recursive: true })
  rmSync(join(gone, 'checkpoints/tune/model.safetensors'))
  const changed = join(root, 'changed')
  cpSync(join(root, 'text'), changed, { recursive: true })
  const manifest = JSON.parse(readFileSync(join(changed, 'manifest.json'), 'utf8'))
  writeFileSync(
    join(changed, 'manifest.json'),
    JSON.stringify({ ...manifest, programs: { tune: '0'.repeat(64) } }),
  )
  const moved = join(root, 'moved')
  cpSync(join(root, 'text'), moved, { recursive: true })
  writeFileSync(join(moved, 'manifest.json'), JSON.stringify({ ...manifest, file: 'nowhere.ts' }))
  const renamed = join(root, 'renamed')
  cpSync(join(root, 'text'), renamed, { recursive: true })
  const of = readFileSync(join(renamed, 'events.jsonl'), 'utf8')
  writeFileSync(join(renamed, 'events.jsonl'), of.replaceAll('"stage":"tune"', '"stage":"tuning"'))
  cpSync(join(renamed, 'checkpoints/tune'), join(renamed, 'checkpoints/tuning'), { recursive: true })
  mkdirSync(join(root, 'empty'))
  writeFileSync(join(root, 'plain.txt'), '')
  for (const [words, code, said] of [
    [['text'], 2, /say in which form: --hf, --onnx, --savedmodel, --adapter/],
    [['text', '--hf', '--onnx'], 2, /only one of --hf, --onnx/],
    [['--hf'], 2, /<run> is missing/],
    [['nothing', '--hf'], 2, /there is no folder nothing/],
    [['plain.txt', '--hf'], 2, /is a file; name a run's folder/],
    [['empty', '--hf'], 2, /empty is no run .* no checkpoint .* no model/],
    [['text', '--hf'], 2, /text-hf is there already; choose another folder with --out/],
    [
      ['text', '--hf', '--out', 'plain.txt'],
      2,
      /plain\.txt: a file is there, or on the way to it, .*where a folder should be/,
    ],
    [
      ['unfinished', '--hf'],
      2,
      /not finished: no stage of it has ended\. Finish it \((npx )?sailwright run .* --out unfinished\)/,
    ],
    [
      ['text', '--hf', '--stage', 'tnue'],
      2,
      /no weights after a stage 'tnue': these stages have ended: tune\. Did you mean 'tune'/,
    ],
    [
      ['text/checkpoints/tune', '--hf', '--stage', 'other'],
      2,
      /is the checkpoint of stage tune, and --stage says other/,
    ],
    [
      ['gone', '--hf'],
      2,
      /has ended and left no weights: there is no gone\/checkpoints\/tune\/model\.safetensors/,
    ],
    [['joined', '--hf', '--ema'], 2, /keeps no moving averages/],
    [['text', '--adapter'], 1, /there is no adapter/],
    [['lora', '--adapter', '--ema'], 2, /take one of them/],
    [['experts', '--adapter'], 1, /layers\.0\.mlp\.[^']*lora_[AB][^']*' for theirs/],
    [['text', '--hf', '--tokens', '9'], 2, /--tokens is a size of a graph, and --hf writes none/],
    [['text', '--onnx', '--batch', '0'], 2, /--batch is an integer from 1/],
    [
      ['changed', '--hf'],
      1,
      /makes another graph of stage tune .*: it, or Sailwright, has changed since.* go on all the same with --allow-changed-code/,
    ],
    [['moved', '--hf'], 2, /is of nowhere\.ts, which is not here; name the file with --file/],
    [['renamed', '--hf'], 1, /has no stage 'tuning' any more; it has tune\. Put it back/],
    [['text-hf', '--onnx', '--ema'], 2, /--ema is about a run/],
    [['text-hf', '--onnx', '--stage', 'tune'], 2, /--stage is about a run/],
    [['text-hf', '--onnx', '--file', experiment], 2, /--file is about a run/],
  ] as const) {
    const got = await cli(['export', ...words])
    assert.is(got.code, code, `${words}: ${got.err}`)
    assert.match(got.err, said)
  }
  for (const words of [
    ['changed', '--hf', '--allow-changed-code'],
    ['moved', '--hf', '--file', experiment],
  ])
    assert.is((await cli(['export', ...words])).code, 0, words.join(' '))
  assert.not(
    readdirSync(root).some((name) => name.endsWith('.tmp')),
    'nothing half written is left',
  )
  assert.ok(existsSync(join(root, 'moved-hf/config.json')))
})

test('an export that finds no room says so in words, and leaves nothing', () => {
  for (const form of ['--onnx', '--savedmodel', '--hf']) {
    // the shell's limit on the size of a file, in KiB, stands for the disk's end
    const { status, stderr } = spawnSync(
      'bash',
      [
        '-c',
        'ulimit -f 1; exec "$0" "$@"',
        process.execPath,
        ...command,
        'export',
        'text',
        form,
        '--out',
        'x',
      ],
      { cwd: root, encoding: 'utf8' },
    )
    assert.is(status, 1, stderr)
    assert.match(stderr, /the disk is full, or this user’s share of it; free some space/)
    assert.equal(
      readdirSync(root).filter((f) => /^x(\.|$)/.test(f)),
      [],
    )
  }
})

test.run()
