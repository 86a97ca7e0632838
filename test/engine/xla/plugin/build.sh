#!/bin/bash
# Builds the plugin against TensorFlow's wheel: build.sh <folder of the tensorflow package> <the plugin's file>
set -e
here=$(cd "$(dirname "$0")" && pwd)
tensorflow=$1
plugin=$2
mkdir -p "$(dirname "$plugin")"
# one process builds it, the others wait
exec 9>"$plugin.lock"
if command -v flock >/dev/null; then flock 9; fi
if [ -e "$plugin" ]; then exit 0; fi
external=$tensorflow/include/external
g++ -std=c++17 -O0 -g0 -fPIC -shared -fvisibility=hidden -D_GLIBCXX_USE_CXX11_ABI=1 -DEIGEN_MAX_ALIGN_BYTES=64 -DNDEBUG -w \
  -I"$here/stubs" -I"$tensorflow/include" -I"$external/highwayhash" -I"$external/farmhash_archive/src" \
  -I"$external/ml_dtypes_py" -I"$external/shardy" -I"$external/stablehlo" "$here/cpu_plugin.cc" -o "$plugin.new" \
  -L"$tensorflow" -l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2 -Wl,-rpath,"$tensorflow"
mv "$plugin.new" "$plugin"
