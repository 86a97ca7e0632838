/** What an installation in the side folder left behind. */
import { existsSync, readFileSync } from 'node:fs'
import * as t from 'io-ts'
import { type EngineHome, engineHome } from './home.ts'

const InstalledCodec = t.type({
  /** What was installed from: a path or a requirement. */
  from: t.string,
  tfjs: t.string,
  tensorflow: t.string,
  gpu: t.boolean,
  library: t.string,
  binding: t.string,
})
/** What an installation left behind, as `installed.json` records it. */
export type Installed = t.TypeOf<typeof InstalledCodec>

/** What is installed in the side folder, or undefined; a record without its binding counts as nothing. */
export const installed = (home: EngineHome = engineHome()): Installed | undefined => {
  try {
    const record: unknown = JSON.parse(readFileSync(home.record, 'utf8'))
    return InstalledCodec.is(record) && existsSync(record.binding) && existsSync(record.library)
      ? record
      : undefined
  } catch {
    return undefined
  }
}
