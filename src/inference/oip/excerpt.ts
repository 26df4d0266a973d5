/** The beginning of a value as JSON, for a message. */
export function excerpt(value: unknown): string {
  try {
    return (JSON.stringify(value) ?? 'nothing').slice(0, 80);
  } catch {
    return 'what is nested too deeply to be shown';
  }
}
