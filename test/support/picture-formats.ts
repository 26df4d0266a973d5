export type Colour = [number, number, number];

/**
 * A file of the shared data's `formats` that is read: its oriented size, then Pillow 13's mean colour of the whole picture and
 * of its top left quarter (which tells its orientation).
 */
export type ExpectedPicture = [
  file: string,
  width: number,
  height: number,
  mean: Colour | null,
  topLeft: Colour | null,
];

export const decodedFormats: readonly ExpectedPicture[] = [
  ['pillow_16_bit_noise.tif', 32, 32, [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
  ['pillow_exif_imagemagick_orientation.png', 512, 512, [144.5, 142.6, 143.1], [144.6, 142.7, 143.2]],
  ['pillow_flower.webp', 480, 360, [119.4, 132.1, 94.3], [129.6, 142.4, 106.7]],
  ['pillow_hopper.avif', 128, 128, [89.8, 79.8, 95.6], [94.0, 72.5, 80.9]],
  ['pillow_hopper.gif', 128, 128, [89.7, 80.1, 95.4], [94.1, 72.7, 80.6]],
  ['pillow_hopper.jpg', 128, 128, [89.7, 80.1, 95.4], [94.2, 72.7, 80.6]],
  ['pillow_hopper.png', 128, 128, [89.7, 80.1, 95.4], [94.2, 72.7, 80.6]],
  ['pillow_hopper.tif', 128, 128, [89.7, 80.1, 95.4], [94.2, 72.7, 80.6]],
  ['pillow_hopper_16bit_qtables.jpg', 128, 128, [90.1, 80.3, 94.8], [95.2, 72.9, 81.6]],
  ['pillow_hopper_gray.jpg', 128, 128, [84.7, 84.7, 84.7], [80.0, 80.0, 80.0]],
  ['pillow_icc_profile_big.jpg', 425, 250, [57.4, 106.9, 168.5], [1.5, 50.6, 135.3]],
  ['pillow_iss634.apng', 245, 245, [134.6, 136.6, 90.2], [75.6, 120.4, 91.5]],
  ['pillow_iss634.webp', 245, 245, [134.6, 136.6, 90.2], [75.6, 120.4, 91.5]],
  ['pillow_jpeg_ff00_header.jpg', 300, 225, [116.4, 78.9, 77.2], [122.1, 83.0, 80.3]],
  ['pillow_l_trns.png', 64, 64, [123.9, 123.9, 123.9], [60.3, 60.3, 60.3]],
  ['pillow_multipage.tiff', 10, 10, [0.0, 128.0, 0.0], [0.0, 128.0, 0.0]],
  ['pillow_pil_sample_cmyk.jpg', 100, 100, null, null],
  ['pillow_pil_sample_rgb.jpg', 100, 100, [28.0, 4.5, 3.5], [52.2, 8.3, 6.4]],
  ['pillow_rot1mir0.avif', 640, 427, [130.5, 137.6, 97.2], [147.1, 164.8, 138.7]],
  ['pillow_transparency.avif', 64, 64, [73.3, 176.4, 119.7], [159.8, 213.4, 11.1]],
  ['pillow_transparent.png', 200, 150, [33.4, 25.7, 26.4], [38.5, 22.3, 72.3]],
  ['pillow_xmp_tags_orientation.avif', 326, 268, [203.6, 171.7, 114.3], [225.6, 191.2, 126.7]],
  ['sharp_16-bit-grey-alpha.png', 109, 96, [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
  ['sharp_2569067123_aca715a2ee_o.jpg', 2725, 2225, [101.5, 76.3, 61.5], [117.6, 83.3, 68.1]],
  ['sharp_5_webp_a.webp', 300, 300, [91.8, 91.0, 92.2], [133.5, 48.7, 110.5]],
  ['sharp_8bit_depth.tiff', 21, 21, [126.6, 126.6, 126.6], [130.1, 130.1, 130.1]],
  ['sharp_Channel_digital_image_CMYK_color_no_profile.jpg', 500, 333, null, null],
  ['sharp_Flag_of_the_Netherlands-16bit.png', 900, 600, [154.2, 117.6, 144.5], [200.7, 102.9, 111.0]],
  ['sharp_G31D_MULTI.TIF', 2464, 3248, [235.8, 235.8, 235.8], [244.9, 244.9, 244.9]],
  ['sharp_Landscape_1.jpg', 600, 450, [97.0, 94.5, 84.8], [114.5, 116.1, 105.6]],
  ['sharp_Landscape_3.jpg', 600, 450, [83.9, 82.3, 72.0], [101.0, 102.6, 91.1]],
  ['sharp_Landscape_4.jpg', 600, 450, [83.8, 82.2, 71.9], [100.9, 102.5, 91.0]],
  ['sharp_Landscape_6.jpg', 600, 450, [84.0, 82.3, 72.0], [101.1, 102.7, 91.2]],
  ['sharp_Landscape_7.jpg', 600, 450, [83.7, 82.0, 71.7], [101.2, 102.8, 91.3]],
  ['sharp_Portrait_1.jpg', 450, 600, [114.9, 117.4, 99.5], [118.4, 121.4, 109.9]],
  ['sharp_Portrait_2.jpg', 450, 600, [100.0, 103.0, 83.1], [104.0, 107.4, 95.1]],
  ['sharp_Portrait_4.jpg', 450, 600, [100.0, 102.9, 83.1], [103.8, 107.2, 94.9]],
  ['sharp_Portrait_5.jpg', 450, 600, [100.1, 103.0, 83.2], [104.2, 107.6, 95.2]],
  ['sharp_Portrait_7.jpg', 450, 600, [99.9, 102.8, 83.1], [103.9, 107.3, 95.0]],
  ['sharp_Portrait_8.jpg', 450, 600, [100.2, 103.1, 83.2], [104.2, 107.6, 95.2]],
  ['sharp_animated-loop-3.webp', 370, 285, [254.0, 254.0, 252.0], [255.0, 255.0, 253.0]],
  ['sharp_gain-map.jpg', 3840, 2160, [99.9, 97.9, 97.4], [62.6, 63.3, 67.7]],
  ['sharp_grey-8bit-alpha.png', 400, 300, [85.5, 85.5, 85.5], [107.7, 107.7, 107.7]],
  ['sharp_rotating-squares.gif', 80, 80, [33.0, 51.2, 61.9], null],
  [
    'sharp_sdr_cosmos12920_cicp1-13-6_yuv444_full_qp10.avif',
    2048,
    858,
    [121.5, 30.3, 85.0],
    [128.6, 28.5, 56.7],
  ],
  ['sharp_tbgn2c16.png', 32, 32, [167.2, 174.4, 169.3], [171.2, 177.4, 154.6]],
];

/** Those that are UNSUPPORTED_FORMAT. */
export const refusedFormats = [
  'pillow_hopper.heif',
  'pillow_hopper.qoi',
  'pillow_star.avifs',
  // Published cut off where its pixels begin.
  'pillow_ultrahdr.jpg',
  'sharp_check.svg',
  'sharp_relax.jp2',
];
