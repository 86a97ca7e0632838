/** Compiling: tfjs-node's own binding, what keeps TensorFlow quiet, and a switch that its C interface lacks. */
import { existsSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type CommandOptions, type Ended, runCommand } from '../install/command.ts'
import { InstallError } from '../install/install-error.ts'
import type { EngineHome } from './home.ts'
import { cudaLibraries, type Library } from './library.ts'
import { configVariable } from './session-config.ts'

/** Node's own headers where the installation has them, else those of the npm package `node-api-headers`. */
export const nodeHeaders = (home: EngineHome): string | undefined =>
  [
    join(dirname(dirname(process.execPath)), 'include', 'node'),
    join(home.root, 'node_modules', 'node-api-headers', 'include'),
  ].find((d) => existsSync(join(d, 'node_api.h')))

/**
 * Compiled into the binding: since TensorFlow logs through Abseil, its log level is Abseil's. Older versions have no such
 * header, and then this is nothing.
 */
const levelSource = `
#if defined(__has_include) && __has_include("absl/log/globals.h")
#include <cstdlib>
#include "absl/log/globals.h"
namespace {
struct Level {
  Level() {
    const char* level = std::getenv("TF_CPP_MIN_LOG_LEVEL");
    if (level == nullptr || level[0] < '0' || level[0] > '3' || level[1] != 0) return;
    absl::SetMinLogLevel(static_cast<absl::LogSeverityAtLeast>(level[0] - '0'));
  }
} level;
}  // namespace
#endif
`

/**
 * An addon of its own, loaded before the binding: TensorFlow's library writes to standard error while it is being loaded,
 * before any level can be set. It loads the library with standard error turned away.
 *
 * Its one function, `tf32(on)`, says whether a GPU may round float32 to TF32 in products, and answers whether it may now;
 * undefined where this TensorFlow has no such switch. It holds for the process.
 */
export const muteSource = `
#include <cstdlib>
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>
#include "node_api.h"
namespace {
void* Library() {
  static void* library = dlopen(LIBRARY, RTLD_LAZY);
  return library;
}
napi_value Tf32(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value given[1], answer;
  napi_get_undefined(env, &answer);
  if (napi_get_cb_info(env, info, &count, given, nullptr, nullptr) != napi_ok || Library() == nullptr) return answer;
  auto enable = reinterpret_cast<void (*)(bool)>(dlsym(Library(), "_ZN3tsl32enable_tensor_float_32_executionEb"));
  auto enabled = reinterpret_cast<bool (*)()>(dlsym(Library(), "_ZN3tsl33tensor_float_32_execution_enabledEv"));
  if (enable == nullptr || enabled == nullptr) return answer;
  bool on;
  if (count > 0 && napi_get_value_bool(env, given[0], &on) == napi_ok) enable(on);
  napi_get_boolean(env, enabled(), &answer);
  return answer;
}
}  // namespace
extern "C" __attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  napi_value tf32;
  if (napi_create_function(env, "tf32", NAPI_AUTO_LENGTH, Tf32, nullptr, &tf32) == napi_ok)
    napi_set_named_property(env, exports, "tf32", tf32);
  const char* level = std::getenv("TF_CPP_MIN_LOG_LEVEL");
  if (level == nullptr || level[0] < '1') return exports;
  const int saved = dup(2);
  const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (saved >= 0 && null >= 0) {
    dup2(null, 2);
    Library();
    dup2(saved, 2);
  }
  if (saved >= 0) close(saved);
  if (null >= 0) close(null);
  return exports;
}
`

/**
 * Included before the binding's own sources: tfjs-node opens sessions with TensorFlow's defaults, and this gives them the
 * configuration that an environment variable holds. And it copies what is not int32 to the device when it is given, and back
 * again when a session is run, which takes it from the host: this leaves it there, uncopied.
 */
export const sessionSource = `
#pragma once
#include <cstdlib>
#include <cstring>
#include <string>
#include "tensorflow/c/c_api.h"
#include "tensorflow/c/eager/c_api.h"
inline TF_SessionOptions* SailwrightSessionOptions() {
  TF_SessionOptions* options = TF_NewSessionOptions();
  const char* hex = std::getenv("${configVariable}");
  if (hex == nullptr) return options;
  std::string bytes;
  for (size_t i = 0; i + 1 < std::strlen(hex); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex + i, 2), nullptr, 16)));
  TF_Status* status = TF_NewStatus();
  TF_SetConfig(options, bytes.data(), bytes.size(), status);
  TF_DeleteStatus(status);
  return options;
}
#define TF_NewSessionOptions SailwrightSessionOptions
inline TFE_TensorHandle* SailwrightLeftOnHost(TFE_TensorHandle* handle, TFE_Context*, const char*, TF_Status* status) {
  return TFE_TensorHandleCopySharingTensor(handle, status);
}
#define TFE_TensorHandleCopyToDevice SailwrightLeftOnHost
`

/** Compiles into a file that is there whole or not at all. */
const compileInto = async (
  target: string,
  compiler: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<Ended> => {
  const half = `${target}.${process.pid}.tmp`
  const ended = await runCommand(compiler, [...args, '-o', half], options)
  if (ended.status === 0) await rename(half, target)
  else await rm(half, { force: true })
  return ended
}

/**
 * Compiles tfjs-node's binding against a TensorFlow.
 *
 * @throws InstallError `CompileFailed`
 */
export const compileBinding = async (
  home: EngineHome,
  compiler: string,
  library: Library,
  options: CommandOptions,
): Promise<void> => {
  const folder = dirname(home.binding)
  await mkdir(folder, { recursive: true })
  const level = join(home.root, 'level.cc')
  const mute = join(home.root, 'mute.cc')
  const session = join(home.root, 'session.h')
  await writeFile(level, levelSource)
  await writeFile(session, sessionSource)
  await writeFile(mute, muteSource)
  const linked = [...library.files, ...(await cudaLibraries(library))]
  const rpaths = [...new Set(linked.map((f) => dirname(f)))]
  const shared = ['-std=c++17', '-O2', '-fPIC', '-shared', '-w']
  const ended = await compileInto(
    home.binding,
    compiler,
    [
      ...shared,
      ...['-DNAPI_VERSION=8', '-DNODE_GYP_MODULE_NAME=tfjs_binding', '-DBUILDING_NODE_EXTENSION'],
      ...[`-I${nodeHeaders(home)}`, `-I${library.include}`, '-include', session],
      ...['tfjs_backend.cc', 'tfjs_binding.cc'].map((f) => join(home.tfjs, 'binding', f)),
      level,
      ...['-Wl,--no-as-needed', ...linked],
      ...rpaths.map((d) => `-Wl,-rpath,${d}`),
    ],
    options,
  )
  if (ended.status !== 0)
    throw new InstallError(
      'CompileFailed',
      `${compiler} could not compile the binding against ${library.files[0]}: is this TensorFlow for this machine's processor, and at least 2.9?`,
      ended.output,
    )
  // without it the engine works as well, and says two lines more
  const first = library.files.at(-1)!
  await compileInto(
    home.mute,
    compiler,
    [...shared, '-DNAPI_VERSION=8', `-I${nodeHeaders(home)}`, `-DLIBRARY="${first}"`, mute, '-ldl'],
    options,
  )
}
