import type { Report } from './explain.js'

const WIDTH = 80
const INDENT = 13

/** A report for reading: as wide as a terminal, where an address does not need more. */
export function layOut(report: Report): string {
  const { address, backend, question, answer, decision, reply } = report
  const lines = [
    field('Address', `${address.host} ${address.path}`),
    field('Channel', report.channel ?? 'none'),
    field('Credentials', report.credentials ?? 'none'),
    field('Viewer', `${address.client_ip}, ${address.user_agent || 'without a User-Agent'}`),
    field('Backend', `${backend.type}, ${backend.url}`),
    '',
    ...(question
      ? [field('Asked', `${question.method} ${question.url}`), ...headerLines(question.headers)]
      : [field('Asked', 'nothing')]),
    ...(answer ? [field('Answer', answerText(answer)), ...headerLines(answer.headers)] : []),
    '',
    field('Decision', `${decision.allowed ? 'allow' : 'deny'}: ${decision.reason}`),
    field('nginx gets', String(reply.status)),
    ...headerLines(reply.headers),
    ...report.advice.flatMap(({ text }) => ['', ...wrapped(text, WIDTH)]),
  ]
  return `${lines.join('\n')}\n`
}

function answerText({ status, failure, error_code, milliseconds }: NonNullable<Report['answer']>): string {
  const what = status ?? `none: ${failure}${error_code === null ? '' : `, ${error_code}`}`
  return `${what}, after ${milliseconds} ms`
}

function field(name: string, text: string): string {
  return name.padEnd(INDENT) + wrapped(text, WIDTH - INDENT).join(`\n${' '.repeat(INDENT)}`)
}

function headerLines(headers: Readonly<Record<string, string>>): string[] {
  const [indent, width] = [' '.repeat(INDENT), WIDTH - INDENT - 2]
  return Object.entries(headers).map(
    ([name, value]) => indent + wrapped(`${name}: ${value}`, width).join(`\n${indent}  `),
  )
}

/** Breaks between words; a longer word stays whole, so that it can be copied. */
function wrapped(text: string, width: number): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!
    if (line === '') lines[lines.length - 1] = word
    else if (line.length + 1 + word.length <= width) lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  return lines
}
