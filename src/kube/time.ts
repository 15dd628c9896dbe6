// Instants in objects: RFC 3339 in UTC, in whole seconds (Time) or with six digits (MicroTime, which
// the server takes in no other form).

/** Milliseconds since 1970, or undefined. */
export function parseTime(text: string): number | undefined {
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/.test(text)
  const ms = isTime ? Date.parse(text) : Number.NaN
  return Number.isNaN(ms) ? undefined : ms
}

export function formatTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

export function formatMicroTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z')
}
