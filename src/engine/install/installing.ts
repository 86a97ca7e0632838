/** What installing an engine does alike for all of them. */
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Observable } from 'rxjs'

/**
 * Steps that tell what they do, as a stream that ends with them. Unsubscribing aborts them; what they fail with after that is
 * not told.
 */
export const installing = <Event>(
  steps: (tell: (event: Event) => void, signal: AbortSignal) => Promise<void>,
): Observable<Event> =>
  new Observable((subscriber) => {
    const abort = new AbortController()
    steps((e) => subscriber.next(e), abort.signal).then(
      () => subscriber.complete(),
      (e: unknown) => {
        if (!abort.signal.aborted) subscriber.error(e)
      },
    )
    return () => abort.abort()
  })

/** Writes down what was installed; the file appears by rename. */
export const writeRecord = async (file: string, installed: unknown): Promise<void> => {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(`${file}.tmp`, `${JSON.stringify(installed, null, 2)}\n`)
  await rename(`${file}.tmp`, file)
}
