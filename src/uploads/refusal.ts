/** Why a PUT was not taken: `message` is shown to the client as it stands, with `status`. It leaves no file, and the place as open as it was. */
export class UploadRefusedError extends Error {
  readonly status: 400 | 404 | 408 | 409 | 410 | 413 | 415 | 422;

  constructor(status: UploadRefusedError['status'], message: string) {
    super(message);
    this.name = 'UploadRefusedError';
    this.status = status;
  }
}
