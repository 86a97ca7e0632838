/** What combinators are given, seen to before they are opened: in the middle of a run nobody knows any more who gave it. */
import { functionSetting, kindOf, SettingsError } from '../settings/index.ts'

/** A source: `data.rows` that was not called is none, and neither is a stream. @throws SettingsError */
export const givenSource = <S>(where: string, setting: string, source: S): S => {
  if (typeof (source as { readonly open?: unknown } | null)?.open === 'function') return source
  if (kindOf(source) === 'a stream')
    throw new SettingsError(
      where,
      setting,
      'it is a stream, which does not open again at a place; give a source, { config, async *open(place) { yield { example, next } } }',
    )
  throw new SettingsError(where, setting, `it is ${kindOf(source)}; give a source, such as data.rows()`)
}

/** A list. @throws SettingsError */
export const givenList = <A>(where: string, setting: string, list: readonly A[]): readonly A[] => {
  if (Array.isArray(list)) return list
  throw new SettingsError(where, setting, `it is ${kindOf(list)}; give a list`)
}

/** A function, which must be there. @throws SettingsError */
export const givenFunction = <F>(where: string, setting: string, f: F): F => {
  if (f === undefined) throw new SettingsError(where, setting, 'it is undefined; give a function')
  return functionSetting(where, setting, f)
}
