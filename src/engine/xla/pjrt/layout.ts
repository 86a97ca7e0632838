/**
 * The structs of PJRT's C API (`pjrt_c_api.h`, read at minor version 90), laid out by C's rules, and the order of its
 * functions. A later minor version adds fields at a struct's end and functions at the table's end.
 */

/** Kinds of fields, and their bytes, which are their alignment too. Enums are `i32`. */
const kinds = { ptr: 8, size: 8, i64: 8, i32: 4, f32: 4, bool: 1 } as const
/** A kind of field. */
export type Kind = keyof typeof kinds

/** Where the fields of a struct lie. */
export interface Layout {
  readonly fields: ReadonlyMap<string, { readonly at: number; readonly kind: Kind }>
  /** PJRT's STRUCT_SIZE: to the end of the last field, without padding. A plugin may want more: see `Plugin`. */
  size: number
  /** With padding. */
  readonly bytes: number
}

const head = 'struct_size:size extension_start:ptr '

/** The layout of fields written as `name:kind`, after the two that every struct begins with. */
export const layout = (text: string): Layout => {
  const fields = new Map<string, { at: number; kind: Kind }>()
  let end = 0
  for (const word of (head + text).trim().split(/\s+/)) {
    const [name, kind] = word.split(':') as [string, Kind]
    const at = Math.ceil(end / kinds[kind]) * kinds[kind]
    fields.set(name, { at, kind })
    end = at + kinds[kind]
  }
  return { fields, size: end, bytes: Math.ceil(end / 8) * 8 }
}

/** A number that is there only where the bool after it says so. */
const optional = (names: string): string =>
  names
    .split(' ')
    .map((n) => `${n}:i64 ${n}_is_set:bool`)
    .join(' ')

/** The arguments of each function that is used, without its `PJRT_`. */
const argumentText = {
  Error_Destroy: 'error:ptr',
  Error_Message: 'error:ptr message:ptr message_size:size',
  Error_GetCode: 'error:ptr code:i32',
  Plugin_Initialize: '',
  Event_Destroy: 'event:ptr',
  Event_IsReady: 'event:ptr is_ready:bool',
  Event_Await: 'event:ptr',
  Client_Create:
    'create_options:ptr num_options:size kv_get_callback:ptr kv_get_user_arg:ptr kv_put_callback:ptr kv_put_user_arg:ptr client:ptr kv_try_get_callback:ptr kv_try_get_user_arg:ptr',
  Client_Destroy: 'client:ptr',
  Client_PlatformName: 'client:ptr platform_name:ptr platform_name_size:size',
  Client_PlatformVersion: 'client:ptr platform_version:ptr platform_version_size:size',
  Client_AddressableDevices: 'client:ptr addressable_devices:ptr num_addressable_devices:size',
  Client_Compile: 'client:ptr program:ptr compile_options:ptr compile_options_size:size executable:ptr',
  Client_BufferFromHostBuffer:
    'client:ptr data:ptr type:i32 dims:ptr num_dims:size byte_strides:ptr num_byte_strides:size host_buffer_semantics:i32 device:ptr memory:ptr device_layout:ptr done_with_host_buffer:ptr buffer:ptr',
  DeviceDescription_Id: 'device_description:ptr id:i32',
  DeviceDescription_Kind: 'device_description:ptr device_kind:ptr device_kind_size:size',
  Device_GetDescription: 'device:ptr device_description:ptr',
  Device_MemoryStats: `device:ptr bytes_in_use:i64 ${optional(
    'peak_bytes_in_use num_allocs largest_alloc_size bytes_limit bytes_reserved peak_bytes_reserved bytes_reservable_limit largest_free_block_bytes pool_bytes peak_pool_bytes',
  )}`,
  Executable_Destroy: 'executable:ptr',
  Executable_NumOutputs: 'executable:ptr num_outputs:size',
  Executable_Serialize:
    'executable:ptr serialized_bytes:ptr serialized_bytes_size:size serialized_executable:ptr serialized_executable_deleter:ptr',
  Executable_DeserializeAndLoad:
    'client:ptr serialized_executable:ptr serialized_executable_size:size loaded_executable:ptr overridden_serialized_compile_options:ptr overridden_serialized_compile_options_size:size',
  LoadedExecutable_Destroy: 'executable:ptr',
  LoadedExecutable_GetExecutable: 'loaded_executable:ptr executable:ptr',
  LoadedExecutable_Execute:
    'executable:ptr options:ptr argument_lists:ptr num_devices:size num_args:size output_lists:ptr device_complete_events:ptr execute_device:ptr',
  Buffer_Destroy: 'buffer:ptr',
  Buffer_ElementType: 'buffer:ptr type:i32',
  Buffer_Dimensions: 'buffer:ptr dims:ptr num_dims:size',
  Buffer_IsDeleted: 'buffer:ptr is_deleted:bool',
  Buffer_ReadyEvent: 'buffer:ptr event:ptr',
  Buffer_ToHostBuffer: 'src:ptr host_layout:ptr dst:ptr dst_size:size event:ptr',
} as const

