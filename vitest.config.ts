import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/{service,nginx,demo,dev,fuzz}/**/*.test.ts', 'test/readme.test.ts'],
    globalSetup: 'test/nginx/required.ts',
    // Generous: a slow machine is no failure. Nothing waits for it.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 20_000 } },
  },
})
