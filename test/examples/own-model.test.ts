/** The example's Llama against transformers' own, on every engine. It is built with the package, as a user builds it. */
import { readFileSync } from 'node:fs'
import { fixed, program } from 'sailwright/dsl'
import { openCheckpoint } from 'sailwright/formats'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { llama } from '../../examples/own-model.ts'
import { orThrow } from '../../src/train/task.ts'
import { hostEngines } from '../support/engines.ts'
import { fixturePath, loadCase, maxRelativeError } from '../support/fixtures.ts'

const test = suite('examples: a model of one’s own')
const folder = fixturePath('models/llama')
const config = JSON.parse(readFileSync(`${folder}/config.json`, 'utf8'))

for (const engine of await hostEngines())
  test(`${engine.name}: Llama's logits are those of transformers`, async () => {
    const want = loadCase('llama')
    const [batch, tokens] = want.shape('input_ids') as [number, number]
    const logits = llama('llama', config).graph({ batch, tokens })
    const p = program({ name: 'llama', functions: { forward: fixed(() => ({ outputs: { logits } })) } })
    const values = await orThrow(openCheckpoint(folder))
    const session = await orThrow(engine.load(p, { values }))
    assert.equal([...session.program.states.keys()].sort(), values.keys, 'every key of the file and no other')
    const ids = (name: string) => ({ shape: [batch, tokens], dtype: 'int32' as const, data: want.ints(name) })
    const inputs = { input_ids: ids('input_ids'), position_ids: ids('position_ids') }
    const out = await orThrow(session.call('forward', inputs))
    const error = maxRelativeError(out.logits!.data, want.floats('logits'))
    assert.ok(error <= 1e-4, String(error))
    await orThrow(session.close())
  })

test('scaled rotary positions are refused', () => {
  const scaled = { ...config, rope_parameters: { rope_theta: 1e4, rope_type: 'llama3' } }
  assert.throws(() => llama('scaled', scaled), /positions scaled by llama3 are not built/)
})

test.run()
