/** The one check of what readers of rows are told about bad ones. */
import { functionSetting, onlySettings } from '../../settings/index.ts'

/** Options that say what happens to bad rows, and no others. @throws SettingsError */
export const onlyRowOptions = <O extends { readonly onBadRow?: unknown }>(where: string, options: O): O => {
  functionSetting(where, 'onBadRow', onlySettings(where, options, ['onBadRow']).onBadRow)
  return options
}
