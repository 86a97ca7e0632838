/** What is said of settings that cannot be: each kind of value in its words, each setting by its whole name. */
import * as E from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  functionSetting,
  kindOf,
  onlySettings,
  SettingsError,
  seedSetting,
} from '../../src/settings/index.ts'
import { present } from '../../src/settings/internal.ts'

const test = suite('settings: their words')

const refused = (make: () => unknown): SettingsError => {
  try {
    make()
  } catch (e) {
    assert.instance(e, SettingsError)
    return e as SettingsError
  }
  throw new Error('nothing was refused')
}

test('a value is said by its kind, and what to do with one that is not there yet', () => {
  for (const [value, kind] of [
    [undefined, 'undefined'],
    [null, 'null'],
    [() => 1, 'a function; is it to be called first?'],
    [[1, 2], 'a list of 2'],
    [Promise.resolve(1), 'a promise; await it first'],
    [E.right(1), 'an Either; take what is on its right side'],
    [E.left(1), 'an Either; take what is on its right side'],
    [{ _tag: 'None' }, 'a record'],
    [{}, 'a record'],
    ['a', "'a'"],
    [7, '7'],
    [true, 'true'],
  ] as const)
    assert.is(kindOf(value), kind)
})

test('a setting inside another is named with it', () => {
  const given = { rows: 1 }
  assert.is(onlySettings('f', given, ['rows']), given)
  const alone = refused(() => onlySettings('f', { rwos: 1 }, ['rows']))
  assert.equal([alone.where, alone.setting], ['f', 'rwos'])
  const inside = refused(() => onlySettings('f', { rwos: 1 }, ['rows'], 'sizes'))
  assert.is(inside.setting, 'sizes.rwos')
  assert.match(inside.message, /^f, sizes\.rwos: there is no such setting; there are rows/)
  assert.match(
    refused(() => onlySettings('f', 7 as never, ['rows'], 'sizes')).message,
    /^f, sizes: it is 7; give/,
  )
  assert.match(
    refused(() => onlySettings('f', null as never, ['rows'])).message,
    /^f, settings: it is null; give/,
  )
})

test('seeds and functions', () => {
  for (const seed of ['a', '', 0, -1.5]) assert.is(seedSetting('f', seed), seed)
  for (const seed of [Number.NaN, Number.POSITIVE_INFINITY, undefined, null, {}, 1n])
    assert.match(refused(() => seedSetting('f', seed)).message, /^f, seed: it is .*; give a number or a text/)
  const own = (): number => 1
  assert.is(functionSetting('f', 'make', own), own)
  assert.is(functionSetting('f', 'make', undefined), undefined)
  for (const made of [null, 7, 'a', {}])
    assert.match(
      refused(() => functionSetting('f', 'make', made)).message,
      /^f, make: it is .*; give a function/,
    )
})

test('members that are undefined are left out, and no others', () => {
  assert.equal(Object.entries(present({ a: undefined, b: null, c: 0, d: '' })), [
    ['b', null],
    ['c', 0],
    ['d', ''],
  ])
})

test.run()
