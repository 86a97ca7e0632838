/** Servers of tiny models on loopback, for tests that are their clients. */
import { OpenAI } from 'openai'
import { program } from '../../src/dsl/index.ts'
import type { Engine, Session } from '../../src/engine/index.ts'
import { batching, type Serving, serve } from '../../src/serve/index.ts'
import { orThrow } from '../../src/train/index.ts'
import { type Rule, ruled, type Seen } from './rule-model.ts'
import { tinyModel, tinyProcessor } from './tiny.ts'

/** Sizes of what tests serve. */
export const sizes = { rows: 4, context: 96, images: 2 }

/** What one served model is asked through, and what became of it. */
export interface Served {
  readonly serving: Serving
  readonly client: OpenAI
  readonly session: Session
  readonly faults: unknown[]
}

const open: (() => Promise<unknown>)[] = []

/** Closes all that were opened. */
export const closeServers = async (): Promise<void> => {
  for (const close of open.splice(0)) await close()
}

const behind = async (session: Session, given: Partial<typeof sizes>): Promise<Served> => {
  const faults: unknown[] = []
  const serving = await orThrow(
    serve({
      ...{ name: 'tiny', processor: tinyProcessor, session, port: 0, onFault: (e) => faults.push(e) },
      batching: batching(tinyModel, tinyProcessor, { ...sizes, ...given }),
    }),
  )
  const client = new OpenAI({ baseURL: serving.baseURL, apiKey: 'none', maxRetries: 0 })
  open.push(serving.close)
  return { serving, client, session, faults }
}

/** A tiny vision-language model, freshly drawn, behind a server. */
export const servedModel = async (engine: Engine, given: Partial<typeof sizes> = {}): Promise<Served> => {
  const { functions } = batching(tinyModel, tinyProcessor, { ...sizes, ...given })
  const session = await orThrow(engine.load(program({ name: 'served', functions }), { seed: 3 }))
  const served = await behind(session, given)
  open.push(() => orThrow(session.close()))
  return served
}

/** Tokens of the answer so far, of all tokens of a row. */
export const answerIn = (ids: readonly number[]): readonly number[] => {
  const opening = [tinyProcessor.start, ...tinyProcessor.tokenizer.encodeText('assistant\n')]
  return ids.slice(ids.lastIndexOf(tinyProcessor.start) + opening.length)
}

/** A model that always says one text and ends its turn. */
export const saying = (said: string): Rule => {
  const ids = [...tinyProcessor.tokenizer.encodeText(said), tinyProcessor.end]
  return (row) => ids[answerIn(row).length] ?? tinyProcessor.end
}

/** A rule in place of a model behind a server; each call waits for `gate`. */
export const servedRule = async (
  rule: Rule,
  given: Partial<typeof sizes> = {},
  {
    gate = async () => undefined,
    fail = () => undefined,
  }: { readonly gate?: () => Promise<void>; readonly fail?: Parameters<typeof ruled>[3] } = {},
): Promise<Served & { readonly calls: readonly Seen[] }> => {
  const calls: Seen[] = []
  const plain = ruled(tinyModel.vocabSize, rule, calls, fail)
  const session: Session = {
    ...plain,
    call: (name, inputs) => async () => {
      await gate()
      // as an engine does: the event loop turns between calls
      await new Promise((done) => setImmediate(done))
      return plain.call(name, inputs)()
    },
  }
  return { ...(await behind(session, given)), calls }
}
