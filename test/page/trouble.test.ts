import { afterAll, describe, expect } from 'vitest'
import { closeBrowser, it } from './opened.js'

afterAll(closeBrowser)

describe('when something is wrong', () => {
  it('the outage of a backend cannot be overlooked', async ({ stub, open }) => {
    const { page } = await open()
    await expect.poll(() => page.title()).toBe('Sessions')
    const { status } = stub
    stub.status = {
      ...status,
      backend: { ...status.backend, state: 'down' },
      outage: { since: new Date(Date.now() - 42_000).toISOString(), seconds: 42, admitted: 7 },
      outages: 1,
    }
    const alert = page.getByRole('alert')
    await alert.getByText('The backend has not answered since').waitFor()
    expect(await alert.textContent()).toMatch(/New viewers are let in unchecked.*7 viewers.*0:00:42/)
    expect((await alert.boundingBox())?.width).toBe(1280)
    expect(await page.title()).toMatch(/Backend down/)
    stub.status = { ...stub.status, when_backend_down: 'deny' }
    await alert.getByText('New viewers are refused').waitFor()
    stub.status = status
    await alert.waitFor({ state: 'hidden' })
    await expect.poll(() => page.title()).toBe('Sessions')
  })

  it('a service that is not reached is another matter, and what was known stays', async ({
    stub,
    complaints,
    open,
  }) => {
    const { page, rows } = await open()
    stub.unreachable = true
    await page.getByRole('alert').getByText('The service has not been reached since').waitFor()
    expect(await rows().count()).toBe(100)
    expect(await page.title()).toMatch(/Service unreachable/)
    await page.locator('tbody button').first().click()
    await page.getByRole('button', { name: 'Close session' }).click()
    await page.getByRole('status').getByText('not closed. The service does not answer.').waitFor()
    stub.unreachable = false
    await page.getByRole('alert').waitFor({ state: 'hidden' })
    expect(complaints.splice(0).every((text) => text.includes('ERR_EMPTY_RESPONSE'))).toBe(true)
  })

  it('what viewers send is text, whatever it looks like', async ({ stub, open }) => {
    const evil = '<img src=x onerror="document.title=1"><script>document.title=2</script>&amp;\u202e'
    stub.sessions = stub.sessions.slice(0, 3).map((session) => ({
      ...session,
      name: evil,
      channel_id: evil,
      user_agent: evil,
      host: evil,
      source: evil as 'backend',
    }))
    stub.status = { ...stub.status, channels: [{ channel_id: evil, watching: 3 }], version: evil }
    const { page, cells } = await open()
    for (const column of ['name', 'channel', 'agent', 'host', 'source']) {
      expect(await cells(column)).toEqual([evil, evil, evil])
    }
    await page.getByRole('button', { name: 'Close' }).first().click()
    expect(await page.locator('#dialog-name').textContent()).toBe(evil)
    await page.getByRole('button', { name: 'Close session' }).click()
    await page.getByRole('status').getByText('Closed: <img').waitFor()
    expect(await page.locator('img, body script').count()).toBe(0)
    expect(await page.title()).toBe('Sessions')
  })
})
