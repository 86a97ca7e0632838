/** The one check of what readers of rows are told about bad ones. */
import { functionSetting, onlySettings } from '../../settings/index.ts'
import type { RowOptions } from './row.ts'

/** Options that say what happens to bad rows, and no others. @throws SettingsError */
export const onlyRowOptions = (where: string, options: RowOptions): RowOptions => {
  functionSetting(where, 'onBadRow', onlySettings(where, options, ['onBadRow']).onBadRow)
  return options
}
