export * from './errors.js';
export { Fovea, isImageError } from './fovea.js';
