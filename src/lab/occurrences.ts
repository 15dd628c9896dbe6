// Counts a byte string in another one.

/** Occurrences that do not overlap; 0 for an empty needle. */
export function countOccurrences(haystack: Buffer, needle: Uint8Array): number {
  if (needle.length === 0) return 0
  let count = 0
  let at = haystack.indexOf(needle)
  while (at >= 0) {
    count++
    at = haystack.indexOf(needle, at + needle.length)
  }
  return count
}
