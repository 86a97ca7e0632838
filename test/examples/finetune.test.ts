/**
 * The example that tunes a published folder: what it exports is read by transformers and by PEFT, which compute the same
 * logits. The folders are transformers' own, dense in bfloat16 and with experts, at random weights.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import sharp from 'sharp'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fixed, program } from '../../src/dsl/index.ts'
import { tensorValue } from '../../src/engine/index.ts'
import { type Entry, readSafetensors, writeSafetensors } from '../../src/formats/index.ts'
import { pretrained } from '../../src/models/index.ts'
import { random } from '../../src/random/index.ts'
import { orThrow } from '../../src/train/task.ts'
import { hostEngines } from '../support/engines.ts'
import { fixturePath } from '../support/fixtures.ts'
import { commandIn } from '../support/in-process.ts'
import { fromPython } from '../support/python.ts'

const test = suite('examples: a published model, tuned')
const root = mkdtempSync(join(tmpdir(), 'sailwright-finetune-'))
test.after(() => rmSync(root, { recursive: true, force: true }))
const [engine] = await hostEngines()
const modules = ['torch', 'transformers', 'peft']

const [rows, tokens] = [2, 24]
const ids = Array.from({ length: rows * tokens }, (_, i) => random('ids', i).int(8, 60))

const compared = `
import json, sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
ids = torch.tensor(json.loads(sys.argv[1])).view(2, -1)
out = []
for base, merged, adapter in zip(*[iter(sys.argv[2:])] * 3):
    load = lambda folder: AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        models = dict(before=load(base), merged=load(merged), adapted=PeftModel.from_pretrained(load(base), adapter).eval())
        out.append({name: m(ids).logits.flatten().tolist() for name, m in models.items()})
print(json.dumps(out))`

const alone = `
import json, sys, torch
from transformers import AutoModelForCausalLM
ids = torch.tensor(json.loads(sys.argv[1])).view(2, -1)
with torch.no_grad():
    print(json.dumps(AutoModelForCausalLM.from_pretrained(sys.argv[2], dtype=torch.float32).eval()(ids).logits.flatten().tolist()))`

const command = commandIn(root)
const cli = (...words: readonly string[]) => command(words)

/** A copy of a folder that transformers wrote, with a tokenizer of few words and a chat template. */
const folderOf = (name: string, more: readonly string[] = []): string => {
  const folder = join(root, name)
  cpSync(fixturePath(`published/${name}`), folder, { recursive: true })
  for (const extra of ['case.json', 'expected.safetensors']) rmSync(join(folder, extra))
  const special = ['<|im_end|>', '<|im_start|>', '<|endoftext|>', ...more]
  const words = ['what', 'follows', 'user', 'assistant', ...Array.from({ length: 60 }, (_, i) => `${i}`)]
  const vocab = Object.fromEntries(['[UNK]', ...special, ...words].map((word, id) => [word, id]))
  const tokenizer = {
    ...{ version: '1.0', truncation: null, padding: null, normalizer: null, post_processor: null },
    added_tokens: special.map((content, i) => ({
      ...{ id: i + 1, content, special: true },
      ...{ single_word: false, lstrip: false, rstrip: false, normalized: false },
    })),
    ...{ pre_tokenizer: { type: 'Whitespace' }, decoder: null },
    model: { type: 'WordLevel', vocab, unk_token: '[UNK]' },
  }
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer))
  writeFileSync(
    join(folder, 'chat_template.jinja'),
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
  )
  return folder
}

const logitsOf = async (folder: string): Promise<Float32Array> => {
  const { model, source } = await orThrow(pretrained(folder))
  const y = model.graph({ batch: rows, tokens })
  const p = program({ name: 'forward', functions: { forward: fixed(() => ({ outputs: { y } })) } })
  const session = await orThrow(engine!.load(p, { values: source }))
  const value = (of: (i: number) => number) =>
    tensorValue(
      'int32',
      [rows, tokens],
      ids.map((_, i) => of(i)),
    )
  const inputs = { input_ids: value((i) => ids[i]!), position_ids: value((i) => i % tokens) }
  const out = await orThrow(session.call('forward', inputs))
  await orThrow(session.close())
  return out.y!.data as Float32Array
}

const farthest = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  assert.is(a.length, b.length)
  return Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0)
}

