/** ONNX Runtime where it does not load: what is said then. */
import { execFileSync } from 'node:child_process'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { loader, moduleAt } from '../support/program.ts'

const test = suite('onnx runtime')

/** What is said in a process in which no native library loads, where Node's report says that of the C library. */
const said = (header: object): string => {
  const program = `
    process.dlopen = () => { throw new Error('Error loading shared library') }
    process.report.getReport = () => ({ header: ${JSON.stringify(header)} })
    const { loadOnnxRuntime } = await import(${JSON.stringify(moduleAt('src/engine/onnx/runtime.ts'))})
    console.log(loadOnnxRuntime().left.message)`
  return execFileSync(process.execPath, [...loader, '--input-type=module', '-e', program], {
    encoding: 'utf8',
  })
}

test('a system without glibc is told so, any other where the runtime comes from', () => {
  assert.match(said({ glibcVersionRuntime: '2.36' }), "'npm install onnxruntime-node' does. Tried:")
  const musl = said({})
  if (process.platform === 'linux') {
    assert.match(musl, 'built for glibc, and this Linux has musl')
    assert.not.match(musl, 'npm install')
  }
  assert.match(musl, 'sailwright: Error loading shared library')
})

test.run()
