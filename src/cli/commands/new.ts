/** `sailwright new`: a commented experiment in the user's own folder. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join, relative, resolve, sep } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { packageFile } from '../../package/index.ts'
import { asCalled, called, didYouMean, shellWord } from '../../terminal/index.ts'
import {
  type Args,
  attempt,
  type CliError,
  type Command,
  type Io,
  printJson,
  refuse,
  shownPath,
} from '../command.ts'
import { writeChats, writeImageQuestions, writeLabelledImages } from '../sample-data.ts'

/** One kind of experiment: its file is `examples/new/<kind>.ts`. */
interface Starter {
  readonly about: string
  /** The data that the file reads where nothing else is said; undefined where it makes its own. */
  readonly sample?: { readonly name: string; readonly write: (path: string) => Promise<void> }
}

/** Every kind by its name. */
export const starters: Readonly<Record<string, Starter>> = {
  sft: {
    about: 'a language model learns from chats',
    sample: { name: 'sample-chats.jsonl', write: writeChats },
  },
  classify: {
    about: 'a vision transformer learns what images show',
    sample: { name: 'sample-images', write: writeLabelledImages },
  },
  vqa: {
    about: 'a vision-language model learns to answer questions about images',
    sample: { name: 'sample-questions', write: writeImageQuestions },
  },
  rl: { about: 'a language model learns by a reward of your own, on tasks that the file makes' },
}

const kinds = Object.keys(starters)

/** `sailwright new <kind> [folder]`. */
export const newCommand: Command = {
  name: 'new',
  summary: 'Writes a commented experiment into your folder, ready to run.',
  positionals: [
    {
      name: 'kind',
      help: Object.entries(starters)
        .map(([kind, { about }]) => `${kind} (${about})`)
        .join(', '),
      required: true,
    },
    { name: 'folder', help: 'where to; default: this one', required: false },
  ],
  flags: {
    data: {
      value: 'path',
      help: 'the data that the experiment reads: a file of chats, a folder of images; rl makes its own',
      otherwise: 'a small sample, which is written beside it',
    },
    json: { help: 'prints one JSON object: file, data, whether a sample was written' },
  },
  examples: [
    ['sailwright new sft', 'sft.ts and sample-chats.jsonl, here'],
    ['sailwright new vqa shelves --data photos', "an experiment on your own pictures' questions"],
  ],
  notes: ['What is there already is never overwritten.'],
  run: (args, io) =>
    pipe(
      TE.fromIOEither(() => planned(args, io)),
      TE.chain((plan) =>
        pipe(
          attempt(() => written(plan)),
          TE.map((sampled) => said(args, io, plan, sampled)),
        ),
      ),
    ),
}

/** What is to be written. */
interface Plan {
  readonly kind: string
  readonly folder: string
  readonly file: string
  readonly code: string
  /** What it reads, from the folder; undefined where it makes its own. */
  readonly data?: string
  /** Writes the sample; undefined where there is none to write. */
  readonly writeSample?: (path: string) => Promise<void>
}

/** A line of the template's comment that holds a command. */
const commandLine = /^( \* {5})(sailwright .*)$/gm

const planned = (args: Args, io: Io): E.Either<CliError, Plan> => {
  const [kind, where = '.'] = args.positionals as readonly [string, string?]
  const starter = Object.hasOwn(starters, kind) ? starters[kind]! : undefined
  if (starter === undefined)
    return refuse(
      `there is no experiment of kind '${kind}'.${didYouMean(kind, kinds)} The kinds are ${kinds.join(', ')}.`,
    )
  const folder = resolve(io.cwd, where)
  if (existsSync(folder) && !statSync(folder).isDirectory())
    return refuse(`${where} is a file; name a folder.`)
  const file = join(folder, `${kind}.ts`)
  if (existsSync(file))
    return refuse(
      `${shownPath(io.cwd, file)} is there already, and nothing is overwritten; name another folder, or take it away.`,
    )
  const given = args.text('data')
  if (given !== undefined && !existsSync(resolve(io.cwd, given)))
    return refuse(`there is no data at ${given}.`)
  const code = readFileSync(packageFile('examples', 'new', `${kind}.ts`), 'utf8').replaceAll(
    commandLine,
    (_, margin: string, command: string) => `${margin}${asCalled(command)}`,
  )
  const plan = { kind, folder, file, code }
  const { sample } = starter
  if (sample === undefined)
    return given === undefined
      ? E.right(plan)
      : refuse(`an experiment of kind '${kind}' makes its own data; leave --data out.`)
  if (given === undefined) {
    const isThere = existsSync(join(folder, sample.name))
    return E.right({ ...plan, data: sample.name, writeSample: isThere ? undefined : sample.write })
  }
  const data = relative(folder, resolve(io.cwd, given)).replaceAll(sep, '/')
  const naming = code.replace(`data.rows('${sample.name}')`, () => `data.rows(${JSON.stringify(data)})`)
  return E.right({ ...plan, code: naming, data })
}

/** Writes the file last: what it reads is there before it. Gives whether a sample was written. */
const written = async ({ folder, file, code, data, writeSample }: Plan): Promise<boolean> => {
  const { makeFolder } = await import('../../formats/index.ts')
  await makeFolder(folder)
  if (data !== undefined && writeSample !== undefined)
    try {
      await writeSample(join(folder, data))
    } catch (e) {
      // what is half written would be taken for data of the user's own
      await rm(join(folder, data), { recursive: true, force: true })
      throw e
    }
  await writeFile(file, code, { flag: 'wx' })
  return writeSample !== undefined
}

const said = (args: Args, io: Io, { folder, file, data, kind }: Plan, sampled: boolean): void => {
  const at = (path: string): string => shownPath(io.cwd, path)
  if (args.on('json')) {
    printJson(io, { file: at(file), data: data && at(join(folder, data)), sample: sampled })
    return
  }
  if (sampled && data !== undefined)
    io.stderr.write(`${at(join(folder, data))} is sample data, made up; put your own in its place.\n`)
  const cd = at(folder) === '.' ? '' : `cd ${shellWord(at(folder))} && `
  io.stderr.write(`To begin: ${cd}${called()} run ${kind}.ts --quick\n`)
  io.stdout.write(`${at(file)}\n`)
}
