/** Where Sailwright keeps what it installs for itself. */
import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * A folder of Sailwright's own: `$SAILWRIGHT_HOME/<name>`, or `~/.local/share/sailwright/<name>`
 * (`$XDG_DATA_HOME/sailwright/<name>` where that is set).
 */
export const sideFolder = (
  name: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): string => {
  const data = env.XDG_DATA_HOME || join(homedir(), '.local', 'share')
  return join(env.SAILWRIGHT_HOME || join(data, 'sailwright'), name)
}
