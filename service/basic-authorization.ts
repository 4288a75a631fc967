/** The account of an address (`http://user:password@host/`) as the header that stands for it, where there is one. */
export function basicAuthorization({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {}
  const account = `${decoded(username)}:${decoded(password)}`
  return { Authorization: `Basic ${Buffer.from(account).toString('base64')}` }
}

/** As it was meant, where a `%` in it was not. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
