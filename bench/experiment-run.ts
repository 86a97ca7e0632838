/** Runs of an experiment's file, each a process of the command, and what their events say. */
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The events of a run's folder, in order; none where there is no run yet. */
// biome-ignore lint/suspicious/noExplicitAny: events are of many kinds, and their reader names those that it takes
export const eventsIn = async (folder: string): Promise<readonly any[]> => {
  const lines = (await readFile(join(folder, 'events.jsonl'), 'utf8').catch(() => '')).split('\n')
  return lines.flatMap((line) => (line === '' ? [] : [JSON.parse(line)]))
}

/** Which run: the experiment's file, and what the command line says of it. */
export interface ExperimentRun {
  readonly file: string
  readonly folder: string
  readonly engine: string
  readonly seed: number
  readonly set: Readonly<Record<string, string>>
}

/**
 * Runs it to its end; one that was stopped goes on.
 *
 * @throws Error with the folder and the exit code, where it ends with another than 0
 */
export const runExperiment = async ({ file, folder, engine, seed, set }: ExperimentRun): Promise<void> => {
  const command = fileURLToPath(new URL('../bin/sailwright.js', import.meta.url))
  const settings = Object.entries(set).flatMap(([k, v]) => ['--set', `${k}=${v}`])
  const args = [command, 'run', file, '--engine', engine, '--seed', `${seed}`]
  const child = spawn(process.execPath, [...args, '--out', folder, ...settings], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const code = await new Promise<number | null>((done) => child.on('close', done))
  if (code !== 0) throw new Error(`the run in ${folder} ended with ${code}`)
}
