/**
 * `CompileOptionsProto` of XLA, as much of it as is used: executable_build_options = 3 { device_ordinal = 1: -1,
 * num_replicas = 4: 1, num_partitions = 5, use_spmd_partitioning = 6 }, env_option_overrides = 7: a map from a flag's name
 * to { string = 1, bool = 2, int = 3, double = 4 }.
 */
import protobuf from 'protobufjs/minimal.js'

/** A flag of XLA. */
export type Flag = string | number | boolean

/** The options of a program for `partitions` devices; flags, by their names, hold for this program alone. */
export const compileOptions = (
  flags: Readonly<Record<string, Flag>> = {},
  partitions = 1,
): Uint8Array<ArrayBuffer> => {
  const w = protobuf.Writer.create()
  w.uint32((3 << 3) | 2).fork()
  w.uint32(1 << 3).int64(-1)
  w.uint32(4 << 3).int64(1)
  w.uint32(5 << 3).int64(partitions)
  if (partitions > 1) w.uint32(6 << 3).bool(true)
  w.ldelim()
  for (const [name, value] of Object.entries(flags)) {
    w.uint32((7 << 3) | 2).fork()
    w.uint32((1 << 3) | 2).string(name)
    w.uint32((2 << 3) | 2).fork()
    if (typeof value === 'string') w.uint32((1 << 3) | 2).string(value)
    else if (typeof value === 'boolean') w.uint32(2 << 3).bool(value)
    else if (Number.isInteger(value)) w.uint32(3 << 3).int64(value)
    else w.uint32((4 << 3) | 1).double(value)
    w.ldelim()
    w.ldelim()
  }
  return Uint8Array.from(w.finish())
}
