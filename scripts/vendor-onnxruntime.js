/**
 * Puts ONNX Runtime's binding into `vendor/onnxruntime-node`, from the npm registry alone; `npm ci` runs it (`prepare`).
 *
 *     node scripts/vendor-onnxruntime.js
 *
 * As a dependency, onnxruntime-node runs a script when it is installed, which on Linux fetches CUDA libraries from elsewhere
 * and fails where that cannot be reached; npm and pnpm also come to refuse such scripts unasked. So it is no dependency: it
 * is fetched here without its script, checked against the lock in scripts/onnxruntime, and packed with Sailwright.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where the binding runs without another word; elsewhere the user installs onnxruntime-node, whose script fetches nothing there. */
const platforms = ['linux/x64', 'linux/arm64', 'darwin/arm64']

const licence = `MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
`

const root = fileURLToPath(new URL('../', import.meta.url))
const pinned = join(root, 'scripts', 'onnxruntime')
const target = join(root, 'vendor', 'onnxruntime-node')
const json = (file) => JSON.parse(readFileSync(file, 'utf8'))
const { version } = json(join(pinned, 'package-lock.json')).packages['node_modules/onnxruntime-node']

/** Whether what is there is whole and of the pinned version: the folder appears by rename, as the last step. */
const there = () => existsSync(target) && json(join(target, 'package.json')).version === version

const vendor = () => {
  const work = join(root, 'vendor', `.${process.pid}`)
  rmSync(work, { recursive: true, force: true })
  mkdirSync(work, { recursive: true })
  for (const file of ['package.json', 'package-lock.json']) cpSync(join(pinned, file), join(work, file))
  // what the outer npm was told (a prefix, what to leave out) is not meant for this one; its registry and cache are
  const told = /^npm_config_(prefix|local_prefix|global|location|omit|include|ignore_scripts|dry_run)$/i
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !told.test(key)))
  const words = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  const npm = spawnSync('npm', words, {
    cwd: work,
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  })
  if (npm.status !== 0) throw new Error(`npm could not fetch onnxruntime-node ${version} from the registry`)
  const from = join(work, 'node_modules', 'onnxruntime-node')
  const half = join(work, 'half')
  cpSync(join(from, 'dist'), join(half, 'dist'), {
    recursive: true,
    filter: (f) => !f.endsWith('.map') && !f.endsWith('.d.ts'),
  })
  for (const platform of platforms)
    cpSync(join(from, 'bin', 'napi-v6', platform), join(half, 'bin', 'napi-v6', platform), {
      recursive: true,
      // a second copy of the library, under a name that the binding does not ask for
      filter: (f) => !/libonnxruntime\.\d+\.\d+\.\d+\.dylib$/.test(f),
    })
  const { name, license, repository, main } = json(join(from, 'package.json'))
  writeFileSync(
    join(half, 'package.json'),
    `${JSON.stringify({ name, version, license, repository, main }, null, 2)}\n`,
  )
  writeFileSync(join(half, 'LICENSE'), licence)
  rmSync(target, { recursive: true, force: true })
  renameSync(half, target)
  rmSync(work, { recursive: true, force: true })
}

if (!there()) vendor()
