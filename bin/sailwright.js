#!/usr/bin/env node
// Runs the compiled command where it is built, else the source through tsx.
import { existsSync } from 'node:fs'

const [major] = process.versions.node.split('.').map(Number)
if (major < 20) {
  console.error(`sailwright needs Node 20 or newer; this is ${process.version}`)
  process.exit(1)
}

const compiled = new URL('../dist/src/cli/start.js', import.meta.url)
if (existsSync(compiled)) await import(compiled.href)
else {
  const { register } = await import('tsx/esm/api')
  register()
  await import(new URL('../src/cli/start.ts', import.meta.url).href)
}
