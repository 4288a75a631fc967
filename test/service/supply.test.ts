import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ROOT } from '../root.js'

interface Lock {
  readonly packages: Record<string, { integrity?: string; hasInstallScript?: boolean }>
}
interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}
const read = async (name: string) => JSON.parse(await readFile(join(ROOT, name), 'utf8')) as unknown

// Their scripts only look for the binary that comes with them; without (`--ignore-scripts`) they work as well.
const HARMLESS = ['node_modules/lmdb', 'node_modules/msgpackr-extract']

it('packages are locked to exact versions and contents, and need to run nothing when they are installed', async () => {
  const { dependencies, devDependencies } = (await read('package.json')) as Manifest
  for (const version of Object.values({ ...dependencies, ...devDependencies })) {
    expect(version).toMatch(/^\d+\.\d+\.\d+$/)
  }
  const { packages } = (await read('package-lock.json')) as Lock
  delete packages['']
  const isUnlocked = ({ integrity = '', hasInstallScript = false }: Lock['packages'][string]) =>
    !integrity.startsWith('sha512-') || hasInstallScript
  expect(Object.keys(packages).filter((path) => isUnlocked(packages[path]!))).toEqual(HARMLESS)
})
