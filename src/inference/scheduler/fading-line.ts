/** Of x about its mean, over the mean: less is hardly more than one size. */
const TELLING_SPREAD = 0.01;

/**
 * The line `y = a·x + b` through points with x above 0, by least squares in which older points fade. Neither a nor b is
 * below 0; where all points have the same x, b is 0.
 */
export class FadingLine {
  #weight = 0;
  #x = 0;
  #y = 0;
  #xx = 0;
  #xy = 0;

  /** `fading`: what all points before weigh from now on, of what they did. */
  add(x: number, y: number, fading: number): void {
    this.#weight = fading * this.#weight + 1;
    this.#x = fading * this.#x + x;
    this.#y = fading * this.#y + y;
    this.#xx = fading * this.#xx + x * x;
    this.#xy = fading * this.#xy + x * y;
  }

  /** Whether the points are far enough apart for a and b to be told from each other. */
  get tellsSizesApart(): boolean {
    return this.#spread > TELLING_SPREAD * this.#x * this.#x;
  }

  at(x: number): number {
    const throughOrigin = this.#xy / this.#xx;
    // What rounding leaves of no spread at all is no slope.
    if (this.#spread <= 1e-6 * this.#x * this.#x) return throughOrigin * x;
    const slope = (this.#weight * this.#xy - this.#x * this.#y) / this.#spread;
    const base = (this.#y - slope * this.#x) / this.#weight;
    if (base < 0) return throughOrigin * x;
    return slope < 0 ? this.#y / this.#weight : slope * x + base;
  }

  get #spread(): number {
    return this.#weight * this.#xx - this.#x * this.#x;
  }
}
