"""Compiles a program's text by JAX's plugin, runs it in a row, and times its kernels one by one.

    python3 scripts/gpu-check/kernels.py folder name [flags as JSON]

It reads what `texts.ts` wrote, adds the flags to the engine's own, and says how long a call takes, how long of that the host,
and which kernels take how much of it. Processes that run at once measure one after another. Kernels of a loop that the GPU
launches itself are not seen one by one: set `xla_gpu_enable_command_buffer` to `""` for them.
"""
import collections
import fcntl
import glob
import json
import os
import re
import sys
import time

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import jax
import numpy as np
from jax._src import xla_bridge
from jax._src.interpreters import mlir
from jax._src.lib import xla_client
from jax._src.lib.mlir import ir

folder, name = sys.argv[1:3]
added = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
path = os.path.join(folder, name)
flags = {**json.load(open(f"{path}.flags.json")), **added}
text = open(f"{path}.mlir").read()

options = xla_client.CompileOptions()
options.num_replicas = options.num_partitions = 1
options.env_option_overrides = list(flags.items())
device = jax.devices()[0]
began = time.time()
with mlir.make_ir_context():
    devices = xla_client.DeviceList((device,))
    program = xla_bridge.get_backend().compile_and_load(ir.Module.parse(text), devices, options)
compiled = time.time() - began

# 40 is a token, a place in the cache, a number of tokens that are left
draws = np.random.default_rng(0)
head = text[text.index("@main(") :].split("\n", 1)[0].split(") ->")[0]
declared = re.findall(r"%\w+: tensor<([^>]*)>((?: \{[^}]*\})?)", head)


def value(kind):
    *shape, element = kind.split("x")
    shape = [int(d) for d in shape]
    if element == "f32":
        return (draws.standard_normal(shape) * 0.02).astype(np.float32)
    return np.full(shape, 40, np.int32) if element == "i32" else np.zeros(shape, bool)


given = [jax.device_put(value(kind), device) for kind, _ in declared]
donated = {}
for i, (_, attributes) in enumerate(declared):
    result = re.search(r"aliasing_output = (\d+)", attributes)
    if result:
        donated[i] = int(result.group(1))


def call():
    results = [r[0] for r in program.execute_sharded(given).disassemble_into_single_device_arrays()]
    for i, result in donated.items():
        given[i] = results[result]
    return results


def wait(results):
    for r in results:
        r.block_until_ready()


for _ in range(3):
    wait(call())
lock = open(os.path.join(folder, ".measuring"), "w")
fcntl.flock(lock, fcntl.LOCK_EX)


def timed(count):
    start = time.perf_counter()
    for _ in range(count):
        results = call()
    host = time.perf_counter() - start
    wait(results)
    return [1e3 * (time.perf_counter() - start) / count, 1e3 * host / count]


count = max(3, min(100, int(300 / timed(2)[0])))
rows = sorted(timed(count) for _ in range(5))
label = f"{name} {json.dumps(added)}" if added else name
print(f"{label}: {rows[2][0]:.2f} ms a call, {rows[2][1]:.2f} of them the host; compiled in {compiled:.1f} s", flush=True)

profile = os.path.join(folder, f"profile-{os.getpid()}")
calls = 2
with jax.profiler.trace(profile):
    for _ in range(calls):
        results = call()
    wait(results)
found = glob.glob(f"{profile}/**/*.xplane.pb", recursive=True)
total = collections.defaultdict(lambda: [0, 0])
for plane in jax.profiler.ProfileData.from_file(found[0]).planes:
    for line in plane.lines if "/device:GPU" in plane.name else []:
        for event in line.events if "Stream" in line.name else []:
            total[event.name][0] += 1
            total[event.name][1] += event.duration_ns
launched = sum(n for n, _ in total.values())
busy = sum(ns for _, ns in total.values())
print(f"  {launched / calls:.0f} kernels in {busy / calls / 1e6:.2f} ms", flush=True)
for kernel, (times, ns) in sorted(total.items(), key=lambda x: -x[1][1])[:20]:
    print(f"  {ns / calls / 1e3:8.1f} us, {times / calls:4.0f} times: {kernel[:100]}", flush=True)
