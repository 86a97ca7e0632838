/**
 * What the floors above put settings together with. It is no export of the package.
 */
export { present, settingName } from './settings.ts'
