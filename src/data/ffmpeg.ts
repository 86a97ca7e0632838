/** Frames of video files by ffmpeg, a program of its own, where it is installed. */
import { execFile } from 'node:child_process'
import * as t from 'io-ts'
import type { RgbImage } from './image.ts'
import { ImageError, readWholeImage } from './read-image.ts'

/** Bytes of one frame as PNG at most. */
const largest = 2 ** 29

/**
 * The kinds of file that are read. Playlists are none of them: one could name other files of this machine, or addresses, and
 * a video may come from anybody.
 */
const allowed = [
  ...['-protocol_whitelist', 'file,pipe'],
  ...['-format_whitelist', 'mov,mp4,matroska,webm,avi,ogg,mpeg,mpegts,mpegvideo,flv,asf,m4v,ivf,h264,hevc'],
]

/** What a program writes. @throws ImageError `NoFfmpeg` where it is not installed, `BadImage` where it fails */
const run = (program: 'ffmpeg' | 'ffprobe', name: string, args: readonly string[]): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    execFile(program, args, { encoding: 'buffer', maxBuffer: largest }, (e, stdout, stderr) => {
      if (e === null) return resolve(stdout)
      if ((e as NodeJS.ErrnoException).code === 'ENOENT')
        return reject(
          new ImageError(
            'NoFfmpeg',
            name,
            `a video file is read by ${program}, which is not installed; install ffmpeg (apt install ffmpeg, brew install ffmpeg), or give an animated GIF or WebP, or a folder with an image a frame`,
            e,
          ),
        )
      const said = stderr.toString('utf8').trim().split('\n').at(-1) || e.message
      reject(new ImageError('BadImage', name, `${program} cannot read it (${said})`, e))
    })
  })

const Decimal = t.union([t.string, t.undefined])
const Probed = t.type({
  streams: t.array(t.partial({ duration: Decimal, nb_frames: Decimal, avg_frame_rate: Decimal })),
  format: t.partial({ duration: Decimal }),
})

/** `30000/1001` as a number; NaN where it is none. */
const rateOf = (fraction: string | undefined): number => {
  const [above, below = '1'] = (fraction ?? '').split('/')
  return Number(above) / Number(below)
}

/** How long a video is, in seconds, and how many frames it has, as far as the file says. */
const probed = async (path: string, name: string): Promise<{ seconds: number; frames: number }> => {
  const entries = 'stream=duration,nb_frames,avg_frame_rate:format=duration'
  const args = [
    '-v',
    'error',
    ...allowed,
    '-select_streams',
    'v:0',
    '-show_entries',
    entries,
    '-of',
    'json',
    path,
  ]
  const json: unknown = JSON.parse((await run('ffprobe', name, args)).toString('utf8'))
  const [stream, format] = Probed.is(json) ? [json.streams[0], json.format] : [undefined, undefined]
  if (stream === undefined) throw new ImageError('BadImage', name, 'it has no video')
  const seconds = [Number(stream.duration), Number(format?.duration)].find((s) => s > 0)
  if (seconds === undefined) throw new ImageError('BadImage', name, 'ffprobe finds no duration in it')
  const counted = Number(stream.nb_frames)
  const frames = counted > 0 ? counted : Math.round(seconds * rateOf(stream.avg_frame_rate))
  return { seconds, frames: frames > 0 ? frames : Number.POSITIVE_INFINITY }
}

/**
 * At most `most` frames of a video file, from the middles of equal stretches of its time.
 *
 * @param name the file in messages
 * @throws ImageError `NoFfmpeg`, `BadImage`
 */
export const framesByFfmpeg = async (
  path: string,
  name: string,
  most: number,
): Promise<readonly RgbImage[]> => {
  const { seconds, frames } = await probed(path, name)
  const count = Math.min(most, frames)
  const rate = frames / seconds
  const out: RgbImage[] = []
  for (let i = 0; i < count; i++) {
    const middle = ((i + 0.5) * seconds) / count
    // ffmpeg gives the first frame that begins at a time or later: half a frame before that which is shown then
    const at = Number.isFinite(rate) ? Math.max(0, (Math.floor(middle * rate + 1e-6) - 0.5) / rate) : middle
    const png = await run('ffmpeg', name, [
      ...['-v', 'error', '-nostdin', ...allowed, '-ss', at.toFixed(6), '-i', path],
      ...['-frames:v', '1', '-f', 'image2pipe', '-c:v', 'png', '-'],
    ])
    // behind the last frame there is none: the stream may end before its file
    if (png.length > 0) out.push(await readWholeImage({ bytes: png, name: `${name}, at ${at.toFixed(2)} s` }))
  }
  if (out.length === 0) throw new ImageError('BadImage', name, 'ffmpeg finds no frame in it')
  return out
}
