const longestOrigin = 300;
/** As the CHECK of `tenant.allowed_origins` has it. */
const form = /^[a-z][a-z0-9+.-]*:\/\/([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$/;

/**
 * Whether `text` is an origin exactly as browsers write it in the header `Origin`, so that two are the same where their texts are.
 * `null`, which pages without an origin of their own send (sandboxed frames, files), is none.
 */
export function isOrigin(text: string): boolean {
  if (text.length > longestOrigin || !form.test(text)) return false;
  const url = URL.parse(text);
  if (url === null || url.protocol === 'file:') return false;
  // Only the schemes of the web have an origin that is computed; an app's own (`capacitor://localhost`) is sent as it stands.
  return url.origin === 'null' || url.origin === text;
}

/** What is wrong with a list of origins called `name`, or null. */
export function originsFault(name: string, origins: readonly string[], most: number): string | null {
  if (origins.length > most) return `${name} names ${origins.length} origins: at most ${most} are allowed.`;
  const wrong = origins.find((origin) => !isOrigin(origin));
  if (wrong === undefined) return null;
  const meant = URL.parse(wrong)?.origin;
  return (
    `${name} has ${JSON.stringify(wrong)}: an origin is a scheme, a host and, unless it is the scheme's own, a port, as ` +
    `browsers send it, without a path or a wildcard: ${meant && isOrigin(meant) ? meant : 'https://app.example'}.`
  );
}
