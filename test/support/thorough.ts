/** `FOVEA_TEST_THOROUGH=1`: with the models that take minutes, too. */
export const isThorough = process.env.FOVEA_TEST_THOROUGH === '1';
