import { afterAll, describe, expect } from 'vitest'
import { closeBrowser, it } from './opened.js'
import type { Session } from '../../service/admin/page/types.js'
import type { Stub } from './stub.js'

afterAll(closeBrowser)

/** Requests so far that hold these words. */
const asked = (stub: Stub, part: string) => stub.requests.filter((request) => request.includes(part))

describe('closing a session', () => {
  it('asks first, and sends nothing when it is called off', async ({ stub, open }) => {
    const { page, renewed, focused } = await open()
    const button = page.locator('tbody button').nth(3)
    const label = await button.getAttribute('aria-label')
    await button.focus()
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog', { name: 'Close this session?' })
    await dialog.waitFor()
    expect(await focused()).toBe('cancel')
    expect(label).toContain(await page.locator('#dialog-channel').textContent())
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'hidden' })
    expect(await focused()).toBe(label)
    await page.keyboard.press('Enter')
    await page.keyboard.press('Enter')
    await dialog.waitFor({ state: 'hidden' })
    await renewed()
    expect(asked(stub, 'DELETE')).toEqual([])
  })

  it('closes and keeps out by keyboard alone, once, and tells', async ({ stub, open }) => {
    const { page, range, focused } = await open()
    const labels = await page
      .locator('tbody button')
      .evaluateAll((all: { ariaLabel: string }[]) => all.map((button) => button.ariaLabel))
    stub.latencyMs = 200
    await page.getByLabel('Source').focus()
    // To the table's region, over six columns that sort, to the first row's button.
    for (let i = 0; i < 8; i++) await page.keyboard.press('Tab')
    expect(await focused()).toBe(labels[0])
    await page.keyboard.press('Enter')
    await page.keyboard.press('Shift+Tab')
    for (const key of ['ArrowDown', 'ArrowDown', 'Tab', 'Tab', 'Enter']) await page.keyboard.press(key)
    await page
      .getByRole('status')
      .getByText(/^Closed: .* Kept out until/)
      .waitFor()
    expect(asked(stub, 'DELETE').length).toBe(1)
    expect(asked(stub, 'DELETE')[0]).toMatch(/^DELETE \/sessions\/\w{32}\?block=1h$/)
    // The row has gone; the focus is where the next one came up.
    expect(await focused()).toBe(labels[1])
    await expect.poll(range).toBe('1–100 of 9,999')
    expect(await focused()).toBe(labels[1])
  })

  it('undoes a block from its message', async ({ stub, open }) => {
    const { page } = await open()
    await page.locator('tbody button').first().click()
    await page.getByLabel('Keep out for 24 hours').check()
    await page.getByRole('button', { name: 'Close session' }).click()
    const blocks = page.getByText('Kept out: 1 viewer')
    await blocks.waitFor()
    const undo = page.getByRole('button', { name: 'Undo' })
    await undo.click()
    await page.getByRole('status').getByText('is no longer kept out').waitFor()
    await blocks.waitFor({ state: 'hidden' })
    expect(await undo.isHidden()).toBe(true)
    expect(stub.blocks).toEqual([])
    // What is only closed has nothing to undo.
    await page.locator('tbody button').first().click()
    await page.getByRole('button', { name: 'Close session' }).click()
    await page
      .getByRole('status')
      .getByText(/^Closed/)
      .waitFor()
    expect(await undo.isHidden()).toBe(true)
  })

  it('lists who is kept out, and lets them in again by keyboard alone', async ({ stub, open }) => {
    const [first, second, third] = stub.sessions as [Session, Session, Session]
    stub.blocks = [first, second, third].map((session, i) => ({
      ...session,
      blocked_until: new Date(Date.now() + (i + 1) * 600_000).toISOString(),
    }))
    const { page, focused, renewed } = await open()
    const summary = page.getByText('Kept out: 3 viewers')
    await summary.focus()
    await page.keyboard.press('Enter')
    const items = page.locator('#blocks li')
    expect(await items.first().innerText()).toMatch(/until .*\d/)
    expect(await items.first().innerText()).toContain(third.addr)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    expect(await focused()).toContain(second.addr)
    await page.keyboard.press('Enter')
    await page.getByRole('status').getByText(`${second.addr} is no longer kept out`).waitFor()
    await expect.poll(() => items.count()).toBe(2)
    expect(await focused()).toContain(first.addr)
    expect(asked(stub, 'DELETE')).toEqual([`DELETE /blocks/${second.client_id}`])
    // Another operator was quicker, or its time is over.
    stub.blocks = []
    await page.locator('#blocks').waitFor({ state: 'hidden' })
    expect(await focused()).toBe('region')
    await renewed()
  })

  it('does not call a session open of which nobody knows', async ({ stub, allowed, open }) => {
    allowed.push('ERR_EMPTY_RESPONSE', '403', '409')
    const { page, range } = await open()
    stub.unreachable = 'after'
    await page.locator('tbody button').first().click()
    await page.getByRole('button', { name: 'Close session' }).click()
    const status = page.getByRole('status')
    await status.getByText('The service does not answer. Look whether the session is still in').waitFor()
    stub.unreachable = false
    await expect.poll(range).toBe('1–100 of 9,999')
    stub.failing = 403
    await page.locator('tbody button').first().click()
    await page.getByRole('button', { name: 'Close session' }).click()
    await status.getByText('not closed. The service refuses this page (403)').waitFor()
    stub.failing = 409
    await page.locator('tbody button').first().click()
    await page.getByRole('button', { name: 'Close session' }).click()
    await status.getByText('another service has this session by now').waitFor()
    stub.failing = undefined
  })

  it('tells in a sentence that the session had already gone', async ({ stub, allowed, open }) => {
    allowed.push('404')
    const { page } = await open()
    await page.locator('tbody button').first().click()
    stub.sessions = stub.sessions.slice(0, 0)
    await page.getByRole('button', { name: 'Close session' }).click()
    await page.getByRole('status').getByText('this session had already ended').waitFor()
    expect(asked(stub, 'DELETE').length).toBe(1)
    expect(asked(stub, 'DELETE')[0]).toMatch(/^DELETE \/sessions\/\w{32}$/)
  })
})
