/** Why a PUT was not taken: `message` is shown to the client as it stands, with `status`. It leaves no file, and the place as open as it was. */
export class UploadRefusedError extends Error {
  readonly status: 400 | 404 | 408 | 409 | 410 | 413 | 415 | 422;

  constructor(status: UploadRefusedError['status'], message: string) {
    super(message);
    this.name = 'UploadRefusedError';
    this.status = status;
  }
}

export function beingReceived(): UploadRefusedError {
  return new UploadRefusedError(409, 'The file is being received from another PUT.');
}

export function ranOut(): UploadRefusedError {
  return new UploadRefusedError(408, 'The file was not stored in time: PUT it again.');
}

export function usedUp(): UploadRefusedError {
  return new UploadRefusedError(409, 'A file was received here already: create another upload.');
}

export function expired(): UploadRefusedError {
  return new UploadRefusedError(410, 'The upload has expired: create another.');
}
