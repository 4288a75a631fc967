/** A text of the page and what stands behind it, as `rgb(r, g, b)`. */
export interface Pair {
  readonly text: string
  readonly behind: string
}

/** Runs in the page: what is painted of the first element that fits. */
export const PAIR_OF = `(selector) => {
  const element = document.querySelector(selector)
  let behind = element
  const background = () => behind ? getComputedStyle(behind).backgroundColor : 'rgb(255, 255, 255)'
  while (behind && /, 0\\)$|transparent/.test(background())) behind = behind.parentElement
  return { text: getComputedStyle(element).color, behind: background() }
}`

/** By WCAG 2.2, from 1 to 21; AA asks for 4.5. */
export function contrastOf({ text, behind }: Pair): number {
  const [light, dark] = [luminance(text), luminance(behind)].toSorted((a, b) => b - a) as [number, number]
  return (light + 0.05) / (dark + 0.05)
}

function luminance(color: string): number {
  const [red, green, blue] = [...color.matchAll(/[\d.]+/g)].map(([value]) => {
    const part = Number(value) / 255
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  }) as [number, number, number]
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