test('dense and with experts: adapters learn, and the exports are those of transformers and PEFT', async () => {
  const data = join(root, 'chats.jsonl')
  const chat = (i: number) => ({
    messages: [
      { role: 'user', content: `what follows ${i}` },
      { role: 'assistant', content: `${(i % 4) + 1}` },
    ],
  })
  writeFileSync(data, Array.from({ length: 60 }, (_, i) => JSON.stringify(chat(i))).join('\n'))
  const folders = ['qwen3-bf16-shards-v5', 'qwen3-moe-v5'].map((name) => folderOf(name))
  const words: string[] = []
  for (const folder of folders) {
    const run = `${folder}-run`
    const set = [`model=${folder}`, 'rows=4', 'tokens=16', 'steps=30', 'rate=0.02', 'rank=4']
    const flags = ['--data', data, '--engine', engine!.name, '--out', run]
    const ended = await cli(
      ...['run', resolve('examples/finetune.ts'), ...flags, ...set.flatMap((s) => ['--set', s])],
    )
    assert.is(ended.code, 0, ended.err)
    const events = readFileSync(join(run, 'events.jsonl'), 'utf8').trim().split('\n')
    const losses = events
      .map((line) => JSON.parse(line))
      .filter((e) => e.type === 'step')
      .map((e) => Number(e.loss))
    assert.ok(losses.at(-1)! < losses[0]! - 0.5, String(losses))
    for (const form of ['hf', 'adapter']) {
      const made = await cli('export', run, `--${form}`, '--out', `${folder}-${form}`)
      assert.is(made.code, 0, made.err)
    }
    assert.ok(existsSync(join(`${folder}-adapter`, 'adapter_config.json')))
    words.push(folder, `${folder}-hf`, `${folder}-adapter`)
  }
  const got = (await fromPython(modules, compared, JSON.stringify(ids), ...words)) as
    | { readonly before: number[]; readonly merged: number[]; readonly adapted: number[] }[]
    | undefined
  if (got === undefined) return
  for (const [i, folder] of folders.entries()) {
    const { before, merged, adapted } = got[i]!
    const [own, first] = [await logitsOf(`${folder}-hf`), await logitsOf(folder)]
    const near = 2e-5 * own.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
    assert.ok(farthest(before, first) < near, `the published folder: ${farthest(before, first)}`)
    assert.ok(farthest(merged, own) < near, `the exported model: ${farthest(merged, own)}`)
    assert.ok(farthest(adapted, own) < near, `the adapter over the folder: ${farthest(adapted, own)}`)
    assert.ok(farthest(before, own) > 100 * near, 'the adapters do something')
  }
})

/** The language model of a joined folder as a folder of its own, which transformers reads. */
const spokenPart = async (folder: string): Promise<string> => {
  const to = `${folder}-language`
  mkdirSync(to)
  const { llm_config: config } = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'))
  writeFileSync(join(to, 'config.json'), JSON.stringify(config))
  const file = await orThrow(readSafetensors(join(folder, 'model.safetensors')))
  const all = new Map<string, Entry>()
  for (const key of file.keys.filter((k) => k.startsWith('language_model.')))
    all.set(key.replace('language_model.', ''), await orThrow(file.tensor(key)))
  await orThrow(writeSafetensors(join(to, 'model.safetensors'), all))
  return to
}

test('a model that sees learns from images, in the tiles that its config.json says; its language model is that of transformers', async () => {
  const folder = folderOf('sail-vl2-untied-v5', ['<img>', '</img>', '<IMG_CONTEXT>'])
  const image = sharp({ create: { width: 60, height: 30, channels: 3, background: 'red' } })
  // rows are split by their images: each has its own
  const images = Array.from({ length: 60 }, (_, i) => `red-${i}.png`)
  for (const name of images) await image.clone().png().toFile(join(root, name))
  const data = join(root, 'seen.jsonl')
  const row = (i: number) => ({ images: [images[i]], question: `what ${i}`, answer: '7' })
  // every fourth has more images than a row has room for
  const rows = Array.from({ length: 60 }, (_, i) =>
    i % 4 === 3 ? { ...row(i), images: [images[i], images[i]] } : row(i),
  )
  writeFileSync(data, rows.map((r) => JSON.stringify(r)).join('\n'))
  const run = `${folder}-run`
  const set = [`model=${folder}`, 'rows=2', 'images=3', 'tokens=40', 'steps=12', 'rate=0.02', 'rank=4']
  const ended = await cli(
    ...['run', resolve('examples/finetune.ts'), '--data', data, '--engine', engine!.name, '--out', run],
    ...set.flatMap((s) => ['--set', s]),
  )
  assert.is(ended.code, 0, ended.err)
  // a red image of 60 × 30 is two tiles and the whole
  assert.match(
    ended.err + ended.out,
    /seen\.jsonl:\d+: its images are 6 tiles and frames and a row has room for 3/,
  )
  const made = await cli('export', run, '--hf', '--out', `${folder}-hf`)
  assert.is(made.code, 0, made.err)
  const exported = await orThrow(pretrained(`${folder}-hf`))
  assert.equal(exported.kind === 'vision-language' && exported.model.image.tiling, {
    ...{ least: 1, most: 10, thumbnail: true },
  })
  const spoken = await spokenPart(`${folder}-hf`)
  const got = (await fromPython(modules.slice(0, 2), alone, JSON.stringify(ids), spoken)) as
    | number[]
    | undefined
  if (got === undefined) return
  const own = await logitsOf(spoken)
  const near = 2e-5 * own.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
  assert.ok(farthest(got, own) < near, `the exported language model: ${farthest(got, own)}`)
  const first = await logitsOf(await spokenPart(folder))
  assert.ok(farthest(first, own) > 100 * near, 'the adapters do something')
})

test.run()
