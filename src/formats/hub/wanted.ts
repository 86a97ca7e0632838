/**
 * Which of a model's files are needed to read it, to train it and to write it again.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import { indexName, singleName } from '../safetensors-index.ts'
import { HubError } from './hub-error.ts'
import type { Shelf, ShelfFile } from './shelf.ts'

/** What lies beside the weights; all of it is small. */
const beside = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'chat_template.jinja',
  'chat_template.json',
  'preprocessor_config.json',
  'processor_config.json',
  'LICENSE',
]

const noModel = (shelf: Shelf, lacks: string): HubError => {
  const others = shelf.files.map((f) => f.path).filter((p) => /\.(bin|pt|pth|gguf|onnx|h5|msgpack)$/.test(p))
  return new HubError(
    'NoModel',
    `${shelf.name} has no ${lacks}, so that nothing here can read it as a model${
      others.length === 0 ? '' : `; it has ${others.slice(0, 3).join(', ')}`
    }: take one that is published as safetensors, or fetch all of its files with --all`,
  )
}

/**
 * The files beside the weights and, of a checkpoint of one file, that file; of one of several the index, whose
 * {@link shardsOf} are taken next. Fails with `NoModel`.
 */
export const wantedOf = (shelf: Shelf): E.Either<HubError, readonly ShelfFile[]> => {
  const has = new Map(shelf.files.map((f) => [f.path, f]))
  if (!has.has('config.json')) return E.left(noModel(shelf, 'config.json'))
  const weights = has.get(singleName) ?? has.get(indexName)
  if (weights === undefined) return E.left(noModel(shelf, `${singleName} and no ${indexName}`))
  return E.right([...beside.flatMap((name) => has.get(name) ?? []), weights])
}

/** The files that an index names. Fails with `NoModel` where one of them is not there, or the index is none. */
export const shardsOf = (shelf: Shelf, index: unknown): E.Either<HubError, readonly ShelfFile[]> => {
  const map = (index as { readonly weight_map?: unknown } | null)?.weight_map
  if (typeof map !== 'object' || map === null)
    return E.left(new HubError('NoModel', `${shelf.name}: its ${indexName} has no weight_map`))
  const names = [...new Set(Object.values(map).map(String))].sort()
  const has = new Map(shelf.files.map((f) => [f.path, f]))
  const lost = names.find((n) => !has.has(n))
  return lost === undefined
    ? E.right(names.map((n) => has.get(n)!))
    : E.left(new HubError('NoModel', `${shelf.name}: its ${indexName} names ${lost}, which is not there`))
}
