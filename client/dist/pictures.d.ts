import type { ImageInput } from './generated/operations.ts';
/** A picture as its encoded bytes, or where the server finds it. */
export type Picture = Uint8Array | ArrayBuffer | Blob | ImageInput;
export declare function bytesOf(picture: Picture): Promise<Uint8Array> | Uint8Array | null;
/** In pieces: the arguments of one call have a limit. */
export declare function base64Of(bytes: Uint8Array): string;
/** By its first bytes; null where it is none of the formats that the server reads, which says so better than a guess. */
export declare function mediaTypeOf(bytes: Uint8Array): string | null;
