import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { textStream } from '../../src/serve/text-stream.ts'
import { nanoTokenizer } from '../../src/tasks/index.ts'

const test = suite('serve: a text token by token')
const t = nanoTokenizer()

test('joined it is the text of all tokens, whatever they are, and half a character is held back', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(t.size - 1), { minLength: 1, maxLength: 12 }), (ids) => {
      const stream = textStream(t)
      const pieces = ids.map((id) => stream.push(id))
      assert.is([...pieces, stream.end()].join(''), t.decode(ids))
    }),
  )
  const ids = t.encodeText('a é 漢 b')
  const stream = textStream(t)
  const pieces = ids.map((id) => stream.push(id))
  assert.ok(pieces.every((p) => !p.includes('\ufffd')))
  assert.ok(pieces.length > pieces.filter((p) => p !== '').length)
  assert.is(pieces.join(''), 'a é 漢 b')
})

test('hidden tokens have no text, as where they were never there', () => {
  const ids = fc.array(fc.nat(t.size - 1), { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(ids, fc.array(fc.nat(t.size - 1), { maxLength: 4 }), (own, hidden) => {
      const stream = textStream(t, [], new Set(hidden))
      const kept = own.filter((id) => !hidden.includes(id))
      assert.is(
        [...own.map((id) => stream.push(id)), stream.end()].join(''),
        kept.length > 0 ? t.decode(kept) : '',
      )
    }),
  )
})

test('nothing of a text at which it stops is given, nor what is behind it', () => {
  const letter = fc.constantFrom('a', 'b', 'c')
  const word = (minLength: number, maxLength: number) =>
    fc.array(letter, { minLength, maxLength }).map((cs) => cs.join(''))
  fc.assert(
    fc.property(word(1, 20), fc.array(word(1, 4), { maxLength: 3 }), (text, stops) => {
      const stream = textStream(t, stops)
      const given = [...t.encodeText(text).map((id) => stream.push(id)), stream.end()].join('')
      // the stop that is whole first ends the text; of those whole at once the one that began first
      const ends = stops.map((s) => text.indexOf(s)).filter((at) => at >= 0)
      assert.is(stream.stopped(), ends.length > 0)
      if (ends.length === 0) assert.is(given, text)
      else {
        assert.ok(text.startsWith(given))
        assert.ok(stops.every((s) => !given.includes(s)))
        assert.ok(stops.some((s) => text.startsWith(s, given.length)))
      }
    }),
  )
})

test.run()
