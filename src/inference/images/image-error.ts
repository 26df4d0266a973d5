import { CodedError } from '../../lib/errors.ts';

export type ImageErrorCode =
  | 'UNSUPPORTED_FORMAT'
  | 'CORRUPT_IMAGE'
  | 'IMAGE_TOO_LARGE'
  | 'FETCH_FAILED'
  | 'FORBIDDEN_URL'
  | 'INFERENCE_FAILED';

/** Why one picture of a request has no answer. It spoils no other picture; `message` is shown to the client as it stands. */
export class ImageError extends CodedError {
  readonly code: ImageErrorCode;

  constructor(code: ImageErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
