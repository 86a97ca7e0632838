/** `sailwright fetch`: a published model or data set brought into a folder. */
import { basename, dirname, join, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Fetched, FetchProgress, HubError } from '../../formats/index.ts'
import {
  bar,
  called,
  clipLine,
  duration,
  grouped,
  lookOf,
  percent,
  shellWord,
  short,
} from '../../terminal/index.ts'
import {
  type Args,
  attemptEither,
  type CliError,
  type Command,
  failed,
  type Io,
  interrupted,
  printResult,
  shownPath,
  usage,
} from '../command.ts'

/** `sailwright fetch <org/name>`. */
export const fetchCommand: Command = {
  name: 'fetch',
  summary: 'Fetches a published model or data set; goes on where it was cut.',
  positionals: [{ name: 'name', help: '<org>/<name> at the hub: Qwen/Qwen3-0.6B', required: true }],
  flags: {
    out: { value: 'folder', help: 'where its files go', otherwise: 'the name, in this folder' },
    endpoint: {
      value: 'url',
      help: 'the hub, or a mirror of it',
      otherwise: '$HF_ENDPOINT, else https://huggingface.co',
    },
    from: {
      value: 'folder',
      help: "copies from a folder: that of the files, one with <org>/<name> in it, or a cache of Hugging Face's",
    },
    revision: { value: 'name', help: 'a branch, a tag or a commit', otherwise: 'main' },
    all: { help: 'all files that are there, and not only those that a model needs' },
    dataset: { help: 'the name is that of a data set' },
    only: {
      value: 'path',
      list: true,
      help: "files of a data set: 'data/train-*', a folder; * is any letters but /, ** any letters",
      otherwise: 'all',
    },
    json: { help: 'prints one JSON object: folder, revision, files with sizes and checksums' },
  },
  oneOf: ['endpoint', 'from'],
  examples: [
    ['sailwright fetch Qwen/Qwen3-0.6B', 'into ./Qwen3-0.6B'],
    ['sailwright fetch Qwen/Qwen3-0.6B --from /mnt/models', 'from a folder that others share'],
    ["sailwright fetch trl-lib/Capybara --dataset --only 'data/train-*'", "one split, for a run's --data"],
  ],
  notes: [
    'A model needs config.json, the files of its tokenizer, and safetensors. Each file is compared with the checksum that the hub tells before it gets its name; until then it is called <file>.<checksum>.part. Started again, the command leaves whole files alone and goes on with parts. What is private or gated needs a token in HF_TOKEN.',
  ],
  run: (args, io) =>
    pipe(
      attemptEither(() => fetching(args, io)),
      TE.chainTaskK((done) => () => said(args, io, done)),
    ),
}

const usages: readonly HubError['tag'][] = ['BadName', 'NotFound', 'NoModel']

const cliError = ({ tag, message }: HubError): CliError =>
  tag === 'Interrupted'
    ? interrupted('stopped; started again, it goes on where it ended.')
    : usages.includes(tag)
      ? usage(message)
      : failed(message)

const fetching = async (args: Args, io: Io) => {
  const { fetchDataset, fetchModel } = await import('../../formats/index.ts')
  const repo = args.positionals[0]!
  const [dataset, all, only] = [args.on('dataset'), args.on('all'), args.all('only')]
  if (dataset && all)
    return E.left(usage('--all is of a model: of a data set all files are fetched, or those of --only.'))
  if (!dataset && only.length > 0)
    return E.left(usage('--only is of a data set: add --dataset, or leave --only out.'))
  const from = args.text('from')
  const ending = new AbortController()
  const stop = io.onInterrupt(() => ending.abort())
  const began = performance.now()
  const show = progressOn(io)
  const options = {
    folder: resolve(io.cwd, args.text('out') ?? basename(repo)),
    endpoint: args.text('endpoint') ?? (io.env.HF_ENDPOINT || undefined),
    from: from && resolve(io.cwd, from),
    revision: args.text('revision'),
    token: io.env.HF_TOKEN || undefined,
    signal: ending.signal,
    onProgress: show.progress,
  }
  const fetched = await (dataset
    ? fetchDataset(repo, { ...options, only })
    : fetchModel(repo, { ...options, all }))()
  show.end()
  stop()
  return pipe(
    fetched,
    E.bimap(cliError, (got) => ({ got, seconds: (performance.now() - began) / 1000 })),
  )
}

/** One live line on a terminal; elsewhere a line a file. */
const progressOn = (io: Io) => {
  const live = io.stderr.isTTY === true
  let [path, shown, drawn] = ['', 0, false]
  return {
    progress: (p: FetchProgress): void => {
      if (!live) {
        if (p.path !== path) io.stderr.write(`${p.path}\n`)
        path = p.path
        return
      }
      const now = performance.now()
      if (now - shown < 100) return
      shown = now
      drawn = true
      const share = p.of === 0 ? 1 : p.bytes / p.of
      const line = `${bar(share, 20)} ${percent(share)}  ${short(p.bytes)}B of ${short(p.of)}B  ${p.path}`
      io.stderr.write(`\r\u001b[K${clipLine(line, lookOf(io.stderr, io.env).columns - 1)}`)
    },
    end: (): void => {
      if (drawn) io.stderr.write('\r\u001b[K')
    },
  }
}

/** What a run reads of a data set: its file where it has one, the folder that all of its files are in. */
const rowsIn = ({ folder, files }: Fetched): string => {
  const paths = files.map((f) => f.path).filter((p) => !/\.(md|txt)$/i.test(p))
  if (paths.length === 1) return join(folder, paths[0]!)
  const folders = new Set(paths.map(dirname))
  return folders.size === 1 ? join(folder, ...folders) : folder
}

/** How a run reads a data set, or why it does not as it lies there: several splits or folders, files of other kinds. */
const nextOf = async (io: Io, got: Fetched): Promise<string> => {
  const { rowsOf, RowsError } = await import('../../data/index.ts')
  const path = rowsIn(got)
  const shown = shellWord(shownPath(io.cwd, path))
  try {
    rowsOf(path)
    return `'${called()} run <file.ts> --data ${shown}' reads it.`
  } catch (e) {
    const why = e instanceof RowsError ? e.message.slice(e.file.length + 2) : (e as Error).message
    return `As it is a run does not read ${shown}: ${why}.`
  }
}

/** What came, and how long it took. */
interface Done {
  readonly got: Fetched
  readonly seconds: number
}

const said = async (args: Args, io: Io, { got, seconds }: Done): Promise<void> => {
  const taken = got.files.filter((f) => f.taken)
  const bytes = taken.reduce((n, f) => n + f.bytes, 0)
  const folder = shellWord(shownPath(io.cwd, got.folder))
  const next = args.on('dataset') ? await nextOf(io, got) : `'${called()} summary ${folder}' shows it.`
  printResult(
    args,
    io,
    got,
    () =>
      `${folder}: ${got.files.length} files of ${got.source}${got.revision === undefined ? '' : ` at ${got.revision.slice(0, 12)}`}, ${
        taken.length === 0
          ? 'all of them here already and whole'
          : `${taken.length} fetched (${grouped(bytes)} bytes in ${duration(seconds)})`
      }\n${next}`,
  )
}
