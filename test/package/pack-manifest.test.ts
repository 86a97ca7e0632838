/** `scripts/pack-manifest.js`: a packing that fails or is killed leaves package.json as it was. Skipped where npm is not here. */
import { execFile, execFileSync, spawn } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { until } from '../support/until.ts'

const test = suite('packing')
const folder = mkdtempSync(join(tmpdir(), 'sailwright-pack-'))
test.after(() => rmSync(folder, { recursive: true, force: true }))

const program = fileURLToPath(new URL('../../scripts/pack-manifest.js', import.meta.url))
// nothing that the npm around this test was told reaches the one in it
const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^npm_/i.test(key)))
const manifest = join(folder, 'package.json')
const isHere = ((): boolean => {
  try {
    execFileSync('npm', ['--version'], { env, stdio: 'ignore' })
    return process.platform !== 'win32'
  } catch {
    return false
  }
})()

/** A package whose packing takes the scripts out, and then does what `then` says. */
const packed = (then: string): string => {
  mkdirSync(join(folder, 'scripts'), { recursive: true })
  cpSync(program, join(folder, 'scripts', 'pack-manifest.js'))
  const prepack = `node scripts/pack-manifest.js out && ${then}`
  const scripts = { prepare: 'node --version', prepack, postpack: 'node scripts/pack-manifest.js back' }
  const whole = JSON.stringify({ name: 'packed', version: '1.0.0', type: 'module', scripts })
  writeFileSync(manifest, whole)
  return whole
}
const isWhole = (whole: string): boolean =>
  !existsSync(`${manifest}.whole`) && readFileSync(manifest, 'utf8') === whole
const pack = (...words: readonly string[]): Promise<{ readonly failed: boolean; readonly said: string }> =>
  new Promise((done) => {
    execFile('npm', ['pack', '--offline', ...words], { cwd: folder, env }, (e, out, err) =>
      done({ failed: e !== null, said: `${out}\n${err}` }),
    )
  })

if (isHere) {
  test('what is packed has no scripts, and the clone keeps its own', async () => {
    const whole = packed('node --version')
    const { failed, said } = await pack()
    assert.not.ok(failed, said)
    assert.ok(isWhole(whole))
    const tar = readdirSync(folder).find((f) => f.endsWith('.tgz'))!
    const inside = execFileSync('tar', ['-xzOf', join(folder, tar), 'package/package.json'], {
      encoding: 'utf8',
    })
    assert.equal(JSON.parse(inside), { name: 'packed', version: '1.0.0', type: 'module' })
  })

  test('a packing that fails once they are out puts them back', async () => {
    for (const [then, ...words] of [
      ['node -e "process.exit(3)"'],
      ['node --version', '--pack-destination', join(folder, 'none', 'x')],
    ]) {
      const whole = packed(then!)
      const { failed, said } = await pack(...words)
      assert.ok(failed, said)
      await until(() => isWhole(whole))
    }
  })

  test('so does one that is killed', async () => {
    const whole = packed("node -e \"require('fs').writeFileSync('out', ''); setTimeout(() => {}, 120000)\"")
    const npm = spawn('npm', ['pack', '--offline'], { cwd: folder, env, stdio: 'ignore', detached: true })
    await until(() => existsSync(join(folder, 'out')))
    assert.not.ok(isWhole(whole))
    process.kill(-npm.pid!, 'SIGKILL')
    await until(() => isWhole(whole))
  })
}

test.run()
