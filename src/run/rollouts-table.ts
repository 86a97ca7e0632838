/**
 * The rollouts of a stage that has ended as one table: `rollouts/<stage>/rollouts.parquet`, a row a completion.
 *
 * @since 0.1.0
 */
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { ParquetWriter as Writer } from 'hyparquet-writer'
import { replaceFile } from '../formats/index.ts'
import type { EventOf } from './events.ts'
import { encodeLine, type FileError, systemError } from './files.ts'
import { episodesIn, readRollouts, rolloutsFolder } from './rollouts.ts'

/** The table of a stage inside a run folder. */
export const rolloutsTable = (stage: string): string => `${rolloutsFolder}/${stage}/rollouts.parquet`

/** A line of the table's schema, as its writer knows it. */
type SchemaElement = ConstructorParameters<typeof Writer>[0]['schema'][number]

/** A row of the table. */
type Row = Readonly<Record<string, unknown>>

const rowsOf = (g: EventOf<'group'>): readonly Row[] =>
  g.completions.map((c, i) => {
    const judgement = g.judgements[i]
    return {
      ...{ episode: g.episode, index: g.index, task: g.task, family: g.family, question: g.question },
      ...{ images: g.images, sample: c.sample, text: c.text, stop: c.stop, version: c.version },
      reward: judgement?._tag === 'Scored' ? judgement.value : null,
      advantage: g.advantages[i] ?? null,
      discarded: g.discarded ?? null,
      judgement: judgement === undefined ? null : encodeLine(judgement),
      ...{ prompt_ids: g.promptIds, ids: c.ids, log_probs: c.logProbs },
    }
  })

type Leaf = Pick<SchemaElement, 'type' | 'converted_type'>
const text: Leaf = { type: 'BYTE_ARRAY', converted_type: 'UTF8' }
const integer: Leaf = { type: 'INT32' }
const real: Leaf = { type: 'DOUBLE' }

const one = (name: string, leaf: Leaf, nullable = false): readonly SchemaElement[] => [
  { name, ...leaf, repetition_type: nullable ? 'OPTIONAL' : 'REQUIRED' },
]
/** As the format wants lists: a group of a group of elements. */
const list = (name: string, leaf: Leaf): readonly SchemaElement[] => [
  { name, repetition_type: 'REQUIRED', converted_type: 'LIST', num_children: 1 },
  { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
  { name: 'element', ...leaf, repetition_type: 'REQUIRED' },
]

const columns: readonly (readonly SchemaElement[])[] = [
  one('episode', integer),
  one('index', integer),
  one('task', text),
  one('family', text),
  one('question', text),
  list('images', text),
  one('sample', integer),
  one('text', text),
  one('stop', text),
  one('version', integer),
  one('reward', real, true),
  one('advantage', real, true),
  one('discarded', text, true),
  one('judgement', text, true),
  list('prompt_ids', integer),
  list('ids', integer),
  list('log_probs', real),
]

const names = columns.map((c) => c[0]!.name)
const schema: SchemaElement[] = [{ name: 'root', num_children: columns.length }, ...columns.flat()]

/**
 * Writes a stage's table from its recorded groups, by rename, an episode in memory at a time. The recorded lines stay. Gives its
 * path, or undefined where the stage has recorded none. Fails with `BadLine` where a line cannot be read, or `Io`.
 *
 * @category writing
 */
export const writeRolloutsTable = (
  root: string,
  stage: string,
): TE.TaskEither<FileError, string | undefined> => {
  const path = join(root, rolloutsTable(stage))
  return pipe(
    TE.tryCatch(() => episodesIn(root, stage), systemError(path, 'reading the rollouts')),
    TE.chain((episodes) => {
      if (episodes.length === 0) return TE.right(undefined)
      // what was read wrongly is told as it is, not as a fault of writing
      let unread: FileError | undefined
      return pipe(
        replaceFile(path, async (handle) => {
          const { ByteWriter, ParquetWriter } = await import('hyparquet-writer')
          const bytes = new ByteWriter()
          const flush = async (): Promise<void> => {
            const part = bytes.getBytes().slice()
            bytes.index = 0
            await handle.appendFile(part)
          }
          const writer = new ParquetWriter({
            writer: Object.assign(bytes, { flush, finish: flush }),
            schema,
            createdBy: 'sailwright',
          })
          for (const episode of episodes) {
            const groups = await readRollouts(root, stage, episode)()
            if (E.isLeft(groups)) {
              unread = groups.left
              throw new Error(unread.message)
            }
            const rows = groups.right.flatMap(rowsOf)
            await writer.write({
              columnData: names.map((name) => ({ name, data: rows.map((r) => r[name]) })),
              rowGroupSize: Math.max(1, rows.length),
            })
          }
          await writer.finish()
        }),
        TE.mapLeft((e) => unread ?? systemError(path, 'writing')(e.cause ?? e)),
        TE.map(() => path),
      )
    }),
  )
}
