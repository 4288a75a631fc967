import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { chromium } from 'playwright-core'
import { expect, it } from 'vitest'
import { startStack, type Stack } from '../nginx/stack.js'
import { CHROMIUM } from './required.js'

const CROWD = 10_000
const CHANNELS = 200

/** Opens sessions as nginx does, from addresses of their own. */
async function openCrowd({ service }: Stack): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 })
  const open = async (viewer: number) => {
    const headers = {
      'X-Original-URI': `/play/c${viewer % CHANNELS}/index.m3u8?token=demo`,
      'X-Real-Host': 'live.example.com',
      'X-Real-IP': `10.0.${viewer >> 8}.${viewer & 255}`,
      'X-Real-UA': 'crowd',
    }
    const asked = get({ host: '127.0.0.1', port: service.port, path: '/auth', headers, agent })
    const [reply] = (await once(asked, 'response')) as [import('node:http').IncomingMessage]
    reply.resume()
    expect(reply.statusCode).toBe(200)
  }
  for (let viewer = 0; viewer < CROWD; viewer += 20) {
    await Promise.all(Array.from({ length: 20 }, (_, more) => open(viewer + more)))
  }
  agent.destroy()
}

/** ffmpeg in real time, under a name of its own. Not the live channel: of its joints ffmpeg complains, and ends. */
function play(site: string, userAgent: string) {
  const address = `${site}play/b002/index.m3u8?token=demo`
  const source = ['-user_agent', userAgent, '-re', '-i', address]
  const child = spawn('ffmpeg', ['-nostdin', '-v', 'error', '-xerror', ...source, '-f', 'null', '-'], {
    stdio: 'ignore',
  })
  return { child, exited: once(child, 'exit') }
}

it('among 10,000 sessions one is found and closed: its player stops, and no other', async () => {
  const env = { EDGE_TTL: '2s', DENY_TTL: '1m' }
  const stack = await startStack({ hasDemo: false, env })
  await openCrowd(stack)
  const kept = play(stack.site, 'kept player')
  const closed = play(stack.site, 'closed player')
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-quic', '--disable-background-networking', '--disable-component-update'],
  })
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, locale: 'en-GB' })
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => complaints.push(message.text()))
  await page.goto(`http://127.0.0.1:${stack.service.adminPort}/`)
  const range = page.locator('#range')
  await expect.poll(() => range.textContent(), { timeout: 20_000 }).toBe('1–100 of 10,002')

  await page.getByRole('combobox', { name: 'Channel' }).fill('c7')
  await expect.poll(() => range.textContent()).toBe(`1–${CROWD / CHANNELS} of ${CROWD / CHANNELS}`)
  await page.getByRole('combobox', { name: 'Channel' }).fill('b002')
  await expect.poll(() => page.locator('tbody tr').count()).toBe(2)
  const row = page.locator('tbody tr', { hasText: 'closed player' })
  await row.getByRole('button').click()
  await page.getByRole('button', { name: 'Close session' }).click()
  await page
    .getByRole('status')
    .getByText(/^Closed/)
    .waitFor()

  // It asks for its next segment, is refused, and gives up.
  await closed.exited
  await expect.poll(() => page.locator('tbody tr').count()).toBe(1)
  // It plays on, or has come to the end.
  expect(kept.child.exitCode).toBeOneOf([null, 0])
  const refusals = async (agent: string) =>
    (await stack.nginx.accessLog()).filter((line) => / 403 "GET/.test(line) && line.includes(agent)).length
  expect([(await refusals('closed player')) > 0, await refusals('kept player')]).toEqual([true, 0])
  expect(await page.content()).not.toContain('token')
  expect(complaints).toEqual([])
  kept.child.kill()
  await kept.exited
  await browser.close()
  await stack.stop()
})
