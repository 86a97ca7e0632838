/** `sailwright bench`. */
import * as TE from 'fp-ts/lib/TaskEither.js'
import { type Command, failed } from '../command.ts'
export const benchCommand: Command = {
  name: 'bench',
  summary: 'x',
  positionals: [],
  flags: { json: { help: 'prints one JSON object' } },
  examples: [],
  run: () => TE.left(failed('not there')),
}
