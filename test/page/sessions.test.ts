import type { Page } from 'playwright-core'
import { afterAll, describe, expect } from 'vitest'
import { closeBrowser, it } from './opened.js'
import type { Stub } from './stub.js'

afterAll(closeBrowser)

/** Requests so far that hold these words. */
const asked = (stub: Stub, part: string) => stub.requests.filter((request) => request.includes(part))

describe('the sessions page', () => {
  it('shows totals, the most watched channels and the newest hundred of 10,000 sessions', async ({
    stub,
    open,
  }) => {
    const { page, rows, cells, range } = await open()
    expect(await rows().count()).toBe(100)
    expect(await range()).toBe('1–100 of 10,000')
    const newest = stub.sessions.toSorted((a, b) => a.uptime - b.uptime)[0]!
    expect(await cells('addr')).toContain(newest.addr)
    await expect.poll(() => page.locator('#open').textContent()).toBe('10,000')
    expect(await page.locator('#backend-state').textContent()).toMatch(/^answers in \d+ ms$/)
    expect(await page.getByRole('img', { name: /last five minutes/ }).count()).toBe(1)
    expect(await page.getByRole('list', { name: 'Most watched' }).getByRole('button').count()).toBe(20)
  })

  it('asks each filter of the service, and finds no session without breaking', async ({ stub, open }) => {
    const { page, rows, cells, range } = await open()
    await page.getByLabel('Name').fill('katya-')
    await expect.poll(range).toMatch(/^1–100 of \d{3}$/)
    expect(new Set((await cells('name')).map((name) => name.slice(0, 6)))).toEqual(new Set(['katya-']))
    await page.getByLabel('Source').selectOption('open-door')
    await expect.poll(async () => new Set(await cells('source'))).toEqual(new Set(['open door']))
    await page.getByLabel('Name').fill('nobody of that name')
    await page.locator('#empty').getByText('No session matches').waitFor()
    expect(await rows().count()).toBe(0)
    await page.getByRole('button', { name: 'Clear' }).click()
    await expect.poll(range).toBe('1–100 of 10,000')
    await page.getByRole('button', { name: /^a001: / }).click()
    await expect.poll(async () => new Set(await cells('channel'))).toEqual(new Set(['a001']))
    const { addr } = stub.sessions.find(({ channel_id: id }) => id === 'a001')!
    await page.getByLabel('Address').fill(addr)
    await expect.poll(async () => new Set(await cells('addr'))).toEqual(new Set([addr]))
  })

  it('says so when nobody watches', async ({ stub, open }) => {
    const { page, rows } = await open()
    stub.sessions = []
    await page.getByText('Nobody is watching.').waitFor()
    expect(await rows().count()).toBe(0)
  })

  it('sorts by the column that is pressed, and the other way at a second press', async ({ stub, open }) => {
    const { page, cells } = await open()
    const header = page.getByRole('columnheader', { name: 'Name' })
    await header.getByRole('button').click()
    await expect.poll(() => asked(stub, 'sort=name').length).toBeGreaterThan(0)
    await expect.poll(() => header.getAttribute('aria-sort')).toBe('ascending')
    await header.getByRole('button').click()
    await expect.poll(async () => (await cells('name'))[0]).toMatch(/^katya-9/)
    expect(await header.getAttribute('aria-sort')).toBe('descending')
    expect(await page.locator('[aria-sort]').count()).toBe(1)
  })

  it('pages to the end and no further', async ({ stub, open }) => {
    const { page, range } = await open({}, '#offset=9800')
    await expect.poll(range).toBe('9,801–9,900 of 10,000')
    const [previous, next] = ['Previous', 'Next'].map((name) => page.getByRole('button', { name })) as [
      ReturnType<Page['getByRole']>,
      ReturnType<Page['getByRole']>,
    ]
    await next.click()
    await expect.poll(range).toBe('9,901–10,000 of 10,000')
    expect(await next.isDisabled()).toBe(true)
    await previous.click()
    await expect.poll(range).toBe('9,801–9,900 of 10,000')
    // Sessions end: the page goes back to where there are some.
    stub.sessions = stub.sessions.slice(0, 250)
    await expect.poll(range, { timeout: 10_000 }).toBe('201–250 of 250')
  })

  it('keeps filter, order and page in the address, for a reload and a link', async ({ stub, open }) => {
    const { page, cells } = await open()
    await page.getByLabel('Name').fill('hugo')
    await page.getByRole('columnheader', { name: 'Address' }).getByRole('button').click()
    await page.getByRole('button', { name: 'Next' }).click()
    await expect.poll(() => new URL(page.url()).hash).toBe('#name=hugo&sort=addr&offset=100')
    const before = await cells('name')
    await page.reload()
    await expect.poll(() => cells('name')).toEqual(before)
    expect(await page.getByLabel('Name').inputValue()).toBe('hugo')
    // A source that is none is left out, not looked for.
    await page.goto(`${stub.url}#channel=a002&source=bogus`)
    await expect.poll(async () => new Set(await cells('channel'))).toEqual(new Set(['a002']))
    expect(await page.getByLabel('Name').inputValue()).toBe('')
  })

  it('renews itself in place: scroll, focus and selection stay', async ({ stub, open }) => {
    const { page, cells, renewed, focused } = await open()
    const button = page.locator('tbody button').nth(50)
    await button.focus()
    const label = await focused()
    await page.evaluate(`{
      getSelection().selectAllChildren(document.querySelectorAll('td.agent')[40])
      document.querySelector('#region').scrollTop = 1200
    }`)
    const selected = await page.evaluate<string>('String(getSelection())')
    const uptimes = await cells('uptime')
    // Ten newer viewers come in on top; the one in focus leaves.
    const place = "[...document.querySelectorAll('tbody button')].indexOf(document.activeElement)"
    const now = stub.sessions.toSorted((a, b) => a.uptime - b.uptime)
    stub.sessions = [
      ...now
        .slice(1000, 1010)
        .map((session) => ({ ...session, uptime: 0, client_id: `${session.client_id}0` })),
      ...now.filter(({ addr }) => !label.includes(addr)),
    ]
    stub.grow(2)
    await renewed()
    expect(await cells('uptime')).not.toEqual(uptimes)
    expect(await focused()).toBe(label)
    expect(await page.evaluate<number>(place)).toBe(50)
    expect(await page.evaluate<string>('String(getSelection())')).toBe(selected)
    expect(await page.evaluate<number>("document.querySelector('#region').scrollTop")).toBe(1200)
    expect(await page.locator('#said').textContent()).toBe('')
  })

  it('asks for the status alone while it is hidden, for the title to tell of an outage', async ({
    stub,
    open,
  }) => {
    const { page, renewed } = await open()
    const hide = (hidden: boolean) =>
      page.evaluate(`{
        Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true })
        document.dispatchEvent(new Event('visibilitychange'))
      }`)
    await renewed()
    await page.clock.install()
    await hide(true)
    const isQuiet = () => stub.requests.slice(-2).every((request) => request === 'GET /status')
    // The last round may be under way; from then on one question each half minute.
    const later = async () => page.clock.fastForward(30_000)
    await expect.poll(async () => (await later(), isQuiet()), { interval: 500 }).toBe(true)
    const before = stub.requests.length
    stub.status = {
      ...stub.status,
      outage: { backend: 'timeout', since: new Date().toISOString(), seconds: 1, admitted: 0 },
    }
    await expect.poll(async () => (await later(), page.title()), { interval: 500 }).toMatch(/Backend outage/)
    expect(new Set(stub.requests.slice(before))).toEqual(new Set(['GET /status']))
    await hide(false)
    await renewed()
  })
})
