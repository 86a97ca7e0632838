/** Where Sailwright keeps what the xla engine needs: the plugin that was installed, compiled programs. */
import { join } from 'node:path'
import { sideFolder } from '../home.ts'

/** The places inside the side folder. */
export interface XlaHome {
  /** The side folder itself. */
  readonly root: string
  /** Where wheels are unpacked. */
  readonly library: string
  /** What was installed, and from what. */
  readonly record: string
  /** Compiled programs. */
  readonly programs: string
}

/** `$SAILWRIGHT_HOME/xla`, or `~/.local/share/sailwright/xla` (`$XDG_DATA_HOME/sailwright/xla` where that is set). */
export const xlaHome = (env: Readonly<Record<string, string | undefined>> = process.env): XlaHome => {
  const root = sideFolder('xla', env)
  return {
    root,
    library: join(root, 'library'),
    record: join(root, 'installed.json'),
    programs: join(root, 'programs'),
  }
}
