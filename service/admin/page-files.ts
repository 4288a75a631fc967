import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A file of the sessions page, as it goes out. */
export interface PageFile {
  readonly body: string
  readonly type: string
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
}

/** A comment that has its lines to itself: one byte in six, and no browser reads it. */
const COMMENT = /^ *(?:\/\/.*|\/\*(?:(?!\*\/)[^])*\*\/)\n/gm

/** The sessions page: every file of page/, by its path. */
export function readPage(): ReadonlyMap<string, PageFile> {
  const folder = fileURLToPath(new URL('page/', import.meta.url))
  const files = new Map<string, PageFile>()
  for (const name of readdirSync(folder)) {
    const type = TYPES[extname(name)]
    if (type === undefined) continue
    const path = name === 'index.html' ? '/' : `/${name}`
    files.set(path, { body: readFileSync(join(folder, name), 'utf8').replaceAll(COMMENT, ''), type })
  }
  return files
}
