import { chromium, type Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { startStack } from '../nginx/stack.js'
import { CHROMIUM } from './required.js'
import { WAYS, statusesOf } from './watching.js'

/** As much of the DOM's type as is looked at; the project has no browser code to compile. */
interface HTMLVideoElement {
  readonly currentTime: number
}

let browser: Browser
beforeAll(async () => {
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-quic', '--disable-background-networking', '--disable-component-update'],
  })
})
afterAll(() => browser.close())

describe.each(WAYS)('hls.js in Chromium: %s', (_, options) => {
  it.concurrent('plays 20 s of live on a token that is dead after 5 s', async ({ expect }) => {
    const stack = await startStack(options)
    const page = await browser.newPage()
    const wrong: string[] = []
    page.on('pageerror', (error) => wrong.push(error.message))
    await page.goto(`${stack.site}?channel=live&token=${stack.middleware.issueToken()}&autoplay=1`)
    await page.locator('body[data-state=playing]').waitFor({ timeout: 30_000 })
    const position = () =>
      page.locator('video').evaluate<number, HTMLVideoElement>((video) => video.currentTime)
    const begin = await position()
    await expect.poll(position, { timeout: 60_000, interval: 500 }).toBeGreaterThanOrEqual(begin + 20)

    expect(await page.locator('body').getAttribute('data-state')).toBe('playing')
    expect(wrong).toEqual([])
    expect(stack.middleware.questions.length).toBe(1)
    expect(Object.keys(await statusesOf(stack))).toEqual(['200'])
    await page.close()
    await stack.stop()
  })

  it.concurrent('shows the refusal of a wrong token', async ({ expect }) => {
    const stack = await startStack(options)
    const page = await browser.newPage()
    await page.goto(`${stack.site}?channel=a001`)
    await page.getByRole('button', { name: 'Wrong token' }).click()
    await page.getByRole('button', { name: 'Play' }).click()
    await page.locator('body[data-state=refused]').waitFor({ timeout: 30_000 })
    expect(await page.getByRole('status').textContent()).toMatch(/Refused: the server answered 403/)
    await page.close()
    await stack.stop()
  })
})
