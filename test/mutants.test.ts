/** The bugs that `npm run mutants` plants: each finds its text, and README says how many there are. */
import { readFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { all, faultOf } from '../scripts/mutants/index.ts'

const test = suite('planted bugs')

test('each can be planted, and changes something', () => {
  assert.ok(all.length > 500)
  const odd = all.flatMap((m) => {
    const why = m.from === m.to ? 'it changes nothing' : faultOf(m)
    return why === undefined ? [] : [`${m.file}: ${m.name} (${why})`]
  })
  assert.equal(odd, [])
})

test('README says how many there are, to a twentieth', () => {
  const told = /plants some (\d+) bugs/.exec(readFileSync('README.md', 'utf8'))?.[1]
  assert.ok(Math.abs(Number(told) - all.length) <= all.length / 20, `${told} and ${all.length}`)
})

test.run()
