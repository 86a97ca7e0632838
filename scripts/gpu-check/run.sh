#!/usr/bin/env bash
# On a bare machine, in the repository's folder: unpacks what `pack.ts` packed and runs `there.ts`.
#
#     bash .gpu/run [part …]      `targets`: what is asked for on a card, in under three minutes
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."
began=$(date +%s.%N)
unpack() { # archives by xz, or by Python where there is none
  if command -v xz >/dev/null; then xz -dc -T0 "$1" | tar -xf - -C "$2"; else
    python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer, 1 << 20)' "$1" | tar -xf - -C "$2"
  fi
}
[ -x "$here/bin/node" ] || unpack "$here/node.tar.xz" "$here" &
for archive in "$here"/{natives,packages,build}.tar.xz "$here"-onnx/runtime.tar.xz; do [ -f "$archive" ] && unpack "$archive" . & done
wait
export PATH="$here/bin:$PATH" GPU_CHECK_BEGAN="$began"
node --version || exit 3
exec node --import tsx scripts/gpu-check/there.ts "$@"
