/**
 * What only a clone needs stays out of the packed package.json: npm counts `prepare` as a script to be allowed.
 *
 *     node scripts/pack-manifest.js out | back      (npm pack runs both: `prepack`, `postpack`)
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const file = fileURLToPath(new URL('../package.json', import.meta.url))
const kept = `${file}.whole`
const back = () => {
  if (existsSync(kept)) renameSync(kept, file)
}

back() // what a packing that was stopped left behind
if (process.argv[2] === 'out') {
  const whole = readFileSync(file, 'utf8')
  const { scripts, devDependencies, ...rest } = JSON.parse(whole)
  writeFileSync(kept, whole)
  writeFileSync(file, `${JSON.stringify(rest, null, 2)}\n`)
}
