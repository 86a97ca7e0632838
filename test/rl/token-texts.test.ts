/** What each token reads as: one after the other they are the whole text, whatever the tokenizer. */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { completionTexts, tokenTexts } from '../../src/rl/token-texts.ts'
import { nanoTokenizer } from '../../src/tasks/index.ts'
import { echoProcessor } from '../support/echo.ts'

const test = suite('rl: texts of tokens')

/** A tokenizer whose tokens are bytes. */
const bytes = {
  decode: (ids: ArrayLike<number>) =>
    new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(ids)),
}

test('together they are the text', () => {
  for (const tokenizer of [nanoTokenizer(), echoProcessor.tokenizer])
    fc.assert(
      fc.property(fc.array(fc.nat(tokenizer.size - 1), { maxLength: 30 }), (ids) => {
        const texts = tokenTexts(tokenizer, ids)
        assert.is(texts.length, ids.length)
        assert.is(texts.join(''), tokenizer.decode(ids))
      }),
    )
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 20 }), (text) => {
      const ids = [...new TextEncoder().encode(text)]
      assert.is(tokenTexts(bytes, ids).join(''), text)
    }),
  )
})

test('a character of several tokens is the last one’s; bytes that are no text stay what they read as', () => {
  assert.equal(tokenTexts(bytes, [97, 0xe2, 0x82, 0xac, 98]), ['a', '', '', '€', 'b'])
  assert.is(tokenTexts(bytes, [97, 0xff]).join(''), 'a\uFFFD')
  assert.equal(tokenTexts(bytes, []), [])
})

test('blanks that a tokenizer puts between words stay', () => {
  const ids = [...echoProcessor.tokenizer.encodeText('say one')]
  assert.equal(tokenTexts(echoProcessor.tokenizer, ids), ['say', ' one'])
})

test('the token that ends a turn stands alone, also behind half a character', () => {
  assert.equal(completionTexts(bytes, [97, 0xe2, 46], true), ['a', '\uFFFD', '.'])
  assert.equal(completionTexts(bytes, [97, 46], false), ['a', '.'])
})

test.run()
