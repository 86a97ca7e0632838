/**
 * Settings of whatever takes some: the check of their names, and the error that it throws.
 *
 * @since 0.1.0
 */
export {
  functionSetting,
  kindOf,
  onlySettings,
  SettingsError,
  seedSetting,
  shownValue,
} from './settings.ts'
