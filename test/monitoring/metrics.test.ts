import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { view } from '../nginx/client.js'
import { startStack } from '../nginx/stack.js'
import { ROOT } from '../root.js'

it('the metrics are what rules and dashboard ask for, in the judgement of promtool', async () => {
  const stack = await startStack({ hasDemo: false })
  for (const token of ['demo', 'wrong']) await view(stack.site, `/play/a001/index.m3u8?token=${token}`)
  const metrics = await (await fetch(`http://127.0.0.1:${stack.service.adminPort}/metrics`)).text()
  const check = spawn(join(ROOT, 'test/monitoring/check.sh'), ['-'])
  let output = ''
  for (const stream of [check.stdout, check.stderr])
    stream.on('data', (text: Buffer) => (output += text.toString()))
  check.stdin.end(metrics)
  const [code] = (await once(check, 'close')) as [number]
  expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('finds something') as string })
  await stack.stop()
})
