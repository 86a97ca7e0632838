/**
 * What only a clone needs stays out of the packed package.json: npm counts `prepare` as a script to be allowed.
 *
 *     node scripts/pack-manifest.js out | back      (npm pack runs both: `prepack`, `postpack`)
 *
 * A packing that fails or is stopped runs no `postpack`: a process of its own waits for npm to end, and puts back what is left.
 */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const own = fileURLToPath(import.meta.url)
const file = fileURLToPath(new URL('../package.json', import.meta.url))
const kept = `${file}.whole`
const back = () => {
  if (existsSync(kept)) renameSync(kept, file)
}

/** What `ps` says of a process. @throws Error where there is none, or no ps */
const ps = (columns, pid) =>
  execFileSync('ps', ['-o', columns, '-p', `${pid}`], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim()

/** When a process began, by which another one that gets its number is told from it; undefined where it has ended. */
const startOf = (pid) => {
  try {
    if (process.platform !== 'linux') return ps('stat=', pid).startsWith('Z') ? undefined : ps('lstart=', pid)
    // to the tick; what ps says there comes and goes by a second
    const of = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ')
    return of[0] === 'Z' ? undefined : of[19]
  } catch {
    return undefined
  }
}

/** The process that runs this script: the first one above it that is no shell; undefined where the system does not say. */
const npm = () => {
  try {
    for (let pid = process.ppid; pid > 1; ) {
      const [, above, name] = /(\d+)\s+(.*)/.exec(ps('ppid=,comm=', pid))
      if (!/^-?(.*\/)?\w*sh$/.test(name.trim())) return pid
      pid = Number(above)
    }
  } catch {
    // no ps: then the next packing puts back what this one leaves
  }
  return undefined
}

const [what, pid, start] = process.argv.slice(2)
if (what === 'wait') {
  while (startOf(pid) === start) await new Promise((go) => setTimeout(go, 300))
  back()
} else {
  back() // what a packing that was stopped left behind
  if (what === 'out') {
    const whole = readFileSync(file, 'utf8')
    const { scripts, devDependencies, ...rest } = JSON.parse(whole)
    const packing = npm()
    if (packing !== undefined)
      spawn(process.execPath, [own, 'wait', `${packing}`, startOf(packing)], {
        detached: true,
        stdio: 'ignore',
      }).unref()
    writeFileSync(kept, whole)
    writeFileSync(file, `${JSON.stringify(rest, null, 2)}\n`)
  }
}
