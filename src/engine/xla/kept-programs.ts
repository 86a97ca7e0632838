/**
 * Compiled programs on disk: compiling one takes seconds to minutes, loading it again a fraction of a second.
 *
 * A program is kept under a hash of all that determines it: its text without the lines of the user's files, XLA's flags, the
 * plugin, the kind of device. An experiment in which a line was added finds what was kept before. Files appear by rename; one
 * that does not load is compiled anew; the oldest go when there are too many.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { withoutPlaces } from './builder.ts'
import type { Client, CompileOptions, Executable } from './pjrt/index.ts'

/** Where and how much. */
export interface KeptOptions {
  readonly folder: string
  /** Bytes that all of them may take; default 4 GiB. */
  readonly limit?: number
  /** Hears that a program is being compiled, by milliseconds since it began; once at once, then every second. */
  readonly onCompiling?: (elapsed: number) => void
}

/** What a compiled program depends on beside its text: the plugin by its file's bytes. */
export const programHash = (
  client: Pick<Client, 'platform' | 'version' | 'apiVersion' | 'devices'>,
  pluginBytes: number,
  text: string,
  options: CompileOptions,
): string => {
  // a CPU's program has that processor's instructions in it
  const kind = client.platform === 'cpu' ? (cpus()[0]?.model ?? '') : client.devices[0]!.kind
  const flags = Object.entries(options.flags ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  const about = JSON.stringify([
    client.platform,
    client.version,
    client.apiVersion,
    pluginBytes,
    kind,
    flags,
    options.devices ?? 1,
  ])
  return createHash('sha256').update(about).update('\0').update(withoutPlaces(text)).digest('hex')
}

/** Takes the oldest away until the rest fits. */
const shrink = async (folder: string, limit: number): Promise<void> => {
  const files = await Promise.all(
    (await readdir(folder)).map(async (name) => {
      const path = join(folder, name)
      const s = await stat(path).catch(() => undefined)
      return s === undefined ? [] : [{ path, bytes: s.size, used: s.mtimeMs }]
    }),
  )
  const byAge = files.flat().sort((a, b) => b.used - a.used)
  let bytes = 0
  for (const file of byAge) {
    bytes += file.bytes
    if (bytes > limit) await rm(file.path, { force: true })
  }
}

/**
 * The program of a text: loaded where it is kept, else compiled and kept. A folder that cannot be written costs only that.
 * Rejects with the compiler's error.
 */
export const keptProgram = async (
  client: Client,
  pluginBytes: number,
  text: string,
  options: CompileOptions,
  { folder, limit = 4 * 2 ** 30, onCompiling }: KeptOptions,
): Promise<Executable> => {
  const path = join(folder, `${programHash(client, pluginBytes, text, options)}.program`)
  const kept = await readFile(path).catch(() => undefined)
  if (kept !== undefined) {
    try {
      const program = await client.deserialize(kept, options.devices)
      await utimes(path, new Date(), new Date()).catch(() => undefined)
      return program
    } catch {
      await rm(path, { force: true }).catch(() => undefined)
    }
  }
  const began = performance.now()
  onCompiling?.(0)
  const clock =
    onCompiling === undefined ? undefined : setInterval(() => onCompiling(performance.now() - began), 1000)
  let program: Executable
  try {
    program = await client.compile(text, options)
  } finally {
    clearInterval(clock)
  }
  try {
    const bytes = program.serialize()
    await mkdir(folder, { recursive: true })
    const fresh = `${path}.${process.pid}-${performance.now()}.new`
    await writeFile(fresh, bytes)
    await rename(fresh, path)
    await shrink(folder, limit)
  } catch {
    // a plugin that cannot write programs, a full disk: the program runs all the same
  }
  return program
}
