import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** An artefact store's folder for one test, removed after it. */
export function artifactFolder(): {
  dir: string;
  put(bytes: Uint8Array): string;
  path(sha256: string): string;
} {
  const dir = mkdtempSync(join(tmpdir(), 'fovea-test-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const path = (sha256: string) => join(dir, 'sha256', sha256.slice(0, 2), sha256);
  return {
    dir,
    path,
    put(bytes) {
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      mkdirSync(join(dir, 'sha256', sha256.slice(0, 2)), { recursive: true });
      writeFileSync(path(sha256), bytes);
      return sha256;
    },
  };
}
