/** Templates: what `strip` and `trim` take away is what Python takes away. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { jinja } from '../../src/formats/jinja.ts'

const test = suite('formats: jinja')

test('strip, lstrip and rstrip take what they are given, from their ends', () => {
  const of = (call: string): string => jinja(`[{{ x.${call} }}]`)({ x: '--a-b--' })
  assert.is(of("strip('-')"), '[a-b]')
  assert.is(of("lstrip('-')"), '[a-b--]')
  assert.is(of("rstrip('-')"), '[--a-b]')
  assert.is(of("strip('ab')"), '[--a-b--]')
  assert.is(of("strip('-').strip('a')"), '[-b]')
})

test('without characters, blanks are those of Python', () => {
  const stripped = jinja('[{{ x.strip() }}]')
  assert.is(stripped({ x: ' \t\x1c\u2003a b\u00a0\x85\n' }), '[a b]')
  // a byte order mark and a space of no width are none
  assert.is(stripped({ x: '\ufeffa\u200b' }), '[\ufeffa\u200b]')
})

test('trim of what is not there or none is nothing, and it may name characters', () => {
  assert.is(jinja('[{{ x | trim }}]')({}), '[]')
  assert.is(jinja('[{{ x | trim }}]')({ x: null }), '[]')
  assert.is(jinja("[{{ x | trim('-') }}]")({ x: '-a-' }), '[a]')
})

test('strip of what is no text is an error', () => {
  assert.throws(() => jinja('{{ x.strip() }}')({ x: 1 }), /strip of no text/)
  assert.throws(() => jinja('{{ x.strip() }}')({}), /strip of nothing/)
})

test.run()
