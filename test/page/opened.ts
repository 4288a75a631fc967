import { chromium, type BrowserContextOptions, type Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { CHROMIUM } from '../players/required.js'
import { startStub, type Stub } from './stub.js'

/** The page in a browser, and how tests look at it. */
export interface Opened {
  readonly page: Page
  readonly rows: () => ReturnType<Page['locator']>
  /** Texts of a column. */
  readonly cells: (column: string) => Promise<string[]>
  /** “1–100 of 10,000” */
  readonly range: () => Promise<string | null>
  /** Waits until sessions that are read from now on have been shown. */
  readonly renewed: () => Promise<void>
  /** Name or id of what has the focus. */
  readonly focused: () => Promise<string>
}

interface Fixtures {
  readonly stub: Stub
  /** Parts of what the browser may complain about in this test, to be added to before it does. */
  readonly allowed: string[]
  /** What it complains about: a broken policy, exceptions, anything on the console. */
  readonly complaints: string[]
  /** A window of 1280 by 800 in English, unless told otherwise. */
  readonly open: (options?: BrowserContextOptions, hash?: string) => Promise<Opened>
}

/** Complains when something is asked while another question, that was not dropped, is without an answer. */
const ONE_AT_A_TIME = `{
  const ask = window.fetch
  let underWay
  window.fetch = (path, options) => {
    if (underWay) console.error(path + ': asked before the answer to ' + underWay)
    underWay = path
    const over = () => { if (underWay === path) underWay = undefined }
    options.signal.addEventListener('abort', over)
    return ask(path, options).finally(over)
  }
}`

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ['--no-sandbox', '--disable-quic', '--disable-background-networking', '--disable-component-update'],
})

/** A test of the page. At its end the browser had nothing to complain about, and never asked two things at once. */
export const it = test.extend<Fixtures>({
  stub: async ({}, use) => {
    const stub = await startStub()
    await use(stub)
    await stub.stop()
  },
  allowed: async ({}, use) => use([]),
  complaints: async ({ allowed }, use) => {
    const complaints: string[] = []
    await use(complaints)
    const others = complaints.filter((text) => !allowed.some((part) => text.includes(part)))
    if (others.length > 0) throw new Error(`the browser complains: ${others.join('; ')}`)
  },
  open: async ({ stub, complaints }, use) => {
    let close = async () => {}
    await use(async (options = {}, hash = '') => {
      const context = await browser.newContext({
        viewport: { width: 1280, height: 800 },
        locale: 'en-GB',
        ...options,
      })
      close = () => context.close()
      const page = await context.newPage()
      page.on('pageerror', (error) => complaints.push(error.message))
      page.on('console', (message) => complaints.push(message.text()))
      await page.addInitScript(ONE_AT_A_TIME)
      await page.goto(stub.url + hash)
      const rows = () => page.locator('tbody tr')
      await rows().first().waitFor()
      return {
        page,
        rows,
        cells: (column) => page.locator(`tbody td.${column}`).allTextContents(),
        range: () => page.locator('#range').textContent(),
        async renewed() {
          const before = stub.requests.length
          // A round is three requests, and one may be under way.
          await expect
            .poll(() => stub.requests.length, { timeout: 10_000 })
            .toBeGreaterThanOrEqual(before + 6)
        },
        focused: () => page.evaluate<string>('document.activeElement.ariaLabel ?? document.activeElement.id'),
      }
    })
    await close()
  },
})

/** For afterAll: a file of tests has a browser of its own. */
export const closeBrowser = () => browser.close()
