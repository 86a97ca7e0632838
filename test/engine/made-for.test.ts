/** Functions that are made for some engines. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { add, axis, fixed, forEngine, input, mul, program } from '../../src/dsl/index.ts'
import { inWorker, tensorValue } from '../../src/engine/index.ts'
import { lowerProgram } from '../../src/engine/tensorflow/saved-model.ts'
import { orThrow } from '../../src/train/index.ts'
import { presentEngines } from '../support/engines.ts'

const test = suite('engine: functions that are made for some engines')

const x = input('x', [axis('i', 2)])
const p = program({
  name: 'p',
  functions: {
    elsewhere: fixed(() => ({ outputs: { y: mul(x, 3) } }), { engines: ['another'] }),
    here: fixed(() => ({ outputs: { y: add(x, 1) } }), { engines: ['onnx', 'tensorflow', 'xla'] }),
    everywhere: fixed(() => ({ outputs: { y: mul(x, 2) } })),
  },
})
const given = { x: tensorValue('float32', [2], [1, 2]) }

for (const made of await presentEngines())
  for (const engine of [made, inWorker(made)])
    test(`${made.name}${engine === made ? '' : ' in a thread'}: the others are called, and this one is refused by name`, async () => {
      const session = await orThrow(engine.load(p))
      assert.equal([...(await orThrow(session.call('here', given))).y!.data], [2, 3])
      assert.equal([...(await orThrow(session.call('everywhere', given))).y!.data], [2, 4])
      const refused = await session.call('elsewhere', given)()
      assert.ok(refused._tag === 'Left' && refused.left._tag === 'BadInput')
      assert.match(refused.left.message, /'elsewhere' is made for another, and this session is/)
      await orThrow(session.close())
    })

test('tensorflow, which takes a whole program at once, leaves it out', () => {
  assert.equal([...lowerProgram(forEngine(p, 'tensorflow')).functions.keys()], ['here', 'everywhere'])
})

test.run()
