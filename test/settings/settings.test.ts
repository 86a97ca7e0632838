/**
 * Settings: every public function that takes some refuses one that it does not know, naming those that there are, and what is
 * no record, before all else. Which functions these are the compiler tells, so that a new one cannot be forgotten.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { moduleAt } from '../support/program.ts'
import { publicSettings, publicTwice, type Taken } from '../support/public-settings.ts'

const test = suite('settings')

/**
 * What functions take beside settings and what may leave something out too: values that functions of the package make, which
 * may have more than an interface says, data of a file, a run or a user, and what goes into a graph.
 */
const values = new Set([
  ...['Processor', 'TextTokenizer', 'Model', 'CausalLm', 'Program', 'Engine', 'Stage', 'Experiment'],
  ...[
    'Prepared',
    'Evaluation',
    'StoredWeights',
    'ExportedModel',
    'ModelReads',
    'PublishedReads',
    'SquareSizes',
  ],
  ...['Chat', 'Conversation', 'Scene', 'Summary', 'RatedGroup', 'Judgement', 'RecordedJudgement'],
  ...['RunState', 'RecordedRun', 'StageProgress', 'StageContext', 'Logged', 'TextSink', 'Job'],
  ...['LossTerms', 'PolicyTensors', 'CausalInputs', 'SailVl2Inputs', 'Qwen3Context', 'PackedAttention'],
  // the speeds that were measured; the manifest and the events of a run; a place in a file
  ...['{ measuredAt', '{ format', '{ type', '{ readonly file'],
  // what a sampler has seen, token by token
  'Beside',
])

/** Which functions read settings that another one has checked, or of a record that may hold more, and why. */
const checkedElsewhere: Readonly<Record<string, string>> = {
  'data.conversation Exchange': 'a row may have columns of its own',
  'data.conversationOf Exchange': 'what it reads is part of an exchange',
  'data.promptIds Exchange': 'what it reads is part of an exchange',
  'data.unitConversation Exchange': 'what is written is part of an exchange',
  'data.collateText TextSizes': 'the sizes of a batch may hold those of its images',
  'data.collateImages BatchSizes': 'the sizes of a batch may hold others',
  'data.collatePacked PackSizes': 'the sizes of a batch may hold others',
  'data.countedLabels TextSizes': 'the sizes of a batch may hold those of its images',
  'data.layoutOf PackSizes': 'the sizes of a batch may hold others',
  'data.segmentsLabels TextSizes': 'the sizes of a batch may hold those of its images',
  'data.segmentsText TextSizes': 'the sizes of a batch may hold those of its images',
  'data.segmentsVisualIndex BatchSizes': 'the sizes of a batch may hold others',
  'data.visualIndex BatchSizes': 'the sizes of a batch may hold others',
  'models.activeShare MoeConfig': 'the configuration is that of a model',
  'models.balanceLoss MoeConfig': 'the configuration is that of a model',
  'models.computationOf MoeConfig': 'the configuration is that of a model',
  'models.isSparse MoeConfig': 'the configuration is that of a model',
  'models.anyResolution SailVl2Config':
    'the configuration that it gives is checked by the model that is made of it',
  'models.routerSums MoeConfig': 'the configuration is that of a model',
  'models.sparseLayers MoeConfig': 'the configuration is that of a model',
}

const root = fileURLToPath(new URL('../../', import.meta.url))
const all = publicSettings(root)
const taken = all.filter((t) => !values.has(t.type) && checkedElsewhere[`${t.of} ${t.type}`] === undefined)

/** What a function says of an argument: thrown, rejected, on the left, or as the first value's error. */
const said = async ({ namespace, name, parameter, others }: Taken, given: unknown): Promise<string> => {
  const args = others.map((x, i) => (i === parameter ? given : x))
  try {
    const { href } = pathToFileURL(moduleAt(`src/${namespace}/index.ts`))
    const exported = (await import(href)) as Record<string, (...args: unknown[]) => unknown>
    let result = exported[name]!(...args)
    if (typeof result === 'function' && result.length === 0) result = result()
    const settled = (await result) as { readonly _tag?: string; readonly left?: Error } | undefined
    return settled?._tag === 'Left' ? settled.left!.message : 'nothing'
  } catch (e) {
    return (e as Error).message
  }
}

test.before((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'sailwright-'))
  context.before = process.cwd()
  process.chdir(context.folder)
})
test.after((context) => {
  process.chdir(context.before)
  rmSync(context.folder, { recursive: true })
})

test('the compiler finds those that there are', () => {
  const found = new Set(taken.map((t) => t.of))
  for (const of of [
    'data.packed',
    'dsl.linear',
    'models.qwen3',
    'rl.reinforcement',
    'tasks.rendered',
    'train.supervised',
  ])
    assert.ok(found.has(of), of)
  assert.ok(taken.length > 150, `${taken.length}`)
  // a row that is of no use hides nothing
  const names = new Set(all.map((t) => `${t.of} ${t.type}`))
  assert.equal(
    Object.keys(checkedElsewhere).filter((of) => !names.has(of)),
    [],
  )
  const types = new Set(all.map((t) => t.type))
  assert.equal(
    [...values].filter((type) => !types.has(type)),
    [],
  )
})

test('a public name stands for one thing, and one namespace exports it', () => {
  // what exact answers are made with
  const generator = ['eval', 'generation']
  assert.equal(publicTwice(root), { Generator: generator, generator })
})

test('types of settings are exported, so that a user can name them', () => {
  assert.equal(
    all.filter((t) => !t.isImportable).map((t) => `${t.of} ${t.type}`),
    [],
  )
})

test('one that there is not is refused with the names of all that there are', async () => {
  const odd: string[] = []
  for (const t of taken) {
    const message = await said(t, { ...(t.settings.includes('name') ? { name: 'x' } : {}), noSuch: 1 })
    const listed = /noSuch: there is no such setting; there are ([\w, ]*)\.$/.exec(message)?.[1]?.split(', ')
    // of a type of several kinds the names of one
    const fits =
      t.kinds > 1
        ? listed?.every((n) => t.settings.includes(n))
        : listed?.toSorted().join() === t.settings.toSorted().join()
    if (fits !== true)
      odd.push(`${t.of}, parameter ${t.parameter}, ${t.type} { ${t.settings.join(', ')} }: ${message}`)
  }
  assert.equal(odd, [])
})

test('what is no record is refused in words', async () => {
  const odd: string[] = []
  for (const t of taken)
    for (const [given, what] of [
      [null, /: it is null; give /],
      ['fast', /: it is 'fast'; give /],
      [() => ({}), /: it is a function; is it to be called first\?; give /],
    ] as const) {
      const message = await said(t, given)
      if (!what.test(message)) odd.push(`${t.of}, parameter ${t.parameter}, ${t.type}: ${message}`)
    }
  assert.equal(odd, [])
})

test.run()
