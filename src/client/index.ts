export * from './errors.ts';
export { Fovea, type FoveaOptions, isImageError } from './fovea.ts';
export type * from './generated/operations.ts';
export type { Picture } from './pictures.ts';
export type { CallOptions, Document } from './transport.ts';
