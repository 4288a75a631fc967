// @ts-check

/**
 * @param {string} id
 * @returns {any} an element of index.html, which has it
 */
export const byId = (id) => document.getElementById(id)

/**
 * Writes only what changes: the rest keeps its selection, and costs no layout.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text
}

/**
 * Brings children into an order, moving none that is pinned.
 *
 * @param {Element} parent
 * @param {Element[]} wanted holds the pinned in the order in which they are
 * @param {Set<Element>} [pinned]
 */
export function arrange(parent, wanted, pinned = new Set()) {
  const staying = new Set(wanted)
  for (const child of parent.querySelectorAll(':scope > *')) if (!staying.has(child)) child.remove()
  let place = parent.firstElementChild
  for (const element of wanted) {
    // What stands in front of a pinned one goes out of its way.
    while (pinned.has(element) && place && place !== element) {
      const passed = place
      place = place.nextElementSibling
      parent.append(passed)
    }
    if (place === element) place = place.nextElementSibling
    else parent.insertBefore(element, place)
  }
}
