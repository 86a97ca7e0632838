/** The C API of PJRT, by which XLA's plugins for CPUs, GPUs and TPUs are driven: client, arrays, compiled programs. */
export { Client, type CompileOptions, type Device, type DeviceMemory } from './client.ts'
export type { Flag } from './compile-options.ts'
export type { DeviceArray } from './device-array.ts'
export type { ElementType, HostArray } from './element-types.ts'
export type { Executable } from './executable.ts'
export type { NamedValue } from './named-values.ts'
export { PjrtError } from './pjrt-error.ts'
export { Plugin } from './plugin.ts'
