/** Images and videos that are files, or files' bytes in memory. */
import { open } from 'node:fs/promises'

/** A file, or its bytes under a name for messages. */
export type FileInput = { readonly path: string } | { readonly bytes: Uint8Array; readonly name: string }

/** What it is called in messages. */
export const nameOf = (input: FileInput): string => ('path' in input ? input.path : input.name)

/** Its first bytes, at most so many. */
export const headOf = async (input: FileInput, most: number): Promise<Uint8Array> => {
  if ('bytes' in input) return input.bytes.subarray(0, most)
  const file = await open(input.path)
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(most), 0, most, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}
