import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { OperatorError } from '../../lib/errors.ts';

/** Throws OperatorError where a file cannot be read, or the key is not the certificate's. */
export async function readTls(certPath: string, keyPath: string): Promise<{ cert: string; key: string }> {
  const cert = await readPem('--tls-cert', certPath);
  const key = await readPem('--tls-key', keyPath);
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const reason = (error as Error).message;
    throw new OperatorError(
      `--tls-cert ${certPath}, --tls-key ${keyPath}: wanted a certificate and its key, both PEM: ${reason}`,
    );
  }
  return { cert, key };
}

function readPem(option: string, path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: Error) => {
    throw new OperatorError(`${option} ${path}: it cannot be read: ${error.message}`);
  });
}
