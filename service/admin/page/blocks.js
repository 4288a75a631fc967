// @ts-check
/** Who is kept out, and the buttons that let them in again. */
import { arrange, byId, setText } from './dom.js'
import { at } from './format.js'
import { words } from './words.js'

/** @typedef {import('./types.js').Block} Block */

const details = byId('blocks')
const [summary, list] = details.children

/** @type {Map<string, HTMLLIElement>} by client_id */
let items = new Map()

/**
 * @param {readonly Block[]} blocks the newest last
 * @param {(block: Block) => void} onLift
 */
export function showBlocks(blocks, onLift) {
  details.hidden = blocks.length === 0
  setText(summary, words.blocks(blocks.length))
  const held = [...list.children].findIndex((item) => item.contains(document.activeElement))
  items = new Map(
    blocks.map((block) => [block.client_id, items.get(block.client_id) ?? itemOf(block, onLift)]),
  )
  arrange(list, [...items.values()].toReversed())
  // The focus went with its item.
  if (held !== -1 && document.activeElement === document.body)
    (list.querySelectorAll('button')[Math.min(held, items.size - 1)] ?? byId('region')).focus()
}

/**
 * @param {Block} block
 * @param {(block: Block) => void} onLift
 */
function itemOf(block, onLift) {
  const item = document.createElement('li')
  for (const text of [
    block.channel_id,
    block.addr,
    block.user_agent || '—',
    words.until(at(block.blocked_until)),
  ]) {
    const part = document.createElement('span')
    part.textContent = text
    item.append(part)
  }
  const button = document.createElement('button')
  button.type = 'button'
  button.textContent = words.lift
  button.ariaLabel = words.liftWhom(block.addr, block.channel_id)
  button.addEventListener('click', () => onLift(block))
  item.append(button)
  return item
}
