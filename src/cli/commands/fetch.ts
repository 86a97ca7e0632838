/** `sailwright fetch`: a published model brought into a folder. */
import { basename, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { FetchedModel, FetchProgress, HubError } from '../../formats/index.ts'
import {
  bar,
  called,
  clipLine,
  duration,
  grouped,
  isLive,
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
  summary: 'Fetches a published model: weights, configuration, tokenizer; goes on where it was cut.',
  positionals: [{ name: 'model', help: '<org>/<name> at the hub: Qwen/Qwen3-0.6B', required: true }],
  flags: {
    out: { value: 'folder', help: 'where its files go', otherwise: 'the name, in this folder' },
    endpoint: {
      value: 'url',
      help: 'the hub, or a mirror of it',
      otherwise: '$HF_ENDPOINT, else https://huggingface.co',
    },
    from: {
      value: 'folder',
      help: "copies from a folder: a model's own, one with <org>/<name> in it, or a cache of Hugging Face's",
    },
    revision: { value: 'name', help: 'a branch, a tag or a commit', otherwise: 'main' },
    all: { help: 'all files that are there, and not only those that a model needs' },
    json: { help: 'prints one JSON object: folder, revision, files with sizes and checksums' },
  },
  oneOf: ['endpoint', 'from'],
  examples: [
    ['sailwright fetch Qwen/Qwen3-0.6B', 'into ./Qwen3-0.6B'],
    ['sailwright fetch Qwen/Qwen3-0.6B --from /mnt/models', 'from a folder that others share'],
  ],
  notes: [
    'A model needs config.json, the files of its tokenizer, and safetensors. Each file is compared with the checksum that the hub tells before it gets its name; until then it is called <file>.<checksum>.part. Started again, the command leaves whole files alone and goes on with parts. Models that are private or gated need a token in HF_TOKEN.',
  ],
  run: (args, io) =>
    pipe(
      attemptEither(() => fetching(args, io)),
      TE.map(({ model, seconds }) => said(args, io, model, seconds)),
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
  const { fetchModel } = await import('../../formats/index.ts')
  const repo = args.positionals[0]!
  const from = args.text('from')
  const ending = new AbortController()
  const stop = io.onInterrupt(() => ending.abort())
  const began = performance.now()
  const show = progressOn(io)
  const fetched = await fetchModel(repo, {
    folder: resolve(io.cwd, args.text('out') ?? basename(repo)),
    endpoint: args.text('endpoint') ?? (io.env.HF_ENDPOINT || undefined),
    from: from && resolve(io.cwd, from),
    revision: args.text('revision'),
    token: io.env.HF_TOKEN || undefined,
    all: args.on('all'),
    signal: ending.signal,
    onProgress: show.progress,
  })()
  show.end()
  stop()
  return pipe(
    fetched,
    E.bimap(cliError, (model) => ({ model, seconds: (performance.now() - began) / 1000 })),
  )
}

/** One live line on a terminal; elsewhere a line a file. */
const progressOn = (io: Io) => {
  const live = isLive(io.stderr, lookOf(io.stderr, io.env))
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

const said = (args: Args, io: Io, model: FetchedModel, seconds: number): void => {
  const taken = model.files.filter((f) => f.taken)
  const bytes = taken.reduce((n, f) => n + f.bytes, 0)
  const folder = shellWord(shownPath(io.cwd, model.folder))
  printResult(
    args,
    io,
    model,
    () =>
      `${folder}: ${model.files.length} files of ${model.source}${model.revision === undefined ? '' : ` at ${model.revision.slice(0, 12)}`}, ${
        taken.length === 0
          ? 'all of them here already and whole'
          : `${taken.length} fetched (${grouped(bytes)} bytes in ${duration(seconds)})`
      }\n'${called()} summary ${folder}' shows it.`,
  )
}