/** A function that is used. */
export type FunctionName = keyof typeof argumentText

/** Structs that arguments point to. */
const structText = {
  NamedValue: 'name:ptr name_size:size type:i32 value:i64 value_size:size',
  Program: 'code:ptr code_size:size format:ptr format_size:size',
  ExecuteOptions:
    'send_callbacks:ptr recv_callbacks:ptr num_send_ops:size num_recv_ops:size launch_id:i32 non_donatable_input_indices:ptr num_non_donatable_input_indices:size context:ptr call_location:ptr num_tasks:size task_ids:ptr incarnation_ids:ptr',
} as const
/** A struct that arguments point to. */
export type StructName = keyof typeof structText

const layouts = <N extends string>(texts: Readonly<Record<N, string>>): Record<N, Layout> =>
  Object.fromEntries(Object.entries<string>(texts).map(([name, text]) => [name, layout(text)])) as Record<
    N,
    Layout
  >

/** Argument structs, made anew for each plugin, since each may want other sizes. */
export const argumentLayouts = (): Record<FunctionName, Layout> => layouts(argumentText)
/** Other structs, likewise. */
export const structLayouts = (): Record<StructName, Layout> => layouts(structText)

/** The functions of `PJRT_Api` in order, to the last that is used; each is a pointer. */
export const functionOrder: readonly string[] = [
  'Error_Destroy Error_Message Error_GetCode Plugin_Initialize Plugin_Attributes',
  'Event_Destroy Event_IsReady Event_Error Event_Await Event_OnReady',
  'Client_Create Client_Destroy Client_PlatformName Client_ProcessIndex Client_PlatformVersion Client_Devices',
  'Client_AddressableDevices Client_LookupDevice Client_LookupAddressableDevice Client_AddressableMemories',
  'Client_Compile Client_DefaultDeviceAssignment Client_BufferFromHostBuffer',
  'DeviceDescription_Id DeviceDescription_ProcessIndex DeviceDescription_Attributes DeviceDescription_Kind',
  'DeviceDescription_DebugString DeviceDescription_ToString',
  'Device_GetDescription Device_IsAddressable Device_LocalHardwareId Device_AddressableMemories',
  'Device_DefaultMemory Device_MemoryStats',
  'Memory_Id Memory_Kind Memory_DebugString Memory_ToString Memory_AddressableByDevices',
  'Executable_Destroy Executable_Name Executable_NumReplicas Executable_NumPartitions Executable_NumOutputs',
  'Executable_SizeOfGeneratedCodeInBytes Executable_GetCostAnalysis Executable_OutputMemoryKinds',
  'Executable_OptimizedProgram Executable_Serialize',
  'LoadedExecutable_Destroy LoadedExecutable_GetExecutable LoadedExecutable_AddressableDevices',
  'LoadedExecutable_Delete LoadedExecutable_IsDeleted LoadedExecutable_Execute',
  'Executable_DeserializeAndLoad LoadedExecutable_Fingerprint',
  'Buffer_Destroy Buffer_ElementType Buffer_Dimensions Buffer_UnpaddedDimensions Buffer_DynamicDimensionIndices',
  'Buffer_GetMemoryLayout Buffer_OnDeviceSizeInBytes Buffer_Device Buffer_Memory Buffer_Delete Buffer_IsDeleted',
  'Buffer_CopyToDevice Buffer_ToHostBuffer Buffer_IsOnCpu Buffer_ReadyEvent',
]
  .join(' ')
  .split(' ')

/** Where the first function stands in `PJRT_Api`: after its size, an extension, and the version's struct. */
export const firstFunction = 40
/** Where the version's two numbers stand. */
export const versionAt = { major: 32, minor: 36 } as const
